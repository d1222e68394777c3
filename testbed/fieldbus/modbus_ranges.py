"""Which addresses of a Modbus table can be read: what to ask next, and what was learnt. No socket is touched here.

A search is a generator: it yields an Ask, is sent the Answer, and returns what it Found. It never asks for anything but
functions 1 to 4.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field

from testbed.core.tags import ModbusTable
from testbed.fieldbus.layout import MOST_BITS, MOST_REGISTERS

ILLEGAL_FUNCTION = 1
SILENCE = 0
"""In the place of an exception code: nothing came, or the connection was closed."""

PROBES = (
    *(0, 1, 2, 16, 32, 64, 100, 128, 200, 256, 300, 400, 500, 512, 528, 768, 1000, 1024, 1500, 2000, 2048, 2560, 2999),
    *(3000, 3072, 3500, 4000, 4096, 5000, 5120, 6000, 7000, 8000, 8192, 8256, 9000, 10000, 12288, 16384, 20000, 20480),
    *(24576, 28672, 30000, 32768, 36864, 40000, 40960, 45056, 49152, 50000, 53248, 57344, 61440, 65535),
)
"""Where makers let their maps begin: low addresses, round decimal and hexadecimal ones."""

_SILENCES = 3
_ZEROS = {True: 4000, False: 1000}
"""A run of addresses that all hold 0 is followed no further than this, by whether they are bits."""
_ADDRESSES = 65536


@dataclass(frozen=True, slots=True)
class Ask:
    """One read: `count` registers or bits from `address` on."""

    table: ModbusTable
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """values: registers or bits (0, 1), None where there are none; then exception is the code, or SILENCE."""

    values: tuple[int, ...] | None
    exception: int = SILENCE


@dataclass(frozen=True, slots=True)
class Found:
    """What was learnt of one table.

    values: what each address held that could be read; most: the largest number that one read may ask for, None where
    no limit was met; pairs: single registers are refused, two are not; asked: requests; notes: sentences for a person.
    """

    table: ModbusTable
    values: dict[int, int]
    most: int | None
    pairs: bool
    asked: int
    notes: tuple[str, ...]

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and last address of each run that could be read."""
        return runs(sorted(self.values))


