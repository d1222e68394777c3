"""A bench of two logs, their anchor and a development node of their own, all as they stand on disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed.anchor.anchorer import Anchorer, ReceiptLog
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import ARGUMENTS, DevNode
from testbed.chain.journal import Journal
from testbed.chain.reading import iterate_steps
from testbed.chain.registry import address_of, contract_address
from testbed.chain.rpc import Node
from testbed.chain.steps import Head, Step
from testbed.core.bodies import AnchorReceipt, Body, Genesis, Heartbeat
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.entry import Kind
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Appended, Log
from testbed.verify.chain import CheckedChain, check_chain
from testbed.verify.gather import gather
from testbed.verify.trust import LogRole, Trust, TrustedChain, TrustedLog

KEY = bytes([0x11]) * 32
SUBMITTER = address_of(KEY)
CONTRACT = contract_address(SUBMITTER, 0)
CHAIN_ID = 31337
START_S = 1_700_000_000
SECOND = 10**9
NAMES = ("source", "twin", "receipts")
KEYS = {name: SigningKey.from_seed(f"bench.example/{name[0]}", bytes([n]) * 32) for n, name in enumerate(NAMES)}


class KilledError(Exception):
    """The process ends here."""


class MortalNode(Node):
    """A node's client whose process is killed right before a transaction is sent, or once it is mined.

    hook: run before each request, with the method's name.
    """

    def __init__(self, url: str, dies: str = "", timeout_s: float = 30.0) -> None:
        super().__init__(url, timeout_s)
        self.dies = dies
        self.hook: Callable[[str], None] | None = None

    async def call(self, method: str, *params: object) -> object:
        if self.hook is not None:
            self.hook(method)
        return await super().call(method, *params)

    async def send(self, raw: bytes) -> bytes:
        if self.dies == "before":
            raise KilledError
        sent = await super().send(raw)
        if self.dies == "behind":
            await self.wait_for_receipt(sent)
            raise KilledError
        return sent


class MortalLog:
    """The writing side of a log whose process is killed right before a commit, or once that is on disk."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.dies = ""
        self.commits: list[int] = []

    def append(self, records: Iterable[tuple[str, Body]]) -> Appended:
        if self.dies == "before":
            raise KilledError
        listed = list(records)
        appended = self.log.append(listed)
        self.commits.append(len(listed))
        if self.dies == "behind":
            raise KilledError
        return appended


