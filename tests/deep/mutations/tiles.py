"""Tiles of hashes, by somebody who can write the files and holds no key."""

from collections.abc import Callable
from random import Random

from testbed.core.finding import Layer, Verdict, What
from testbed.merkle.tiles import TILE_WIDTH, TileId, parse_tile_path
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan, flipped
from tests.deep.mutations.expected import RUN, Expected, Sought, found, records, runs
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.rows import other_log, some_log

HASH = 32


def tile_name(log: LogFacts, tile: TileId) -> str:
    name = f"entry bundle {tile.n}" if tile.level is None else f"tile level {tile.level}, tile {tile.n}"
    return f"{name} of {log.origin}"


def some_tile(log: LogFacts, rng: Random, level: int | None, least: int = 1) -> tuple[str, TileId] | None:
    tiles = [(path, parse_tile_path(path)) for path in sorted(log.tiles)]
    fitting = [pair for pair in tiles if pair[1].level == level and pair[1].width >= least]
    return rng.choice(fitting) if fitting else None


def hashes_wrong(log: LogFacts, tile: TileId, positions: list[int]) -> Expected:
    """The finding on hashes at these positions of a tile."""
    first = tile.n * TILE_WIDTH
    place = f"tile level {tile.level}, tile {tile.n}"
    if tile.level == 0:
        indices = [first + position for position in positions]
        return found(*records(What.ALTERED, Layer.LOG, log.origin, indices, f" in {place}"))
    sought = []
    for low, high in runs(positions):
        if high - low + 1 < RUN:
            places = [f"{place} of {log.origin}, position {position}" for position in range(low, high + 1)]
        else:
            places = [f"{place} of {log.origin}, positions {low} to {high}"]
        sought += [Sought(What.ALTERED, Layer.LOG, one, log.origin) for one in places]
    return found(*sought)


