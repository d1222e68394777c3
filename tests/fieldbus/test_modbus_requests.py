"""Each function of the server, byte by byte: what the specification says is answered, and nothing else is done."""

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.modbus_identity import MOST_TEXT, DeviceIdentity
from testbed.fieldbus.modbus_memory import Memory
from testbed.fieldbus.modbus_requests import Requests


def tag(name: str, kind: DataType, table: ModbusTable, address: int, high: float = 1e6, writable: bool = True) -> Tag:
    place = ModbusAddress(table, address, ByteOrder.ABCD)
    return Tag(name, kind, "", -high, high, writable and table.is_writable, place, name)


HOLDING, INPUT, COIL, DISCRETE = (
    ModbusTable.HOLDING_REGISTER,
    ModbusTable.INPUT_REGISTER,
    ModbusTable.COIL,
    ModbusTable.DISCRETE_INPUT,
)
TAGS = (
    tag("mode", DataType.UINT16, HOLDING, 10, 0xFFFF),
    tag("setpoint", DataType.FLOAT32, HOLDING, 11, 100.0),
    tag("small", DataType.INT16, HOLDING, 14, 50),
    tag("serial", DataType.UINT16, HOLDING, 15, 0xFFFF, writable=False),
    tag("count", DataType.UINT32, INPUT, 0, 2**32 - 1),
    *(tag(f"coil{n}", DataType.BOOL, COIL, 19 + n) for n in range(19)),
    tag("alarm", DataType.BOOL, DISCRETE, 0),
    tag("trip", DataType.BOOL, DISCRETE, 9),
)
VALUES: dict[str, Value] = {
    "mode": 0x1234,
    "setpoint": 1.0,
    "small": -2,
    "serial": 7,
    "count": 0x01020304,
    **{f"coil{n}": n % 3 == 0 for n in range(19)},
    "alarm": True,
    "trip": True,
}


class Image:
    """A process image whose scan is a call."""

    def __init__(self) -> None:
        self.shown: Mapping[str, Value] = dict(VALUES)
        self.waiting: dict[str, Value] = {}
        self.refuses: Exception | None = None

    def snapshot(self) -> Mapping[str, Value]:
        return self.shown

    def latest(self, name: str) -> Value:
        return {**self.shown, **self.waiting}[name]

    def write(self, name: str, value: Value) -> None:
        self.write_all({name: value})

    def write_all(self, values: Mapping[str, Value]) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.waiting.update(values)

    def scan(self) -> None:
        self.shown = {**self.shown, **self.waiting}
        self.waiting = {}


class Device:
    """An image and the requests to it, in hexadecimal."""

    def __init__(self) -> None:
        self.image = Image()
        self.requests = Requests(Memory(TAGS, self.image), DeviceIdentity("Maker", "P-1", "2.3", model="M"))

    def ask(self, pdu: str) -> str:
        return self.requests.answer(bytes.fromhex(pdu)).hex(" ")


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        ("01 0013 0013", "01 03 49 92 04"),  # 19 coils, every third on, padded with zeros
        ("01 0014 0002", "01 01 00"),
        ("01 0016 0001", "01 01 01"),
        ("02 0000 000a", "02 02 01 02"),
        ("02 0001 0008", "02 01 00"),  # between two tags
        ("03 000a 0006", "03 0c 12 34 3f 80 00 00 00 00 ff fe 00 07"),
        ("03 000d 0001", "03 02 00 00"),
        ("03 000c 0002", "03 04 00 00 00 00"),  # a part of a tag may be read
        ("04 0000 0002", "04 04 01 02 03 04"),
        ("17 000a 0002 000a 0001 02 abcd", "17 04 ab cd 3f 80"),
    ],
)
def test_reads(device: Device, request_pdu: str, answer: str) -> None:
    assert device.ask(request_pdu) == answer


