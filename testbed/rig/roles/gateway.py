"""The role of the reader: from the PLC's socket into the source log."""

from testbed.acquire.gateway import Gateway
from testbed.core.bodies import CONFIGURATION, State
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind, Row
from testbed.fieldbus.modbus_client import ModbusReader
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import encode_tags, schema_hash
from testbed.rig.bench import Bench
from testbed.rig.logs import Configuration, open_log
from testbed.rig.roles.role import Facts, Publishing
from testbed.store.sqlite import LogStore


class GatewayRole:
    """Reads the PLC over its socket into the source log."""

    def __init__(self, bench: Bench, clock: Clock, entropy: Entropy, modbus_port: int, *, simulated: bool) -> None:
        self.period_s = bench.reader.period_ms / 1000
        configuration = Configuration(CONFIGURATION, encode_tags(bench.tags), schema_hash(bench.tags))
        self._log, self._store = open_log(bench, bench.reader.name, configuration, clock, entropy, simulated=simulated)
        plc = bench.plc
        reader = ModbusReader(bench.tags, plc.modbus.host, modbus_port, plc.modbus.unit, plc.scan_tag, plc.boot_tag)
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
