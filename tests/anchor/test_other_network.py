"""Anchoring on a network of others: their transactions come before, between and into the same block."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from testbed.anchor.anchorer import Anchorer
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import BALANCE_WEI, anvil_program, genesis_document
from testbed.chain.journal import Journal
from testbed.chain.reading import read_journal
from testbed.chain.registry import address_of, contract_address, deploy_transaction
from testbed.chain.rpc import Node
from testbed.chain.steps import Head, Mined
from testbed.chain.wire import Receipt
from testbed.core.bodies import Heartbeat
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.finding import Layer, What
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
SOURCE = SigningKey.from_seed("bench.example/source", bytes([1]) * 32)
LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)\n")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A node with two funded accounts that sets its blocks' times and keeps old states."""
    document = genesis_document(CHAIN_ID, 1_700_000_000, SUBMITTER)
    document["alloc"][address_of(OTHER_KEY).lower()] = {"balance": hex(BALANCE_WEI)}
    genesis = tmp_path / "genesis.json"
    genesis.write_text(json.dumps(document), encoding="utf-8")
    options = (f"--chain-id={CHAIN_ID}", f"--init={genesis}", f"--cache-path={tmp_path}", "--accounts=0", "--port=0")
    process = await asyncio.create_subprocess_exec(
        str(anvil_program()),
        *options,
        "--hardfork=cancun",
        "--color=never",
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
    yield f"http://127.0.0.1:{found[1].decode()}"
    with suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
    await drain


class KilledError(Exception):
    """The process ends here."""


class MortalNode(Node):
    """A node's client whose process is killed right before or right behind the sending of a transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dies = ""
        self.sends = 0
        self.waits = asyncio.Event()

    async def wait_for_receipt(self, tx_hash: bytes, within_s: float = 30.0) -> Receipt:
        self.waits.set()
        return await super().wait_for_receipt(tx_hash, within_s)

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
    """A log and its anchor, and whoever else uses the network."""

    folder: Path
    url: str

    def __post_init__(self) -> None:
        self.store = LogStore.create(self.folder / "log.sqlite")
        self.log = Log(SOURCE, self.store, Publisher(self.folder / "tlog"), SeededEntropy(1, "source"))
        self.others = Node(self.url)
        self.node = MortalNode(self.url)
        self.journal_file = self.folder / "journal.jsonl"
        self.journal: Journal | None = None

    async def start(self) -> None:
        """Start the anchor, as after a kill."""
        self.node.dies = ""
        if self.journal is not None:
            self.journal.close()
        else:
            genesis = await self.node.block(0)
            assert genesis is not None
            self.contract = contract_address(SUBMITTER, await self.node.nonce(SUBMITTER))
            self.head = Head(CHAIN_ID, genesis.hash, None, (), SUBMITTER, self.contract)
            Journal.create(self.journal_file, self.head).close()
        self.journal = Journal.open(self.journal_file)
        submitter = Submitter(self.node, self.journal, KEY, VirtualClock(0), dev_node=False)
        logs = [(SOURCE.verifier(), self.store)]
        self.anchorer = Anchorer(submitter, logs, Policy(1, 10**9), VirtualClock(0))
        assert await submitter.catch_up(load_artifact()) == 0

    async def end(self) -> None:
        await self.node.close()
        await self.others.close()
        if self.journal is not None:
            self.journal.close()
        self.store.close()

    def commit(self) -> None:
        self.log.append([("cell", Heartbeat(self.log.size, "", ()))])

    async def send_other(self, key: bytes = OTHER_KEY) -> bytes:
        """Hand in somebody's transaction, which does nothing; its hash."""
        nonce = int(str(await self.others.call("eth_getTransactionCount", address_of(key), "pending")), 16)
        return await self.others.send(deploy_transaction(key, CHAIN_ID, nonce, b"\x00"))

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

    def mined(self) -> list[Mined]:
        return [step.mined for step in read_journal(self.journal_file).steps if step.mined is not None]

    async def evidence(self) -> Evidence:
        trust = Trust(
            "bench",
            True,
            (TrustedLog(SOURCE.name, LogRole.GATEWAY, SOURCE.verifier(), bytes(32)),),
            self.trusted(),
            (),
            heartbeat_ns=10**10,
            twin_lag=0,
        )
        return await gather(trust, {}, self.journal_file, self.others, "")

    def trusted(self, confirmations: int = 1) -> TrustedChain:
        code_hash = load_artifact().code_hash
        return TrustedChain(CHAIN_ID, self.head.genesis_hash, self.contract, code_hash, SUBMITTER, confirmations)

    async def check(self, confirmations: int = 1) -> CheckedChain:
        """What an auditor makes of journal and chain."""
        return check_chain(self.trusted(confirmations), await self.evidence())


@pytest.fixture
async def bench(url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, url)
    yield made
    await made.end()


async def test_others_send_in_between(bench: Bench) -> None:
    # The submitter's own account was used before, and is used by others meanwhile.
    await bench.mine_other(KEY)
    await bench.start()
    for key in (OTHER_KEY, KEY, OTHER_KEY):
        await bench.mine_other(key)
        bench.commit()
        assert await bench.anchorer.step() == 1
    await bench.start()
    assert [mined.height for mined in bench.mined()] == [2, 4, 6, 8]
    checked = await bench.check()
    assert checked.findings == []
    assert [one.size for one in checked.anchored[SOURCE.name]] == [1, 2, 3]
    # Each block of others confirms what stands below it.
    assert [(await bench.check(n)).confirmed.get(SOURCE.name) for n in (1, 2, 3, 4, 5, 6)] == [3, 2, 2, 1, 1, None]
    await bench.mine_other()
    assert (await bench.check(2)).confirmed == {SOURCE.name: 3}


async def anchor_beside_others(bench: Bench) -> None:
    """An anchor in one block with two transactions of others, one of them before it."""
    await bench.start()
    await bench.others.call("evm_setAutomine", False)
    await bench.send_other()
    await bench.send_other()
    bench.commit()
    _, done = await asyncio.gather(bench.mine_once_pending(3), bench.anchorer.step())
    assert done == 1
    block = await bench.others.block(bench.mined()[-1].height)
    assert block is not None
    assert len(block.transactions) == 3
    assert block.transactions[0] != bench.mined()[-1].tx_hash


async def test_others_stand_in_the_same_block(bench: Bench) -> None:
    await anchor_beside_others(bench)
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 1}


