"""Reads what witnesses keep of a bench's logs: from their folders beside the logs, or from where they serve it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from testbed.core.errors import InvalidData
from testbed.keys.checkpoint import parse_checkpoint
from testbed.keys.note import split_note
from testbed.merkle.packed import Packed
from testbed.merkle.tiles import TILE_WIDTH, TileId
from testbed.rig.bench import Bench
from testbed.rig.log_folder import CHECKPOINT
from testbed.rig.log_sources import HttpSource, is_url
from testbed.rig.paths import Paths
from testbed.verify.evidence import MirrorEvidence
from testbed.verify.trust import Trust
from testbed.witness.follower import MOST_AHEAD, MOST_NOTE, Unread
from testbed.witness.memory import MOST_REFUSED, origin_hash

_HASH_SIZE = 32

Read = Callable[[str], bytes | None]


def read_witnesses(bench: Bench, trusted: Trust, elsewhere: Sequence[str]) -> dict[str, tuple[MirrorEvidence, ...]]:
    """What each witness keeps, by the origin of the log: those that the trust file names, in their folders in the
    data folder of the bench, and those `elsewhere`, in a folder or at an address. Raises UsageError for no address.
    """
    data = Paths(bench.data)
    places = [(one.name, str(folder)) for one in trusted.witnesses if (folder := data.role_folder(one.name)).is_dir()]
    places += [(place, place) for place in elsewhere]
    return {log.origin: tuple(_read(name, place, log.origin) for name, place in places) for log in trusted.logs}


def _read(witness: str, place: str, origin: str) -> MirrorEvidence:
    """One witness' files about one log. What cannot be read says why."""
    try:
        if is_url(place):
            source = HttpSource(f"{place.rstrip('/')}/{origin_hash(origin)}")
            try:
                return _taken(witness, lambda name: source.read(name, MOST_NOTE), lambda size: _tiles(source, size))
            finally:
                source.close()
        if not Path(place).is_dir():
            return MirrorEvidence(witness, problem=f"{place}: there is no such folder")
        folder = Path(place) / origin_hash(origin)
        return _taken(witness, lambda name: _file(folder / name), lambda _: _file(folder / "leaves") or b"")
    except Unread as error:
        return MirrorEvidence(witness, problem=str(error))
    except OSError as error:
        return MirrorEvidence(witness, problem=f"{error.filename}: {error.strerror}")


def _taken(witness: str, read: Read, leaves: Callable[[int], bytes]) -> MirrorEvidence:
    """The checkpoint first: its hashes were on disk before it was."""
    newest = read(CHECKPOINT)
    notes = [] if newest is None else [newest]
    notes += [note for number in range(MOST_REFUSED) for note in _refused(read, number)]
    hashes = leaves(_size(newest))
    # What is cut off was being written.
    return MirrorEvidence(
        witness, tuple(dict.fromkeys(notes)), Packed(hashes[: len(hashes) // _HASH_SIZE * _HASH_SIZE])
    )


def _refused(read: Read, number: int) -> Iterator[bytes]:
    for name in (f"refused/{number}.theirs", f"refused/{number}.ours"):
        note = read(name)
        if note is not None:
            yield note


def _tiles(source: HttpSource, size: int) -> bytes:
    """Level-0 hashes as a witness serves them; as far as it has them."""
    pieces = []
    for start in range(0, min(size, MOST_AHEAD), TILE_WIDTH):
        tile = TileId(0, start // TILE_WIDTH, min(TILE_WIDTH, size - start))
        data = source.read(tile.path, TILE_WIDTH * _HASH_SIZE)
        if data is None or len(data) != tile.width * _HASH_SIZE:
            break
        pieces.append(data)
    return b"".join(pieces)


def _size(note: bytes | None) -> int:
    """Size that an unverified checkpoint speaks of."""
    try:
        return 0 if note is None else parse_checkpoint(split_note(note)[0]).size
    except InvalidData:
        return 0


def _file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
