"""Tiles and entry bundles of a log (C2SP tlog-tiles): their paths, which of them a tree has, and their bytes.

A tile holds up to 256 hashes; hash i of tile n at level l is MTH(D[(n*256+i)*256**l : (n*256+i+1)*256**l]). A bundle
holds the entries under a level-0 tile.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.core.errors import InvalidData
from testbed.merkle.tree import Tree

TILE_WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""

_HASH_SIZE = 32
_BITS = 8
_MAX_ENTRY = 0xFFFF
# At most seven groups of digits: enough for every 64-bit number.
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileId:
    """Which tile. level: 0..63, None for an entry bundle; n: index in the level; width: 1..256 hashes or entries."""

    level: int | None
    n: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= 63:
            raise InvalidData(f"tile: level {self.level} is not 0..63")
        if not 0 <= self.n < 2**64:
            raise InvalidData(f"tile: index {self.n} is not a uint64")
        if not 1 <= self.width <= TILE_WIDTH:
            raise InvalidData(f"tile: width {self.width} is not 1..{TILE_WIDTH}")

    @property
    def path(self) -> str:
        """Where it is served, without the log's prefix: "tile/0/x001/x234/067", "tile/entries/000.p/5"."""
        digits = str(self.n)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        name = "".join(f"x{group}/" for group in groups[:-1]) + groups[-1]
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{partial}"


def tile_path(level: int, n: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile of hashes; raises InvalidData for a level, index or width out of range."""
    return TileId(level, n, width).path


def entries_path(n: int, width: int = TILE_WIDTH) -> str:
    """Path of an entry bundle; raises InvalidData for an index or width out of range."""
    return TileId(None, n, width).path


def parse_tile_path(path: str) -> TileId:
    """The tile of a path; raises InvalidData unless `TileId.path` gives back this very text."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidData(f"not the path of a tile: {path!r}")
    level = None if match["level"] == "entries" else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    tile = TileId(level, n, TILE_WIDTH if match["width"] is None else int(match["width"]))
    if tile.path != path:
        raise InvalidData(f"not the path of a tile: {path!r}")
    return tile


def tile_widths(size: int, since: int = 0) -> Iterator[TileId]:
    """Every tile of hashes of a tree of `size` leaves, level by level, that a tree of `since` leaves has not yet."""
    level = 0
    while size >> (_BITS * level):
        yield from _tiles(level, size >> (_BITS * level), since >> (_BITS * level))
        level += 1


def entry_bundles(size: int, since: int = 0) -> Iterator[TileId]:
    """Every entry bundle of a tree of `size` leaves that a tree of `since` leaves has not yet."""
    return _tiles(None, size, since)


def tile_hashes(tree: Tree, tile: TileId) -> bytes:
    """The bytes of a tile of hashes, 32 for each; raises IndexError where the tree is too short for it."""
    if tile.level is None:
        raise InvalidData("tile: an entry bundle holds no hashes")
    start = tile.n * TILE_WIDTH
    return b"".join(tree.nodes(_BITS * tile.level, start, start + tile.width))


def split_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile; raises InvalidData unless it is exactly `width` of them."""
    if not 1 <= width <= TILE_WIDTH or len(data) != width * _HASH_SIZE:
        raise InvalidData(f"tile: {len(data)} bytes are not {width} hashes")
    return [data[i : i + _HASH_SIZE] for i in range(0, len(data), _HASH_SIZE)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """1 to 256 entries, each behind its length (uint16, big endian); raises InvalidData for more or longer ones."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise InvalidData(f"bundle: {len(entries)} entries are not 1..{TILE_WIDTH}")
    longest = max(map(len, entries))
    if longest > _MAX_ENTRY:
        raise InvalidData(f"bundle: an entry of {longest} bytes, more than {_MAX_ENTRY}")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, count: int) -> list[bytes]:
    """The entries of a bundle; raises InvalidData unless it is exactly `count` of them and no byte more."""
    if not 1 <= count <= TILE_WIDTH:
        raise InvalidData(f"bundle: {count} entries are not 1..{TILE_WIDTH}")
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise InvalidData("bundle: ends within an entry")
        entries.append(data[start:position])
    if len(entries) != count:
        raise InvalidData(f"bundle: {len(entries)} entries, not {count}")
    return entries


def _tiles(level: int | None, count: int, since: int) -> Iterator[TileId]:
    """Tiles over `count` items of a level that are not those over `since` items."""
    for n in range(since // TILE_WIDTH, count // TILE_WIDTH):
        yield TileId(level, n)
    width = count % TILE_WIDTH
    if width and count > since:
        yield TileId(level, count // TILE_WIDTH, width)