def _tile_cell(
    level: int, least: int, change: Callable[[Facts, Random, LogFacts, TileId, bytes], tuple[str, bytes]]
) -> Callable[[Facts, Random], Plan]:
    """A plan that gives one tile of a level other bytes."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log, drawn = with_tile(facts, rng, level, least)
        path, tile = drawn
        done, data = change(facts, rng, log, tile, log.tiles[path])
        expected = _tile_expected(log, tile, data, log.tiles[path])
        return Plan(f"{done} in {tile_name(log, tile)}", lambda draft: _put_tile(draft, log, path, data), expected)

    return plan


def _tile_expected(log: LogFacts, tile: TileId, data: bytes, before: bytes) -> Expected:
    if len(data) != len(before):
        return found(Sought(What.ALTERED, Layer.LOG, tile_name(log, tile), log.origin))
    places = [slice(at * HASH, at * HASH + HASH) for at in range(tile.width)]
    return hashes_wrong(log, tile, [at for at, place in enumerate(places) if data[place] != before[place]])


def with_tile(facts: Facts, rng: Random, level: int | None, least: int = 1) -> tuple[LogFacts, tuple[str, TileId]]:
    while True:
        log = some_log(facts, rng, least)
        drawn = some_tile(log, rng, level, least)
        if drawn is not None:
            return log, drawn


def _put_tile(draft: Draft, log: LogFacts, path: str, data: bytes) -> None:
    draft.tiles(log.origin)[path] = data


def _position(rng: Random, tile: TileId) -> int:
    return rng.choice((0, tile.width - 1, rng.randrange(tile.width), rng.randrange(tile.width)))


def _flip_hash(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    at = _position(rng, tile) * HASH
    return f"a bit of hash {at // HASH}", data[:at] + flipped(rng, data[at : at + HASH]) + data[at + HASH :]


def _other_hash(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    at = _position(rng, tile) * HASH
    return f"another hash {at // HASH}", data[:at] + rng.randbytes(HASH) + data[at + HASH :]


def _swap_hashes(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    one, other = rng.sample(range(tile.width), 2)
    parts = [data[at : at + HASH] for at in range(0, len(data), HASH)]
    parts[one], parts[other] = parts[other], parts[one]
    return f"hashes {one} and {other} exchanged", b"".join(parts)


def _delete_hash(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    at = _position(rng, tile) * HASH
    return f"hash {at // HASH} taken out", data[:at] + data[at + HASH :]


def _insert_hash(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    at = _position(rng, tile) * HASH
    return f"a hash before hash {at // HASH}", data[:at] + rng.randbytes(HASH) + data[at:]


def _twice_hash(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    at = rng.randrange(tile.width - 1) * HASH
    copy = data[at : at + HASH]
    return f"hash {at // HASH} again in the next one's place", data[: at + HASH] + copy + data[at + 2 * HASH :]


def _cut_tile(_: Facts, rng: Random, __: LogFacts, ___: TileId, data: bytes) -> tuple[str, bytes]:
    length = rng.choice((0, len(data) - 1, len(data) - HASH, rng.randrange(len(data))))
    return f"cut to {length} bytes", data[:length]


def _shift_hashes(_: Facts, rng: Random, __: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    """One hash taken out and another one at the end: everything from there on is another hash."""
    at = rng.randrange(tile.width) * HASH
    return f"hash {at // HASH} taken out, one put at the end", data[:at] + data[at + HASH :] + rng.randbytes(HASH)


def _foreign_tile(facts: Facts, rng: Random, log: LogFacts, tile: TileId, _: bytes) -> tuple[str, bytes]:
    other = other_log(facts, rng, log)
    found_ = some_tile(other, rng, tile.level) or some_tile(other, rng, 0)
    if found_ is None:
        raise AssertionError("every log has a tile")
    return f"{found_[0]} of {other.origin}", other.tiles[found_[0]]


def _other_tile(facts: Facts, rng: Random, log: LogFacts, tile: TileId, data: bytes) -> tuple[str, bytes]:
    """The bytes of another tile of the same log; one of the same width says another hash everywhere."""
    others = [path for path in sorted(log.tiles) if log.tiles[path] != data and "entries" not in path]
    if not others:
        return _foreign_tile(facts, rng, log, tile, data)
    path = rng.choice(others)
    same = log.tiles[path][: len(data)] if rng.random() < 0.5 else log.tiles[path]
    return f"bytes of {path}", same


def no_tile(level: int | None) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        log, (path, tile) = with_tile(facts, rng, level)
        sought = Sought(What.MISSING, Layer.LOG, tile_name(log, tile), log.origin)
        expected = found(sought, verdict=Verdict.INCONCLUSIVE)

        def apply(draft: Draft) -> None:
            del draft.tiles(log.origin)[path]

        return Plan(f"{tile_name(log, tile)} deleted", apply, expected)

    return plan


def _has(level: int | None, least: int) -> Callable[[Facts], bool]:
    """Which benches have such a tile at all."""

    def fits(facts: Facts) -> bool:
        tiles = [parse_tile_path(path) for log in facts.logs.values() for path in log.tiles]
        return any(tile.level == level and tile.width >= least for tile in tiles)

    return fits


def _tile_cells(layer: str, level: int) -> list[Cell]:
    changes = [
        ("flip a bit", 1, _flip_hash),
        ("change a value", 1, _other_hash),
        ("swap", 2, _swap_hashes),
        ("delete a hash", 1, _delete_hash),
        ("insert", 1, _insert_hash),
        ("duplicate", 2, _twice_hash),
        ("truncate", 1, _cut_tile),
        ("rewrite a suffix", 1, _shift_hashes),
        ("move across logs", 1, _foreign_tile),
        ("replace by a genuine one", 1, _other_tile),
    ]
    cells = [
        Cell(layer, name, BYTES, _tile_cell(level, least, change), _has(level, least))
        for name, least, change in changes
    ]
    return [*cells, Cell(layer, "delete", BYTES, no_tile(level), _has(level, 1))]


CELLS = [*_tile_cells("tiles, level 0", 0), *_tile_cells("tiles, level 1", 1)]
