"""Anchoring on a node of one's own: what is anchored when, and what happens after every kind of end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from testbed.anchor.anchorer import Anchorer
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import ARGUMENTS, DevNode
from testbed.chain.journal import Journal, read_journal
from testbed.chain.proofs import header_fields
from testbed.chain.registry import address_of, contract_address, deploy_transaction
from testbed.chain.rpc import Node
from testbed.chain.steps import Head
from testbed.core.bodies import Heartbeat
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import ChainError, Rejected, StoreError
from testbed.core.finding import Layer, What
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.verify.chain import CheckedChain, check_chain
from testbed.verify.gather import gather
from testbed.verify.trust import LogRole, Trust, TrustedChain, TrustedLog

KEY = bytes([0x11]) * 32
SUBMITTER = address_of(KEY)
CONTRACT = contract_address(SUBMITTER, 0)
CHAIN_ID = 31337
START_S = 1_700_000_000
SECOND = 10**9
SOURCE, TWIN = (SigningKey.from_seed(f"bench.example/{name}", bytes([n]) * 32) for n, name in enumerate(("s", "t")))
KEYS = {"source": SOURCE, "twin": TWIN}


class KilledError(Exception):
    """The process ends here."""


class MortalNode(Node):
    """A node's client whose process is killed right before a transaction is sent, or once it is mined."""

    def __init__(self, url: str, dies: str = "") -> None:
        super().__init__(url)
        self.dies = dies

    async def send(self, raw: bytes) -> bytes:
        if self.dies == "before":
            raise KilledError
        sent = await super().send(raw)
        if self.dies == "behind":
            await self.wait_for_receipt(sent)
            raise KilledError
        return sent


@dataclass
class Bench:
    """Two logs and their anchor, as they stand on disk; `start` is what a role does when it begins."""

    folder: Path
    url: str
    policy: Policy = field(default_factory=lambda: Policy(1, 60 * SECOND))

    def __post_init__(self) -> None:
        self.clock = VirtualClock((START_S + 10) * SECOND)
        self.journal_file = self.folder / "anchor" / "journal.jsonl"
        self.stores = {name: LogStore.create(self.folder / name / "log.sqlite") for name in KEYS}
        self.logs = {name: self.open_log(name) for name in KEYS}
        self.node = MortalNode(self.url)
        self.journal: Journal | None = None

    def open_log(self, name: str) -> Log:
        folder = self.folder / name / "tlog"
        return Log(KEYS[name], self.stores[name], Publisher(folder), SeededEntropy(1, name))

    async def start(self, dies: str = "") -> int:
        """Start the anchor, as after a kill: nothing but the files goes on. The number of rebuilt blocks."""
        await self.end_anchor()
        self.node = MortalNode(self.url, dies)
        if not self.journal_file.exists():
            genesis = await self.node.block(0)
            assert genesis is not None
            version = await self.node.version()
            head = Head(CHAIN_ID, genesis.hash, version, ARGUMENTS, SUBMITTER, CONTRACT)
            Journal.create(self.journal_file, head).close()
        self.journal = Journal.open(self.journal_file)
        self.submitter = Submitter(self.node, self.journal, KEY, self.clock, dev_node=True)
        logs = [(KEYS[name].verifier(), self.stores[name]) for name in KEYS]
        self.anchorer = Anchorer(self.submitter, logs, self.policy, self.clock)
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

    def anchored(self) -> list[tuple[str, int]]:
        """(log, size) of each anchor in the journal, in order."""
        steps = read_journal(self.journal_file).steps
        names = {key.name: name for name, key in KEYS.items()}
        return [(names[s.intent.anchored.origin], s.intent.anchored.size) for s in steps if s.intent.anchored]

    def hashes(self) -> list[bytes]:
        """Hashes of the journal's blocks."""
        return [step.mined.block_hash for step in read_journal(self.journal_file).steps if step.mined is not None]

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


# What is anchored, and when.


async def test_every_record_by_itself(bench: Bench) -> None:
    await bench.start()
    for _ in range(3):
        bench.commit("source")
    assert await bench.anchorer.step() == 3
    assert bench.anchored() == [("source", 1), ("source", 2), ("source", 3)]
    assert await bench.anchorer.step() == 0
    assert bench.anchorer.anchors == 3
    assert bench.anchorer.gas_used > 3 * 21_000


