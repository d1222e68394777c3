"""Attacks on what a log publishes: tiles and checkpoints, by somebody who can write the files and holds no key."""

import base64

from testbed.attacks.records import rewriting
from testbed.attacks.target import Expected, Falsified, TargetLog
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, What
from testbed.keys.checkpoint import parse_checkpoint
from testbed.merkle.tiles import TILE_WIDTH, tile_path
from testbed.store.files import write_atomic

_HASH = 32


def change_tile(log: TargetLog, index: int) -> Falsified:
    """Change the leaf hash of one record in its level-0 tile."""
    tile, position = _change_hash(log, 0, index)
    where = f"record {index} of {log.origin} in tile level 0, tile {tile}, position {position}"
    return Falsified(
        f"the hash of record {index} of {log.origin} was changed in its level-0 tile",
        (Expected(What.ALTERED, Layer.LOG, where, log.origin, index),),
    )


def change_upper_tile(log: TargetLog, level: int, number: int) -> Falsified:
    """Change hash `number` of a level above the leaves; level 1 has one hash for each 256 records."""
    tile, position = _change_hash(log, level, number)
    where = f"tile level {level}, tile {tile} of {log.origin}, position {position}"
    return Falsified(f"a hash was changed: {where}", (Expected(What.ALTERED, Layer.LOG, where, log.origin),))


def change_checkpoint(log: TargetLog, size: int) -> Falsified:
    """Change the root in the stored checkpoint of `size`, and leave its signature as it is."""
    with rewriting(log) as connection:
        row = connection.execute("SELECT note FROM checkpoints WHERE size = ?", (size,)).fetchone()
        if row is None:
            raise UsageError(f"{log.origin} has no checkpoint of size {size}", "choose the size of a commit")
        text, separator, signatures = bytes(row[0]).partition(b"\n\n")
        root = parse_checkpoint(text.decode() + "\n").root
        lines = text.split(b"\n")
        lines[2] = base64.b64encode(_flipped(root))
        note = b"\n".join(lines) + separator + signatures
        connection.execute("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size))
    where = f"checkpoint of {log.origin}, size {size}"
    return Falsified(
        f"the root was changed in the {where}", (Expected(What.WRONG_KEY, Layer.IDENTITY, where, log.origin),)
    )


def published_size(log: TargetLog) -> int:
    """Size that the published checkpoint speaks of."""
    try:
        text = (log.published / "checkpoint").read_text(encoding="utf-8").partition("\n\n")[0]
    except FileNotFoundError:
        raise UsageError(f"{log.published}: there is no checkpoint file", "run the bench first") from None
    return parse_checkpoint(text + "\n").size


def _change_hash(log: TargetLog, level: int, number: int) -> tuple[int, int]:
    """Flip a bit of hash `number` of `level`; the tile and the position at which it stands."""
    count = published_size(log) >> (8 * level)
    if not 0 <= number < count:
        mend = f"choose one below {count}" if count else f"run the bench until the log has {256**level} records"
        raise UsageError(f"{log.origin} has {count} hashes at level {level}, there is no {number}", mend)
    tile, position = divmod(number, TILE_WIDTH)
    path = log.published / tile_path(level, tile, min(TILE_WIDTH, count - tile * TILE_WIDTH))
    data = path.read_bytes()
    start = position * _HASH
    write_atomic(path, data[:start] + _flipped(data[start : start + _HASH]) + data[start + _HASH :])
    return tile, position


def _flipped(digest: bytes) -> bytes:
    return digest[:-1] + bytes([digest[-1] ^ 1])
