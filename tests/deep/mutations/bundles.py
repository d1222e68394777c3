"""Entry bundles, by somebody who can write the files and holds no key."""

from collections.abc import Callable
from random import Random

from testbed.core.finding import Layer, What
from testbed.merkle.tiles import TILE_WIDTH, TileId
from testbed.record.entry import encode_entry
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan, flipped
from tests.deep.mutations.expected import Expected, Sought, found, records
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.rows import other_log
from tests.deep.mutations.tiles import no_tile, tile_name, with_tile

Change = Callable[[Facts, Random, LogFacts, TileId, list[bytes]], tuple[str, list[bytes] | bytes]]


def _cell(least: int, change: Change) -> Callable[[Facts, Random], Plan]:
    """A plan that gives one bundle other entries, or other bytes."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log, (path, tile) = with_tile(facts, rng, None, least)
        before = parsed(log.tiles[path])
        if before is None:
            raise AssertionError("an honest bundle can be read")
        done, after = change(facts, rng, log, tile, list(before))
        data = after if isinstance(after, bytes) else b"".join(len(one).to_bytes(2, "big") + one for one in after)

        def apply(draft: Draft) -> None:
            draft.tiles(log.origin)[path] = data

        return Plan(f"{done} in {tile_name(log, tile)}", apply, _expected(log, tile, before, parsed(data)))

    return plan


def _expected(log: LogFacts, tile: TileId, before: list[bytes], after: list[bytes] | None) -> Expected:
    if after is None or len(after) != len(before):
        return found(Sought(What.ALTERED, Layer.LOG, tile_name(log, tile), log.origin))
    differ = [tile.n * TILE_WIDTH + at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    return found(*records(What.ALTERED, Layer.LOG, log.origin, differ, f" in entry bundle {tile.n}"))


def parsed(data: bytes) -> list[bytes] | None:
    """The entries of a bundle (C2SP tlog-tiles); None where it ends within one."""
    entries, rest = [], data
    while rest:
        length = int.from_bytes(rest[:2], "big")
        if len(rest) < 2 + length:
            return None
        entries.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    return entries


def _flip(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.choice((0, len(entries) - 1, rng.randrange(len(entries))))
    entries[at] = flipped(rng, entries[at])
    return f"a bit of entry {at}", entries


def _flip_length(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, bytes]:
    at = rng.randrange(len(entries))
    parts = [(len(entry).to_bytes(2, "big"), entry) for entry in entries]
    parts[at] = flipped(rng, parts[at][0]), parts[at][1]
    return f"a bit of the length of entry {at}", b"".join(length + entry for length, entry in parts)


def _value(_: Facts, rng: Random, log: LogFacts, tile: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries))
    entry = log.entries[tile.n * TILE_WIDTH + at]
    other = type(entry)(entry.kind, entry.source, entry.seq + 1, entry.commitment)
    entries[at] = encode_entry(other)
    return f"another number in entry {at}", entries


def _delete(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries))
    del entries[at]
    return f"entry {at} taken out", entries


def _insert(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries) + 1)
    entries.insert(at, rng.randbytes(rng.randrange(80)))
    return f"one more before entry {at}", entries


def _twice(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries))
    entries.insert(at, entries[at])
    return f"entry {at} there twice", entries


def _swap(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    one, other = rng.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]
    return f"entries {one} and {other} exchanged", entries


def _cut(_: Facts, rng: Random, __: LogFacts, ___: TileId, entries: list[bytes]) -> tuple[str, bytes]:
    data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    return "the end cut off", data[: rng.choice((0, len(data) - 1, rng.randrange(len(data))))]


def _genuine(_: Facts, rng: Random, log: LogFacts, tile: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries))
    index = rng.choice([i for i in range(log.size) if i != tile.n * TILE_WIDTH + at])
    entries[at] = log.rows[index].entry
    return f"entry of record {index} in the place of entry {at}", entries


def _foreign(facts: Facts, rng: Random, log: LogFacts, _: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    other = other_log(facts, rng, log)
    at, index = rng.randrange(len(entries)), rng.randrange(other.size)
    entries[at] = other.rows[index].entry
    return f"entry of record {index} of {other.origin} in the place of entry {at}", entries


def _shift(_: Facts, rng: Random, log: LogFacts, __: TileId, entries: list[bytes]) -> tuple[str, list[bytes]]:
    at = rng.randrange(len(entries))
    tail = log.rows[0].entry + b"x"
    return f"entry {at} taken out, one put at the end", [*entries[:at], *entries[at + 1 :], tail]


_LAYER = "entry bundles"

CELLS = [
    Cell(_LAYER, "flip a bit", BYTES, _cell(1, _flip)),
    Cell(_LAYER, "flip a bit of a length", BYTES, _cell(1, _flip_length)),
    Cell(_LAYER, "change a value", BYTES, _cell(1, _value)),
    Cell(_LAYER, "delete an entry", BYTES, _cell(1, _delete)),
    Cell(_LAYER, "insert", BYTES, _cell(1, _insert)),
    Cell(_LAYER, "duplicate", BYTES, _cell(1, _twice)),
    Cell(_LAYER, "swap", BYTES, _cell(2, _swap)),
    Cell(_LAYER, "truncate", BYTES, _cell(1, _cut)),
    Cell(_LAYER, "replace by a genuine one", BYTES, _cell(1, _genuine)),
    Cell(_LAYER, "move across logs", BYTES, _cell(1, _foreign)),
    Cell(_LAYER, "rewrite a suffix", BYTES, _cell(1, _shift)),
    Cell(_LAYER, "delete", BYTES, no_tile(None)),
]