async def test_records_in_batches(bench: Bench) -> None:
    bench.policy = Policy(4, 60 * SECOND)
    await bench.start()
    for _ in range(3):
        bench.commit("source")
        assert await bench.anchorer.step() == 0
    for _ in range(6):
        bench.commit("source")
    assert await bench.anchorer.step() == 2
    assert bench.anchored() == [("source", 4), ("source", 8)]
    # What is left waits for its time, or for the end.
    assert await bench.anchorer.step() == 0
    assert await bench.anchorer.step(flush=True) == 1
    assert bench.anchored()[-1] == ("source", 9)


async def test_a_commit_larger_than_a_batch_is_anchored_whole(bench: Bench) -> None:
    bench.policy = Policy(4, 60 * SECOND)
    await bench.start()
    for count in (3, 10, 2, 1, 1):
        bench.commit("source", count)
    await bench.anchorer.step()
    assert bench.anchored() == [("source", 3), ("source", 13), ("source", 17)]


async def test_a_round_anchors_every_log_that_grew(bench: Bench) -> None:
    bench.policy = Policy(3, 60 * SECOND)
    await bench.start()
    bench.commit("source", 3)
    bench.commit("twin")
    assert await bench.anchorer.step() == 2
    assert bench.anchored() == [("source", 3), ("twin", 1)]
    bench.commit("twin", 3)
    assert await bench.anchorer.step() == 1
    assert bench.anchored()[2:] == [("twin", 4)]


async def test_a_record_does_not_wait_longer_than_it_may(bench: Bench) -> None:
    bench.policy = Policy(100, 30 * SECOND)
    await bench.start()
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(30 * SECOND - 1)
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(1)
    assert await bench.anchorer.step() == 1
    assert bench.anchored() == [("source", 2)]
    # The next record's time begins with itself.
    bench.clock.advance(100 * SECOND)
    assert await bench.anchorer.step() == 0
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(30 * SECOND)
    assert await bench.anchorer.step() == 1


async def test_blocks_carry_the_clock_s_time(bench: Bench) -> None:
    await bench.start()
    for _ in range(2):
        await bench.round("source")
    steps = read_journal(bench.journal_file).steps
    assert [step.mined.timestamp - START_S for step in steps if step.mined] == [10, 11, 12]
    assert [step.mined.height for step in steps if step.mined] == [1, 2, 3]


async def test_what_was_anchored_is_proven_and_a_flipped_bit_is_not(bench: Bench) -> None:
    await bench.start()
    for name in ("source", "twin", "source"):
        await bench.round(name)
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 2, TWIN.name: 1}
    assert checked.anchors == 3
    for name, size in (("source", 2), ("twin", 1)):
        tree = Tree(leaf_hash(row.entry) for row in bench.stores[name].rows())
        newest = checked.anchored[KEYS[name].name][-1]
        assert (newest.size, newest.root) == (size, tree.root(size))
    # The contract's own word, one bit off.
    async with Node(bench.url) as node:
        slot = (read_journal(bench.journal_file).steps[-1].mined or pytest.fail("not mined")).slot_proof
        assert slot is not None
        value = int(slot["storageProof"][0]["value"], 16) ^ 1
        key = int(slot["storageProof"][0]["key"], 16).to_bytes(32, "big")
        await node.set_storage(CONTRACT, key, value.to_bytes(32, "big"))
    (finding,) = (await bench.check()).findings
    assert (finding.what, finding.layer, finding.origin) == (What.SUBSTITUTED, Layer.ANCHOR, SOURCE.name)


async def test_anchors_are_confirmed_when_blocks_stand_on_them(bench: Bench) -> None:
    await bench.start()
    for name in ("source", "source", "twin"):
        await bench.round(name)
    assert (await bench.check(2)).confirmed == {SOURCE.name: 2}
    assert (await bench.check(3)).confirmed == {SOURCE.name: 1}
    assert (await bench.check(9)).confirmed == {}


async def test_what_the_contract_refuses_is_not_sent(bench: Bench) -> None:
    await bench.start()
    bench.commit("source", 2)
    await bench.anchorer.step()
    before, height = bench.journal_file.read_bytes(), await bench.height()
    for size, proof in ((3, []), (3, [bytes(32)] * 2), (2, [])):
        with pytest.raises(Rejected, match="the contract refuses size"):
            await bench.submitter.anchor(SOURCE.name, size, bytes(32), b"note", proof)
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, height)


# How it goes on after an end.


@pytest.fixture(scope="module")
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


