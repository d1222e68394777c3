"""How a bench reads its PLC: the tag list by protocol, and a connection that knows its own PLC from another one."""

from testbed.acquire.gateway import Poll, Reader
from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import Tag
from testbed.fieldbus.registers import as_read
from testbed.record.schema import schema_hash
from testbed.rig import bench_file
from testbed.rig.bench import Bench
from testbed.rig.boot import read_boot
from testbed.rig.controllers import PROMPT_S, modbus_reader, opcua_reader
from testbed.rig.device_key import frames_of
from testbed.rig.devices import DEVICE, device_of, device_tags
from testbed.rig.paths import Paths
from testbed.rig.status import read_status


def tags_of(bench: Bench, reader: bench_file.Reader) -> tuple[Tag, ...]:
    """The tag list by which the raw values in a reader's log are read."""
    if reader.protocol == DEVICE:
        return device_tags(bench)
    return as_read(bench.shown) if reader.protocol == "opcua" else bench.shown


def schema_of(bench: Bench, reader: bench_file.Reader) -> bytes:
    """Hash of that tag list, 32 bytes."""
    return schema_hash(tags_of(bench, reader))


def connection(bench: Bench, reader: bench_file.Reader, port: int | None = None, timeout: float = PROMPT_S) -> Reader:
    """A reader's connection, signed frames included where the PLC signs.

    port: where the PLC was found to listen, when the bench file does not say it.
    """
    if reader.protocol == DEVICE:
        return device_of(bench)
    connect = modbus_reader if reader.protocol == "modbus" else opcua_reader
    return connect(bench, reader.host, reader.port or port, timeout, frames_of(bench))


async def read_once(bench: Bench, protocol: str) -> tuple[tuple[Tag, ...], Poll]:
    """One poll of the running PLC, and the tags by which its values are read. Raises DeviceError.

    protocol: "modbus" or "opcua", the bench's own servers, or "device", the physical PLC itself.
    """
    if protocol == DEVICE:
        device = device_of(bench)
        await device.connect()
        try:
            return tuple(device.tags), await device.poll()
        finally:
            await device.close()
    by_opcua = protocol == "opcua"
    wire: Reader = opcua_reader(bench) if by_opcua else modbus_reader(bench)
    own = OwnPlc(bench, wire)
    await own.connect()
    try:
        return (as_read(bench.shown) if by_opcua else bench.shown), await own.poll()
    finally:
        await own.close()


class OwnPlc:
    """Reads this bench's own servers and no other ones: two benches may have been given the same port.

    The role plc must serve now, and an emulated PLC must show the restart counter of its newest start. Else
    DeviceError.
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

    async def identify(self) -> Identity:
        return await self._reader.identify()

    async def poll(self) -> Poll:
        poll = await self._reader.poll()
        self._check_serves()
        if self._bench.plc.kind == "physical":
            return poll
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
