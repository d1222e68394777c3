"""How a bench reads its PLC: the tag list by protocol, and a connection that knows its own PLC from another one."""

from typing import TYPE_CHECKING

from testbed.acquire.gateway import Poll, Reader
from testbed.core.errors import DeviceError
from testbed.core.tags import Tag
from testbed.fieldbus.registers import as_read
from testbed.record.schema import schema_hash
from testbed.rig import bench_file
from testbed.rig.bench import Bench
from testbed.rig.boot import read_boot
from testbed.rig.paths import Paths
from testbed.rig.status import read_status

if TYPE_CHECKING:
    from testbed.fieldbus.modbus_client import ModbusController
    from testbed.fieldbus.opcua_client import OpcUaReader

PROMPT_S = 1.0
"""How long a PLC may take for an answer, s."""
PATIENT_S = 60.0
"""The same under a virtual clock, in which no time passes: how busy this machine is must not decide what is logged."""


def tags_of(bench: Bench, reader: bench_file.Reader) -> tuple[Tag, ...]:
    """The tag list by which the raw values in a reader's log are read."""
    return as_read(bench.tags) if reader.protocol == "opcua" else bench.tags


def schema_of(bench: Bench, reader: bench_file.Reader) -> bytes:
    """Hash of that tag list, 32 bytes."""
    return schema_hash(tags_of(bench, reader))


def modbus_reader(
    bench: Bench, host: str | None = None, port: int | None = None, timeout: float = PROMPT_S
) -> "ModbusController":
    """A Modbus connection to the bench's PLC, or to what stands in front of it. timeout: s for each answer."""
    # Loaded where it is used: a process starts in a fraction of the time without the other protocol's library.
    from testbed.fieldbus.modbus_client import ModbusController
    from testbed.fieldbus.modbus_transports import Tcp

    plc = bench.plc
    return ModbusController(
        bench.tags,
        Tcp(host or plc.modbus.host, port or plc.modbus.port),
        plc.modbus.unit,
        plc.scan_tag,
        plc.boot_tag,
        timeout=timeout,
    )


def opcua_reader(
    bench: Bench, host: str | None = None, port: int | None = None, timeout: float = PROMPT_S
) -> "OpcUaReader":
    """As `modbus_reader`, by OPC UA."""
    from testbed.fieldbus.opcua_client import OpcUaReader
    from testbed.fieldbus.opcua_security import Security

    plc = bench.plc
    url = f"opc.tcp://{host or plc.opcua.host}:{port or plc.opcua.port}/attestbed"
    namespace = f"urn:attestbed:{plc.name}"
    # The bench's own server, on this machine.
    security = Security.none()
    return OpcUaReader(
        bench.tags, url, plc.scan_tag, plc.boot_tag, namespace=namespace, security=security, timeout=timeout
    )


def connection(bench: Bench, reader: bench_file.Reader, port: int | None = None, timeout: float = PROMPT_S) -> Reader:
    """A reader's connection. port: where the PLC was found to listen, when the bench file does not say it."""
    connect = modbus_reader if reader.protocol == "modbus" else opcua_reader
    return connect(bench, reader.host, reader.port or port, timeout)


async def read_once(bench: Bench, protocol: str) -> tuple[tuple[Tag, ...], Poll]:
    """One poll of the running PLC, and the tags by which its values are read. Raises DeviceError."""
    by_opcua = protocol == "opcua"
    wire: Reader = opcua_reader(bench) if by_opcua else modbus_reader(bench)
    own = OwnPlc(bench, wire)
    await own.connect()
    try:
        return (as_read(bench.tags) if by_opcua else bench.tags), await own.poll()
    finally:
        await own.close()


class OwnPlc:
    """Reads the emulated PLC of this bench and no other one: two benches may have been given the same port.

    Its role must serve now, and what answers must show the restart counter of its newest start. Else DeviceError.
    """

    def __init__(self, bench: Bench, reader: Reader) -> None:
        self._bench = bench
        self._reader = reader

    @property
    def repeats(self) -> int:
        return self._reader.repeats

    async def connect(self) -> None:
        self._check_serves()
        await self._reader.connect()

    async def poll(self) -> Poll:
        poll = await self._reader.poll()
        self._check_serves()
        boot = read_boot(Paths(self._bench.data).plc_boot)
        if poll.boot != boot:
            raise DeviceError(
                f"another PLC answers in the place of {self._bench.plc.name}: boot {poll.boot}, not {boot}",
                "end what holds the port, or move all ports with --port-shift 100",
            )
        return poll

    async def close(self) -> None:
        await self._reader.close()

    def _check_serves(self) -> None:
        if read_status(self._bench, "plc").get("modbus") != self._bench.plc.modbus.port:
            raise DeviceError("the PLC of this bench does not serve", "start the role plc")
