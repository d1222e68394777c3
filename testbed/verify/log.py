"""Checks one log: signatures, then the true leaves, then store, tiles and anchored sizes against them."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

from testbed.core.bodies import Genesis
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Entry, Kind
from testbed.core.errors import StoreError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import LogKeys, Revoked
from testbed.merkle.packed import Packed
from testbed.merkle.tiles import TILE_WIDTH
from testbed.verify.checkpoints import (
    Anchored,
    Shown,
    Signed,
    check_growth,
    check_length,
    check_stored,
    prefix_roots,
    signed_elsewhere,
    valid_checkpoints,
)
from testbed.verify.copies import BlockCopy, LeafCopy
from testbed.verify.evidence import LogEvidence
from testbed.verify.key_changes import check_changes, keys_of
from testbed.verify.location import Copy, leaves_by_roots, true_leaves
from testbed.verify.records import Genuine, StoredRecords, check_records
from testbed.verify.segments import Hashed, hash_log
from testbed.verify.sequence import check_sequence
from testbed.verify.tiles import check_tiles, tile_hashes_of
from testbed.verify.trust import TrustedLog
from testbed.verify.witnessed import cut_off, kept_of, mirrors_of, rewritten
from testbed.verify.work import ALONE, Work

_SLACK = 65_536
"""Records that a checkpoint may speak of beyond all that there are copies for, before it is not followed any more."""


@dataclass(slots=True)
class CheckedLog:
    """What the check of one log found.

    size: records under its newest valid checkpoint; leaves: their true hashes, None where not to be had;
    genuine: the records, by index, that are what the root says, each read and decoded when it is asked for;
    agreed: the anchored sizes whose root is the log's own; notes: every checkpoint with a valid signature, by the
    bytes of its signed note; located: the very records that a witness saw as others, where the log forked or was cut
    back; keys: which key counts at which size.
    """

    trusted: TrustedLog
    size: int = 0
    leaves: Sequence[bytes | None] = field(default_factory=list)
    genuine: MutableMapping[int, Genuine] = field(default_factory=dict)
    agreed: tuple[int, ...] = ()
    notes: dict[bytes, Checkpoint] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    located: list[Finding] = field(default_factory=list)
    keys: LogKeys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = LogKeys(self.trusted.key)

    @property
    def origin(self) -> str:
        return self.trusted.origin

    def of(self, *kinds: Kind, since: int = 0) -> Iterator[Genuine]:
        """Its genuine records of these kinds from index `since` on, in order. No other body is decoded."""
        genuine = self.genuine
        if isinstance(genuine, StoredRecords):
            return genuine.of_kinds(kinds, since)
        return (genuine[index] for index in sorted(genuine) if index >= since and genuine[index].entry.kind in kinds)

    def kind(self, index: int) -> Kind | None:
        """The kind of a genuine record, which is not read for it; None where none is to be had."""
        genuine = self.genuine
        if index not in genuine:
            return None
        return genuine.kind(index) if isinstance(genuine, StoredRecords) else genuine[index].entry.kind

    def entries(self) -> Iterator[Entry]:
        """The entries of its genuine records, in the order of their index. No body is decoded."""
        genuine = self.genuine
        if isinstance(genuine, StoredRecords):
            return (genuine.entry(index) for index in genuine)
        return (genuine[index].entry for index in sorted(genuine))

    def find(self, source: str, seq: int) -> int | None:
        """Index of the genuine record with that number of that source, None where there is none."""
        genuine = self.genuine
        if isinstance(genuine, StoredRecords):
            return genuine.find(source, seq)
        return next((i for i, one in genuine.items() if (one.entry.source, one.entry.seq) == (source, seq)), None)

    def count(self, start: int, stop: int, kind: Kind | None = None) -> int:
        """How many with start <= index < stop are genuine, of one kind where it is given."""
        genuine = self.genuine
        if isinstance(genuine, StoredRecords):
            return genuine.count(start, stop, kind)
        return sum(start <= index < stop and kind in (None, one.entry.kind) for index, one in genuine.items())

    def gaps(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """(first, end) of each run of indices with start <= index < stop that are not genuine."""
        genuine = self.genuine
        if isinstance(genuine, StoredRecords):
            yield from genuine.gaps(start, stop)
            return
        first = start
        for index in range(start, stop):
            if index in genuine:
                if first < index:
                    yield first, index
                first = index + 1
        if first < stop:
            yield first, stop

    def has_all(self, start: int, stop: int) -> bool:
        """Whether all with start <= index < stop are genuine."""
        return next(self.gaps(start, stop), None) is None

    @property
    def end(self) -> int:
        """The index behind the last genuine record, 0 where there is none."""
        genuine = self.genuine
        return genuine.end if isinstance(genuine, StoredRecords) else max(genuine, default=-1) + 1


def check_log(
    trusted: TrustedLog,
    simulated_allowed: bool,
    evidence: LogEvidence,
    anchored: Sequence[Anchored],
    mirror: Mapping[int, bytes],
    work: Work = ALONE,
    root: VerifierKey | None = None,
    revoked: Sequence[Revoked] = (),
    shown: Sequence[Shown] = (),
) -> CheckedLog:
    """Check one log. anchored: what the contract accepted of it; mirror: leaf hashes by index that a twin noted.

    shown: checkpoints of it that others hold; root, revoked: what the trust file says of keys that change.
    """
    log = CheckedLog(trusted)
    if not evidence.problem:
        try:
            log.keys = keys_of(trusted.key, root, revoked, evidence)
            _check_log(log, simulated_allowed, evidence, anchored, mirror, work, shown)
            log.findings += check_changes(log.keys, root, log.genuine, log.of(Kind.EVENT))
        except StoreError as error:
            evidence = replace(evidence, problem=error.problem)
        else:
            return log
    log = CheckedLog(trusted)
    log.findings.append(_open_question(What.UNREACHABLE, Layer.STORE, log.origin, evidence.problem))
    return log


def _check_log(
    log: CheckedLog,
    simulated_allowed: bool,
    evidence: LogEvidence,
    anchored: Sequence[Anchored],
    mirror: Mapping[int, bytes],
    work: Work,
    shown: Sequence[Shown],
) -> None:
    signed, found = valid_checkpoints(log.keys, evidence, anchored, log.notes)
    kept = kept_of(log.keys, evidence, log.notes)
    held = [*kept.signed, *signed_elsewhere(log.keys, shown, log.notes)]
    own_signed, signed = signed, [*signed, *held]
    log.findings += [*found, *kept.damaged]
    if evidence.published is None:
        log.findings.append(_open_question(What.MISSING, Layer.LOG, log.origin, "no checkpoint file is published"))
    hashed = hash_log(log.origin, evidence.rows, work)
    stored = hashed.packed()
    signed, found = _within_reach(log.origin, signed, evidence, len(stored), mirror)
    log.findings += found
    if not signed:
        detail = "there is no valid checkpoint to check it by"
        log.findings.append(_open_question(What.MISSING, Layer.STORE, log.origin, detail))
        return
    claims = [size for size, _ in evidence.checkpoints]
    # Rows under a checkpoint that is damaged count; a checkpoint over rows that are not there does not.
    claimed = max(claims, default=0)
    own = max((one.checkpoint.size for one in signed if one.own), default=len(stored))
    length = max(own, min(claimed, len(stored)))
    short = check_length(log.origin, length, anchored) or cut_off(log.origin, length, held)
    log.findings += short
    # An anchored checkpoint beyond the log's own says that the log was cut off; its records are not to be had.
    within = [one for one in signed if one.checkpoint.size <= length] or signed
    head = max(within, key=lambda one: one.checkpoint.size).checkpoint
    log.size = head.size
    published = next((one.checkpoint.size for one in signed if one.published), None)
    # Tiles are trusted for nothing: they serve as a copy also where the checkpoint over them is none.
    offered = head.size if published is None else published
    copies = _copies(evidence, hashed, stored, offered, mirror, head.size)
    leaves = true_leaves(head.size, head.root, copies)
    if None in leaves and evidence.mirrors:
        copies += mirrors_of(evidence)
        leaves = true_leaves(head.size, head.root, copies)
    if None in leaves:
        leaves = _from_older_roots(leaves, within, copies)
    if None in leaves:
        log.findings.append(_lost(log.origin, leaves, within, stored))
    log.leaves = leaves
    records, found = check_records(log.origin, leaves, evidence.rows, hashed, max(head.size, claimed))
    log.genuine = records
    log.findings += found
    growth = check_growth(log.origin, leaves, signed, anchored)
    if published is not None and evidence.tiles is not None and not any(one.published for one in growth.forked):
        log.findings += check_tiles(log.origin, leaves, min(published, len(leaves)), evidence.tiles)
    if not growth.forked:
        # Whoever signed the log anew made other checkpoints with it.
        log.findings += check_stored(log.origin, claims, own_signed, length)
    log.agreed = growth.agreed
    log.findings += growth.findings
    # A checkpoint that a witness or a receipt keeps, and that lies on the log's tree, was stored as well.
    have = [*claims, *(one.checkpoint.size for one in own_signed)]
    on_tree = [one for one in held if one not in growth.forked]
    log.findings += check_stored(log.origin, have, on_tree, length)
    if growth.forked or short:
        log.located = rewritten(log.origin, leaves, kept.signed, evidence)
    log.findings += _check_genesis(log, simulated_allowed)
    log.findings += check_sequence(log.origin, records, hashed)


def _within_reach(
    origin: str, signed: Sequence[Signed], evidence: LogEvidence, stored: int, mirror: Mapping[int, bytes]
) -> tuple[list[Signed], list[Finding]]:
    """The checkpoints over no more records than can be there: a key can sign for any number."""
    reach = stored + TILE_WIDTH * len(evidence.tiles or {}) + _SLACK
    if any(one.checkpoint.size > reach for one in signed):
        reach += max([len(mirror), *(len(one.leaves) for one in evidence.mirrors)])
    beyond = [one for one in signed if one.checkpoint.size > reach]
    findings = []
    if beyond:
        first = min(beyond, key=lambda one: one.checkpoint.size)
        detail = f"it speaks of {first.checkpoint.size} records; the log holds {stored}"
        findings.append(Finding(What.DELETED, Layer.STORE, first.where, detail, origin=origin))
    return [one for one in signed if one.checkpoint.size <= reach], findings


def _copies(
    evidence: LogEvidence,
    hashed: Hashed,
    stored: Packed,
    published: int,
    mirror: Mapping[int, bytes],
    size: int,
) -> list[Copy]:
    copies: list[Copy] = [LeafCopy(stored)]
    if not hashed.in_place:
        copies.append(LeafCopy.sparse(size, lambda: zip(hashed.all_numbers(), stored, strict=True)))
    if len(stored) != size:
        # Where records are missing or extra, those behind them stand as far from the end as they should.
        copies.append(LeafCopy(lambda: stored[max(0, len(stored) - size) :].behind(size - len(stored))))
    tiles = evidence.tiles
    if tiles is not None:
        copies.append(LeafCopy(lambda: tile_hashes_of(tiles, 0, published)))
        copies.append(BlockCopy(lambda: tile_hashes_of(tiles, 1, published)))
    copies.append(LeafCopy.sparse(size, mirror.items))
    return copies


def _from_older_roots(leaves: Packed, signed: Sequence[Signed], copies: Sequence[Copy]) -> Packed:
    roots: dict[int, set[bytes]] = {}
    for one in signed:
        roots.setdefault(one.checkpoint.size, set()).add(one.checkpoint.root)
    return leaves_by_roots(leaves, roots, [copy.whole for copy in copies if isinstance(copy, LeafCopy)])


def _lost(origin: str, leaves: Packed, signed: Sequence[Signed], stored: Packed) -> Finding:
    """The finding for leaves that no copy has: as narrow as the signed checkpoints make it."""
    unknown = list(leaves.unknown())
    first, last = unknown[0], unknown[-1]
    if first >= len(stored):
        where = f"records {first} to {last} of {origin}" if last > first else f"record {first} of {origin}"
        detail = "the log's key signed for it, and neither store nor tiles nor any mirror holds it"
        return Finding(What.DELETED, Layer.STORE, where, detail, origin=origin, index=first)
    roots = prefix_roots(stored, {one.checkpoint.size for one in signed})
    failing = [one.checkpoint.size for one in signed if roots.get(one.checkpoint.size) != one.checkpoint.root]
    above = min((size for size in failing if size > first), default=last + 1)
    if above == first + 1:
        where, detail = f"record {first} of {origin}", "neither store nor tiles nor any mirror has what was signed"
        return Finding(What.ALTERED, Layer.LOG, where, detail, origin=origin, index=first)
    where = f"records {first} to {above - 1} of {origin}"
    detail = "store and tiles were both changed somewhere in this range: signed roots bound it, no copy narrows it"
    return Finding(What.ALTERED, Layer.LOG, where, detail, origin=origin)


def _check_genesis(log: CheckedLog, simulated_allowed: bool) -> list[Finding]:
    first = log.genuine.get(0)
    if first is None:
        return []
    body = first.body
    where = f"record 0 of {log.origin}"
    if not isinstance(body, Genesis) or body.log != log.origin:
        return [_identity(log, where, "the log does not begin with its own genesis record")]
    if body.schema != log.trusted.schema:
        return [_identity(log, where, "the log speaks of another tag list than the trust file names")]
    if body.simulated and not simulated_allowed:
        detail = "the records come from a virtual clock and a seed; the trust file allows no simulated bench"
        return [Finding(What.SIMULATED, Layer.IDENTITY, where, detail, Verdict.INCONCLUSIVE, log.origin, 0)]
    return []


def _identity(log: CheckedLog, where: str, detail: str) -> Finding:
    return Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, origin=log.origin, index=0)


def _open_question(what: What, layer: Layer, origin: str, detail: str) -> Finding:
    return Finding(what, layer, origin, detail, Verdict.INCONCLUSIVE, origin)