@pytest.mark.parametrize(
    ("request_pdu", "answer", "written"),
    [
        ("05 0013 ff00", "05 00 13 ff 00", {"coil0": True}),
        ("05 0014 0000", "05 00 14 00 00", {"coil1": False}),
        ("06 000a ffff", "06 00 0a ff ff", {"mode": 0xFFFF}),
        ("0f 0013 000a 02 cd01", "0f 00 13 00 0a", {f"coil{n}": n in (0, 2, 3, 6, 7, 8) for n in range(10)}),
        ("0f 0013 0001 01 ff", "0f 00 13 00 01", {"coil0": True}),  # what pads the last byte is no value
        ("10 000a 0003 06 0001 40000000", "10 00 0a 00 03", {"mode": 1, "setpoint": 2.0}),
        ("16 000a f0f0 ff03", "16 00 0a f0 f0 ff 03", {"mode": (0x1234 & 0xF0F0) | (0xFF03 & 0x0F0F)}),
        ("16 000e fff0 0005", "16 00 0e ff f0 00 05", {"small": -11}),
        ("17 000f 0001 000e 0001 02 0003", "17 02 00 07", {"small": 3}),
    ],
)
def test_writes_wait_for_the_next_scan(
    device: Device, request_pdu: str, answer: str, written: dict[str, Value]
) -> None:
    before = device.ask("03 000a 0006"), device.ask("01 0013 0013")
    assert device.ask(request_pdu) == answer
    assert device.image.waiting == written
    assert (device.ask("03 000a 0006"), device.ask("01 0013 0013")) == before


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        # 01: unknown functions, also those that look like exceptions, and unknown encapsulated interfaces
        *((f"{function:02x} 0000 0001", f"{function | 0x80:02x} 01") for function in (0, 7, 8, 17, 24, 100, 128, 131)),
        ("2b 0d 01 00", "ab 01"),
        # 03: quantities
        ("01 0013 0000", "81 03"),
        ("01 0013 07d1", "81 03"),
        ("02 0000 07d1", "82 03"),
        ("03 000a 0000", "83 03"),
        ("03 000a 007e", "83 03"),
        ("04 0000 007e", "84 03"),
        ("0f 0013 0000 00", "8f 03"),
        ("0f 0013 07b1 f7" + " 00" * 247, "8f 03"),
        ("10 000a 0000 00", "90 03"),
        ("10 000a 007c f8" + " 00" * 248, "90 03"),
        ("17 000a 0000 000a 0001 02 0001", "97 03"),
        ("17 000a 007e 000a 0001 02 0001", "97 03"),
        ("17 000a 0001 000a 0000 00", "97 03"),
        ("17 000a 0001 000a 007a f4" + " 00" * 244, "97 03"),
        # 03: byte counts that do not fit the quantity, or what came
        ("0f 0013 0009 01 ff", "8f 03"),
        ("0f 0013 0008 02 ffff", "8f 03"),
        ("0f 0013 0008 01 ffff", "8f 03"),
        ("10 000a 0001 04 0001 0002", "90 03"),
        ("10 000a 0002 04 0001", "90 03"),
        ("10 000a 0001 02 0001 00", "90 03"),
        ("17 000a 0001 000a 0001 04 0001 0002", "97 03"),
        ("17 000a 0001 000a 0001 02 00", "97 03"),
        # 03: lengths
        *(
            (f"{function:02x}" + " 00" * size, f"{function | 0x80:02x} 03")
            for function in range(1, 7)
            for size in (0, 3, 5)
        ),
        *((f"{function:02x} 0000 00", f"{function | 0x80:02x} 03") for function in (15, 16, 22, 23)),
        ("16 000a ffff 0000 00", "96 03"),
        ("2b", "ab 03"),
        ("2b 0e 01", "ab 03"),
        ("2b 0e 01 00 00", "ab 03"),
        # 03: coil values, before the address is looked at
        ("05 0013 1234", "85 03"),
        ("05 0013 0001", "85 03"),
        ("05 0013 ff01", "85 03"),
        ("05 ffff 0100", "85 03"),
        # 02: addresses
        ("01 0012 0001", "81 02"),
        ("01 0025 0002", "81 02"),
        ("02 000a 0001", "82 02"),
        ("03 0009 0001", "83 02"),
        ("03 000f 0002", "83 02"),
        ("03 ffff 0001", "83 02"),
        ("03 ffff 007d", "83 02"),
        ("04 0001 0002", "84 02"),
        ("05 0012 ff00", "85 02"),
        ("06 000d 0001", "86 02"),  # no tag
        ("06 000b 0001", "86 02"),  # a part of one
        ("06 000f 0001", "86 02"),  # read-only
        ("06 ffff 0001", "86 02"),
        ("0f 0025 0002 01 03", "8f 02"),
        ("0f ffff 0010 02 ffff", "8f 02"),
        ("10 000a 0002 04 0001 0002", "90 02"),
        ("10 000c 0001 02 0001", "90 02"),
        ("10 000e 0002 04 0001 0002", "90 02"),
        ("10 ffff 0002 04 0001 0002", "90 02"),
        ("16 0009 ffff 0000", "96 02"),
        ("16 000b ffff 0000", "96 02"),
        ("16 000d ffff 0000", "96 02"),
        ("16 000f ffff 0000", "96 02"),
        ("17 0000 0001 000a 0001 02 0001", "97 02"),  # the read is wrong: nothing is written
        ("17 000a 0001 000f 0001 02 0001", "97 02"),
        # 03: what the tag cannot hold
        ("06 000e 0033", "86 03"),
        ("10 000b 0002 04 7fc0 0000", "90 03"),
        ("10 000a 0003 06 0001 43000000", "90 03"),
        ("16 000e 0000 7fff", "96 03"),
        ("17 000a 0001 000e 0001 02 0033", "97 03"),
    ],
)
def test_a_refused_request_is_answered_by_its_code_and_changes_nothing(
    device: Device, request_pdu: str, answer: str
) -> None:
    assert device.ask(request_pdu) == answer
    assert device.image.waiting == {}


