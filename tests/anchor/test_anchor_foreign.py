"""What the anchor did not leave itself (blocks, chains, changed logs and journals) it leaves alone, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.journal import Journal
from testbed.chain.proofs import header_fields
from testbed.chain.reading import read_journal
from testbed.chain.registry import address_of, contract_address, deploy_transaction
from testbed.chain.rpc import Node
from testbed.core.bodies import Heartbeat
from testbed.core.errors import ChainError, StoreError

if TYPE_CHECKING:
    from tests.anchor.conftest import Bench

KEY = bytes([0x11]) * 32
SUBMITTER = address_of(KEY)
CHAIN_ID = 31337
START_S = 1_700_000_000
SECOND = 10**9


@pytest.mark.parametrize("begun", ["nothing", "closed", "open"])
@pytest.mark.parametrize("block", ["empty", "with a transaction"])
async def test_a_chain_with_a_block_of_somebody_else_is_left_alone(bench: Bench, begun: str, block: str) -> None:
    if begun == "nothing":
        # As `start` makes it, and with nothing sent yet.
        with pytest.raises(bench.killed):
            await bench.start("before")
        journal = bench.journal_file.read_bytes()
        bench.journal_file.write_bytes(journal[: journal.index(b"\n") + 1])
    else:
        await bench.start()
        await bench.round("source")
    if begun == "open":
        bench.node.dies = "before"
        with pytest.raises(bench.killed):
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


async def test_another_chain_is_left_alone(bench: Bench) -> None:
    await bench.start()
    await bench.round("source")
    before = bench.journal_file.read_bytes()
    for number, (chain_id, time_s, words) in enumerate(
        [(CHAIN_ID + 1, START_S, "is not chain 31337"), (CHAIN_ID, START_S + 1, "genesis block is another")]
    ):
        other = await bench.fresh_node(f"other{number}", chain_id, time_s)
        try:
            with pytest.raises(ChainError, match=words):
                await bench.start()
            assert (bench.journal_file.read_bytes(), await bench.height()) == (before, 0)
        finally:
            await other.stop()


@pytest.mark.parametrize("lost", [False, True])
async def test_a_chain_that_comes_out_otherwise_is_said(bench: Bench, dev: DevNode, lost: bool) -> None:
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
        dev = await bench.fresh_node()
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
    assert bench.origins["source"] in raised.value.problem
    assert raised.value.mend
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, height)


async def test_a_journal_of_another_contract_is_left_alone(bench: Bench) -> None:
    await bench.start()
    assert bench.journal is not None
    bench.journal.close()
    other = bench.folder / "other.jsonl"
    Journal.create(other, replace(bench.journal.head, contract=contract_address(SUBMITTER, 7))).close()
    with Journal.open(other) as journal:
        submitter = Submitter(bench.node, journal, KEY, bench.clock)
        with pytest.raises(ChainError, match="is not the chain of this bench"):
            await submitter.catch_up(load_artifact())
        assert journal.reached.steps == 0
    assert await bench.height() == 1
