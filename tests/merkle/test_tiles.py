"""Tiles and entry bundles as C2SP tlog-tiles has them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.merkle.tiles import (
    TileId,
    decode_bundle,
    encode_bundle,
    entries_path,
    entry_bundles,
    parse_tile_path,
    split_tile,
    tile_hashes,
    tile_path,
    tile_widths,
)
from testbed.merkle.tree import Tree, leaf_hash

tiles = st.builds(TileId, st.none() | st.integers(0, 63), st.integers(0, 2**64 - 1), st.integers(1, 256))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TileId(0, 0), "tile/0/000"),
        (TileId(0, 999), "tile/0/999"),
        (TileId(0, 1000), "tile/0/x001/000"),
        (TileId(0, 1234067), "tile/0/x001/x234/067"),
        (TileId(63, 1234067, 5), "tile/63/x001/x234/067.p/5"),
        (TileId(None, 273, 112), "tile/entries/273.p/112"),
        (TileId(None, 1234067), "tile/entries/x001/x234/067"),
    ],
)
def test_known_paths(tile: TileId, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile
    if tile.level is None:
        assert entries_path(tile.n, tile.width) == path
    else:
        assert tile_path(tile.level, tile.n, tile.width) == path


@given(tiles)
def test_paths_round_trip(tile: TileId) -> None:
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/x001",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entry/000",
        "tile/Entries/000",
        "tile/0/000.p/0",
        "tile/0/000.p/05",
        "tile/0/000.p/256",
        "tile/0/000.p/1000",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/5/",
        "tile/0/../000",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidData):
        parse_tile_path(path)


@given(st.text(alphabet="tile/nrs0123456789x.p", max_size=30).map("tile/".__add__))
def test_a_path_that_parses_is_the_path_of_its_tile(path: str) -> None:
    try:
        tile = parse_tile_path(path)
    except InvalidData:
        return
    assert tile.path == path


@pytest.mark.parametrize(
    ("level", "n", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2**64, 1), (0, 0, 0), (0, 0, 257)]
)
def test_tiles_out_of_range_are_refused(level: int, n: int, width: int) -> None:
    with pytest.raises(InvalidData):
        TileId(level, n, width)


def widths(size: int) -> Counter[tuple[int | None, int]]:
    """How many tiles of each level and width."""
    return Counter((tile.level, tile.width) for tile in tile_widths(size))


def test_tiles_of_the_sizes_in_the_specification() -> None:
    assert widths(70_000) == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert widths(256) == {(0, 256): 1, (1, 1): 1}
    assert widths(255) == {(0, 255): 1}
    assert widths(0) == {}
    assert Counter(tile.width for tile in entry_bundles(70_000)) == {256: 273, 112: 1}
    assert list(entry_bundles(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_new_tiles_are_those_that_the_old_tree_lacks(a: int, b: int) -> None:
    since, size = sorted((a, b))
    assert set(tile_widths(size, since)) == set(tile_widths(size)) - set(tile_widths(since))
    assert set(entry_bundles(size, since)) == set(entry_bundles(size)) - set(entry_bundles(since))


def test_a_tile_holds_the_subtrees_of_the_definition() -> None:
    tree = Tree(leaf_hash(n.to_bytes(4, "big")) for n in range(70_000))
    for tile in tile_widths(tree.size):
        assert tile.level is not None
        step = 256**tile.level
        first = tile.n * 256
        expected = [tree.subtree((first + i) * step, (first + i + 1) * step) for i in range(tile.width)]
        assert split_tile(tile_hashes(tree, tile), tile.width) == expected
    with pytest.raises(IndexError):
        tile_hashes(tree, TileId(0, 273, 113))
    with pytest.raises(IndexError):
        tile_hashes(tree, TileId(3, 0, 1))
    with pytest.raises(InvalidData):
        tile_hashes(tree, TileId(None, 0, 1))


def test_a_full_tile_hashes_to_its_place_in_the_tile_above() -> None:
    tree = Tree(leaf_hash(n.to_bytes(4, "big")) for n in range(600))
    above = split_tile(tile_hashes(tree, TileId(1, 0, 2)), 2)
    for n in range(2):
        hashes = split_tile(tile_hashes(tree, TileId(0, n)), 256)
        assert Tree(hashes).root() == above[n]
        hashes[17] = bytes([hashes[17][0] ^ 1]) + hashes[17][1:]
        assert Tree(hashes).root() != above[n]


@pytest.mark.parametrize(("length", "width"), [(0, 0), (31, 1), (33, 1), (64, 1), (32, 2), (257 * 32, 257), (0, 1)])
def test_tiles_of_other_lengths_are_refused(length: int, width: int) -> None:
    with pytest.raises(InvalidData):
        split_tile(bytes(length), width)


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries)) == entries


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
def test_a_bundle_is_exactly_its_entries(entries: list[bytes], data: st.DataObject) -> None:
    bundle = encode_bundle(entries)
    cut = data.draw(st.integers(0, len(bundle) - 1), label="cut")
    for bad in (bundle[:cut], bundle + b"\x00", bundle + b"\x00\x00"):
        with pytest.raises(InvalidData):
            decode_bundle(bad, len(entries))
    for count in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(InvalidData):
            decode_bundle(bundle, count)


def test_the_longest_entry_and_the_known_bytes_of_a_bundle() -> None:
    assert encode_bundle([b"", b"abc"]) == bytes.fromhex("0000" + "0003" + "616263")
    longest = bytes(65_535)
    assert decode_bundle(encode_bundle([longest]), 1) == [longest]
    for bad in ([bytes(65_536)], [], [b""] * 257):
        with pytest.raises(InvalidData):
            encode_bundle(bad)
