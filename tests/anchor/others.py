"""A network of others for the tests: a node of its own, a log with its anchor, and whoever else sends."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from testbed.anchor.anchorer import Anchorer, ReceiptLog
from testbed.anchor.network import NetworkSender, Terms
from testbed.anchor.policy import Policy
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import BALANCE_WEI, anvil_program, genesis_document
from testbed.chain.journal import Journal
from testbed.chain.reading import read_journal
from testbed.chain.registry import address_of, contract_address, deploy_transaction
from testbed.chain.rpc import Node
from testbed.chain.steps import Head, Mined, Step
from testbed.chain.wire import Receipt
from testbed.core.bodies import Genesis, Heartbeat
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.verify.chain import CheckedChain, check_chain
from testbed.verify.evidence import Evidence
from testbed.verify.gather import gather
from testbed.verify.trust import LogRole, Trust, TrustedChain, TrustedLog

KEY, OTHER_KEY = bytes([0x11]) * 32, bytes([0x22]) * 32
SUBMITTER = address_of(KEY)
CHAIN_ID = 555
SECOND = 10**9
SOURCE = SigningKey.from_seed("bench.example/source", bytes([1]) * 32)
RECEIPTS = SigningKey.from_seed("bench.example/receipts", bytes([2]) * 32)
LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)\n")


@asynccontextmanager
async def network(folder: Path, chain_id: int = CHAIN_ID, *options: str) -> AsyncIterator[str]:
    """Address of a node with two funded accounts that sets its blocks' times and keeps old states."""
    document = genesis_document(chain_id, 1_700_000_000, SUBMITTER)
    document["alloc"][address_of(OTHER_KEY).lower()] = {"balance": hex(BALANCE_WEI)}
    genesis = await asyncio.to_thread(_place, folder, json.dumps(document))
    process = await asyncio.create_subprocess_exec(
        str(anvil_program()),
        *(f"--chain-id={chain_id}", f"--init={genesis}", f"--cache-path={folder}", "--accounts=0", "--port=0"),
        *("--hardfork=cancun", "--color=never", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed = b""
    while (found := LISTENING.search(printed)) is None:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, printed
        printed += line
    drain = asyncio.create_task(process.stdout.read())
    try:
        yield f"http://127.0.0.1:{found[1].decode()}"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await drain


def _place(folder: Path, document: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    genesis = folder / "genesis.json"
    genesis.write_text(document, encoding="utf-8")
    return genesis


class KilledError(Exception):
    """The process ends here."""


class MortalNode(Node):
    """A node's client whose process is killed right before or right behind the sending of a transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dies = ""
        self.sends = 0
        self.waits = asyncio.Event()

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        self.waits.set()
        return await super().receipt(tx_hash)

    async def send(self, raw: bytes) -> bytes:
        self.sends += 1
        if self.dies == "before":
            raise KilledError
        sent = await super().send(raw)
        if self.dies == "behind":
            raise KilledError
        return sent


@dataclass
class Bench:
    """A log and its anchor, and whoever else uses the network.

    confirmations: of the journal; receipts: whether there is a log of receipts; contract: of somebody else.
    """

    folder: Path
    url: str
    confirmations: int = 1
    receipts: bool = False
    contract: str = ""
    key: bytes = KEY
    chain_id: int = CHAIN_ID
    terms: Terms = field(default_factory=lambda: Terms(patience_ns=60 * SECOND, look_ns=0, within_s=0.3))

    def __post_init__(self) -> None:
        self.clock = VirtualClock(1_700_000_100 * SECOND)
        self.store = LogStore.create(self.folder / "log.sqlite")
        self.log = Log(SOURCE, self.store, Publisher(self.folder / "tlog"), SeededEntropy(1, "source"))
        self.receipt_store = LogStore.create(self.folder / "receipts.sqlite")
        publisher = Publisher(self.folder / "receipts-tlog")
        self.receipt_log = Log(RECEIPTS, self.receipt_store, publisher, SeededEntropy(1, "receipts"))
        self.receipt_log.append([("bench", Genesis(RECEIPTS.name, bytes(32), "", simulated=True))])
        self.others = Node(self.url)
        self.node = MortalNode(self.url)
        self.journal_file = self.folder / "journal.jsonl"
        self.journal: Journal | None = None
        self.submitter = address_of(self.key)

    async def start(self) -> None:
        """Start the anchor, as after a kill."""
        await self.open()
        assert await self.sender.catch_up(load_artifact()) == 0

    async def open(self) -> None:
        """The anchor as it is before it spoke to the node; the journal is made the first time."""
        self.node.dies = ""
        if self.journal is not None:
            self.journal.close()
        else:
            genesis = await self.node.block(0)
            assert genesis is not None
            own = contract_address(self.submitter, await self.node.nonce(self.submitter))
            self.contract = self.contract or own
            self.head = Head(self.chain_id, genesis.hash, None, (), self.submitter, self.contract, self.confirmations)
            Journal.create(self.journal_file, self.head).close()
        self.journal = Journal.open(self.journal_file)
        self.sender = NetworkSender(self.node, self.journal, self.key, self.clock, self.terms)
        kept = ReceiptLog(RECEIPTS.verifier(), self.receipt_store, self.receipt_log) if self.receipts else None
        logs = [(SOURCE.verifier(), self.store)]
        self.anchorer = Anchorer(self.sender, logs, Policy(1, SECOND), self.clock, kept)

    async def end(self) -> None:
        await self.node.close()
        await self.others.close()
        if self.journal is not None:
            self.journal.close()
        self.store.close()
        self.receipt_store.close()

    def commit(self) -> None:
        self.log.append([("cell", Heartbeat(self.log.size, "", ()))])

    async def round(self) -> None:
        """One record more, anchored."""
        self.commit()
        assert await self.anchorer.step() >= 1

    async def send_other(self, key: bytes = OTHER_KEY) -> bytes:
        """Hand in somebody's transaction, which does nothing; its hash."""
        nonce = int(str(await self.others.call("eth_getTransactionCount", address_of(key), "pending")), 16)
        return await self.others.send(deploy_transaction(key, self.chain_id, nonce, b"\x00"))

    async def mine_other(self, key: bytes = OTHER_KEY) -> None:
        """Somebody's transaction, in a block of its own."""
        await self.others.wait_for_receipt(await self.send_other(key))

    async def pending(self) -> int:
        """Transactions that wait for a block."""
        status = await self.others.call("txpool_status")
        assert isinstance(status, dict)
        return int(status["pending"], 16)

    async def mine_once_pending(self, count: int) -> None:
        """One block of all that waits, as soon as so many do."""
        deadline = time.monotonic() + 20
        while await self.pending() < count:
            assert time.monotonic() < deadline
        await self.others.call("evm_mine")

    def steps(self) -> tuple[Step, ...]:
        return read_journal(self.journal_file).steps

    def mined(self) -> list[Mined]:
        return [step.mined for step in self.steps() if step.mined is not None]

    def lines(self, kind: str) -> list[dict[str, object]]:
        """The lines of one type, as they stand in the journal."""
        found = [json.loads(line) for line in self.journal_file.read_text(encoding="ascii").splitlines()]
        return [line for line in found if line["type"] == kind]

    async def evidence(self, url: str = "") -> Evidence:
        """What an auditor reads, of this node or of another one."""
        logs = (TrustedLog(SOURCE.name, LogRole.GATEWAY, SOURCE.verifier(), bytes(32)),)
        trust = Trust("bench", True, logs, self.trusted(), (), heartbeat_ns=10**10, twin_lag=0)
        async with Node(url or self.url, timeout_s=5.0) as node:
            return await gather(trust, {}, self.journal_file, node, "")

    def trusted(self, confirmations: int | None = None) -> TrustedChain:
        code_hash = load_artifact().code_hash
        deep = confirmations or self.confirmations
        return TrustedChain(self.chain_id, self.head.genesis_hash, self.contract, code_hash, self.submitter, deep)

    async def check(self, confirmations: int | None = None, url: str = "") -> CheckedChain:
        """What an auditor makes of journal and chain."""
        return check_chain(self.trusted(confirmations), await self.evidence(url))


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def of_own_node(evidence: Evidence, head: Head) -> Evidence:
    """As if the journal were that of the bench's own node."""
    return replace(evidence, journal_head=replace(head, node_version="anvil/v1.7.1"))
