"""Hashes the rows of a log, once and in order: does each body open its commitment, which leaf is each entry?

A segment is a contiguous range of rows, hashed by whoever has time, and put together in order. What is kept of a row is
its leaf hash and its kind: bodies are let go.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from testbed.core.entry import Entry, Kind, Row
from testbed.core.errors import InvalidData
from testbed.merkle.packed import BLOCK, Packed, roots_of_blocks
from testbed.record.bodies import decode_body
from testbed.record.entry import SALT_SIZE, commitment, decode_entry
from testbed.record.heads import COMMITMENT_SIZE, HEAD_SIZE, KIND_HEADS, SEQ_END, seq_part, source_part
from testbed.store.stored_rows import Columns, Reach, StoredRows, as_bytes
from testbed.verify.counting import Counted
from testbed.verify.work import Work

UNREADABLE = 255
"""Stands for the kind of a row whose entry cannot be read."""

_AT_ONCE = 64 * BLOCK
"""Leaves whose nodes are made together, and rows at hand that are taken together."""

_KIND_OF = {head: kind for kind, head in KIND_HEADS.items()}


class Broken(Enum):
    """Why a row gives no record although its entry may be the one that was signed."""

    ERASED = "its body is gone, and no tombstone says why"
    UNOPENED = "its body does not open its commitment"
    UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row. said: why it cannot be read, else ""."""

    broken: Broken
    said: str = ""


@dataclass(slots=True)
class Hashed:
    """Rows in order. first: number of the first one; leaves: 32 bytes each; kinds: a byte each; numbers: that the store
    gives them, None where they go on from `first`; faults: by place; blocks: the roots of each 256 leaves, 32 bytes
    each, None where they are to be made anew; counted: how their sources are counted, by place.
    """

    first: object = 0
    leaves: bytearray = field(default_factory=bytearray)
    kinds: bytearray = field(default_factory=bytearray)
    numbers: "array[int] | list[object] | None" = None
    faults: dict[int, Fault] = field(default_factory=dict)
    blocks: bytearray | None = field(default_factory=bytearray)
    counted: Counted = field(default_factory=Counted)

    def __len__(self) -> int:
        return len(self.kinds)

    def packed(self) -> Packed:
        """The leaf hashes, with a tree over them."""
        return Packed(self.leaves, None if self.blocks is None else bytes(self.blocks))

    def number(self, place: int) -> object:
        """What the store numbers a row."""
        return self.numbers[place] if self.numbers is not None else _moved(self.first, place)

    @property
    def in_place(self) -> bool:
        """Whether each row is numbered by its place."""
        return self.numbers is None and self.first == 0

    def follow(self, other: "Hashed") -> None:
        """Put the rows of `other` behind these."""
        begin = len(self)
        if not len(other):
            return
        if not begin:
            self.first, self.numbers = other.first, other.numbers
        elif self.numbers is not None or other.numbers is not None or other.first != _moved(self.first, begin):
            self.numbers = _numbers([*self.all_numbers(), *other.all_numbers()])
        if self.blocks is not None and other.blocks is not None and begin % BLOCK == 0:
            self.blocks += other.blocks
        else:
            self.blocks = None
        self.leaves += other.leaves
        self.kinds += other.kinds
        self.faults.update((begin + place, fault) for place, fault in other.faults.items())
        self.counted.follow(other.counted, begin)

    def all_numbers(self) -> Iterable[object]:
        """What the store numbers its rows, in order."""
        return self.numbers if self.numbers is not None else (self.number(place) for place in range(len(self)))


def hash_log(origin: str, rows: Sequence[Row], work: Work, *, decode: bool = True) -> Hashed:
    """Hash all rows of a log, each segment by whoever is free. Raises StoreError where they cannot be read, or changed
    meanwhile.

    decode: whether bodies that are not at hand must also be what their kind says; of others `check_records` sees it.
    """
    if not isinstance(rows, StoredRows):
        return hash_rows(rows_at_hand(rows), decode=False)
    whole = Hashed()
    for part in work.each(
        f"records of {origin}", hash_reach, [(reach, decode) for reach in rows.reaches(work.segment)]
    ):
        whole.follow(part)
    rows.check_unchanged()
    return whole


def hash_reach(job: tuple[Reach, bool]) -> Hashed:
    """Hash a segment of a log that is read from its file."""
    reach, decode = job
    return hash_rows(reach.rows(), decode=decode)


def rows_at_hand(rows: Sequence[Row]) -> Iterator[list[Columns]]:
    """Rows that are held, some at a time."""
    for start in range(0, len(rows), _AT_ONCE):
        yield [(row.index, row.entry, row.salt, row.body) for row in rows[start : start + _AT_ONCE]]


