"""Which reads bring the tags of one unit, and what was learned about addresses that the device refuses.

A read that takes in addresses without a tag may be refused for one of these alone. Such a read is cut in two where the
widest gap is, and its halves again, until what is left is answered: so a hole in a device's map costs its errors once.
A tag that is refused by itself is left out, and asked again now and then: a program may have been loaded since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pymodbus.pdu import ModbusPDU

from testbed.core.errors import UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.layout import MOST_BITS, MOST_REGISTERS, Block, plan, width
from testbed.fieldbus.modbus_answers import REQUESTS, Cut, cut, size


@dataclass(frozen=True, slots=True)
class Limits:
    """What one read may take in. gap: addresses without a tag that may be read along; the others: as many at most."""

    gap: int = 16
    most_registers: int = MOST_REGISTERS
    most_bits: int = MOST_BITS

    def __post_init__(self) -> None:
        fits = 1 <= self.most_registers <= MOST_REGISTERS and 1 <= self.most_bits <= MOST_BITS
        if self.gap < 0 or not fits:
            raise UsageError(
                f"Modbus reads: {self}",
                f"give a gap of 0 or more, at most {MOST_REGISTERS} registers and {MOST_BITS} bits",
            )


@dataclass(frozen=True, slots=True)
class Read:
    """A request, used again and again, and what its answer must be.

    where: in words; size: bytes of the answer's data; cut: its raw values; at: places of these among the unit's tags;
    every: it is due each n-th poll.
    """

    block: Block
    request: ModbusPDU
    where: str
    size: int
    cut: Cut
    at: tuple[int, ...]
    every: int


@dataclass(slots=True)
class _Shunned:
    """A tag whose address was refused. until: loop time before which it is not asked."""

    read: Read
    until: float


@dataclass(slots=True)
class Plan:
    """The reads of one unit's tags. first: a tag whose read comes before all others; every: by name, 1 where left out.

    again: s after which a refused tag is asked once more. Raises UsageError where tags do not fit the tables.
    """

    tags: tuple[Tag, ...]
    unit: int
    first: Tag | None
    limits: Limits
    every: Mapping[str, int]
    again: float
    _place: dict[str, int] = field(init=False)
    _made: list[Read] = field(init=False)
    _reads: list[Read] = field(init=False)
    _classes: bool = field(init=False)
    _shunned: list[_Shunned] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._place = {tag.name: place for place, tag in enumerate(self.tags)}
        plan(self.tags, 0)  # an overlap is one across scan classes as well
        periods = sorted({self.every.get(tag.name, 1) for tag in self.tags})
        self._classes = periods != [1]
        self._made = [
            self.read(block, period)
            for period in periods
            for block in self._planned([tag for tag in self.tags if self.every.get(tag.name, 1) == period])
        ]
        self._made.sort(key=lambda read: self.first not in read.block.tags)
        self.forget()

    def forget(self) -> None:
        """What was learned about refused addresses: another device may be there now."""
        self._reads = list(self._made)
        self._shunned = []

    def due(self, poll: int, now: float) -> list[Read]:
        """The reads of the poll of that number, counted from 0. now: loop time."""
        reads = self._reads
        if self._classes:
            reads = [read for read in reads if poll % read.every == 0]
        if self._shunned:
            asked = [one.read for one in self._shunned if one.until <= now and poll % one.read.every == 0]
            reads = reads + asked
        return reads

    def idle(self, poll: int) -> Iterable[int]:
        """Places of tags whose scan class is not due in that poll."""
        if not self._classes:
            return ()
        return (place for place, tag in enumerate(self.tags) if poll % self.every.get(tag.name, 1))

    def shunned(self) -> Iterable[int]:
        """Places of tags whose address was refused."""
        return [place for one in self._shunned for place in one.read.at]

    def answered(self, read: Read) -> None:
        """A read was answered: where its tag had been refused before, it is an ordinary one again."""
        if self._shunned and any(one.read is read for one in self._shunned):
            self._shunned = [one for one in self._shunned if one.read is not read]
            self._reads.append(read)

    def refused(self, read: Read, now: float, *, whole: bool) -> Sequence[Read]:
        """The device refuses the read's addresses. What to ask in its place, at once and from now on, if anything.

        whole: it refuses the table, so that no part of it will do.
        """
        for one in self._shunned:
            if one.read is read:
                one.until = now + self.again
                return ()
        if read not in self._reads:  # another poll has learned it meanwhile
            return ()
        at = self._reads.index(read)
        if len(read.at) == 1 or whole:
            alone = (read,) if len(read.at) == 1 else tuple(self._alone(read))
            self._reads[at : at + 1] = []
            self._shunned += [_Shunned(one, now + self.again) for one in alone]
            return ()
        pieces = [self.read(piece, read.every) for piece in halves(read.block)]
        self._reads[at : at + 1] = pieces
        return pieces

    def read(self, block: Block, every: int = 1) -> Read:
        """The read of a block of this unit's tags."""
        request = REQUESTS[block.table](address=block.address, count=block.count, dev_id=self.unit)
        where = f"{block.table.value} {block.address}..{block.address + block.count - 1}"
        at = tuple(self._place[tag.name] for tag in block.tags)
        return Read(block, request, where, size(block), cut(block), at, every)

    def reads_of(self, tags: Sequence[Tag]) -> list[Read]:
        """Reads of these tags alone."""
        return [self.read(block) for block in self._planned(tags)]

    def _planned(self, tags: Sequence[Tag]) -> tuple[Block, ...]:
        return plan(tags, self.limits.gap, self.limits.most_registers, self.limits.most_bits)

    def _alone(self, read: Read) -> Iterable[Read]:
        for tag in read.block.tags:
            yield self.read(_block(read.block, (tag,)), read.every)


def halves(block: Block) -> tuple[Block, Block]:
    """A block of several tags in two: between the two tags that are the farthest apart, or else in the middle."""
    tags = block.tags
    gaps = [after.modbus.address - one.modbus.address - width(one) for one, after in pairwise(tags)]
    widest = max(gaps)
    cut_at = gaps.index(widest) + 1 if widest else len(tags) // 2
    return _block(block, tags[:cut_at]), _block(block, tags[cut_at:])


def _block(block: Block, tags: tuple[Tag, ...]) -> Block:
    start = tags[0].modbus.address
    return Block(block.table, start, tags[-1].modbus.address + width(tags[-1]) - start, tags)