def runs(addresses: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """First and last of each run of rising numbers without a gap."""
    found: list[tuple[int, int]] = []
    for address in addresses:
        if found and found[-1][1] == address - 1:
            found[-1] = (found[-1][0], address)
        else:
            found.append((address, address))
    return tuple(found)


def search(table: ModbusTable, limit: int, within: Sequence[tuple[int, int]] = ()) -> Generator[Ask, Answer, Found]:
    """Find what can be read of `table` with at most `limit` requests.

    within: first and last addresses, inclusive; each address in them is looked at. Else likely places are tried, and
    from each that can be read the search goes on in both directions.
    """
    look = _Look(table, limit)
    try:
        for first, last in within or [(0, _ADDRESSES - 1)]:
            look.first, look.last = first, last
            yield from look.probe(range(first, last + 1) if within else PROBES)
    except _Enough as enough:
        look.notes.append(str(enough))
    most = None if look.most == look.largest else look.most
    return Found(table, look.values, most, look.grain == 2, look.asked, tuple(look.notes))


class _Enough(Exception):
    """This table is not looked at any further; the text says why."""


@dataclass(slots=True)
class _Look:
    table: ModbusTable
    limit: int
    values: dict[int, int] = field(default_factory=dict)
    refused: set[tuple[int, int]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    asked: int = 0
    silences: int = 0
    grain: int = 1
    most: int = 0
    first: int = 0
    last: int = _ADDRESSES - 1
    empty: bool = False

    def __post_init__(self) -> None:
        self.most = self.largest

    @property
    def largest(self) -> int:
        return MOST_BITS if self.table.is_bit else MOST_REGISTERS

    def probe(self, addresses: Iterable[int]) -> Generator[Ask, Answer, None]:
        """Ask at each address of which nothing is known yet, and go on from those that can be read."""
        for address in addresses:
            if address in self.values:
                continue
            readable = yield from self._read(address, self.grain)
            if not readable and not self.values and not self.table.is_bit and address % 2 == 0:
                # Some meters refuse half of a 32-bit value.
                readable = yield from self._read(address, 2)
                self.grain = 2 if readable else 1
            if readable and (not self.empty or (yield from self._promises(address))):
                yield from self._grow(address + self.grain, upwards=True)
                yield from self._grow(address, upwards=False)

    def _promises(self, address: int) -> Generator[Ask, Answer, bool]:
        """Whether a device that answers for memory that nobody uses holds anything around here."""
        count = min(self.most, self._room(address + self.grain, upwards=True)) // self.grain * self.grain
        if count and not (yield from self._read(address + self.grain, count)):
            return True
        return any(self.values[at] for at in range(address, address + self.grain + count))

    def _grow(self, edge: int, *, upwards: bool) -> Generator[Ask, Answer, None]:
        """From an edge of what can be read to the first address that cannot, in growing steps."""
        step = self.grain
        zeros = 0
        while (room := self._room(edge, upwards)) >= self.grain:
            step = max(self.grain, min(step * 2, self.most, room) // self.grain * self.grain)
            good = step if (yield from self._step(edge, step, upwards)) else 0
            if not good and step > self.grain:
                good = yield from self._last(edge, step, upwards)
            if not good:
                return
            grown = range(edge, edge + good) if upwards else range(edge - good, edge)
            edge += good if upwards else -good
            zeros = zeros + good if not any(self.values[at] for at in grown) else 0
            if zeros >= _ZEROS[self.table.is_bit]:
                if not self.empty:
                    self.notes.append(f"{zeros} addresses in a row hold 0: such runs were not followed to their end")
                self.empty = True
                return
            if good < step:
                # Either the table ends here, or so many at once are too many: the next one alone tells.
                if self._room(edge, upwards) < self.grain or not (yield from self._step(edge, self.grain, upwards)):
                    return
                self.most = good
                edge += self.grain if upwards else -self.grain

    def _last(self, edge: int, bad: int, upwards: bool) -> Generator[Ask, Answer, int]:
        """How many from the edge on can be read at once, where `bad` cannot; by bisection."""
        good = 0
        while bad - good > self.grain:
            middle = good + max(self.grain, (bad - good) // 2 // self.grain * self.grain)
            if (yield from self._step(edge, middle, upwards)):
                good = middle
            else:
                bad = middle
        return good

    def _room(self, edge: int, upwards: bool) -> int:
        """Addresses from the edge on of which nothing is known yet."""
        room = 0
        while room < self.most:
            at = edge + room if upwards else edge - room - 1
            if not self.first <= at <= self.last or at in self.values:
                break
            room += 1
        return room

    def _step(self, edge: int, count: int, upwards: bool) -> Generator[Ask, Answer, bool]:
        return (yield from self._read(edge if upwards else edge - count, count))

    def _read(self, address: int, count: int) -> Generator[Ask, Answer, bool]:
        outside = address < self.first or address + count - 1 > self.last
        if outside or (address, count) in self.refused:
            return False
        if self.asked >= self.limit:
            raise _Enough(
                f"{self.limit} requests were asked: there may be more; name addresses, or allow more requests"
            )
        self.asked += 1
        answer = yield Ask(self.table, address, count)
        if answer.values is not None:
            self.silences = 0
            self.values.update(zip(range(address, address + count), answer.values, strict=True))
            return True
        self.refused.add((address, count))
        if answer.exception == ILLEGAL_FUNCTION and not self.values:
            raise _Enough("the device does not serve this table")
        self.silences = self.silences + 1 if answer.exception == SILENCE else 0
        if self.silences == _SILENCES:
            raise _Enough(f"no answer to {_SILENCES} requests in a row: this table was left alone then")
        return False
