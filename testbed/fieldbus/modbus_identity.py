"""Who a device says it is: Read Device Identification (Modbus Application Protocol V1.1b3, section 6.21)."""

from dataclasses import dataclass
from enum import IntEnum

from pymodbus.constants import ExcCodes
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from testbed.core.errors import UsageError
from testbed.fieldbus.modbus_memory import Refused

MOST_TEXT = 244
"""Bytes of one object: more would not fit into an answer beside its header."""
_REGULAR_BY_STREAM_AND_ONE = 0x82
"""The conformity level: basic and regular objects, as a stream and one by one."""


class ReadCode(IntEnum):
    """Which objects are asked for."""

    BASIC = 1
    REGULAR = 2
    EXTENDED = 3
    ONE = 4


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The objects 0 to 6, ASCII. The first three are mandatory; of the others, an empty one is not there.

    Raises UsageError for a mandatory object that is empty, and for text that is not ASCII or too long.
    """

    vendor: str = "Attestbed"
    product_code: str = "emulated-plc"
    revision: str = "1.0"
    vendor_url: str = ""
    product_name: str = "Emulated PLC"
    model: str = ""
    application: str = ""

    def __post_init__(self) -> None:
        for number, text in enumerate(self._texts()):
            if number <= _LAST_BASIC and not text:
                raise UsageError(f"device identification: object {number} is empty", "give it a text")
            if not text.isascii() or len(text) > MOST_TEXT:
                raise UsageError(
                    f"device identification: object {number} is {text!r}", f"give at most {MOST_TEXT} ASCII characters"
                )

    def answer(self, code: int, number: int) -> bytes:
        """The PDU's data, from the MEI type on. Raises Refused: 03 for another read code, 02 for no such object."""
        if not ReadCode.BASIC <= code <= ReadCode.ONE:
            raise Refused(ExcCodes.ILLEGAL_VALUE)
        objects = {at: text.encode("ascii") for at, text in enumerate(self._texts()) if text}
        if code == ReadCode.ONE:
            if number not in objects:
                raise Refused(ExcCodes.ILLEGAL_ADDRESS)
            objects = {number: objects[number]}
        else:
            # A device that is asked for more than it conforms to answers with what it has: no extended objects here.
            if code == ReadCode.BASIC:
                objects = {at: text for at, text in objects.items() if at <= _LAST_BASIC}
            # A stream that is asked to begin at an unknown object begins anew.
            first = number if number in objects else 0
            objects = {at: text for at, text in objects.items() if at >= first}
        response = ReadDeviceInformationResponse(code, objects)
        response.conformity = _REGULAR_BY_STREAM_AND_ONE
        return response.encode()

    def _texts(self) -> tuple[str, ...]:
        return (
            self.vendor,
            self.product_code,
            self.revision,
            self.vendor_url,
            self.product_name,
            self.model,
            self.application,
        )


_LAST_BASIC = 2
