"""The roles of a bench, put together from the rooms below. Each can run as a process, or in lock-step with the others.

A role is started once, stepped again and again, and stopped; `step` never waits for another role.
"""

import json
from collections.abc import Sequence
from typing import Protocol

from testbed.acquire.gateway import Gateway
from testbed.anchor.anchorer import Anchorer
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.journal import Journal, read_journal
from testbed.chain.rpc import Node
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.errors import ChainError, StoreError, TestbedError
from testbed.fieldbus.modbus_client import ModbusReader
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.keys.files import read_secret
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import COUNTER_MASK, Emulator
from testbed.plc.thread import ScanThread
from testbed.record.schema import encode_parameters, encode_tags, schema_hash
from testbed.rig.bench import Bench
from testbed.rig.initialize import read_dev_chain
from testbed.rig.logs import Configuration, open_log, signing_key
from testbed.rig.paths import Paths
from testbed.rig.recipe import parameters_of, recipe_of
from testbed.store.files import write_atomic
from testbed.store.sqlite import LogStore
from testbed.tlog.sequencer import Log
from testbed.twin.mirror import Mirror, Recipe

Facts = dict[str, int | str]
"""What a role says of itself: counts and addresses, for `testbed status` and the live table."""


class Role(Protocol):
    """One role. period_s: how often it wants to be stepped, s."""

    period_s: float

    async def start(self) -> None: ...
    async def step(self) -> None: ...
    async def stop(self) -> None: ...
    def facts(self) -> Facts: ...


class Publishing:
    """Publishes a log at most every `period_ns`, and once more at the end."""

    def __init__(self, log: Log, clock: Clock, period_ns: int) -> None:
        self._log = log
        self._clock = clock
        self._period_ns = period_ns
        self._last_ns = 0

    def step(self) -> None:
        now = self._clock.now_ns()
        if now - self._last_ns >= self._period_ns:
            self._log.publish()
            self._last_ns = now


class PlcRole:
    """The emulated PLC: plant, program and process image, served as Modbus TCP and OPC UA.

    real_time: the scan runs in a thread of its own; otherwise each step is one scan.
    """

    def __init__(self, bench: Bench, *, real_time: bool, modbus_port: int) -> None:
        self._bench = bench
        self._real_time = real_time
        self.period_s = 0.2 if real_time else bench.plc.scan_ms / 1000
        self.emulator = Emulator(
            bench.tags,
            CellParameters(**bench.plant.parameters),
            bench.seed,
            self._next_boot(),
            bench.plc.scan_ms / 1000,
        )
        plc = bench.plc
        self.modbus = ModbusServer(bench.tags, self.emulator.image, plc.modbus.host, modbus_port, plc.modbus.unit)
        self.opcua = OpcUaServer(bench.tags, self.emulator.image, plc.opcua.host, plc.opcua.port, plc.name)
        self._thread = ScanThread(self.emulator)

    async def start(self) -> None:
        await self.modbus.start()
        if self._real_time:
            self._thread.start()
            if self._bench.plc.opcua.enabled:
                await self.opcua.start()

    async def step(self) -> None:
        if not self._real_time:
            self.emulator.scan()
        elif not self._thread.running:
            self._thread.stop()

    async def stop(self) -> None:
        if self._real_time:
            self._thread.stop()
            await self.opcua.stop()
        await self.modbus.stop()

    def facts(self) -> Facts:
        image = self.emulator.image.snapshot()
        return {"scan": int(image["plc.scan"]), "overruns": self._thread.overruns, "modbus": self.modbus.port}

    def _next_boot(self) -> int:
        """The restart counter, one more each time; kept so that a restarted PLC is told from a running one."""
        path = Paths(self._bench.data).plc_boot
        boot = (int(path.read_text(encoding="ascii")) + 1) & COUNTER_MASK if path.is_file() else 1
        write_atomic(path, str(boot).encode(), durable=True)
        return boot


class GatewayRole:
    """Reads the PLC over its socket into the source log."""

    def __init__(self, bench: Bench, clock: Clock, entropy: Entropy, modbus_port: int, *, simulated: bool) -> None:
        self.period_s = bench.reader.period_ms / 1000
        configuration = Configuration("configuration", encode_tags(bench.tags), schema_hash(bench.tags))
        self._log, self._store = open_log(
            bench, bench.reader.name, configuration, clock, entropy, simulated=simulated
        )
        plc = bench.plc
        reader = ModbusReader(
            bench.tags, plc.modbus.host, modbus_port, plc.modbus.unit, plc.scan_tag, plc.boot_tag
        )
        self._gateway = Gateway(plc.name, reader, self._log, clock, int(bench.log.heartbeat_s * 1e9))
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


