"""How long a log must be, by what others know of it: its writer signs nothing below, or it would fork its own log.

Whoever puts an older copy of a log back takes records away that were signed, anchored or seen. What says so stands with
others: the journal of anchors, witnesses, and the logs that keep its checkpoints. Only what the log's own key signed
counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.chain.steps import Intent, Mined, decode_line
from testbed.core.bodies import Peer
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import CheckpointKeys
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from testbed.witness.memory import origin_hash

_TAIL = 1 << 20
"""Bytes of the journal's end that are looked through first. A round anchors every log that grew, so it is there."""
_NOTE = 1 << 20
"""Bytes of a cosigned checkpoint that are read; it has a few hundred."""
_MOST = 4096
"""Records of another log that are looked through, from its end. It keeps a checkpoint with each commit."""

MEND = (
    "put the newest copy of the log back; where there is none, bodies cannot be had from tiles or mirrors:"
    " begin a successor with `testbed init --succeeds`"
)


@dataclass(frozen=True, slots=True)
class Floor:
    """A checkpoint that was signed once. known: who knows it, in words."""

    checkpoint: Checkpoint
    known: str


def check_not_behind(bench: Bench, role: str, keys: CheckpointKeys, store: LogStore) -> None:
    """Raises StoreError where the log is shorter than what is known of it, or has another root at that size."""
    newest = store.latest_checkpoint()
    size = 0 if newest is None else newest[0]
    for floor in floors_of(bench, role, keys):
        signed = floor.checkpoint
        if signed.size > size:
            raise StoreError(
                f"{store.path}: the log {signed.origin} is older than what was signed of it: it ends at size {size},"
                f" and {floor.known} size {signed.size}",
                MEND,
            )
        found = store.latest_checkpoint(signed.size)
        if found is not None and found[0] == signed.size and _opened(found[1], keys) not in (None, signed):
            raise StoreError(
                f"{store.path}: the log {signed.origin} is another one than was signed: {floor.known} size"
                f" {signed.size} with root {signed.root.hex()}",
                MEND,
            )


def floors_of(bench: Bench, role: str, keys: CheckpointKeys) -> Iterator[Floor]:
    """What others know of a log, the largest that each of them has."""
    anchored = _anchored(bench, keys)
    if anchored is not None:
        yield anchored
    holders = []
    if role == bench.twin.follows:
        holders.append(bench.twin.name)
    if role == bench.operator.name:
        holders.append(bench.gateway.name)
    for witness in bench.witnesses:
        cosigned = _cosigned(bench, witness.name, keys)
        if cosigned is not None:
            yield cosigned
    for holder in holders:
        kept = _kept(bench, holder, keys)
        if kept is not None:
            yield kept


def _anchored(bench: Bench, keys: CheckpointKeys) -> Floor | None:
    """The newest checkpoint that was sent to the contract, mined or not: it was signed."""
    path = Paths(bench.data).journal
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            for start in (max(0, end - _TAIL), 0):
                file.seek(start)
                lines = file.read().split(b"\n")[:-1]
                found = _newest_anchor(lines[1:] if start else lines, keys)
                if found is not None:
                    return found
    except OSError:
        pass  # without it nothing was anchored, or verify says what became of it
    return None


def _newest_anchor(lines: Sequence[bytes], keys: CheckpointKeys) -> Floor | None:
    named = f'"origin":"{keys.name}"'.encode()
    block = ""
    for line in reversed(lines):
        try:
            # A long journal is mostly about other logs.
            step = decode_line(line + b"\n") if named in line or b'"type":"mined"' in line else None
        except InvalidData:
            continue
        if isinstance(step, Mined):
            block = f" in block {step.height}"
            continue
        anchored = step.anchored if isinstance(step, Intent) else None
        signed = None if anchored is None else _opened(anchored.note, keys)
        if signed is not None:
            return Floor(signed, f"the journal anchors{block}")
        block = ""
    return None


def _cosigned(bench: Bench, witness: str, keys: CheckpointKeys) -> Floor | None:
    """The newest checkpoint that a witness cosigned, where its folder stands beside the logs."""
    path = Paths(bench.data).role_folder(witness) / origin_hash(keys.name) / "checkpoint"
    try:
        with path.open("rb") as file:
            signed = _opened(file.read(_NOTE), keys)
    except OSError:
        return None
    return None if signed is None else Floor(signed, f"{bench.origin(witness)} cosigned")


def _kept(bench: Bench, holder: str, keys: CheckpointKeys) -> Floor | None:
    """The newest checkpoint of the log that another log keeps."""
    try:
        with LogStore.read(Paths(bench.data).log(holder)) as store:
            newest = store.latest_checkpoint()
            size = 0 if newest is None else newest[0]
            rows = list(store.rows(max(0, size - _MOST), size))
    except StoreError:
        return None
    for row in reversed(rows):
        try:
            if row.body is None or decode_entry(row.entry).kind is not Kind.PEER:
                continue
            body = decode_body(Kind.PEER, row.body)
        except InvalidData:
            continue
        signed = _opened(body.checkpoint, keys) if isinstance(body, Peer) and body.origin == keys.name else None
        if signed is not None:
            return Floor(signed, f"record {row.index} of {bench.origin(holder)} keeps")
    return None


def _opened(note: bytes, keys: CheckpointKeys) -> Checkpoint | None:
    """What the log's own key signed; anything else says nothing of it."""
    try:
        return open_checkpoint(note, keys, keys.name)
    except InvalidData:
        return None