@dataclass
class Bench:
    """Two logs and their anchor, as they stand on disk; `start` is what a role does when it begins.

    receipts: whether the anchor keeps a log of receipts.
    """

    folder: Path
    url: str
    policy: Policy = field(default_factory=lambda: Policy(1, 60 * SECOND))
    receipts: bool = False
    timeout_s: float = 30.0
    killed: type[Exception] = KilledError
    origins: dict[str, str] = field(default_factory=lambda: {name: key.name for name, key in KEYS.items()})
    verifiers: dict[str, VerifierKey] = field(default_factory=lambda: {k.name: k.verifier() for k in KEYS.values()})

    def __post_init__(self) -> None:
        self.clock = VirtualClock((START_S + 10) * SECOND)
        self.journal_file = self.folder / "anchor" / "journal.jsonl"
        self.stores = {name: LogStore.create(self.folder / name / "log.sqlite") for name in KEYS}
        self.logs = {name: self.open_log(name) for name in KEYS}
        self.logs["receipts"].append([("bench", Genesis(KEYS["receipts"].name, bytes(32), "", simulated=True))])
        self.node = MortalNode(self.url)
        self.journal: Journal | None = None

    def open_log(self, name: str) -> Log:
        folder = self.folder / name / "tlog"
        return Log(KEYS[name], self.stores[name], Publisher(folder), SeededEntropy(1, name))

    async def start(self, dies: str = "") -> int:
        """Start the anchor, as after a kill: nothing but the files goes on. The number of rebuilt blocks."""
        await self.end_anchor()
        self.node = MortalNode(self.url, dies, self.timeout_s)
        if not self.journal_file.exists():
            genesis = await self.node.block(0)
            assert genesis is not None
            version = await self.node.version()
            head = Head(CHAIN_ID, genesis.hash, version, ARGUMENTS, SUBMITTER, CONTRACT)
            Journal.create(self.journal_file, head).close()
        self.journal = Journal.open(self.journal_file)
        self.submitter = Submitter(self.node, self.journal, KEY, self.clock)
        logs = [(KEYS[name].verifier(), self.stores[name]) for name in NAMES[:2]]
        self.logs["receipts"] = self.open_log("receipts")
        self.sink = MortalLog(self.logs["receipts"])
        kept = ReceiptLog(KEYS["receipts"].verifier(), self.stores["receipts"], self.sink) if self.receipts else None
        self.anchorer = Anchorer(self.submitter, logs, self.policy, self.clock, kept)
        return await self.submitter.catch_up(load_artifact())

    async def end_anchor(self) -> None:
        await self.node.close()
        if self.journal is not None:
            self.journal.close()

    async def end(self) -> None:
        await self.end_anchor()
        for store in self.stores.values():
            store.close()

    def commit(self, name: str, count: int = 1) -> None:
        """One commit of `count` records."""
        log = self.logs[name]
        log.append([("cell", Heartbeat(log.size + n, "", ())) for n in range(count)])

    async def round(self, name: str) -> None:
        """A second later, one more record is anchored."""
        self.clock.advance(SECOND)
        self.commit(name)
        await self.anchorer.step()

    async def fresh_node(
        self, name: str = "chain", chain_id: int = CHAIN_ID, start_s: int = START_S, port: int = 0
    ) -> DevNode:
        """A node without any block, from now on the bench's; the caller stops it."""
        dev = await DevNode.start(self.folder / name, chain_id, start_s, SUBMITTER, port)
        self.url = dev.url
        return dev

    def newest(self) -> Step:
        """The last step of the journal."""
        *_, last = iterate_steps(self.journal_file)
        return last

    def anchored(self) -> list[tuple[str, int]]:
        """(log, size) of each anchor in the journal, in order."""
        steps, names = iterate_steps(self.journal_file), {key.name: name for name, key in KEYS.items()}
        return [(names[s.intent.anchored.origin], s.intent.anchored.size) for s in steps if s.intent.anchored]

    def receipted(self) -> list[AnchorReceipt]:
        """What the log of receipts holds, besides its first record."""
        found = []
        for row in self.stores["receipts"].rows(1):
            entry = decode_entry(row.entry)
            body = decode_body(Kind.RECEIPT, row.body or b"")
            assert isinstance(body, AnchorReceipt)
            assert (entry.kind, entry.source) == (Kind.RECEIPT, body.origin)
            found.append(body)
        return found

    def hashes(self) -> list[bytes]:
        """Hashes of the journal's blocks."""
        return [step.mined.block_hash for step in iterate_steps(self.journal_file) if step.mined is not None]

    async def height(self) -> int:
        async with Node(self.url) as node:
            return await node.height()

    async def check(self, confirmations: int = 1) -> CheckedChain:
        """What an auditor makes of journal and chain."""
        async with Node(self.url) as node:
            genesis = await node.block(0)
            assert genesis is not None
            code_hash = load_artifact().code_hash
            chain = TrustedChain(CHAIN_ID, genesis.hash, CONTRACT, code_hash, SUBMITTER, confirmations)
            logs = tuple(TrustedLog(key.name, LogRole.GATEWAY, key.verifier(), bytes(32)) for key in KEYS.values())
            trust = Trust("bench", True, logs, chain, (), heartbeat_ns=10**10, twin_lag=0)
            evidence = await gather(trust, {}, self.journal_file, node, "")
        return check_chain(chain, evidence)


@pytest.fixture
async def bench(dev: DevNode, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, dev.url)
    yield made
    await made.end()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Hashes of the blocks of a bench that ran through: the deployment and four anchors."""
    return asyncio.run(run_through(tmp_path_factory.mktemp("uninterrupted")))


async def run_through(folder: Path) -> list[bytes]:
    dev = await DevNode.start(folder / "chain", CHAIN_ID, START_S, SUBMITTER)
    bench = Bench(folder, dev.url)
    try:
        await bench.start()
        for name in ("source", "twin", "source", "twin"):
            await bench.round(name)
        return bench.hashes()
    finally:
        await bench.end()
        await dev.stop()


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevNode]:
    """A development node whose one funded account is that of the anchor."""
    running = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, SUBMITTER)
    yield running
    await running.stop()
