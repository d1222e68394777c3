"""The driver for PLCs and devices that speak Modbus, over whatever transport: reads their tags, and writes single ones.

Where the PLC counts its scans, all values of a poll are of one of them. A device that does not count, a meter or a
drive, is read all the same, and what stands in one answer was read together.
"""

import asyncio
from collections.abc import Mapping, Sequence

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import WriteSingleCoilRequest
from pymodbus.pdu.register_message import WriteMultipleRegistersRequest, WriteSingleRegisterRequest

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import DataType, ModbusTable, Tag, Value
from testbed.fieldbus.layout import MOST_BITS, MOST_REGISTERS, width
from testbed.fieldbus.modbus_link import Link, NoAnswer
from testbed.fieldbus.modbus_objects import identity_of
from testbed.fieldbus.modbus_plan import Limits, Plan
from testbed.fieldbus.modbus_transports import Transport
from testbed.fieldbus.modbus_units import BAD_DEVICE_FAILURE, BAD_NO_COMMUNICATION, Line, Row, Unit
from testbed.fieldbus.poll import Poll, with_frame
from testbed.fieldbus.registers import decode, encode, registers_of
from testbed.fieldbus.signed_frames import SignedFrames
from testbed.fieldbus.source import held

_ATTEMPTS = 5


class ModbusController:
    """A connection to one PLC, or to the units behind one gateway or on one serial line.

    transport: Tcp, Tls, Serial or RtuOverTcp; unit: of the PLC itself, which tags without a unit_id belong to;
    scan_tag: name of the scan counter; boot_tag: of the restart counter; None where the PLC has none;
    gap: addresses without a tag that may be read along (0 for a PLC that refuses them); most_registers, most_bits: in
    one read; pause: s between an answer and the next request; timeout: s for each answer;
    period: s from one poll to the next: where there are several units, none is waited for any longer than that;
    every: scan classes, a tag that is named here is read in each n-th poll alone;
    connections: to a gateway, at most; it may serve few. again: s after which a refused address is tried once more;
    frames: of a PLC that signs its scans, which are read along.

    Of several units those that are silent have no values and BAD_NO_COMMUNICATION; where it is the one that counts,
    the poll has no scan. Raises UsageError for tags that do not fit the tables, counters that are not among them or
    not read in each poll, and limits out of range.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        transport: Transport,
        unit: int = 1,
        scan_tag: str | None = "plc.scan",
        boot_tag: str | None = "plc.boot",
        *,
        gap: int = 16,
        most_registers: int = MOST_REGISTERS,
        most_bits: int = MOST_BITS,
        pause: float = 0.0,
        timeout: float = 1.0,
        period: float | None = None,
        every: Mapping[str, int] | None = None,
        connections: int = 8,
        again: float = 60.0,
        frames: SignedFrames | None = None,
    ) -> None:
        self._tags = tuple(tags)
        self._transport = transport
        self._unit = unit
        every = dict(every or {})
        if any(n < 1 for n in every.values()) or every.keys() - {tag.name for tag in tags}:
            raise UsageError(f"scan classes {every}", "name tags, each with a number of polls from 1 on")
        scan = None if scan_tag is None else self._counter(scan_tag, every)
        boot = None if boot_tag is None else self._counter(boot_tag, every)
        self._scan, self._boot = scan, boot
        counters = () if scan is None else tuple(tag for tag in (scan, boot) if tag is not None)
        if len({self._unit_of(tag) for tag in counters}) > 1:
            raise UsageError("the scan and restart counters are of two units", "name counters of the same unit")
        limits = Limits(gap, most_registers, most_bits)
        units, self._places = [], []
        for number in dict.fromkeys(map(self._unit_of, self._tags)):
            places = [place for place, tag in enumerate(self._tags) if self._unit_of(tag) == number]
            own = tuple(self._tags[place] for place in places)
            counts = counters if counters and self._unit_of(counters[0]) == number else ()
            signed = frames if number == unit else None
            units.append(Unit(Plan(own, number, scan if counts else None, limits, every, again), counts, signed))
            self._places.append(places)
        self._units = units
        count = 1 if transport.shared else max(1, min(len(units), connections))
        reopens = len(units) > 1 and not transport.shared
        self._lines = [
            Line(Link(transport, timeout, pause), units[at::count], period, reopens=reopens) for at in range(count)
        ]
        # Rows come line by line.
        self._order = [unit for at in range(count) for unit in range(len(units))[at::count]]
        self._polls = 0
        self._open = False

    @property
    def tags(self) -> Sequence[Tag]:
        """The tags in the order of a poll's values."""
        return self._tags

    @property
    def repeats(self) -> int:
        """Polls that were begun again because a scan ended meanwhile."""
        return sum(unit.repeats for unit in self._units)

    async def connect(self) -> None:
        """Open the connection. Raises DeviceError where nobody listens, or UsageError where a certificate is missing.

        What was learned about refused addresses and silent units is forgotten.
        """
        await self.close()
        self._polls = 0
        first, *others = self._lines
        for unit in self._units:
            unit.forget()
        await first.link.open()
        self._open = True
        await asyncio.gather(*(line.ready() for line in others), return_exceptions=True)

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self._open = False
        for line in self._lines:
            line.link.close()

    async def poll(self) -> Poll:
        """Read the tags that are due. Raises DeviceError where nothing was read; where no answer came, it is closed."""
        self._must_be_open()
        number, self._polls = self._polls, self._polls + 1
        if len(self._lines) == 1:
            came = await self._lines[0].poll(number, _ATTEMPTS)
        else:
            found = await asyncio.gather(*(line.poll(number, _ATTEMPTS) for line in self._lines))
            came = [row for rows in found for row in rows]
        errors = [row for row in came if isinstance(row, DeviceError)]
        if len(errors) == len(came):
            if all(isinstance(error, NoAnswer) for error in errors):
                await self.close()
            raise errors[0]
        values, statuses = self._whole(came)
        boot = self._count(self._boot, values)
        poll = Poll(boot or 0, self._count(self._scan, values), tuple(values), tuple(statuses))
        signed = next((row.signed for row in came if isinstance(row, Row) and row.signed is not None), None)
        return poll if signed is None else with_frame(poll, signed)

    async def write(self, tag: Tag, value: Value) -> None:
        """Write one tag whole. Raises UsageError for what it cannot hold, DeviceRefused where the PLC refuses."""
        if not (tag.writable and tag.modbus.table.is_writable):
            raise UsageError(f"{tag.name} cannot be written", "write a set-point, a manual value or the mode instead")
        raw = encode(tag, held(tag, value))
        self._must_be_open()
        unit = self._unit_of(tag)
        request: ModbusPDU
        if tag.modbus.table is ModbusTable.COIL:
            request = WriteSingleCoilRequest(address=tag.modbus.address, bits=[raw == b"\x01"], dev_id=unit)
        elif width(tag) == 1:
            request = WriteSingleRegisterRequest(address=tag.modbus.address, registers=registers_of(raw), dev_id=unit)
        else:
            request = WriteMultipleRegistersRequest(
                address=tag.modbus.address, registers=registers_of(raw), dev_id=unit
            )
        where = f"{tag.modbus.table.value} {tag.modbus.address} ({tag.name})"
        line = self._line_of(unit)
        try:
            await line.ready()
            answer = await line.link.ask(request, where)
        except DeviceRefused:
            raise
        except DeviceError:
            if len(self._units) == 1:
                await self.close()
            raise
        if answer.address != request.address:
            raise DeviceError(
                f"{self._transport}, unit {unit}: {where}: the answer speaks of address {answer.address}",
                "read the tag: nobody knows whether it took the value",
            )

    async def identify(self) -> Identity:
        """By function 43/14; empty fields where the PLC has none. Raises DeviceError where it answers nothing."""
        self._must_be_open()
        line = self._line_of(self._unit)
        try:
            return await identity_of(line.link, self._unit)
        except NoAnswer:
            # Some devices say nothing to a function that they do not know, libmodbus's on a serial line among them.
            own = [unit for unit in line.units if unit.number == self._unit]
            if not own or not await own[0].answers(line.link):
                raise
            return Identity()

    def _whole(self, came: Sequence[Row | DeviceError]) -> tuple[list[bytes | None], list[int]]:
        """The rows of all units, put together in the order of the tags."""
        if len(came) == 1 and isinstance(came[0], Row):
            return came[0].values, came[0].statuses
        values: list[bytes | None] = [None] * len(self._tags)
        statuses = [0] * len(self._tags)
        for unit, row in zip(self._order, came, strict=True):
            if isinstance(row, DeviceError):
                silent = not isinstance(row, DeviceRefused)
                row = self._units[unit].nothing(BAD_NO_COMMUNICATION if silent else BAD_DEVICE_FAILURE)
            for place, value, status in zip(self._places[unit], row.values, row.statuses, strict=True):
                values[place] = value
                statuses[place] = status
        return values, statuses

    def _count(self, tag: Tag | None, values: Sequence[bytes | None]) -> int | None:
        if tag is None:
            return None
        raw = values[self._tags.index(tag)]
        return None if raw is None else int(decode(tag, raw))

    def _unit_of(self, tag: Tag) -> int:
        return self._unit if tag.unit_id is None else tag.unit_id

    def _line_of(self, unit: int) -> Line:
        for line in self._lines:
            if any(one.number == unit for one in line.units):
                return line
        return self._lines[0]

    def _must_be_open(self) -> None:
        if not self._open:
            raise DeviceError(f"{self._transport}: not connected", "connect first, or start the PLC again")

    def _counter(self, name: str, every: Mapping[str, int]) -> Tag:
        for tag in self._tags:
            if tag.name == name and tag.type not in (DataType.BOOL, DataType.FLOAT32, DataType.FLOAT64):
                if tag.scaled or every.get(name, 1) != 1:
                    raise UsageError(
                        f"counter {name!r} is scaled, or not read in each poll", "leave it as the PLC has it"
                    )
                return tag
        raise UsageError(f"no integer tag {name!r} to count by", "name the PLC's counter among the tags")