WRITES = ["05 0013 ff00", "06 000a 0001", "0f 0013 0001 01 01", "10 000a 0001 02 0001", "16 000a ffff 0001"]


@pytest.mark.parametrize("request_pdu", [*WRITES, "17 000a 0001 000a 0001 02 0001"])
@pytest.mark.parametrize(("refuses", "code"), [(DeviceError("no scan"), "04"), (UsageError("no"), "03")])
def test_what_the_plc_does_not_take_is_an_exception(
    device: Device, request_pdu: str, refuses: Exception, code: str
) -> None:
    device.image.refuses = refuses
    assert device.ask(request_pdu) == f"{int(request_pdu[:2], 16) | 0x80:02x} {code}"


@pytest.mark.parametrize("values", [{"mode": 1, "setpoint": True}, {"mode": 1, "setpoint": 1e39}])
def test_a_snapshot_that_cannot_be_shown_is_a_device_failure(device: Device, values: dict[str, Value]) -> None:
    good = device.image.shown
    assert device.ask("03 000a 0001") == "03 02 12 34"
    device.image.shown = values
    for request in ("03 000a 0001", "17 000a 0001 000a 0001 02 0001"):
        assert device.ask(request) == f"{int(request[:2], 16) | 0x80:02x} 04"
    assert device.image.waiting == {}
    device.image.shown = good
    assert device.ask("03 000a 0001") == "03 02 12 34"


@pytest.mark.parametrize(("lost", "code"), [({"mode"}, "02"), ({"mode", "setpoint"}, "02"), (None, "0b")])
def test_a_tag_without_a_value_cannot_be_read_and_the_others_can(
    device: Device, lost: set[str] | None, code: str
) -> None:
    good = device.image.shown
    device.image.shown = {} if lost is None else {name: value for name, value in good.items() if name not in lost}
    assert device.ask("03 000a 0001") == f"83 {code}"
    assert device.ask("03 000a 0003") == f"83 {code}"
    device.image.shown = {name: value for name, value in good.items() if name != "setpoint"}
    assert device.ask("03 000a 0001") == "03 02 12 34"
    device.image.shown = good
    assert device.ask("03 000a 0001") == "03 02 12 34"


class Restless(Image):
    """Ends a scan whenever it is looked at."""

    def snapshot(self) -> Mapping[str, Value]:
        number = int(self.shown["serial"]) + 1
        self.shown = {**self.shown, "mode": number, "setpoint": float(number), "serial": number}
        return self.shown


def test_one_answer_is_of_one_scan(device: Device) -> None:
    device.requests = Requests(Memory(TAGS, Restless()), DeviceIdentity())
    for request in ("03 000a 0006", "17 000a 0006 000e 0001 02 0001") * 5:
        words = bytes.fromhex(device.ask(request))[2:]
        mode, setpoint, _, _, serial = struct.unpack(">HfHHH", words)
        assert mode == setpoint == serial