async def test_a_node_that_lost_its_blocks_is_rebuilt(
    bench: Bench, dev: DevNode, tmp_path: Path, uninterrupted: list[bytes]
) -> None:
    assert await bench.start() == 0
    for name in ("source", "twin"):
        await bench.round(name)
    await dev.stop()
    again = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, SUBMITTER)
    try:
        bench.url = again.url
        assert await bench.start() == 3
        assert await bench.start() == 0
        for name in ("source", "twin"):
            await bench.round(name)
        assert bench.hashes() == uninterrupted
        async with Node(again.url) as node:
            found = [await node.block(height) for height in range(1, 6)]
        assert [block.hash for block in found if block] == uninterrupted
        assert (await bench.check()).findings == []
    finally:
        await again.stop()


async def test_a_node_that_is_replaced_while_the_anchor_runs(
    bench: Bench, dev: DevNode, tmp_path: Path, uninterrupted: list[bytes]
) -> None:
    await bench.start()
    for name in ("source", "twin"):
        await bench.round(name)
    await dev.stop()
    port = int(dev.url.rpartition(":")[2])
    again = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, SUBMITTER, port)
    try:
        before = bench.journal_file.read_bytes()
        await bench.node.close()
        with pytest.raises(ChainError):
            await bench.round("source")
        assert (bench.journal_file.read_bytes(), await bench.height()) == (before, 0)
        assert await bench.submitter.catch_up(load_artifact()) == 3
        await bench.anchorer.step()
        await bench.round("twin")
        assert bench.hashes() == uninterrupted
    finally:
        await again.stop()


@pytest.mark.parametrize("dies", ["before", "behind"])
@pytest.mark.parametrize("at", ["deployment", "anchor"])
@pytest.mark.parametrize("node_too", [False, True], ids=["node stays", "node dies too"])
async def test_a_killed_anchor_finishes_what_it_began(
    bench: Bench, dev: DevNode, tmp_path: Path, uninterrupted: list[bytes], dies: str, at: str, node_too: bool
) -> None:
    names = ["source", "twin", "source", "twin"]
    if at == "deployment":
        with pytest.raises(KilledError):
            await bench.start(dies)
    else:
        await bench.start()
        await bench.round(names.pop(0))
        bench.node.dies = dies
        with pytest.raises(KilledError):
            await bench.round(names.pop(0))
    assert read_journal(bench.journal_file).steps[-1].mined is None
    mined = len(bench.hashes())
    assert await bench.height() == mined + (dies == "behind")
    again = dev
    if node_too:
        await dev.stop()
        again = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, SUBMITTER)
        bench.url = again.url
    try:
        assert await bench.start() == (mined if node_too else 0)
        assert read_journal(bench.journal_file).steps[-1].mined is not None
        for name in names:
            await bench.round(name)
        assert bench.hashes() == uninterrupted
        assert (await bench.check()).findings == []
    finally:
        await again.stop()


@pytest.mark.parametrize("begun", ["nothing", "closed", "open"])
@pytest.mark.parametrize("block", ["empty", "with a transaction"])
async def test_a_chain_with_a_block_of_somebody_else_is_left_alone(bench: Bench, begun: str, block: str) -> None:
    if begun == "nothing":
        # As `start` makes it, and with nothing sent yet.
        with pytest.raises(KilledError):
            await bench.start("before")
        journal = bench.journal_file.read_bytes()
        bench.journal_file.write_bytes(journal[: journal.index(b"\n") + 1])
    else:
        await bench.start()
        await bench.round("source")
    if begun == "open":
        bench.node.dies = "before"
        with pytest.raises(KilledError):
            await bench.round("source")
    before = bench.journal_file.read_bytes()
    async with Node(bench.url) as node:
        if block == "empty":
            await node.call("evm_mine")
        else:
            raw = deploy_transaction(KEY, CHAIN_ID, await node.nonce(SUBMITTER), bytes([0x00]))
            await node.wait_for_receipt(await node.send(raw))
    height = await bench.height()
    for _ in range(2):
        with pytest.raises(ChainError, match="is not the chain of this bench") as raised:
            await bench.start()
        assert raised.value.mend
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, height)


async def test_a_block_of_somebody_else_stops_an_anchor_that_runs(bench: Bench) -> None:
    await bench.start()
    await bench.round("source")
    before = bench.journal_file.read_bytes()
    async with Node(bench.url) as node:
        await node.call("evm_mine")
    with pytest.raises(ChainError, match="is not the chain of this bench"):
        await bench.round("source")
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, 3)