def hash_rows(some: Iterable[list[Columns]], *, decode: bool) -> Hashed:
    """Hash rows that come some at a time. decode: whether each body must also be one of its kind."""
    found = Hashed()
    walk = _Walk(found)
    level: list[bytes] = []
    add, due, sources = level.append, walk.due, walk.sources
    for rows in some:
        walk.number(rows)
        kinds = found.kinds
        for _, entry, salt, body in rows:
            # The quick way: the body opens what the entry commits to, and the entry is the next one of its source. Then
            # it is, to the byte, what its encoder makes, as it is put together from the same parts.
            try:
                if entry[-COMMITMENT_SIZE:] == sha256(salt + body).digest() and len(salt) == SALT_SIZE:
                    kind = _KIND_OF.get(entry[:HEAD_SIZE])
                    source = due.pop(entry[HEAD_SIZE:-COMMITMENT_SIZE], None) if kind is not None else None
                    if source is not None and kind is not None:
                        source.seq += 1
                        if source.seq < SEQ_END:
                            due[source.part + seq_part(source.seq)] = source
                        if decode:
                            walk.decode(kind, body)
                        kinds.append(kind)
                        add(sha256(b"\x00" + entry).digest())
                        continue
            except TypeError:
                pass  # a damaged file gives values of any type
            entry, salt, body = as_bytes(entry), as_bytes(salt), None if body is None else as_bytes(body)
            kinds.append(walk.slowly(entry, salt, body, decode=decode))
            add(sha256(b"\x00" + entry).digest())
        if len(level) >= _AT_ONCE:
            walk.climb(level, len(level) // BLOCK * BLOCK)
    walk.climb(level, len(level))
    for source in sources.values():
        found.counted.due[source.name] = source.seq
    return found


@dataclass(slots=True)
class _Source:
    """name, and its bytes in an entry; seq: what comes next."""

    name: str
    part: bytes
    seq: int


class _Walk:
    """What the rows of a segment add up to, beside their leaves."""

    def __init__(self, found: Hashed) -> None:
        self._found = found
        self.due: dict[bytes, _Source] = {}
        self.sources: dict[str, _Source] = {}

    def number(self, rows: list[Columns]) -> None:
        found, numbers = self._found, [columns[0] for columns in rows]
        place = len(found)
        if place == 0:
            found.first = numbers[0]
        if found.numbers is None:
            begin = _moved(found.first, place)
            if isinstance(begin, int) and numbers == list(range(begin, begin + len(numbers))):
                return
            found.numbers = _numbers([_moved(found.first, at) for at in range(place)])
        try:
            found.numbers.extend(numbers)
        except (TypeError, OverflowError):
            found.numbers = [*found.numbers[:place], *numbers]

    def slowly(self, entry: bytes, salt: bytes, body: bytes | None, *, decode: bool) -> int:
        """A row that is not as it should be, or the first of its source. Returns the kind."""
        place = len(self._found.kinds)
        try:
            read = decode_entry(entry)
        except InvalidData as error:
            self._found.faults[place] = Fault(Broken.UNREADABLE, str(error))
            return UNREADABLE
        self._count(place, read)
        try:
            if body is None:
                self._found.faults[place] = Fault(Broken.ERASED)
            elif commitment(salt, body) != read.commitment:
                self._found.faults[place] = Fault(Broken.UNOPENED)
            elif decode:
                self.decode(read.kind, body)
        except InvalidData as error:
            self._found.faults[place] = Fault(Broken.UNREADABLE, str(error))
        return read.kind

    def decode(self, kind: Kind, body: bytes) -> None:
        try:
            decode_body(kind, body)
        except InvalidData as error:
            self._found.faults[len(self._found.kinds)] = Fault(Broken.UNREADABLE, str(error))

    def climb(self, level: list[bytes], whole: int) -> None:
        """Let go of the first `whole` leaves, of which only the last ones may fill no block."""
        done = level[:whole]
        del level[:whole]
        self._found.leaves += b"".join(done)
        if self._found.blocks is not None:
            self._found.blocks += b"".join(roots_of_blocks(done[: len(done) // BLOCK * BLOCK]))

    def _count(self, place: int, entry: Entry) -> None:
        source = self.sources.get(entry.source)
        if source is None:
            source = self.sources[entry.source] = _Source(entry.source, source_part(entry.source), entry.seq)
        else:
            self._found.counted.due[source.name] = source.seq
            if source.seq < SEQ_END:
                self.due.pop(source.part + seq_part(source.seq), None)
        self._found.counted.take(place, entry.source, entry.seq)
        source.seq = entry.seq + 1
        if source.seq < SEQ_END:
            self.due[source.part + seq_part(source.seq)] = source


def _moved(first: object, by: int) -> object:
    return first + by if isinstance(first, int) else first


def _numbers(numbers: list[object]) -> "array[int] | list[object]":
    try:
        return array("q", numbers)  # type: ignore[arg-type]  # what is no integer is refused
    except (TypeError, OverflowError):
        return numbers
