"""Checks published tiles and entry bundles against the true leaves."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.tiles import (
    TILE_WIDTH,
    TileId,
    decode_bundle,
    entry_bundles,
    split_tile,
    tile_hashes,
    tile_path,
    tile_widths,
)
from testbed.merkle.tree import Tree, leaf_hash


def expected_paths(size: int) -> list[str]:
    """Every tile and bundle that a log published at `size` must offer."""
    return [tile.path for tile in (*tile_widths(size), *entry_bundles(size))]


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


def check_tiles(origin: str, leaves: Sequence[bytes | None], tiles: Mapping[str, bytes]) -> list[Finding]:
    """Compare every tile that a log of len(leaves) must offer. Behind the first unknown leaf nothing is judged."""
    known = [leaf for leaf in takewhile(lambda leaf: leaf is not None, leaves) if leaf is not None]
    tree = Tree(known)
    findings: list[Finding] = []
    for tile in tile_widths(len(leaves)):
        data = tiles.get(tile.path)
        if data is None:
            findings.append(_missing(origin, tile))
        elif (tile.n * TILE_WIDTH + tile.width) << (8 * (tile.level or 0)) <= len(known):
            findings += _compare(origin, tile, tile_hashes(tree, tile), data)
    for bundle in entry_bundles(len(leaves)):
        data = tiles.get(bundle.path)
        if data is None:
            findings.append(_missing(origin, bundle))
        else:
            findings += _compare_bundle(origin, bundle, leaves, data)
    return findings


def _compare(origin: str, tile: TileId, expected: bytes, data: bytes) -> list[Finding]:
    if data == expected:
        return []
    if len(data) != len(expected):
        detail = f"{len(data)} bytes, not {len(expected)}"
        return [Finding(What.ALTERED, Layer.LOG, _where(origin, tile), detail, origin=origin)]
    findings = []
    pairs = zip(split_tile(data, tile.width), split_tile(expected, tile.width), strict=True)
    for position, (found, right) in enumerate(pairs):
        if found == right:
            continue
        index = tile.n * TILE_WIDTH + position if tile.level == 0 else None
        where = f"{_where(origin, tile)}, position {position}"
        if index is not None:
            where = f"record {index} of {origin} in {_where('', tile)}, position {position}"
        detail = f"the hash there is {found.hex()}; the signed root asks for {right.hex()}"
        findings.append(Finding(What.ALTERED, Layer.LOG, where, detail, origin=origin, index=index))
    return findings


def _compare_bundle(origin: str, bundle: TileId, leaves: Sequence[bytes | None], data: bytes) -> list[Finding]:
    start = bundle.n * TILE_WIDTH
    try:
        entries = decode_bundle(data, bundle.width)
    except InvalidData as error:
        return [Finding(What.ALTERED, Layer.LOG, _where(origin, bundle), str(error), origin=origin)]
    return [
        Finding(
            What.ALTERED,
            Layer.LOG,
            f"record {index} of {origin} in {_where('', bundle)}",
            "the published entry does not hash to the leaf that was signed",
            origin=origin,
            index=index,
        )
        for index, entry in enumerate(entries, start)
        if leaves[index] not in (None, leaf_hash(entry))
    ]


def _missing(origin: str, tile: TileId) -> Finding:
    detail = "the published checkpoint asks for it and it is not there"
    return Finding(What.MISSING, Layer.LOG, _where(origin, tile), detail, Verdict.INCONCLUSIVE, origin)


def _where(origin: str, tile: TileId) -> str:
    name = f"entry bundle {tile.n}" if tile.level is None else f"tile level {tile.level}, tile {tile.n}"
    return f"{name} of {origin}" if origin else name
