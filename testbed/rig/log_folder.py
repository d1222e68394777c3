"""A published log as files in a folder, read as C2SP tlog-tiles asks: what an older checkpoint needs is still there.

A publisher drops a partial tile once a longer one stands. Whoever fetched the checkpoint before asks for the shorter
one all the same, so it is cut out of the longer.
"""

import re
from contextlib import suppress
from pathlib import Path

from testbed.core.errors import InvalidData
from testbed.merkle.tiles import TILE_WIDTH, TileId, decode_bundle, encode_bundle, parse_tile_path

CHECKPOINT = "checkpoint"
_KEY_CHANGE = re.compile(r"key-changes/(0|[1-9][0-9]?)", re.ASCII)
_HASH_SIZE = 32
_TRIES = 3
"""How often a publisher may exchange a partial tile while it is looked for."""


class LogFolder:
    """Reads the folder that a publisher writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """What stands under a name that it is served under, None where there is nothing: "checkpoint", tiles, entry
        bundles, and the notes by which the log's keys changed, "key-changes/N" from N = 0 on.

        No other file of the folder has such a name. Raises OSError where a file cannot be read.
        """
        if name == CHECKPOINT:
            return _read(self.folder / CHECKPOINT)
        if change := _KEY_CHANGE.fullmatch(name):
            return self._key_change(int(change[1]))
        try:
            tile = parse_tile_path(name)
        except InvalidData:
            return None
        for _ in range(_TRIES):
            found = _read(self.folder / name)
            if found is None and tile.width < TILE_WIDTH:
                found = self._cut(tile)
            if found is not None:
                return found
        return None

    def _key_change(self, number: int) -> bytes | None:
        """Their files are named by the index of the first record that the new key signs for."""
        indices: list[int] = []
        with suppress(OSError):
            indices = sorted(int(path.name) for path in (self.folder / "keys").iterdir() if path.name.isdecimal())
        return _read(self.folder / "keys" / str(indices[number])) if number < len(indices) else None

    def _cut(self, tile: TileId) -> bytes | None:
        """The beginning of a longer tile. A damaged one has none."""
        whole = TileId(tile.level, tile.n)
        widths = [TILE_WIDTH]
        with suppress(OSError):
            names = [path.name for path in (self.folder / f"{whole.path}.p").iterdir()]
            widths += [int(name) for name in names if name.isdecimal() and tile.width < int(name) < TILE_WIDTH]
        for width in sorted(widths):
            data = _read(self.folder / TileId(tile.level, tile.n, width).path)
            if data is not None:
                return _beginning(data, tile, width)
        return None


def _beginning(data: bytes, tile: TileId, width: int) -> bytes | None:
    if tile.level is not None:
        return data[: tile.width * _HASH_SIZE] if len(data) == width * _HASH_SIZE else None
    try:
        return encode_bundle(decode_bundle(data, width)[: tile.width])
    except InvalidData:
        return None


def _read(path: Path) -> bytes | None:
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return path.read_bytes()
    return None
