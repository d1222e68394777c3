"""Who a device says it is: Read Device Identification, asked (Modbus Application Protocol V1.1b3, section 6.21)."""

from pymodbus.constants import MoreData
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse

from testbed.core.identity import Identity
from testbed.fieldbus.modbus_identity import ReadCode
from testbed.fieldbus.modbus_link import Link, NoAnswer, Refused

_VENDOR, _PRODUCT_CODE, _REVISION, _PRODUCT_NAME = 0, 1, 2, 4
_MOST_ANSWERS = 16
"""More than all objects of a device need; one that never comes to an end is left."""


async def identity_of(link: Link, unit: int) -> Identity:
    """The identity of a unit; empty fields where it refuses the function. No object holds a serial number.

    The product is its product code, or where that is empty its name. Raises DeviceError where no answer comes.
    """
    objects: dict[int, bytes] = {}
    for code in (ReadCode.REGULAR, ReadCode.BASIC):
        try:
            objects = await _objects(link, unit, code)
        except Refused:
            continue  # a device that has the mandatory objects alone may refuse to be asked for more
        break
    return Identity(
        _text(objects.get(_VENDOR, b"")),
        _text(objects.get(_PRODUCT_CODE, b"") or objects.get(_PRODUCT_NAME, b"")),
        _text(objects.get(_REVISION, b"")),
    )


async def _objects(link: Link, unit: int, code: ReadCode) -> dict[int, bytes]:
    """All objects of a stream: what does not fit into one answer is asked for in the next."""
    objects: dict[int, bytes] = {}
    first = 0
    for _ in range(_MOST_ANSWERS):
        request = ReadDeviceInformationRequest(read_code=code, object_id=first, dev_id=unit)
        answer = await link.ask(request, f"device identification from object {first} on")
        if not isinstance(answer, ReadDeviceInformationResponse):
            raise NoAnswer(f"unit {unit}: device identification: {answer} came", "check the device's firmware")
        for number, found in answer.information.items():
            objects.setdefault(number, found[0] if isinstance(found, list) else found)
        if answer.more_follows != MoreData.KEEP_READING or answer.next_object_id <= first:
            break
        first = answer.next_object_id
    return objects


def _text(raw: bytes) -> str:
    """ASCII; what is not, and what cannot be shown, is left out."""
    return "".join(character for character in raw.decode("ascii", "ignore") if character.isprintable()).strip()