def test_masks_before_a_scan_add_up(device: Device) -> None:
    for bit in range(4):
        device.ask(f"16 000a {0xFFFF ^ (1 << bit):04x} {1 << bit:04x}")
    assert device.image.waiting == {"mode": 0x1234 | 0xF}
    device.ask("06 000a 8000")
    device.ask("16 000a fffe 0001")
    assert device.image.waiting == {"mode": 0x8001}
    device.image.scan()
    # The program changes the value in a scan: what was written before is no longer there.
    device.image.shown = {**device.image.shown, "mode": 0x0100}
    device.ask("16 000a fffe 0001")
    assert device.image.waiting == {"mode": 0x0101}


def test_a_read_behind_a_write_shows_only_what_this_request_wrote(device: Device) -> None:
    device.ask("06 000a 0005")
    assert device.ask("17 000a 0005 000e 0001 02 0003") == "17 0a 12 34 3f 80 00 00 00 00 00 03"
    assert device.ask("17 000b 0001 000a 0003 06 0001 40400000") == "17 02 40 40"
    device.image.scan()
    assert device.ask("03 000a 0005") == "03 0a 00 01 40 40 00 00 00 00 00 03"


OBJECTS = {0: b"Maker", 1: b"P-1", 2: b"2.3", 4: b"Emulated PLC", 5: b"M"}


@pytest.mark.parametrize(
    ("code", "number", "objects"),
    [
        (1, 0, [0, 1, 2]),
        (1, 1, [1, 2]),
        (1, 5, [0, 1, 2]),  # not among the basic ones: from the beginning
        (2, 0, [0, 1, 2, 4, 5]),
        (2, 4, [4, 5]),
        (2, 3, [0, 1, 2, 4, 5]),
        (2, 200, [0, 1, 2, 4, 5]),
        (3, 0, [0, 1, 2, 4, 5]),  # there are no extended ones
        (4, 0, [0]),
        (4, 5, [5]),
    ],
)
def test_device_identification(device: Device, code: int, number: int, objects: list[int]) -> None:
    answer = device.requests.answer(bytes((43, 14, code, number)))
    expected = b"".join(bytes((at, len(OBJECTS[at]))) + OBJECTS[at] for at in objects)
    assert answer == bytes((43, 14, code, 0x82, 0, 0, len(objects))) + expected


@pytest.mark.parametrize(
    ("data", "code"), [("0e 00 00", "03"), ("0e 05 00", "03"), ("0e 04 03", "02"), ("0e 04 80", "02")]
)
def test_objects_that_are_not_there(device: Device, data: str, code: str) -> None:
    assert device.ask(f"2b {data}") == f"ab {code}"


def test_a_long_identification_comes_in_parts() -> None:
    texts = [character * MOST_TEXT for character in "abcdefg"]
    requests = Requests(Memory(TAGS, Image()), DeviceIdentity(*texts))
    found: list[bytes] = []
    number = 0
    while True:
        answer = requests.answer(bytes((43, 14, 2, number)))
        assert len(answer) <= 253
        response = ReadDeviceInformationResponse()
        response.decode(answer[1:])
        found.extend(response.information.values())
        if not response.more_follows:
            break
        assert response.next_object_id == len(found)
        number = response.next_object_id
    assert found == [text.encode() for text in texts]


@pytest.mark.parametrize("vendor", ["", "é", "x" * (MOST_TEXT + 1)])
def test_an_identification_that_cannot_be_sent_is_refused(vendor: str) -> None:
    with pytest.raises(UsageError, match="object 0"):
        DeviceIdentity(vendor=vendor)


ADDRESS = st.one_of(st.integers(0, 40), st.integers(0, 0xFFFF))
WORDS = st.lists(ADDRESS.map(lambda number: number.to_bytes(2, "big")), max_size=6).map(b"".join)
PDUS = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(
        lambda function, words, rest: bytes((function,)) + words + rest,
        st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43]),
        WORDS,
        st.binary(max_size=8),
    ),
)


@given(st.lists(PDUS, max_size=20))
def test_every_request_has_one_answer_that_a_client_understands(pdus: list[bytes]) -> None:
    device = Device()
    client = DecodePDU(False)
    for pdu in pdus:
        answer = device.requests.answer(pdu)
        assert 2 <= len(answer) <= 253
        if answer[0] == pdu[0] and pdu[0] < 0x80:
            decoded = client.decode(answer)
            assert isinstance(decoded, ModbusPDU)
            assert not decoded.isError()
        else:
            assert answer[0] == pdu[0] | 0x80
            assert answer[1:] in (b"\x01", b"\x02", b"\x03", b"\x04")
