"""Requests and answers of the S7 protocol that read and write bytes, and what its codes mean. Pure.

A request is a job (32 01), its answer an acknowledgement with data (32 03). Both name the same reference. Function 4
reads, 5 writes; an item is an S7 pointer: kind of value, count, data block, area, address in bits.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from snap7.error import get_protocol_error_message
from snap7.s7protocol import get_return_code_description

from testbed.core.errors import InvalidData
from testbed.fieldbus.s7_address import S7Address
from testbed.fieldbus.s7_layout import Span

READ, WRITE = 4, 5
GOOD = 0xFF
NOT_ALLOWED = 0x8104
"""What an S7-1200 or S7-1500 answers where it does not allow PUT/GET."""
_BIT, _BYTE = 1, 2
_AS_BIT, _AS_BYTES = 3, 4
_IN_BYTES = (3, 7, 9)
"""Kinds of data whose length is counted in bytes (or, for a bit, in bits of one byte each); others count bits."""
_HEADER = struct.Struct(">BBHHHHBB")
_REFERENCE_AT = 4

# OPC 10000-4, section 7.39.2 and OPC 10000-6, annex A: Bad_DeviceFailure, Bad_UserAccessDenied, Bad_OutOfRange,
# Bad_TypeMismatch, Bad_NodeIdUnknown, and Bad_CommunicationError for what has no name.
_STATUSES = {
    0x01: 0x808B0000,
    0x03: 0x801F0000,
    0x05: 0x803C0000,
    0x06: 0x80740000,
    0x07: 0x80740000,
    0x0A: 0x80340000,
}
_OTHER_STATUS = 0x80050000


class Refused(Exception):
    """The controller answered the whole request with an error. code: its class and number."""

    def __init__(self, code: int) -> None:
        what = "access is not allowed, or not known" if code == NOT_ALLOWED else get_protocol_error_message(code)
        super().__init__(f"error {code:04X}, {what}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Item:
    """What came for one item: its return code, and where its data stand in the answer."""

    code: int
    start: int
    size: int


def read_request(members: Sequence[Span]) -> bytes:
    """Asks for all of these; reference 0."""
    items = b"".join(_pointer(_BYTE, span.size, span.area.value, span.db, span.start * 8) for span in members)
    return _job(bytes((READ, len(members))) + items, b"")


def write_request(address: S7Address, raw: bytes) -> bytes:
    """Writes one value; a bit as a bit, so that the other bits of its byte stay what they are. Reference 0."""
    area, db, at = address.area.value, address.db, address.byte * 8
    if address.bit is not None:
        pointer = _pointer(_BIT, 1, area, db, at + address.bit)
        data = struct.pack(">BBH", 0, _AS_BIT, 1) + raw
    else:
        pointer = _pointer(_BYTE, len(raw), area, db, at)
        data = struct.pack(">BBH", 0, _AS_BYTES, 8 * len(raw)) + raw
    return _job(bytes((WRITE, 1)) + pointer, data)


def with_reference(request: bytes, reference: int) -> bytes:
    """The same request under another reference, 0..65535."""
    return request[:_REFERENCE_AT] + reference.to_bytes(2, "big") + request[_REFERENCE_AT + 2 :]


def must_answer(answer: bytes, reference: int, function: int, count: int) -> None:
    """Raises Refused where the whole request failed, and InvalidData where this is no answer to it."""
    if len(answer) < _HEADER.size:
        raise InvalidData(f"an answer of {len(answer)} bytes")
    protocol, kind, _, came, parameters, data, error_class, error = _HEADER.unpack_from(answer)
    if protocol != 0x32 or kind not in (2, 3):
        raise InvalidData(f"an answer that begins with {answer[:2].hex()}")
    if came != reference:
        raise InvalidData(f"an answer to request {came}, not {reference}")
    if error_class or error:
        raise Refused(error_class << 8 | error)
    if len(answer) != _HEADER.size + parameters + data:
        raise InvalidData(f"an answer of {len(answer)} bytes that says {_HEADER.size + parameters + data}")
    if answer[_HEADER.size : _HEADER.size + parameters] != bytes((function, count)):
        raise InvalidData("an answer to another function, or of another number of items")


def items_read(answer: bytes, members: Sequence[Span]) -> list[Item]:
    """What came for each span. Raises InvalidData where it is not what a read of them brings."""
    found, at = [], _HEADER.size + 2
    for span in members:
        if at + 4 > len(answer):
            raise InvalidData(f"an answer that ends before {span}")
        code, kind, length = struct.unpack_from(">BBH", answer, at)
        size = 0 if code != GOOD else length if kind in _IN_BYTES else length // 8
        at += 4
        if code == GOOD and (size != span.size or at + size > len(answer)):
            raise InvalidData(f"{size} bytes came for {span}, not {span.size}")
        found.append(Item(code, at, size))
        at += size + size % 2
    if len(answer) > at:
        raise InvalidData(f"{len(answer) - at} bytes behind the last item of an answer")
    return found


def code_written(answer: bytes) -> int:
    """The return code of the one item that was written. Raises InvalidData where there is none."""
    if len(answer) != _HEADER.size + 3:
        raise InvalidData(f"an answer of {len(answer)} bytes to a write")
    return answer[-1]


def status(code: int) -> int:
    """The OPC UA StatusCode of a return code."""
    return _STATUSES.get(code, _OTHER_STATUS)


def says(code: int) -> str:
    """A return code in words."""
    return f"{code:02X}, {get_return_code_description(code)}"


def _job(parameters: bytes, data: bytes) -> bytes:
    return struct.pack(">BBHHHH", 0x32, 1, 0, 0, len(parameters), len(data)) + parameters + data


def _pointer(kind: int, count: int, area: int, db: int, bits: int) -> bytes:
    return struct.pack(">BBBBHHB", 0x12, 10, 0x10, kind, count, db, area) + bits.to_bytes(3, "big")
