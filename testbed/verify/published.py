"""Reads what a log publishes: its `checkpoint` file, the tiles that this asks for, and changes of its keys."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.core.errors import StoreError
from testbed.keys.checkpoint import parse_checkpoint
from testbed.verify.tiles import expected_count, is_expected

_TRIES = 5
"""How often a publisher may exchange its files while they are read."""

_AT_ONCE = 600
"""Full tiles up to which all are read at once, which is quicker: some 75,000 records."""


_MOST_CHANGES, _MOST_CHANGE = 1000, 4096
"""Changes of keys that one log may have, and bytes of each."""


class TileFolder(Mapping[str, bytes]):
    """Tiles by path. Partial ones, which their publisher replaces, are at hand; full ones never change, and stay in
    their files until they are asked for. Raises StoreError for a file that cannot be read.
    """

    def __init__(self, folder: Path, names: Iterator[str]) -> None:
        self._folder = folder
        self._full: set[str] = set()
        self._partial: dict[str, bytes] = {}
        for name in names:
            if ".p/" not in name:
                self._full.add(name)
            elif (data := read_file(folder / name)) is not None:
                self._partial[name] = data

    def __getitem__(self, name: str) -> bytes:
        if name in self._partial:
            return self._partial[name]
        data = read_file(self._folder / name) if name in self._full else None
        if data is None:
            raise KeyError(name)
        return data

    def __iter__(self) -> Iterator[str]:
        yield from self._partial
        yield from self._full

    def __len__(self) -> int:
        return len(self._partial) + len(self._full)


def read_tiles(folder: Path, at_once: int = _AT_ONCE) -> tuple[bytes | None, Mapping[str, bytes]]:
    """The `checkpoint` file and the tiles that it asks for. A publisher may replace both meanwhile: then once more.

    at_once: more full tiles than that are not held.
    """
    note: bytes | None = None
    tiles: Mapping[str, bytes] = {}
    for _ in range(_TRIES):
        note = read_file(folder / "checkpoint")
        size = _claimed_size(note)
        # What is there is looked at, not what a checkpoint asks for: it may claim any size.
        names = (str(path.relative_to(folder)) for path in folder.glob("tile/**/*"))
        tiles = TileFolder(folder, (name for name in names if is_expected(name, size)))
        if len(tiles) <= at_once:
            tiles = {name: data for name in tiles if (data := tiles.get(name)) is not None}
        if len(tiles) == expected_count(size) or note == read_file(folder / "checkpoint"):
            break
    return note, tiles


def _claimed_size(note: bytes | None) -> int:
    """Size that the unverified published checkpoint speaks of, 0 where it is none."""
    if note is None:
        return 0
    try:
        return parse_checkpoint(note.decode().partition("\n\n")[0] + "\n").size
    except ValueError:
        return 0


def read_file(path: Path) -> bytes | None:
    """A file's bytes, None where there is none; raises StoreError when it cannot be read."""
    try:
        return path.read_bytes() if path.is_file() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def read_key_changes(folder: Path) -> tuple[bytes, ...]:
    """The newest notes that say how the keys of a log changed. What is no such note is left to the check."""
    named = sorted((path for path in folder.glob("[0-9]*") if path.name.isdecimal()), key=lambda path: int(path.name))
    notes = [read_file(path) for path in named[-_MOST_CHANGES:] if path.stat().st_size <= _MOST_CHANGE]
    return tuple(note for note in notes if note is not None)
