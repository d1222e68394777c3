"""A Siemens S7 controller as a `Controller`: S7-300, 400, 1200 or 1500, by the protocol that PUT/GET allows.

Every value is read from where its tag's `s7` says. Ranges that the controller refuses are remembered: their tags are
None with a status, the others are read without them, and they are asked for again after a while and after `connect`.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.core.errors import DeviceRefused, InvalidData, TornPoll, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, Tag, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.s7_address import Area, S7Address, address_of
from testbed.fieldbus.s7_channel import Channel
from testbed.fieldbus.s7_layout import Span, most_bytes, requests, spans
from testbed.fieldbus.s7_reads import Read, place_of, prepared, take
from testbed.fieldbus.s7_wire import GOOD, NOT_ALLOWED, READ, WRITE, Refused, code_written, says, status, write_request
from testbed.fieldbus.source import held

GOOD_NO_DATA = 0x00A50000
"""StatusCode of a tag whose turn it was not (OPC 10000-4, section 7.39.2)."""
_ATTEMPTS = 5
_COUNTERS = (DataType.INT16, DataType.UINT16, DataType.INT32, DataType.UINT32)
_IN_TIA = (
    "in TIA Portal tick 'Permit access with PUT/GET communication from remote partner' (device > Protection & Security"
    " > Connection mechanisms), untick 'Optimized block access' (data block > Properties > Attributes), and download"
    " both; then compare the tags' addresses with the offsets that the block shows"
)

_UNREADABLE = (NOT_ALLOWED, 0x03, 0x05, 0x0A)
"""Codes that say: not allowed, out of range, not there. An optimized block is out of range, or not there."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one poll reads. statuses: by tag, as far as they are known beforehand; () for all Good."""

    reads: tuple[Read, ...]
    statuses: tuple[int, ...]


