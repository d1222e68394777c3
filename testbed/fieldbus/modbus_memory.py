"""The Modbus tables of a process image: reads of any stretch from one snapshot, writes of whole tags.

Addresses without a tag that lie between the first and the last tag of a table read as 0 and cannot be written. A tag
that the source has no value for cannot be read: exception 02, by which a client finds the others around it; and 0B
where there is no value at all, as a gateway whose device does not answer gives it.

The signed frame of a PLC that signs stands behind all tags, see `signed_frames`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from pymodbus.constants import ExcCodes

from testbed.core.errors import DeviceError, InvalidData, UsageError
from testbed.core.tags import ModbusTable, Tag, Value
from testbed.fieldbus.layout import tables, width
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.signed_frames import FRAME_AT, FrameSource
from testbed.fieldbus.source import ImageSource, held


class Refused(Exception):
    """A request is answered by an exception response with this code (Modbus Application Protocol V1.1b3, section 7)."""

    def __init__(self, code: ExcCodes) -> None:
        super().__init__(code.name)
        self.code = code


class Memory:
    """`tags` of `source` by table and address; frames: the signed ones of a PLC that signs.

    Raises UsageError where tags do not fit the tables.
    """

    def __init__(self, tags: Sequence[Tag], source: ImageSource, frames: FrameSource | None = None) -> None:
        self._source = source
        self._frames = frames
        self._tables = {table: _Table(table, here) for table, here in tables(tags).items()}

    def read(self, table: ModbusTable, address: int, count: int) -> bytes:
        """Two bytes for a register, one for a bit (00 or 01), all of one snapshot. Raises Refused: 02, 04, 0B."""
        if self._frames is not None and table is ModbusTable.INPUT_REGISTER and address >= FRAME_AT:
            _, signed = self._frames.latched()
            found = signed[2 * (address - FRAME_AT) : 2 * (address - FRAME_AT + count)]
            if len(found) != 2 * count:
                raise Refused(ExcCodes.ILLEGAL_ADDRESS)
            return found
        return self._tables[table].read(self._source.snapshot(), address, count)

    def write(self, table: ModbusTable, address: int, raw: bytes) -> None:
        """Hand `raw`, laid out as `read` gives it, to the PLC for its next scan: all of it, or nothing.

        Raises Refused: 02 unless it covers whole writable tags and nothing else; 03 for a value out of range;
        04 where the PLC takes no writes now.
        """
        self._hand_over(self._tables[table].values(address, raw))

    def exchange(self, read_at: int, read_count: int, write_at: int, raw: bytes) -> bytes:
        """Write holding registers, then read some. The answer shows the snapshot, and in it what was just written.

        Raises Refused as `read` and `write` do; then nothing is written.
        """
        holding = self._tables[ModbusTable.HOLDING_REGISTER]
        values = holding.values(write_at, raw)
        shown = bytearray(holding.read(self._source.snapshot(), read_at, read_count))
        self._hand_over(values)
        begin, end = max(read_at, write_at), min(read_at + read_count, write_at + len(raw) // 2)
        if begin < end:
            shown[2 * (begin - read_at) : 2 * (end - read_at)] = raw[2 * (begin - write_at) : 2 * (end - write_at)]
        return bytes(shown)

    def mask(self, address: int, and_mask: int, or_mask: int) -> None:
        """Change bits of one holding register: of what was last written to it, by anyone, or else of what it shows.

        Raises Refused as `write` does.
        """
        holding = self._tables[ModbusTable.HOLDING_REGISTER]
        tag = holding.single(address)
        try:
            before = int.from_bytes(encode(tag, self._source.latest(tag.name)), "big")
        except (InvalidData, KeyError) as error:
            raise Refused(ExcCodes.DEVICE_FAILURE) from error
        after = (before & and_mask) | (or_mask & ~and_mask & 0xFFFF)
        self.write(ModbusTable.HOLDING_REGISTER, address, after.to_bytes(2, "big"))

    def _hand_over(self, values: Mapping[str, Value]) -> None:
        try:
            self._source.write_all(values)
        except UsageError as error:
            raise Refused(ExcCodes.ILLEGAL_VALUE) from error
        except DeviceError as error:
            raise Refused(ExcCodes.DEVICE_FAILURE) from error


class _Table:
    """One of the four tables, as bytes of the snapshot that was last asked for: a poll costs one encoding a scan."""

    def __init__(self, table: ModbusTable, tags: Sequence[Tag]) -> None:
        self._unit = 1 if table.is_bit else 2
        self._tags = tags
        self._starts = [tag.modbus.address for tag in tags]
        self._first = self._starts[0] if tags else 0
        self._end = tags[-1].modbus.address + width(tags[-1]) if tags else 0
        self._data = bytearray(self._unit * (self._end - self._first))
        self._shown: Mapping[str, Value] | None = None
        self._lost: list[tuple[int, int]] = []
        """Stretches of addresses, first and behind the last, of tags without a value in the shown snapshot."""

    def read(self, snapshot: Mapping[str, Value], address: int, count: int) -> bytes:
        if address < self._first or address + count > self._end:
            raise Refused(ExcCodes.ILLEGAL_ADDRESS)
        if snapshot is not self._shown:
            self._show(snapshot)
        if any(address < stop and start < address + count for start, stop in self._lost):
            raise Refused(ExcCodes.ILLEGAL_ADDRESS if snapshot else ExcCodes.GATEWAY_NO_RESPONSE)
        start = self._unit * (address - self._first)
        return bytes(self._data[start : start + self._unit * count])

    def values(self, address: int, raw: bytes) -> dict[str, Value]:
        """What a write of `raw` from `address` on means."""
        end = address + len(raw) // self._unit
        found: list[Tag] = []
        place = bisect_right(self._starts, address) - 1
        while address < end:
            # Each tag must begin where the one before it ended, so that nothing but whole tags is written.
            if not 0 <= place < len(self._tags) or self._starts[place] != address or not self._tags[place].writable:
                raise Refused(ExcCodes.ILLEGAL_ADDRESS)
            found.append(self._tags[place])
            address += width(self._tags[place])
            place += 1
        if address > end:
            raise Refused(ExcCodes.ILLEGAL_ADDRESS)
        values: dict[str, Value] = {}
        at = 0
        for tag in found:
            try:
                values[tag.name] = held(tag, decode(tag, raw[at : at + tag.type.size]))
            except UsageError as error:
                raise Refused(ExcCodes.ILLEGAL_VALUE) from error
            at += tag.type.size
        return values

    def single(self, address: int) -> Tag:
        """The writable tag that takes just the register at `address`."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or self._starts[place] != address or width(self._tags[place]) != 1:
            raise Refused(ExcCodes.ILLEGAL_ADDRESS)
        return self._tags[place]

    def _show(self, snapshot: Mapping[str, Value]) -> None:
        self._shown = None
        self._lost = []
        try:
            for tag in self._tags:
                if tag.name not in snapshot:
                    self._lost.append((tag.modbus.address, tag.modbus.address + width(tag)))
                    continue
                start = self._unit * (tag.modbus.address - self._first)
                self._data[start : start + tag.type.size] = encode(tag, snapshot[tag.name])
        except InvalidData as error:
            raise Refused(ExcCodes.DEVICE_FAILURE) from error
        self._shown = snapshot
