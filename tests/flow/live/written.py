"""What stands in the logs of a bench after it was killed: decoded, and counted for what is lost, doubled, reordered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from testbed.core.bodies import AnchorReceipt, Body, State, TwinRecord
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore


@dataclass(frozen=True, slots=True)
class Record:
    """One stored record, decoded."""

    index: int
    source: str
    seq: int
    body: Body


@dataclass(slots=True)
class Faults:
    """What is wrong with records, counted. places: the first few, in words."""

    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    places: str = ""

    def see(self, kind: str, where: str, count: int = 1) -> None:
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.places) < 1000:
            self.places += f"{kind}: {where}; "

    def add(self, other: "Faults") -> None:
        self.records += other.records
        self.lost += other.lost
        self.doubled += other.doubled
        self.reordered += other.reordered
        self.places += other.places


def records_of(bench: Bench, name: str) -> list[Record]:
    """All records of a log."""
    with LogStore.read(Paths(bench.data).log(name)) as store:
        return [_decoded(row.index, row.entry, row.body or b"") for row in store.rows()]


def _decoded(index: int, data: bytes, body: bytes) -> Record:
    entry = decode_entry(data)
    return Record(index, entry.source, entry.seq, decode_body(entry.kind, body))


def faults_of(bench: Bench) -> Faults:
    """Lost, doubled and reordered records of all logs of a bench."""
    found = Faults()
    for name in bench.logs:
        records = records_of(bench, name)
        found.records += len(records)
        _numbers(name, records, found)
        _scans(name, records, found)
        _inputs(name, records, found)
        _receipts(name, records, found)
    return found


def _numbers(name: str, records: Sequence[Record], found: Faults) -> None:
    """Indices, and each source's own numbers, count from 0 without gaps."""
    _count((record.index for record in records), f"{name}, index", found)
    for source in {record.source for record in records}:
        _count((record.seq for record in records if record.source == source), f"{name}, {source}, seq", found)


def _count(numbers: Iterable[int], what: str, found: Faults) -> None:
    expected = 0
    for number in numbers:
        if number > expected:
            found.see("lost", f"{what} {expected}", number - expected)
        elif number < expected:
            found.see("doubled", f"{what} {number}")
        expected = max(expected, number + 1)


def _scans(name: str, records: Sequence[Record], found: Faults) -> None:
    """(boot, scan) of states strictly rises."""
    last = (0, -1)
    for record, body in _states(records):
        scan = (body.boot, body.scan or 0)
        if scan <= last:
            kind = "doubled" if scan == last else "reordered"
            found.see(kind, f"{name}, record {record.index}: scan {scan} after {last}")
        last = max(last, scan)


def _states(records: Sequence[Record]) -> Iterator[tuple[Record, State]]:
    for record in records:
        if isinstance(record.body, State) and record.body.scan is not None:
            yield record, record.body


def _inputs(name: str, records: Sequence[Record], found: Faults) -> None:
    """A twin consumes every record of its source once."""
    inputs = (ref.index for record in records if isinstance(record.body, TwinRecord) for ref in record.body.inputs)
    _count(inputs, f"{name}, input", found)


def _receipts(name: str, records: Sequence[Record], found: Faults) -> None:
    """No checkpoint was accepted twice."""
    seen: set[bytes] = set()
    for record in records:
        if isinstance(record.body, AnchorReceipt):
            if record.body.checkpoint in seen:
                found.see("doubled", f"{name}, record {record.index}")
            seen.add(record.body.checkpoint)
