"""A device over libmodbus, by TCP and on a serial line: our driver reads and writes it. `make judges` runs this."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.core.errors import DeviceError, DeviceRefused
from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Serial, Tcp, Transport
from testbed.fieldbus.modbus_units import BAD_CONFIGURATION_ERROR
from testbed.fieldbus.registers import decode
from tests.debian.libmodbus import build
from tests.fieldbus.ptys import cable

pytestmark = pytest.mark.judges

LOCAL = "127.0.0.1"
TIMEOUT_S = 1.0
KINDS = ("tcp", "rtu")


def tag(kind: DataType, table: ModbusTable, address: int, order: ByteOrder = ByteOrder.ABCD) -> Tag:
    name = f"{table.value}.{address}"
    return Tag(name, kind, "", -1e9, 1e9, table.is_writable, ModbusAddress(table, address, order), name)


TAGS = (
    tag(DataType.UINT16, ModbusTable.HOLDING_REGISTER, 0),
    tag(DataType.UINT32, ModbusTable.HOLDING_REGISTER, 10, ByteOrder.CDAB),
    tag(DataType.FLOAT64, ModbusTable.HOLDING_REGISTER, 20, ByteOrder.DCBA),
    tag(DataType.UINT16, ModbusTable.INPUT_REGISTER, 99),
    *(tag(DataType.BOOL, table, at) for table in (ModbusTable.COIL, ModbusTable.DISCRETE_INPUT) for at in (0, 1, 99)),
)
SHOWN: dict[str, Value] = {
    "holding_register.0": 0,
    "holding_register.10": 77 * 65536 + 70,
    "input_register.99": 693,
    **{f"{table}.{at}": at != 1 for table in ("coil", "discrete_input") for at in (0, 1, 99)},
}
WRITES: dict[str, Value] = {
    "holding_register.0": 65535,
    "holding_register.10": 4_000_000_000 - 3_500_000_000,
    "holding_register.20": -2.718281828459045,
    "coil.0": False,
    "coil.1": True,
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("device", tmp_path_factory.mktemp("device"))


@contextmanager
def running(program: Path, kind: str, place: str) -> Iterator[str]:
    """The device; its port or path."""
    pipe = subprocess.PIPE
    with subprocess.Popen([str(program), kind, place], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")


@contextmanager
def device(program: Path, kind: str) -> Iterator[Transport]:
    """The device, and how it is reached."""
    if kind == "tcp":
        with running(program, kind, "0") as port:
            yield Tcp(LOCAL, int(port))
    else:
        with cable() as line, running(program, kind, line.far):
            yield Serial(line.near, 115200, "N")


def controller(way: Transport, tags: Sequence[Tag] = TAGS) -> ModbusController:
    return ModbusController(tags, way, scan_tag=None, boot_tag=None, timeout=TIMEOUT_S)


async def read(reader: ModbusController) -> dict[str, Value]:
    poll = await reader.poll()
    assert set(poll.statuses) == {0}
    return {tag.name: decode(tag, raw) for tag, raw in zip(reader.tags, poll.values, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_table_is_read_and_written(program: Path, kind: str) -> None:
    with device(program, kind) as way:
        reader = controller(way)
        await reader.connect()
        before = await read(reader)
        assert {name: before[name] for name in SHOWN} == SHOWN
        for one in TAGS:
            if one.name in WRITES:
                await reader.write(one, WRITES[one.name])
        assert await read(reader) == {**before, **WRITES}
        await reader.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_addresses_cost_their_own_tags_alone(program: Path, kind: str) -> None:
    tags = [tag(DataType.UINT16, ModbusTable.HOLDING_REGISTER, at) for at in (90, 99, 100, 110)]
    with device(program, kind) as way:
        reader = controller(way, tags)
        await reader.connect()
        for _ in range(2):
            poll = await reader.poll()
            assert poll.values == (b"\x02\x76", b"\x02\xb5", None, None)
            assert poll.statuses == (0, 0, BAD_CONFIGURATION_ERROR, BAD_CONFIGURATION_ERROR)
        with pytest.raises(DeviceRefused, match="02"):
            await reader.write(tags[2], 1)
        assert await reader.identify() == Identity()  # it has no function 43
        await reader.close()


async def test_a_device_that_restarts_is_one_device_error(program: Path) -> None:
    with running(program, "tcp", "0") as port:
        reader = controller(Tcp(LOCAL, int(port)))
        await reader.connect()
        before = await read(reader)
    with pytest.raises(DeviceError):
        await reader.poll()
    with pytest.raises(DeviceError, match="no connection"):
        await reader.connect()
    with running(program, "tcp", port):
        await reader.connect()
        assert await read(reader) == before
        await reader.close()
