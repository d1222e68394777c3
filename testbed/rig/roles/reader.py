"""The role of a reader: from the PLC's socket into a log of its own. The gateway is the one that the twin follows."""

from collections.abc import Callable

from testbed.acquire.beside import BeaconWatch, PeerWatch
from testbed.acquire.gateway import Beside, Gateway, Watch
from testbed.core.bodies import CONFIGURATION, Beacon, State
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import encode_tags, schema_hash
from testbed.rig.bench import Bench
from testbed.rig.controllers import PATIENT_S, PROMPT_S
from testbed.rig.devices import DEVICE
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import Configuration, open_log
from testbed.rig.meddler import HONEST, Meddler
from testbed.rig.paths import Paths
from testbed.rig.reading import OwnPlc, connection, tags_of
from testbed.rig.roles.role import Facts, Publishing
from testbed.rig.safety import watchdog_watch
from testbed.store.sqlite import LogStore


class ReaderRole:
    """Reads the PLC over its socket into the log of the reader `name`.

    newest: the newest block that is known, for beacons; port: where the PLC of a simulated bench listens: it runs in
    this very process; meddler: whoever took this reader's place. The gateway's log keeps the operator's checkpoints, so
    that commands stand before what they did, and says when the PLC's watchdog tripped.
    """

    def __init__(
        self,
        bench: Bench,
        name: str,
        clock: Clock,
        entropy: Entropy,
        newest: Callable[[], Beacon | None],
        *,
        port: int | None = None,
        simulated: bool,
        meddler: Meddler = HONEST,
    ) -> None:
        reader = bench.reader(name)
        self.period_s = reader.period_ms / 1000
        tags = tags_of(bench, reader)
        configuration = Configuration(schema_hash(tags), ((CONFIGURATION, encode_tags(tags)),))
        self._log, self._store = open_log(bench, name, configuration, clock, entropy, simulated=simulated)
        wire = meddler.reader(connection(bench, reader, port, PATIENT_S if simulated else PROMPT_S))
        heartbeat_ns = int(bench.log.heartbeat_s * 1e9)
        beside: list[Beside] = [BeaconWatch(bench.name, newest, clock, heartbeat_ns)]
        watches: list[Watch] = []
        self._operator: LogStore | None = None
        if name == bench.gateway.name:
            self._operator = LogStore.read(Paths(bench.data).log(bench.operator.name))
            key = log_keys(bench, bench.operator.name)
            beside.append(PeerWatch(key, self._operator.latest_checkpoint))
            watches.append(watchdog_watch(bench.safety, tags))
        self._gateway = Gateway(
            reader.plc,
            wire if simulated or reader.protocol == DEVICE else OwnPlc(bench, wire),
            meddler.sink(self._log),
            clock,
            heartbeat_ns,
            _newest_scan(self._store),
            commit_ns=bench.log.commit_ms * 1_000_000,
            beside=beside,
            watches=watches,
        )
        self._publishing = Publishing(self._log, clock, bench.log.publish_ms * 1_000_000)

    async def start(self) -> None:
        self._log.publish()

    async def step(self) -> None:
        await self._gateway.step()
        self._publishing.step()

    async def stop(self) -> None:
        await self._gateway.close()
        self._gateway.commit()
        self._log.publish()
        self._store.close()
        if self._operator is not None:
            self._operator.close()

    def facts(self) -> Facts:
        gateway = self._gateway
        return {
            "size": self._log.size,
            "states": gateway.states,
            "missed": gateway.missed,
            "torn": gateway.torn,
            "retries": gateway.retries,
        }


def _newest_scan(store: LogStore) -> tuple[int, int] | None:
    """(boot, scan) of the newest state in the log that has a scan counter."""
    newest: tuple[int, int] | None = None
    for row in store.rows():
        if row.body is not None and decode_entry(row.entry).kind is Kind.STATE:
            body = decode_body(Kind.STATE, row.body)
            if isinstance(body, State) and body.scan is not None:
                newest = (body.boot, body.scan)
    return newest