async def test_a_journal_of_an_own_node_holds_no_block_of_others(bench: Bench) -> None:
    await anchor_beside_others(bench)
    evidence = await bench.evidence()
    own = replace(evidence, journal_head=replace(bench.head, node_version="anvil/v1.7.1"))
    (finding,) = check_chain(bench.trusted(), own).findings
    assert (finding.what, finding.layer) == (What.SUBSTITUTED, Layer.ANCHOR)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("part", ["header", "slot proof", "transaction", "root", "size"])
async def test_without_its_block_to_itself_an_anchor_is_still_proven(bench: Bench, part: str) -> None:
    await anchor_beside_others(bench)
    evidence = await bench.evidence()
    assert check_chain(bench.trusted(), evidence).findings == []
    step = evidence.journal[-1]
    anchored, mined = step.intent.anchored, step.mined
    assert anchored is not None
    assert mined is not None
    assert mined.slot_proof is not None
    if part == "header":
        step = replace(step, mined=replace(mined, header=flipped(mined.header)))
    elif part == "slot proof":
        step = replace(step, mined=replace(mined, slot_proof=flipped(mined.slot_proof)))
    elif part == "transaction":
        step = replace(step, intent=replace(step.intent, transaction=flipped(step.intent.transaction)))
    elif part == "root":
        step = replace(step, intent=replace(step.intent, anchored=replace(anchored, root=flipped(anchored.root))))
    else:
        step = replace(step, intent=replace(step.intent, anchored=replace(anchored, size=anchored.size ^ 2)))
    changed = replace(evidence, journal=(*evidence.journal[:-1], step))
    checked = check_chain(bench.trusted(), changed)
    assert (checked.findings[0].what, checked.findings[0].layer) == (What.SUBSTITUTED, Layer.ANCHOR)
    assert checked.confirmed == {}


async def test_what_was_not_sent_yet_is_sent_later(bench: Bench) -> None:
    await bench.start()
    bench.node.dies = "before"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    for _ in range(3):
        await bench.mine_other()
    await bench.start()
    last = read_journal(bench.journal_file).steps[-1]
    assert last.mined is not None
    assert (last.intent.height, last.mined.height) == (2, 5)
    bench.commit()
    assert await bench.anchorer.step() == 1
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 2}


async def test_what_still_waits_is_not_sent_again(bench: Bench) -> None:
    await bench.start()
    await bench.others.call("evm_setAutomine", False)
    bench.node.dies = "behind"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    assert await bench.pending() == 1
    bench.node.waits.clear()
    sends = bench.node.sends
    started = asyncio.create_task(bench.start())
    await asyncio.wait_for(bench.node.waits.wait(), 20)
    await bench.send_other()
    await bench.mine_once_pending(2)
    await started
    assert bench.node.sends == sends
    assert [mined.height for mined in bench.mined()] == [1, 2]
    assert (await bench.check()).findings == []


async def test_what_was_mined_unseen_is_found(bench: Bench) -> None:
    await bench.start()
    bench.node.dies = "behind"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    await bench.others.wait_for_receipt(keccak(read_journal(bench.journal_file).steps[-1].intent.transaction))
    for _ in range(2):
        await bench.mine_other()
    await bench.start()
    assert [mined.height for mined in bench.mined()] == [1, 2]
    checked = await bench.check(3)
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 1}