class TwinRole:
    """Follows the source log and logs what follows from it. `recipe`: another one than the bench file's."""

    def __init__(
        self, bench: Bench, clock: Clock, entropy: Entropy, *, simulated: bool, recipe: Recipe | None = None
    ) -> None:
        self.period_s = min(0.05, bench.reader.period_ms / 1000)
        paths, name = Paths(bench.data), bench.twin.name
        configuration = Configuration("parameters", encode_parameters(parameters_of(bench)))
        self._log, self._store = open_log(bench, name, configuration, clock, entropy, simulated=simulated)
        self._source = LogStore.read(paths.log(bench.twin.follows))
        key = signing_key(bench, bench.twin.follows).verifier()
        self._mirror = Mirror(name, recipe or recipe_of(bench), self._source, key, self._log, self._store.rows())
        self._publishing = Publishing(self._log, clock, bench.log.publish_ms * 1_000_000)
        self._records = 0

    async def start(self) -> None:
        self._log.publish()

    async def step(self) -> None:
        self._records += self._mirror.step()
        self._publishing.step()

    async def stop(self) -> None:
        """Consume what the source still holds, then end."""
        while done := self._mirror.step():
            self._records += done
        self._log.publish()
        self._store.close()
        self._source.close()

    def facts(self) -> Facts:
        return {"size": self._log.size, "records": self._records, "consumed": self._mirror.consumed}


class ChainRole:
    """The bench's own node. Its state file is a cache: used only if its newest block stands in the journal."""

    period_s = 0.2

    def __init__(self, bench: Bench, port: int) -> None:
        self._paths = Paths(bench.data)
        self._own = read_dev_chain(self._paths)
        self._port = port
        self.set_aside = ""
        self.node: DevNode | None = None

    async def start(self) -> None:
        state = self._paths.chain_state
        self.node = await self._start(state if state.is_file() else None)
        if state.is_file() and not await self._stands_in_journal(self.node):
            await self.node.stop()
            aside = state.with_name(f"{state.name}.rejected")
            state.replace(aside)
            self.set_aside = f"its newest block is not in the journal: moved to {aside.name}, rebuilding"
            self.node = await self._start(None)
        facts = {"pid": self.node.pid, "url": self.node.url, "version": self.node.version}
        write_atomic(self._paths.node_file, json.dumps(facts).encode())

    async def step(self) -> None:
        if self.node is not None and not self.node.running:
            raise ChainError(f"the development node ended: {self.node.output}", "see `testbed doctor`")

    async def stop(self) -> None:
        if self.node is not None:
            if self.node.running:
                await self.node.dump_state(self._paths.chain_state)
            await self.node.stop()
        self._paths.node_file.unlink(missing_ok=True)

    @property
    def url(self) -> str:
        """Address of the running node."""
        if self.node is None:
            raise ChainError("the development node does not run yet", "start the chain role first")
        return self.node.url

    def facts(self) -> Facts:
        return {"url": self.url, "note": self.set_aside}

    async def _start(self, state: object) -> DevNode:
        own = self._own
        return await DevNode.start(
            self._paths.role_folder("chain"),
            own.chain_id,
            own.genesis_time_s,
            own.funded,
            self._port,
            self._paths.chain_state if state else None,
        )

    async def _stands_in_journal(self, node: DevNode) -> bool:
        try:
            steps = read_journal(self._paths.journal).steps
        except StoreError:
            return False
        hashes = {step.mined.height: step.mined.block_hash for step in steps if step.mined is not None}
        async with Node(node.url) as client:
            height = await client.height()
            head = await client.block(height)
        return head is not None and (height == 0 or hashes.get(height) == head.hash)


class AnchorRole:
    """Puts checkpoints of the logs into the contract."""

    period_s = 0.1

    def __init__(self, bench: Bench, clock: Clock, url: str) -> None:
        paths = Paths(bench.data)
        self._node = Node(url)
        self._journal = Journal.open(paths.journal)
        key = read_secret(paths.key("anchor"))
        dev_node = bench.chain.kind == "anvil"
        self._submitter = Submitter(self._node, self._journal, key, clock, dev_node=dev_node)
        names = (bench.reader.name, bench.twin.name)
        self._stores: Sequence[LogStore] = [LogStore.read(paths.log(name)) for name in names]
        logs = [
            (signing_key(bench, name).verifier(), store) for name, store in zip(names, self._stores, strict=True)
        ]
        policy = Policy(bench.anchor.every, int(bench.anchor.within_s * 1e9))
        self._anchorer = Anchorer(self._submitter, logs, policy, clock)
        self.rebuilt = 0
        self._caught_up = False

    async def start(self) -> None:
        await self._catch_up()

    async def step(self) -> None:
        """One round if one is due. A node that is away or lost blocks is caught up with first."""
        if not self._caught_up:
            await self._catch_up()
        try:
            await self._anchorer.step()
        except TestbedError:
            self._caught_up = False
            raise

    async def stop(self) -> None:
        """Anchor what is not anchored yet, then end."""
        try:
            await self._anchorer.step(flush=True)
        finally:
            await self._node.close()
            self._journal.close()
            for store in self._stores:
                store.close()

    def facts(self) -> Facts:
        heads = {f"anchored {origin}": head.size for origin, head in self._submitter.heads.items()}
        height = max((s.mined.height for s in self._journal.steps[-2:] if s.mined is not None), default=0)
        return {
            "height": height,
            "anchors": self._anchorer.anchors,
            "gas": self._anchorer.gas_used,
            "rebuilt": self.rebuilt,
            **heads,
        }

    async def _catch_up(self) -> None:
        self.rebuilt += await self._submitter.catch_up(load_artifact())
        self._caught_up = True
