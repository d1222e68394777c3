"""Checks stored records against the true leaves: missing, extra, moved, altered. Genuine ones are read when asked."""

from array import array
from collections import OrderedDict
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import Body
from testbed.core.entry import Entry, Kind, Row
from testbed.core.errors import InvalidData, LogChanged, StoreError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.packed import Packed
from testbed.merkle.tree import leaf_hash
from testbed.record.bodies import decode_body
from testbed.record.entry import commitment, decode_entry
from testbed.record.heads import COMMITMENT_SIZE, HEAD_SIZE, SEQ_END, seq_part, source_part
from testbed.store.stored_rows import StoredRows
from testbed.verify.alignment import Alignment, Edit, aligned
from testbed.verify.runs import in_runs
from testbed.verify.segments import UNREADABLE, Broken, Fault, Hashed

_DETAIL = {
    What.ALTERED: "its entry does not hash to the leaf that was signed",
    What.DELETED: "the log holds this record and the store does not",
    What.INSERTED: "the store holds a record here that the log never had",
    What.REORDERED: "another record of the log stands in its place",
}

_PAGE = 256
"""Rows that are read together."""
_PAGES = 16
"""Pages that are kept, with what was decoded of them. Of rows that are at hand all are kept: those are few."""


@dataclass(frozen=True, slots=True)
class Genuine:
    """A stored record that is what the log's root says, wherever it stands in the store. data: the body's bytes."""

    index: int
    entry: Entry
    body: Body
    data: bytes
    salt: bytes
    entry_data: bytes


