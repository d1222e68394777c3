"""The role of the reader: from the PLC's socket into the source log."""

from testbed.acquire.gateway import Gateway
from testbed.core.bodies import CONFIGURATION, State
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind, Row
from testbed.core.errors import DeviceError
from testbed.fieldbus.modbus_client import ModbusReader, Poll
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import encode_tags, schema_hash
from testbed.rig.bench import Bench
from testbed.rig.boot import read_boot
from testbed.rig.logs import Configuration, open_log
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts, Publishing
from testbed.rig.status import read_status
from testbed.store.sqlite import LogStore


class OwnPlc:
    """Reads the emulated PLC of this bench and no other one: two benches may have been given the same port.

    Its role must serve now, and what answers must show the restart counter of its newest start. Else DeviceError.
    """

    def __init__(self, bench: Bench, reader: ModbusReader) -> None:
        self._bench = bench
        self._reader = reader

    async def connect(self) -> None:
        self._check_serves()
        await self._reader.connect()

    async def poll(self) -> Poll:
        poll = await self._reader.poll()
        self._check_serves()
        boot = read_boot(Paths(self._bench.data).plc_boot)
        if poll.boot != boot:
            modbus = self._bench.plc.modbus
            raise DeviceError(
                f"another PLC answers on {modbus.host}:{modbus.port}: boot {poll.boot}, not {boot}",
                "end what holds the port, or move all ports with --port-shift 100",
            )
        return poll

    async def close(self) -> None:
        await self._reader.close()

    def _check_serves(self) -> None:
        if read_status(self._bench, "plc").get("modbus") != self._bench.plc.modbus.port:
            raise DeviceError("the PLC of this bench does not serve", "start the role plc")


class GatewayRole:
    """Reads the PLC over its socket into the source log."""

    def __init__(self, bench: Bench, clock: Clock, entropy: Entropy, modbus_port: int, *, simulated: bool) -> None:
        self.period_s = bench.reader.period_ms / 1000
        configuration = Configuration(CONFIGURATION, encode_tags(bench.tags), schema_hash(bench.tags))
        self._log, self._store = open_log(bench, bench.reader.name, configuration, clock, entropy, simulated=simulated)
        plc = bench.plc
        modbus = ModbusReader(bench.tags, plc.modbus.host, modbus_port, plc.modbus.unit, plc.scan_tag, plc.boot_tag)
        # In a simulated bench the PLC runs in this very process, on a port that was handed in.
        reader = modbus if simulated else OwnPlc(bench, modbus)
        heartbeat_ns = int(bench.log.heartbeat_s * 1e9)
        self._gateway = Gateway(plc.name, reader, self._log, clock, heartbeat_ns, _newest_scan(self._store))
        self._publishing = Publishing(self._log, clock, bench.log.publish_ms * 1_000_000)

    async def start(self) -> None:
        self._log.publish()

    async def step(self) -> None:
        await self._gateway.step()
        self._publishing.step()

    async def stop(self) -> None:
        await self._gateway.close()
        self._log.publish()
        self._store.close()

    def facts(self) -> Facts:
        return {"size": self._log.size, "states": self._gateway.states}


def _newest_scan(store: LogStore) -> tuple[int, int] | None:
    """(boot, scan) of the newest state in the log."""
    newest: Row | None = None
    for row in store.rows():
        if decode_entry(row.entry).kind is Kind.STATE:
            newest = row
    body = decode_body(Kind.STATE, newest.body) if newest is not None and newest.body is not None else None
    return (body.boot, body.scan) if isinstance(body, State) and body.scan is not None else None
