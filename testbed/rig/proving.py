"""Makes an evidence file of one record of a bench. Reads the bench's files, and writes nothing into it."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice

from testbed.chain.proofs import header_fields
from testbed.chain.reading import iterate_steps
from testbed.core.bodies import CONFIGURATION, PARAMETERS, AnchorReceipt, Beacon, Tombstone, TwinRecord
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError, UsageError
from testbed.keys.evidence_file import Claim, EvidenceFile, ProvedAnchor, ProvedRecord
from testbed.keys.tlog_proof import claimed_checkpoint
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import NO_SCHEMA, parameters_hash
from testbed.rig.bench import RECEIPTS, Bench
from testbed.rig.cosigned import Witnesses
from testbed.rig.log_keys import change_notes
from testbed.rig.paths import Paths
from testbed.rig.proof_log import ProofLog
from testbed.rig.proof_words import commentary

_MOST_TAGS = 1 << 18
"""Bytes of a tag list that is put into a file; a tag has about 80."""
_MOST_BLOCKS = 64
"""Headers between a beacon's block and the anchor's."""
_MOST_BETWEEN = 256
"""Records of a twin's log between one step and the next."""


class Prover:
    """Proves records of one bench; each log is read once. Use it as a context manager.

    witnesses: whose cosignatures are wanted; a record is proved under the newest checkpoint that a quorum cosigned, or
    under the newest one where none of those covers it.
    """

    def __init__(self, bench: Bench, witnesses: Witnesses | None = None) -> None:
        self._witnesses = witnesses
        self._bench = bench
        self._paths = Paths(bench.data)
        self._logs: dict[str, ProofLog] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Prover":
        # A bench may run meanwhile: what is read first is covered by what is read later.
        if self._is_anchored():
            self.log(RECEIPTS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _is_anchored(self) -> bool:
        """Whether there is a log of receipts."""
        return self._paths.log(RECEIPTS).is_file()

    def log(self, origin: str) -> ProofLog:
        """A log by its origin, or by its name in the bench. Raises UsageError where there is none of that name."""
        names = {self._bench.origin(name): name for name in self._bench.logs}
        origin = origin if origin in names else self._bench.origin(origin)
        if origin not in names:
            raise UsageError(f"there is no log {origin!r}", f"there are {', '.join(names)}")
        if origin not in self._logs:
            path = self._paths.log(names[origin])
            log = self._logs[origin] = self._stack.enter_context(ProofLog(origin, path))
            cosigned = None if self._witnesses is None else self._witnesses.newest(origin)
            if cosigned is not None:
                log.prefer(cosigned)
        return self._logs[origin]

    def find(self, source: str, seq: int, origin: str | None = None) -> tuple[str, int]:
        """Origin and index of record `seq` of `source`; of several logs that of the gateway comes first."""
        for name in (origin,) if origin is not None else self._bench.logs:
            log = self.log(name)
            index = log.find(source, seq)
            if index is not None:
                return log.origin, index
        raise UsageError(f"no log has a record {seq} of {source!r}", "see `testbed verify --record`")

    def prove(self, origin: str, index: int, claim: Claim = Claim.RECORD) -> EvidenceFile:
        """Everything that a stranger needs to check one record. Raises UsageError where the log has no such record."""
        log = self.log(origin)
        if not 0 <= index < log.size:
            raise UsageError(f"{log.origin} has no record {index} under a checkpoint", f"there are 0 to {log.size - 1}")
        subject, records = log.prove(index), [log.prove(0)]
        kind = decode_entry(subject.entry).kind
        tags, parameters = self._tags(log), None
        if kind is Kind.TWIN and subject.body is not None:
            step, tags, parameters = self._step(log, index, subject.body)
            records += step
        records += [] if subject.body is not None else self._tombstone(log.origin, index)
        beacon = next(log.indices(Kind.BEACON, index), None)
        records += [] if beacon is None else [log.prove(beacon)]
        anchor, number = self._anchor(log, index, claim)
        blocks = () if anchor is None or beacon is None else self._blocks(log, beacon, number)
        shown = {log.origin, *(one.place[0] for one in records), *([self.log(RECEIPTS).origin] if anchor else [])}
        file = EvidenceFile(
            claim=claim,
            origin=log.origin,
            index=index,
            records=_in_order([*records, subject]),
            anchor=anchor,
            blocks=blocks,
            tags=tags,
            parameters=parameters,
            key_changes=self.key_changes(shown),
        )
        return replace(file, commentary=commentary(file))

    def key_changes(self, origins: Iterable[str]) -> tuple[bytes, ...]:
        """Notes of all changes of the keys of these logs."""
        names = {self._bench.origin(name): name for name in self._bench.logs}
        found = [change_notes(self._bench, names[origin]) for origin in sorted(origins) if origin in names]
        return tuple(chain.from_iterable(found))

    def _tags(self, log: ProofLog) -> bytes | None:
        """The tag list that a log follows, None where it has none, or one that is too large for the file."""
        schema = log.schema()
        if schema == NO_SCHEMA:
            return None
        found = next((detail for detail in log.event(CONFIGURATION) if parameters_hash(detail) == schema), None)
        return found if found is not None and len(found) <= _MOST_TAGS else None

    def _step(self, twin: ProofLog, index: int, body: bytes) -> tuple[list[ProvedRecord], bytes | None, bytes | None]:
        """What a twin record goes on from, its inputs, tag list and parameters."""
        found = decode_body(Kind.TWIN, body)
        if not isinstance(found, TwinRecord):
            return [], None, None
        before = next(twin.indices(Kind.TWIN, index), 0)
        if index - before > _MOST_BETWEEN:
            detail = f"{index - before} records stand between record {index} of {twin.origin} and the step before it"
            raise StoreError(detail, "check the bench as a whole with `testbed verify`")
        records = [twin.prove(other) for other in range(before, index) if other]
        origins = {ref.origin for ref in found.inputs}
        known = [origin for origin in sorted(origins) if origin in map(self._bench.origin, self._bench.logs)]
        for origin in known:
            source = self.log(origin)
            places = [ref.index for ref in found.inputs if ref.origin == origin and ref.index < source.size]
            records += [source.prove(place) for place in dict.fromkeys(places)]
        tags = self._tags(self.log(known[0])) if known else None
        parameters = (detail for detail in twin.event(PARAMETERS) if parameters_hash(detail) == found.parameters)
        return records, tags, next(parameters, None)

    def _tombstone(self, origin: str, index: int) -> list[ProvedRecord]:
        """What the operator says of a body that is gone, where he says anything."""
        operator = self.log(self._bench.operator.name)
        for place in operator.indices(Kind.TOMBSTONE):
            body = decode_body(Kind.TOMBSTONE, operator.row(place).body or b"")
            if isinstance(body, Tombstone) and (body.origin, body.index) == (origin, index):
                return [operator.prove(place)]
        return []

    def _anchor(self, log: ProofLog, index: int, claim: Claim) -> tuple[ProvedAnchor | None, int]:
        """The first anchor over a record by the log of receipts, and the number of that receipt there.

        What its owner signed convicts a twin without an anchor as well, where it is not the log that was anchored.
        """
        if not self._is_anchored():
            return None, -1
        receipts = self.log(RECEIPTS)
        places = [place for place, source in receipts.sources(Kind.RECEIPT) if source == log.origin]
        low, high = 0, len(places)
        while low < high:
            middle = (low + high) // 2
            if claimed_checkpoint(_receipt(receipts, places[middle]).checkpoint).size > index:
                high = middle
            else:
                low = middle + 1
        if low == len(places):
            return None, -1
        receipt, record = _receipt(receipts, places[low]), receipts.prove(places[low])
        accepted = claimed_checkpoint(receipt.checkpoint)
        if accepted.size > log.size or log.tree.root(accepted.size) != accepted.root:
            if claim is not Claim.RECORD:
                return None, -1
            detail = f"{log.origin}: what was anchored at size {accepted.size} is not the log that stands here"
            raise StoreError(detail, "`testbed verify` says what was changed, and where")
        sizes = sorted((accepted.size, log.shown(index)[0].size))
        anchor = ProvedAnchor(
            checkpoint=receipt.checkpoint,
            header=receipt.header,
            slot_proof=receipt.slot_proof,
            receipt_proof=receipt.receipt_proof,
            path=tuple(log.tree.consistency_path(*sizes)),
            entry=record.entry,
            salt=record.salt or b"",
            proof=record.proof,
        )
        return anchor, places[low]

    def _blocks(self, log: ProofLog, beacon: int, number: int) -> tuple[bytes, ...]:
        """Headers from the beacon's block up to the parent of the anchor's, where receipts have all of them."""
        body = decode_body(Kind.BEACON, log.row(beacon).body or b"")
        if not isinstance(body, Beacon):
            return ()
        receipts = self.log(RECEIPTS)
        found: list[bytes] = []
        above = header_fields(_receipt(receipts, number).header)
        headers = (_receipt(receipts, place).header for place in receipts.indices(Kind.RECEIPT, number))
        for header in chain(headers, self._deployment()):
            below = header_fields(header)
            if (below.hash, below.number + 1) != (above.parent_hash, above.number) or len(found) == _MOST_BLOCKS:
                return ()
            found.append(header)
            above = below
            if below.hash == body.block_hash:
                return tuple(reversed(found))
        return ()

    def _deployment(self) -> Iterator[bytes]:
        """Header of the block that holds the contract's deployment, which has no receipt in a log."""
        for step in islice(iterate_steps(self._paths.journal), 1):
            if step.mined is not None and step.intent.anchored is None:
                yield step.mined.header


def _receipt(receipts: ProofLog, index: int) -> AnchorReceipt:
    try:
        body = decode_body(Kind.RECEIPT, receipts.row(index).body or b"")
    except InvalidData as error:
        raise StoreError(f"{receipts.origin}: record {index} cannot be read: {error}") from error
    if not isinstance(body, AnchorReceipt):
        raise StoreError(f"{receipts.origin}: record {index} is no receipt")
    return body


def _in_order(records: Iterable[ProvedRecord]) -> tuple[ProvedRecord, ...]:
    found = {record.place: record for record in records}
    return tuple(found[place] for place in sorted(found))