async def test_another_chain_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    await bench.start()
    await bench.round("source")
    before = bench.journal_file.read_bytes()
    for number, (chain_id, time_s, words) in enumerate(
        [(CHAIN_ID + 1, START_S, "is not chain 31337"), (CHAIN_ID, START_S + 1, "genesis block is another")]
    ):
        other = await DevNode.start(tmp_path / f"other{number}", chain_id, time_s, SUBMITTER)
        try:
            bench.url = other.url
            with pytest.raises(ChainError, match=words):
                await bench.start()
            assert (bench.journal_file.read_bytes(), await bench.height()) == (before, 0)
        finally:
            await other.stop()


@pytest.mark.parametrize("lost", [False, True])
async def test_a_chain_that_comes_out_otherwise_is_said(bench: Bench, dev: DevNode, tmp_path: Path, lost: bool) -> None:
    await bench.start()
    await bench.round("source")
    await bench.end_anchor()
    contents = read_journal(bench.journal_file)
    bench.journal_file.unlink()
    # The newest block as another node might have made it, with another state.
    with Journal.create(bench.journal_file, contents.head) as journal:
        for step in contents.steps:
            assert step.mined is not None
            mined = step.mined
            if step == contents.steps[-1]:
                root = header_fields(mined.header).state_root
                header = mined.header.replace(root, bytes([root[0] ^ 1]) + root[1:])
                mined = replace(mined, header=header, block_hash=header_fields(header).hash)
            journal.intent(step.intent)
            journal.mined(mined)
    if lost:
        await dev.stop()
        dev = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, SUBMITTER)
        bench.url = dev.url
    try:
        before = bench.journal_file.read_bytes()
        with pytest.raises(ChainError, match="block 2 is not the one that the journal holds"):
            await bench.start()
        assert bench.journal_file.read_bytes() == before
    finally:
        await dev.stop()


def set_back(bench: Bench, size: int) -> None:
    """The source log as it was at `size`."""
    store = bench.stores["source"]
    store._connection.execute("DELETE FROM records WHERE idx >= ?", (size,))
    store._connection.execute("DELETE FROM checkpoints WHERE size > ?", (size,))


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("then", ["rolled back", "rewritten", "damaged", "checkpoint damaged"])
async def test_a_log_that_was_changed_below_its_anchor_is_not_anchored(bench: Bench, then: str, restart: bool) -> None:
    await bench.start()
    for _ in range(3):
        await bench.round("source")
    words = {
        "rolled back": "it ends at size 2, and size 3 is anchored",
        "rewritten": "are not those that were anchored" if restart else "do not give the root",
        "damaged": "are not those that were anchored" if restart else "do not give the root",
        "checkpoint damaged": "its next checkpoint is not valid",
    }[then]
    before, height = bench.journal_file.read_bytes(), await bench.height()
    if then in ("rolled back", "rewritten"):
        set_back(bench, 2)
    if then == "rewritten":
        bench.logs["source"] = bench.open_log("source")
        bench.clock.advance(SECOND)
        for name in ("another", "history"):
            bench.logs["source"].append([(name, Heartbeat(0, "", ()))])
    if then.endswith("damaged"):
        bench.commit("source")
        connection = bench.stores["source"]._connection
        # Below the anchor for who starts anew; who runs has those records behind it already.
        table, column, where = (
            ("records", "entry", f"idx = {1 if restart else 3}")
            if then == "damaged"
            else ("checkpoints", "note", "size = 4")
        )
        (data,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()  # noqa: S608  # own names
        changed = bytes(data[:-9]) + bytes([data[-9] ^ 1]) + bytes(data[-8:])
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed,))  # noqa: S608
    if restart:
        await bench.start()
    with pytest.raises(StoreError, match=words) as raised:
        await bench.anchorer.step(flush=True)
    assert SOURCE.name in raised.value.problem
    assert raised.value.mend
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, height)


async def test_a_journal_of_another_contract_is_left_alone(bench: Bench) -> None:
    await bench.start()
    assert bench.journal is not None
    bench.journal.close()
    other = bench.folder / "other.jsonl"
    Journal.create(other, replace(bench.journal.head, contract=contract_address(SUBMITTER, 7))).close()
    with Journal.open(other) as journal:
        submitter = Submitter(bench.node, journal, KEY, bench.clock, dev_node=True)
        with pytest.raises(ChainError, match="is not the chain of this bench"):
            await submitter.catch_up(load_artifact())
        assert journal.steps == []
    assert await bench.height() == 1
