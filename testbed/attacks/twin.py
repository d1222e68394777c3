"""The twin's own attack: it changes a record and signs everything anew with its own key. Every hash is right then."""

from dataclasses import replace

from testbed.attacks.records import rewriting
from testbed.attacks.target import Expected, Falsified, TargetLog
from testbed.core.bodies import TwinRecord
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import TILE_WIDTH, encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import decode_body, encode_body
from testbed.record.entry import commitment, decode_entry, encode_entry
from testbed.store.files import write_atomic


def rewrite_record(log: TargetLog, index: int) -> Falsified:
    """Change an output of a twin record; sign every checkpoint over it anew, and publish tiles that fit."""
    key = SigningKey.from_seed(log.origin, log.key_seed)
    with rewriting(log) as connection:
        rows = connection.execute("SELECT idx, entry, salt, body FROM records ORDER BY idx").fetchall()
        if not 0 <= index < len(rows) or decode_entry(rows[index][1]).kind is not Kind.TWIN:
            raise UsageError(f"record {index} of {log.origin} is no twin record", "choose another --index")
        _, entry_data, salt, body_data = rows[index]
        record = decode_body(Kind.TWIN, body_data)
        assert isinstance(record, TwinRecord)  # noqa: S101 - the kind says so
        changed = encode_body(replace(record, outputs=(*record.outputs[:-1], record.outputs[-1] + 0.5)))
        entry = encode_entry(replace(decode_entry(entry_data), commitment=commitment(salt, changed)))
        connection.execute("UPDATE records SET entry = ?, body = ? WHERE idx = ?", (entry, changed, index))
        entries = [row[1] for row in rows]
        entries[index] = entry
        tree = Tree(map(leaf_hash, entries))
        note = b""
        for (size,) in connection.execute(
            "SELECT size FROM checkpoints WHERE size > ? ORDER BY size", (index,)
        ).fetchall():
            note = sign_checkpoint(Checkpoint(log.origin, size, tree.root(size)), key)
            connection.execute("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size))
    _publish(log, tree, entries, note)
    covering = next((size for size in log.sizes if size > index), None)
    where = f"record {index} of {log.origin}"
    expected = [Expected(What.DIVERGED, Layer.TWIN, where, log.origin, index)]
    if covering is not None:
        place = f"checkpoint of {log.origin}, size {covering}, anchored in block"
        expected.insert(0, Expected(What.FORKED, Layer.LOG, place, log.origin))
    return Falsified(f"{where} was changed, and everything above it signed anew with the twin's key", tuple(expected))


def _publish(log: TargetLog, tree: Tree, entries: list[bytes], note: bytes) -> None:
    for tile in tile_widths(tree.size):
        write_atomic(log.published / tile.path, tile_hashes(tree, tile))
    for bundle in entry_bundles(tree.size):
        start = bundle.n * TILE_WIDTH
        write_atomic(log.published / bundle.path, encode_bundle(entries[start : start + bundle.width]))
    write_atomic(log.published / "checkpoint", note)
