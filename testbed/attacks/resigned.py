"""Attacks by the owner of a log: a record is changed and everything signed anew with the log's own key.

Every hash and every signature is right then. What speaks against it is what others kept: anchors, the inputs of a twin.
"""

from collections.abc import Sequence
from dataclasses import replace

from testbed.attacks.frames import forger_of
from testbed.attacks.records import other_value, rewriting
from testbed.attacks.target import Expected, Falsified, TargetLog
from testbed.core.bodies import State, TwinRecord
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, What
from testbed.core.tags import Value
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import TILE_WIDTH, encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import decode_body, encode_body
from testbed.record.entry import commitment, decode_entry, encode_entry
from testbed.store.files import write_atomic


def rewrite_twin_record(log: TargetLog, index: int) -> Falsified:
    """Change an output of a twin record; sign every checkpoint over it anew, and publish tiles that fit."""
    record = decode_body(Kind.TWIN, _body(log, index, Kind.TWIN))
    assert isinstance(record, TwinRecord)  # noqa: S101 - the kind says so
    changed = replace(record, outputs=(*record.outputs[:-1], record.outputs[-1] + 0.5))
    _rewrite(log, index, encode_body(changed))
    covering = next((size for size in log.sizes if size > index), None)
    where = f"record {index} of {log.origin}"
    expected = [Expected(What.DIVERGED, Layer.TWIN, where, log.origin, index)]
    if index < log.witnessed:
        expected.insert(0, Expected(What.FORKED, Layer.LOG, where, log.origin, index))
    elif covering is not None:
        place = f"checkpoint of {log.origin}, size {covering}, anchored in block"
        expected.insert(0, Expected(What.FORKED, Layer.LOG, place, log.origin))
    return Falsified(f"{where} was changed, and everything above it signed anew with the twin's key", tuple(expected))


def rewrite_state(log: TargetLog, index: int, tag_name: str, value: Value | None) -> Falsified:
    """Change a value in a state that the twin consumed; the gateway's key signs every checkpoint over it anew."""
    changed, done = other_value(log, _body(log, index, Kind.STATE), tag_name, value)
    signed = _state(changed).frame is not None
    return _resigned(log, index, changed, done, [(What.ALTERED, Layer.GATEWAY)] if signed else [])


def forge_frame(log: TargetLog, index: int, tag_name: str, value: Value | None) -> Falsified:
    """As `rewrite_state`, and the device's frame says the same; its signature is by another key."""
    changed, done = other_value(log, _body(log, index, Kind.STATE), tag_name, value)
    state = _signed_state(log, index, changed)
    forged = forger_of(log.tags)(state)
    if forged is None:
        raise UsageError(f"not all values of record {index} of {log.origin} were read", "choose another --index")
    body = encode_body(replace(state, frame=forged[0], signature=forged[1]))
    return _resigned(log, index, body, f"{done}, in a frame by another key", [(What.FORGED, Layer.WIRE)])


def strip_frame(log: TargetLog, index: int) -> Falsified:
    """Take the device's frame out of a state; the gateway's key signs every checkpoint over it anew."""
    state = _signed_state(log, index, _body(log, index, Kind.STATE))
    body = encode_body(replace(state, frame=None, signature=None))
    return _resigned(log, index, body, "the PLC's signed frame was taken out", [(What.STRIPPED, Layer.GATEWAY)])


def _resigned(log: TargetLog, index: int, body: bytes, done: str, device: Sequence[tuple[What, Layer]]) -> Falsified:
    """device: what follows from what the device signed."""
    _rewrite(log, index, body)
    where = f"record {index} of {log.origin}"
    # The twin noted the leaf hash that it read, and the signed checkpoint over it.
    expected = [Expected(what, layer, where, log.origin, index) for what, layer in [(What.FORKED, Layer.LOG), *device]]
    return Falsified(f"{where}: {done}, and everything above it signed anew with the gateway's key", tuple(expected))


def _signed_state(log: TargetLog, index: int, body: bytes) -> State:
    state = _state(body)
    if state.frame is None:
        mend = "name a bench whose PLC signs, or another record"
        raise UsageError(f"record {index} of {log.origin} has no signed frame", mend)
    return state


def _state(body: bytes) -> State:
    state = decode_body(Kind.STATE, body)
    assert isinstance(state, State)  # noqa: S101 - the kind says so
    return state


def _body(log: TargetLog, index: int, kind: Kind) -> bytes:
    with rewriting(log) as connection:
        row = connection.execute("SELECT entry, body FROM records WHERE idx = ?", (index,)).fetchone()
    if row is None or decode_entry(row[0]).kind is not kind:
        raise UsageError(f"record {index} of {log.origin} is no {kind.name.lower()} record", "choose another --index")
    return bytes(row[1])


def _rewrite(log: TargetLog, index: int, body: bytes) -> None:
    """Give the record another body, and make everything that the log's own key signs fit it."""
    key = SigningKey.from_seed(log.origin, log.key_seed)
    with rewriting(log) as connection:
        rows = connection.execute("SELECT entry, salt FROM records ORDER BY idx").fetchall()
        entries = [row[0] for row in rows]
        entry = replace(decode_entry(entries[index]), commitment=commitment(rows[index][1], body))
        entries[index] = encode_entry(entry)
        connection.execute("UPDATE records SET entry = ?, body = ? WHERE idx = ?", (entries[index], body, index))
        tree = Tree(map(leaf_hash, entries))
        note = b""
        sizes = connection.execute("SELECT size FROM checkpoints WHERE size > ? ORDER BY size", (index,)).fetchall()
        for (size,) in sizes:
            note = sign_checkpoint(Checkpoint(log.origin, size, tree.root(size)), key)
            connection.execute("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size))
    _publish(log, tree, entries, note)


def _publish(log: TargetLog, tree: Tree, entries: list[bytes], note: bytes) -> None:
    for tile in tile_widths(tree.size):
        write_atomic(log.published / tile.path, tile_hashes(tree, tile))
    for bundle in entry_bundles(tree.size):
        start = bundle.n * TILE_WIDTH
        write_atomic(log.published / bundle.path, encode_bundle(entries[start : start + bundle.width]))
    write_atomic(log.published / "checkpoint", note)
