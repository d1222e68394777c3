"""The Read service as bytes: a request is encoded once, and of an answer the values are kept as they came.

OPC 10000-4, section 5.11.2, in the binary encoding of OPC 10000-6, section 5.2. A general decoder makes an object of
every part of an answer; here one walk over the bytes finds where each value stands.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary, variant_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.errors import InvalidData
from testbed.core.tags import DataType

REQUEST = struct.pack("<BBH", 1, 0, ObjectIds.ReadRequest_Encoding_DefaultBinary)
"""The node that says that a Read request follows, in its four-byte form."""

TYPES = {
    DataType.BOOL: 1,
    DataType.INT16: 4,
    DataType.UINT16: 5,
    DataType.INT32: 6,
    DataType.UINT32: 7,
    DataType.FLOAT32: 10,
    DataType.FLOAT64: 11,
}
"""Encoding byte of a scalar Variant (OPC 10000-6, section 5.1.2)."""

BYTES = None
"""In the place of a type: a ByteString."""
_BYTE_STRING = 15

SEVERITY = 0xC000_0000
"""The bits of a StatusCode that say Good (00), Uncertain (01) or Bad (10) (OPC 10000-4, section 7.39.1)."""

_ANSWER = ObjectIds.ReadResponse_Encoding_DefaultBinary
_FAULT = ObjectIds.ServiceFault_Encoding_DefaultBinary
_PLAIN = struct.pack("<BBH", 1, 0, _ANSWER)
_NOTHING_MORE = (bytes(4) + b"\x00" + b"\xff\xff\xff\xff" + bytes(3), bytes(4) + b"\x00" + bytes(4) + bytes(3))
"""Good, and neither diagnostics, strings nor a further header: the rest of a usual response header."""
_UNIX_EPOCH = 116_444_736_000_000_000
"""1970 in the 100 ns since 1601 of a DateTime (OPC 10000-6, section 5.2.2.5)."""
_INT32 = struct.Struct("<i")
_UINT32 = struct.Struct("<I")
_UINT16 = struct.Struct("<H")
_TIME = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class ReadValue:
    """raw: the bytes of the value, None where there is none; status: StatusCode; time_ns: SourceTimestamp, UTC."""

    raw: bytes | None
    status: int
    time_ns: int | None


def parameters(nodes: Sequence[ua.NodeId]) -> bytes:
    """What a Read request of the values of `nodes` says after its header, with their source timestamps."""
    found = ua.ReadParameters()
    found.MaxAge = ua.Duration(0)
    found.TimestampsToReturn = ua.TimestampsToReturn.Source
    found.NodesToRead = [ua.ReadValueId(node, AttributeIds.Value) for node in nodes]
    return struct_to_binary(found)


def results(body: bytes, types: Sequence[DataType | None]) -> list[ReadValue]:
    """The values of a Read response. `types`: of the nodes that were asked for, in that order.

    A value of another type has no bytes and the status BadTypeMismatch. Raises UaStatusCodeError where the service as
    a whole failed, InvalidData where this is no answer.
    """
    try:
        return _results(body, types)
    except (InvalidData, UaStatusCodeError):
        raise
    except Exception as error:  # the library's decoder raises whatever it stumbles over
        raise InvalidData(f"no answer: {error!r}") from error


def _results(body: bytes, types: Sequence[DataType | None]) -> list[ReadValue]:
    at = _after_header(body)
    (count,) = _INT32.unpack_from(body, at)
    if count != len(types):
        raise InvalidData(f"{count} values came for {len(types)} nodes")
    at += 4
    values = []
    for kind in types:
        value, at = _data_value(body, at, kind)
        values.append(value)
    (diagnostics,) = _INT32.unpack_from(body, at)
    if diagnostics > 0 or at + 4 != len(body):
        raise InvalidData("more came than was asked for")
    return values


def _after_header(body: bytes) -> int:
    """Where the results begin."""
    if body[:4] == _PLAIN and body[16:28] in _NOTHING_MORE:
        return 28
    buffer = Buffer(body)
    kind = nodeid_from_binary(buffer)
    if kind.NamespaceIndex != 0 or kind.Identifier not in (_ANSWER, _FAULT):
        raise InvalidData(f"{kind} is no answer to a Read request")
    struct_from_binary(ua.ResponseHeader, buffer).ServiceResult.check()
    if kind.Identifier != _ANSWER:
        raise InvalidData("a service fault that says Good")
    return buffer.cur_pos


def _data_value(body: bytes, at: int, kind: DataType | None) -> tuple[ReadValue, int]:
    """The DataValue at `at` (section 5.2.2.17), and where the next one is."""
    mask = body[at]
    at += 1
    raw: bytes | None = None
    status, time_ns, other = 0, None, True
    if mask & 0x01:
        encoding = body[at]
        if kind is BYTES and encoding == _BYTE_STRING:
            (size,) = _INT32.unpack_from(body, at + 1)
            end = at + 5 + max(size, 0)
            raw, other = body[at + 5 : end] if size >= 0 else None, False
            if end > len(body):
                raise InvalidData("the answer ends within a value")
            at = end
        elif kind is not BYTES and encoding == TYPES[kind]:
            end = at + 1 + kind.size
            raw, other = body[at + 1 : end], False
            if len(raw) != kind.size:
                raise InvalidData("the answer ends within a value")
            if kind is DataType.BOOL and raw != b"\x00":
                raw = b"\x01"  # any other byte is true as well (section 5.2.2.1)
            at = end
        else:
            buffer = Buffer(body, at)
            variant_from_binary(buffer)
            at = buffer.cur_pos
    if mask & 0x02:
        (status,) = _UINT32.unpack_from(body, at)
        at += 4
    if mask & 0x04:
        (ticks,) = _TIME.unpack_from(body, at)
        at += 8
        # 0 and before is the null of a DateTime, and its greatest value says that there is no end.
        time_ns = (ticks - _UNIX_EPOCH) * 100 if 0 < ticks < 2**63 - 1 else None
    if mask & 0x10:
        (tens,) = _UINT16.unpack_from(body, at)  # of 10 ps
        at += 2
        time_ns = None if time_ns is None else time_ns + tens // 100
    at += (8 if mask & 0x08 else 0) + (2 if mask & 0x20 else 0)
    if mask & 0xC0 or at > len(body):
        raise InvalidData("no DataValue")
    if other and not status & SEVERITY:
        status = StatusCodes.BadTypeMismatch
    return ReadValue(raw, status, time_ns), at