class StoredRecords(MutableMapping[int, Genuine]):
    """The genuine records of a log by index, each read and decoded when it is asked for.

    What is read again from a file is held against its leaf hash again, so that it is what was checked; LogChanged says
    where not.
    """

    def __init__(
        self, origin: str, rows: Sequence[Row], hashed: Hashed, places: "array[int] | range", there: bytearray
    ) -> None:
        """places: by index the place of the row; there: by index 1 where the record is genuine, else 0."""
        self._origin = origin
        self._rows = rows
        self._at_hand = not isinstance(rows, StoredRows)
        self._hashed = hashed
        self._places = places
        self._there = there
        self._size = there.count(1)
        self._put: dict[int, Genuine] = {}
        self._pages: OrderedDict[int, _Page] = OrderedDict()

    def of_kinds(self, kinds: Collection[Kind], since: int = 0) -> Iterator[Genuine]:
        """Those of some kinds from index `since` on, in order. No other body is decoded."""
        wanted = bytearray(UNREADABLE + 1)
        for kind in kinds:
            wanted[kind] = 1
        of_place, places, there = self._hashed.kinds, self._places, self._there
        return (self[index] for index in range(since, len(there)) if there[index] and wanted[of_place[places[index]]])

    @property
    def in_place(self) -> bool:
        """Whether each stands in the store at the place that is its index."""
        return isinstance(self._places, range)

    def place(self, index: int) -> int:
        """Of the row that holds one of them."""
        return self._places[index]

    def whole_up_to(self) -> int:
        """The first index that none of them has; how many there are where none is missing."""
        gap = self._there.find(0)
        return len(self._there) if gap < 0 else gap

    def kind(self, index: int) -> Kind:
        """The kind of one of them, which is not read for it. Raises KeyError where it is not genuine."""
        if index not in self:
            raise KeyError(index)
        return Kind(self._hashed.kinds[self._places[index]])

    @property
    def end(self) -> int:
        """The index behind the last one, 0 where there is none."""
        return self._there.rfind(1) + 1

    def gaps(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """(first, end) of each run of indices with start <= index < stop that none of them has."""
        there = self._there
        while (first := there.find(0, start, stop)) >= 0:
            start = there.find(1, first, stop)
            if start < 0:
                start = stop
            yield first, start

    def count(self, start: int, stop: int, kind: Kind | None = None) -> int:
        """How many with start <= index < stop there are, of one kind where it is given."""
        if kind is None:
            return self._there.count(1, start, stop)
        of_place, places = self._hashed.kinds, self._places
        if self.in_place and self._size == len(self._there):
            return of_place.count(kind, start, min(stop, self._size))
        stop = min(stop, len(self._there))
        return sum(self._there[index] and of_place[places[index]] == kind for index in range(start, stop))

    def find(self, source: str, seq: int) -> int | None:
        """Index of the first record with that number of that source, None where there is none."""
        if not 0 <= seq < SEQ_END:
            return None
        try:
            wanted = source_part(source) + seq_part(seq)
        except InvalidData:
            return None
        of_row = slice(HEAD_SIZE, -COMMITMENT_SIZE)
        for index in self:
            place = self._places[index]
            if self._page(place).rows[place % _PAGE].entry[of_row] == wanted:
                return index
        return None

    def entry(self, index: int) -> Entry:
        """The entry of one of them; its body is not decoded. Raises KeyError where it is not genuine."""
        if index not in self:
            raise KeyError(index)
        return self._checked(self._places[index])[1]

    def __getitem__(self, index: int) -> Genuine:
        if index not in self:
            raise KeyError(index)
        put = self._put.get(index)
        if put is not None:
            return put
        place = self._places[index]
        found = self._page(place).found
        record = found.get(place)
        if record is None:
            row, entry = self._checked(place)
            data = row.body or b""
            record = found[place] = Genuine(index, entry, decode_body(entry.kind, data), data, row.salt, row.entry)
        return record

    def __setitem__(self, index: int, record: Genuine) -> None:
        """Put another record in the place of one."""
        if index not in self:
            raise KeyError(index)
        self._put[index] = record

    def __delitem__(self, index: int) -> None:
        """Leave one out, as where its body was erased."""
        if index not in self:
            raise KeyError(index)
        self._there[index] = 0
        self._size -= 1

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and 0 <= index < len(self._there) and self._there[index] == 1

    def __iter__(self) -> Iterator[int]:
        if self._size == len(self._there):
            return iter(range(self._size))
        return (index for index, there in enumerate(self._there) if there)

    def __len__(self) -> int:
        return self._size

    def _checked(self, place: int) -> tuple[Row, Entry]:
        """A row as it is read now, and its entry; raises LogChanged where it is not what was hashed."""
        row = self._page(place).rows[place % _PAGE]
        if self._at_hand:
            return row, decode_entry(row.entry)
        try:
            entry = decode_entry(row.entry)
            same = leaf_hash(row.entry) == self._hashed.leaves[place * 32 : place * 32 + 32]
            if not same or row.body is None or commitment(row.salt, row.body) != entry.commitment:
                raise self._changed()
        except InvalidData as error:
            raise self._changed() from error
        return row, entry

    def _page(self, place: int) -> "_Page":
        number = place // _PAGE
        page = self._pages.get(number)
        if page is None:
            page = _Page(self._read(number * _PAGE, min((number + 1) * _PAGE, len(self._hashed))))
            if len(self._pages) == _PAGES and not self._at_hand:
                self._pages.popitem(last=False)
            self._pages[number] = page
        return page

    def _read(self, start: int, stop: int) -> Sequence[Row]:
        rows = self._rows
        first, last = self._hashed.number(start), self._hashed.number(stop - 1)
        try:
            if isinstance(rows, StoredRows) and rows.plain and isinstance(first, int) and isinstance(last, int):
                found: Sequence[Row] = rows.between(first, last)
            else:
                found = rows[start:stop]
        except StoreError as error:
            raise LogChanged(self._origin, error.problem) from error
        if len(found) != stop - start:
            raise self._changed()
        return found

    def _changed(self) -> LogChanged:
        return LogChanged(self._origin, f"{self._origin}: its records are no longer what they were when they were read")


@dataclass(slots=True)
class _Page:
    """Rows that were read together; found: by place, what was decoded of them."""

    rows: Sequence[Row]
    found: dict[int, Genuine] = field(default_factory=dict)


def check_records(
    origin: str, leaves: Packed, rows: Sequence[Row], hashed: Hashed, claimed: int
) -> tuple[StoredRecords, list[Finding]]:
    """Match rows, as they were hashed, to the true `leaves`.

    claimed: the largest size that any checkpoint speaks of, valid or not; rows between the true leaves and that size
    are under a checkpoint that could not be checked, which is a finding of its own.
    """
    # A claim may be any number; more rows than there are need no place.
    uncovered = min(claimed, len(leaves) + len(hashed)) - len(leaves)
    alignment = aligned(leaves.followed_by(uncovered), hashed.packed(), lambda place: _opens(hashed.faults.get(place)))
    matched = _Matched(alignment, leaves, len(hashed), len(leaves) + max(0, uncovered))
    findings = [_of_edit(origin, edit) for edit in alignment.edits]
    misnumbered = [] if alignment.edits or hashed.in_place else _misnumbered(origin, matched, hashed)
    # In the order of the store.
    by_place = [
        (place, _of_fault(origin, index, fault))
        for place, fault in hashed.faults.items()
        if (index := matched.lose(place)) is not None
    ]
    records = StoredRecords(origin, rows, hashed, matched.places, matched.there)
    if not isinstance(rows, StoredRows):
        by_place += _undecoded(origin, records)
    by_place += misnumbered
    findings += [finding for _, finding in sorted(by_place, key=lambda one: one[0])]
    gone = [one for one in findings if one.what is What.MISSING]
    return records, [*in_runs(one for one in findings if one.what is not What.MISSING), *gone]


def _opens(fault: Fault | None) -> bool:
    """Whether a body stands under its own entry; one that is gone does not speak against it."""
    return fault is None or fault.broken is Broken.ERASED


def _undecoded(origin: str, records: StoredRecords) -> list[tuple[int, Finding]]:
    """Decode each record of a log whose rows are at hand; those that are not what their kind says are left out."""
    found = []
    for index in list(records):
        try:
            records[index]
        except InvalidData as error:
            found.append((records.place(index), _of_fault(origin, index, Fault(Broken.UNREADABLE, str(error)))))
            del records[index]
    return found


class _Matched:
    """Which row holds which record. places: by index; there: by index 1 where a row holds the record of that leaf."""

    def __init__(self, alignment: Alignment, leaves: Packed, count: int, expected: int) -> None:
        """count: rows; expected: records that the alignment was given, the true leaves among them."""
        size = len(leaves)
        self._start, self._shift = alignment.start, count - expected
        self._end = count - alignment.end
        self._index_of = {position: index for position, index in alignment.matches if index < size}
        self.there = bytearray(b"\x01" * min(size, alignment.start)).ljust(size, b"\x00")
        self.places: array[int] | range = range(size)
        if alignment.start < size:
            self.places = places = array("q", self.places)
            for index in range(expected - alignment.end, size):
                places[index], self.there[index] = index + self._shift, 1
            for position, index in self._index_of.items():
                places[index], self.there[index] = position, 1
        for index in leaves.unknown():
            self.there[index] = 0

    def index(self, place: int) -> int | None:
        """Of the record that a row holds, None where it holds none of the log."""
        if place < self._start:
            index: int | None = place
        elif place >= self._end:
            index = place - self._shift
        else:
            index = self._index_of.get(place)
        return index if index is not None and index < len(self.there) and self.there[index] else None

    def lose(self, place: int) -> int | None:
        """As `index`, of a row that does not give its record."""
        index = self.index(place)
        if index is not None:
            self.there[index] = 0
        return index


def _misnumbered(origin: str, matched: _Matched, hashed: Hashed) -> list[tuple[int, Finding]]:
    """Gaps in the numbers of the store that no missing or extra record explains; of each the first row is named."""
    found = []
    before = True
    for place, number in enumerate(hashed.all_numbers()):
        right = number == place
        index = None if right or not before else matched.index(place)
        if index is not None:
            detail = f"the store numbers it {number}"
            where = f"record {index} of {origin}"
            found.append((place, Finding(What.REORDERED, Layer.STORE, where, detail, origin=origin, index=index)))
        before = right
    return found


def _of_fault(origin: str, index: int, fault: Fault) -> Finding:
    where = f"record {index} of {origin}"
    if fault.broken is Broken.ERASED:
        return Finding(What.MISSING, Layer.STORE, where, Broken.ERASED.value, Verdict.INCONCLUSIVE, origin, index)
    detail = f"{fault.broken.value}: {fault.said}" if fault.said else fault.broken.value
    return Finding(What.ALTERED, Layer.STORE, where, detail, origin=origin, index=index)


def _of_edit(origin: str, edit: Edit) -> Finding:
    where = f"record {edit.index} of {origin}"
    return Finding(edit.what, Layer.STORE, where, _DETAIL[edit.what], origin=origin, index=edit.index)