class S7Controller:
    """A connection to one controller. Nothing is retried in the background: after a DeviceError, connect again.

    rack, slot: of the CPU; scan_tag: name of the scan counter; boot_tag: of the restart counter, None where the
    program has none; gap: bytes without a tag that may be read along; timeout: s for each answer; pause: s between an
    answer and the next request; every: scan classes, a tag that is named here is read in each n-th poll alone; again: s
    after which refused ranges are tried once more.
    Raises UsageError for tags whose S7 address is missing or wrong, and for counters that are not among them or not
    read in each poll.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        host: str,
        port: int = 102,
        scan_tag: str | None = "plc.scan",
        boot_tag: str | None = "plc.boot",
        *,
        rack: int = 0,
        slot: int = 1,
        gap: int = 16,
        timeout: float = 1.0,
        pause: float = 0.0,
        every: Mapping[str, int] | None = None,
        again: float = 60.0,
    ) -> None:
        # S7 values are big endian, whatever order the same tag has in its Modbus registers.
        self._tags = tuple(replace(tag, modbus=replace(tag.modbus, byte_order=ByteOrder.ABCD)) for tag in tags)
        self._places = {tag.name: place for place, tag in enumerate(self._tags)}
        self._scan = None if scan_tag is None else self._counter(scan_tag)
        self._boot = None if boot_tag is None else self._counter(boot_tag)
        self._counters = tuple(place for place in (self._scan, self._boot) if place is not None)
        # The counters stand a second time behind the tags: what lies between two equal readings belongs to one scan.
        self._where = [place_of(tag, address_of(tag)) for tag in self._tags]
        self._where += [self._where[place] for place in self._counters]
        self._every = self._turns(every or {})
        self._classes = tuple(sorted(set(self._every)))
        self._gap = gap
        self._channel = Channel(host, port, rack, slot, timeout, pause)
        self._polls = 0
        self._refused: dict[int, int] = {}
        self._again = again
        self._until = 0.0
        self._apart: set[int] = set()
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self.repeats = 0
        """Polls that were begun again because a scan ended meanwhile."""

    @property
    def tags(self) -> Sequence[Tag]:
        """The tags in the order of a poll's values, big endian."""
        return self._tags

    async def connect(self) -> None:
        """Open the connection; an open one is closed first. Raises DeviceError where nobody answers."""
        await self._channel.open()
        self._polls = 0
        self._forget()

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        await self._channel.close()

    async def identify(self) -> Identity:
        """Module name and order code, firmware and serial number, from the system status list."""
        return await self._channel.identify()

    async def poll(self) -> Poll:
        """Read the tags whose turn it is, all of one scan where the program counts scans.

        Raises DeviceError where nothing could be read, and DeviceRefused where the controller allows nobody to read.
        """
        turn = self._polls
        self._polls += 1
        if self._refused and asyncio.get_running_loop().time() >= self._until:
            self._forget()
        classes = tuple(every for every in self._classes if turn % every == 0)
        for _ in range(_ATTEMPTS):
            values, statuses = await self._read(classes)
            own = tuple(values[: len(self._tags)])
            if values[len(own) :] == [own[place] for place in self._counters]:
                return Poll(self._number(self._boot, own) or 0, self._number(self._scan, own), own, statuses)
            self.repeats += 1
        raise TornPoll(
            f"{self._channel.where}: a scan ended within each of {_ATTEMPTS} polls",
            "place the tags closer together so that fewer requests read them, or scan more slowly",
        )

    async def write(self, tag: Tag, value: Value) -> None:
        """Write one tag whole, a bool without touching the bits beside it. Raises UsageError, DeviceRefused."""
        place = self._places.get(tag.name)
        if place is None:
            raise UsageError(f"{tag.name} is no tag of this controller", "name one of its tags")
        own, address = self._tags[place], self._where[place].address
        if not own.writable or address.area is Area.INPUT:
            raise UsageError(f"{tag.name} cannot be written", "write a set-point, a manual value or the mode instead")
        try:
            raw = _fitting(own, address, encode(own, held(own, value)))
        except InvalidData as error:
            raise UsageError(str(error), f"write what {address} can hold") from error
        where = f"{address} ({tag.name})"
        try:
            code = code_written(await self._channel.ask(write_request(address, raw), WRITE, 1))
        except Refused as error:
            raise self._refusal(where, str(error), error.code) from error
        except InvalidData as error:
            await self._channel.close()
            raise self._channel.fault(f"{where}: {error}") from error
        if code != GOOD:
            raise self._refusal(where, says(code), code)

    async def _read(self, classes: tuple[int, ...]) -> tuple[list[bytes | None], tuple[int, ...]]:
        """Raw values by place, the counters a second time behind them, and the statuses of those that are missing."""
        while True:
            plan = self._plan(classes)
            values: list[bytes | None] = [None] * len(self._where)
            failed: dict[Span, int] = {}
            for read in plan.reads:
                failed |= await self._ask(read, values)
            if not failed:
                return values, plan.statuses
            await self._learn(failed)

    async def _ask(self, read: Read, values: list[bytes | None]) -> dict[Span, int]:
        """Puts in the values that came; returns the return codes of the spans that did not."""
        try:
            return take(read, await self._channel.ask(read.request, READ, len(read.members)), values)
        except Refused as error:
            raise self._refusal(", ".join(map(str, read.members)), str(error), error.code) from error
        except InvalidData as error:
            await self._channel.close()
            raise self._channel.fault(str(error)) from error

    async def _learn(self, failed: Mapping[Span, int]) -> None:
        """Find out which tags of refused spans are refused by themselves."""
        alone = {span: code for span, code in failed.items() if len(span.tags) == 1}
        shared = frozenset(place for span in failed if span not in alone for place in span.tags)
        found: dict[Span, int] = {}
        for members in requests(self._spans(shared, apart=shared), self._channel.pdu):
            found |= await self._ask(prepared(members, self._where), [None] * len(self._where))
        if not found:
            # Each is there by itself: what lies between them is not.
            self._apart |= shared
        behind = len(self._tags)
        for span, code in (alone | found).items():
            (place,) = span.tags
            self._refused[place if place < behind else self._counters[place - behind]] = code
        self._plans.clear()
        self._until = asyncio.get_running_loop().time() + self._again
        counters = [place for place in self._counters if place in self._refused]
        if counters or len(self._refused) == behind:
            place = min(counters or self._refused)
            code = self._refused[place]
            others = "" if counters else " and all other tags"
            # What is mended meanwhile is to be seen by the next poll.
            self._forget()
            raise self._refusal(f"{self._where[place].address} ({self._tags[place].name}){others}", says(code), code)

    def _plan(self, classes: tuple[int, ...]) -> _Plan:
        """What is read when the tags of these scan classes are due. Raises DeviceError without a connection."""
        pdu = self._channel.pdu
        if classes not in self._plans:
            due = {place for place, every in enumerate(self._every) if every in classes}
            wanted = self._spans(due - self._refused.keys(), self._apart)
            again = self._spans(range(len(self._tags), len(self._where)), self._apart)
            first = sorted(wanted, key=lambda span: self._scan not in span.tags)
            reads = [prepared(members, self._where) for members in requests((*first, *again), pdu)]
            statuses = [
                status(self._refused[place]) if place in self._refused else 0 if place in due else GOOD_NO_DATA
                for place in range(len(self._tags))
            ]
            self._plans[classes] = _Plan(tuple(reads), tuple(statuses) if any(statuses) else ())
        return self._plans[classes]

    def _spans(self, places: Iterable[int], apart: Collection[int]) -> tuple[Span, ...]:
        wanted = {place: self._where[place].address for place in places}
        return spans(wanted, self._gap, most_bytes(self._channel.pdu), frozenset(apart))

    def _forget(self) -> None:
        self._refused.clear()
        self._apart.clear()
        self._plans.clear()

    def _refusal(self, where: str, what: str, code: int) -> DeviceRefused:
        mend = _IN_TIA if code in _UNREADABLE else "compare the tags' addresses and types with the program's"
        return DeviceRefused(f"{self._channel.where}: {where}: {what}", mend)

    def _number(self, place: int | None, values: Sequence[bytes | None]) -> int | None:
        return None if place is None else int(decode(self._tags[place], values[place]))

    def _counter(self, name: str) -> int:
        place = self._places.get(name, -1)
        if place < 0 or self._tags[place].type not in _COUNTERS:
            raise UsageError(f"no integer tag {name!r} to count by", "name the program's counter among the tags")
        return place

    def _turns(self, every: Mapping[str, int]) -> list[int]:
        """By place, in which polls a tag is read."""
        if any(turn < 1 for turn in every.values()) or every.keys() - self._places.keys():
            raise UsageError(f"scan classes {dict(every)}", "name tags, each with a number of polls from 1 on")
        turns = [every.get(tag.name, 1) for tag in self._tags]
        for place in self._counters:
            if turns[place] > 1:
                name = self._tags[place].name
                raise UsageError(f"the counter {name} is in a scan class", "read it in each poll")
        return turns


def _fitting(tag: Tag, address: S7Address, raw: bytes) -> bytes:
    """As many bytes as there are. Raises InvalidData for a number that needs two where it has one."""
    if address.size == len(raw):
        return raw
    number = int.from_bytes(raw, "big", signed=tag.type is DataType.INT16)
    try:
        return number.to_bytes(1, "big", signed=tag.type is DataType.INT16)
    except OverflowError as error:
        raise InvalidData(f"{tag.name}: {number} does not fit into one byte") from error
