"""Checks published tiles and entry bundles against the true leaves."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.packed import Packed
from testbed.merkle.tiles import (
    TILE_WIDTH,
    TileId,
    decode_bundle,
    entry_bundles,
    parse_tile_path,
    split_tile,
    tile_hashes,
    tile_path,
    tile_widths,
)
from testbed.merkle.tree import leaf_hash
from testbed.verify.runs import runs


def is_expected(path: str, size: int) -> bool:
    """Whether a log published at `size` offers a tile or bundle under that path."""
    try:
        tile = parse_tile_path(path)
    except InvalidData:
        return False
    left = (size >> (8 * (tile.level or 0))) - tile.n * TILE_WIDTH
    return left > 0 and tile.width == min(left, TILE_WIDTH)


def expected_count(size: int) -> int:
    """How many tiles and bundles a log published at `size` offers."""
    levels = range(0, size.bit_length(), 8)
    return sum(-(-(size >> level) // TILE_WIDTH) for level in levels) + -(-size // TILE_WIDTH)


def tile_hashes_of(tiles: Mapping[str, bytes], level: int, size: int) -> list[bytes | None]:
    """Hashes of one level as the tiles have them, for a log of `size`; None where a tile is missing or malformed."""
    hashes: list[bytes | None] = []
    count = size >> (8 * level)
    for start in range(0, count, TILE_WIDTH):
        width = min(TILE_WIDTH, count - start)
        try:
            hashes += split_tile(tiles.get(tile_path(level, start // TILE_WIDTH, width), b""), width)
        except InvalidData:
            hashes += [None] * width
    return hashes


def check_tiles(origin: str, leaves: Packed, size: int, tiles: Mapping[str, bytes]) -> list[Finding]:
    """Compare every tile that a log of `size`, no more than there are leaves, must offer. Hashes over an unknown leaf
    are not judged.
    """
    unknown = list(leaves.unknown())
    findings: list[Finding] = []
    for tile in tile_widths(size):
        data = tiles.get(tile.path)
        if data is None:
            findings.append(_missing(origin, tile))
        else:
            findings += _compare(origin, tile, _expected(leaves, tile), data, unknown)
    for bundle in entry_bundles(size):
        data = tiles.get(bundle.path)
        if data is None:
            findings.append(_missing(origin, bundle))
        else:
            findings += _compare_bundle(origin, bundle, leaves, data)
    return findings


def _expected(leaves: Packed, tile: TileId) -> bytes:
    if not tile.level:
        start = tile.n * TILE_WIDTH * 32
        return bytes(leaves.data[start : start + tile.width * 32])
    # A block is what stands under one hash of level 1.
    return tile_hashes(leaves.tree.blocks, replace(tile, level=tile.level - 1))


def _compare(origin: str, tile: TileId, expected: bytes, data: bytes, unknown: Sequence[int]) -> list[Finding]:
    if data == expected:
        return []
    if len(data) != len(expected):
        detail = f"{len(data)} bytes, not {len(expected)}"
        return [Finding(What.ALTERED, Layer.LOG, _where(origin, tile), detail, origin=origin)]
    pairs = zip(split_tile(data, tile.width), split_tile(expected, tile.width), strict=True)
    wrong = []
    for position, (found, right) in enumerate(pairs):
        span = 8 * (tile.level or 0)
        first = (tile.n * TILE_WIDTH + position) << span
        if found != right and bisect_left(unknown, first) == bisect_left(unknown, first + (1 << span)):
            wrong.append((position, f"the hash there is {found.hex()}; the signed root asks for {right.hex()}"))
    return [_altered(origin, tile, run) for run in runs(wrong, lambda one: one[0])]


def _altered(origin: str, tile: TileId, run: Sequence[tuple[int, str]]) -> Finding:
    """One finding for positions of a tile that follow one another."""
    (first, detail), (last, _) = run[0], run[-1]
    positions = f"position {first}" if first == last else f"positions {first} to {last}"
    where, index = f"{_where(origin, tile)}, {positions}", None
    if tile.level == 0:
        index = tile.n * TILE_WIDTH + first
        where = f"{_records(origin, index, last - first)} in {_where('', tile)}, {positions}"
    return Finding(What.ALTERED, Layer.LOG, where, detail + _and_more(len(run)), origin=origin, index=index)


def _compare_bundle(origin: str, bundle: TileId, leaves: Packed, data: bytes) -> list[Finding]:
    start = bundle.n * TILE_WIDTH
    signed = leaves[start : start + bundle.width]
    try:
        entries = decode_bundle(data, bundle.width)
    except InvalidData as error:
        return [Finding(What.ALTERED, Layer.LOG, _where(origin, bundle), str(error), origin=origin)]
    pairs = enumerate(zip(entries, signed, strict=True), start)
    wrong = [index for index, (entry, leaf) in pairs if leaf not in (None, leaf_hash(entry))]
    return [
        Finding(
            What.ALTERED,
            Layer.LOG,
            f"{_records(origin, run[0], run[-1] - run[0])} in {_where('', bundle)}",
            "the published entry does not hash to the leaf that was signed" + _and_more(len(run)),
            origin=origin,
            index=run[0],
        )
        for run in runs(wrong, lambda index: index)
    ]


def _records(origin: str, first: int, more: int) -> str:
    return f"records {first} to {first + more} of {origin}" if more else f"record {first} of {origin}"


def _and_more(count: int) -> str:
    return f"; so it is with each of these {count}" if count > 1 else ""


def _missing(origin: str, tile: TileId) -> Finding:
    detail = "the published checkpoint asks for it and it is not there"
    return Finding(What.MISSING, Layer.LOG, _where(origin, tile), detail, Verdict.INCONCLUSIVE, origin)


def _where(origin: str, tile: TileId) -> str:
    name = f"entry bundle {tile.n}" if tile.level is None else f"tile level {tile.level}, tile {tile.n}"
    return f"{name} of {origin}" if origin else name
