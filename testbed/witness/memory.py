"""What a witness keeps of one log, as files in a folder of the log's own.

checkpoint   the newest checkpoint that it cosigned, with the log's signature and its own
leaves       hashes of the log's records, 32 bytes each
keys/N       notes by which the log's keys changed, from N = 0 on
mirrored     the checkpoint, as the log signed it, under which `leaves` was found right
refused/N.theirs, N.ours, N.path
             a checkpoint that was not cosigned, the one that it does not go with, and the hashes of the path from the
             one to the other in the log's own other tree, where that was to be had
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import StoreError
from testbed.keys.encoding import to_base64
from testbed.store.files import write_atomic

MOST_REFUSED = 16
"""Refused checkpoints that are kept; the first ones say what happened, and a disk must not fill with more."""

MOST_CHANGES = 64
"""Changes of keys of one log that are followed."""


def origin_hash(origin: str) -> str:
    """How a witness names a log in addresses and folders (C2SP tlog-witness, "Monitor Retrieval Mechanism")."""
    return hashlib.sha256(origin.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint that was not cosigned, and what stands against it. path: hashes, empty where there is none."""

    theirs: bytes
    ours: bytes
    path: tuple[bytes, ...] = ()


class Memory:
    """The files of one log below the witness' folder. durable: what is saved survives a power cut."""

    def __init__(self, folder: Path, origin: str, *, durable: bool = True) -> None:
        self.folder = folder / origin_hash(origin)
        self.durable = durable
        self._refused = len(list(self.folder.glob("refused/*.theirs")))

    @property
    def leaves(self) -> Path:
        return self.folder / "leaves"

    def read(self, name: str) -> bytes | None:
        """A file by its name, None where there is none. Raises StoreError where it cannot be read."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            mend = "run as the user who owns the folder"
            raise StoreError(f"{self.folder / name}: cannot be read: {error.strerror}", mend) from error

    def save(self, name: str, data: bytes) -> None:
        """Replace a file, whole or not at all. Raises StoreError."""
        write_atomic(self.folder / name, data, durable=self.durable)

    def key_changes(self) -> list[bytes]:
        """Notes by which the log's keys changed, in their order."""
        found: list[bytes] = []
        while len(found) < MOST_CHANGES and (note := self.read(f"keys/{len(found)}")) is not None:
            found.append(note)
        return found

    def refuse(self, refused: Refused) -> None:
        """Keep a refused checkpoint, unless it is kept already or there are enough."""
        if self._refused >= MOST_REFUSED or any(
            self.read(f"refused/{number}.theirs") == refused.theirs for number in range(self._refused)
        ):
            return
        number = self._refused
        self.save(f"refused/{number}.path", _lines(refused.path))
        self.save(f"refused/{number}.ours", refused.ours)
        self.save(f"refused/{number}.theirs", refused.theirs)
        self._refused = number + 1


def _lines(path: Sequence[bytes]) -> bytes:
    return "".join(f"{to_base64(digest)}\n" for digest in path).encode()
