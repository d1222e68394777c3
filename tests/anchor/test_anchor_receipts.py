"""The log of receipts: its i-th receipt is that of the journal's i-th anchor, whatever was killed when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from testbed.anchor.policy import Policy
from testbed.chain.artifact import load_artifact
from testbed.chain.reading import iterate_steps
from testbed.chain.receipts import check_receipt, receipt_of
from testbed.chain.registry import address_of, contract_address, log_id, slot_key
from testbed.core.bodies import AnchorReceipt, Event
from testbed.core.errors import NodeUnreachable, StoreError
from testbed.keys.checkpoint import open_checkpoint

if TYPE_CHECKING:
    from tests.anchor.conftest import Bench

SECOND = 10**9
SUBMITTER = address_of(bytes([0x11]) * 32)
CONTRACT = contract_address(SUBMITTER, 0)


@pytest.fixture
def kept(bench: Bench) -> Bench:
    """The bench, with a log of receipts."""
    bench.receipts = True
    return bench


def in_journal(bench: Bench) -> list[AnchorReceipt]:
    return [receipt_of(step) for step in iterate_steps(bench.journal_file) if step.anchors]


async def test_each_receipt_proves_its_anchor_to_a_stranger(kept: Bench) -> None:
    await kept.start()
    for name in ("source", "twin", "source"):
        await kept.round(name)
    receipts = kept.receipted()
    assert [receipt.origin for receipt in receipts] == [kept.origins[name] for name, _ in kept.anchored()]
    for receipt, step in zip(receipts, list(iterate_steps(kept.journal_file))[1:], strict=True):
        checkpoint = open_checkpoint(receipt.checkpoint, kept.verifiers[receipt.origin], receipt.origin)
        slot = slot_key(log_id(SUBMITTER, receipt.origin))
        code_hash = load_artifact().code_hash
        proven = check_receipt(receipt, CONTRACT, slot, code_hash, checkpoint.size, checkpoint.root)
        assert step.mined is not None
        assert (proven.height, proven.block_hash) == (step.mined.height, step.mined.block_hash)
        assert proven.alone


async def test_a_round_anchors_the_receipts_of_those_before_it(kept: Bench) -> None:
    await kept.start()
    await kept.round("source")
    # The log of receipts had its first record when the round began.
    assert kept.anchored() == [("source", 1), ("receipts", 1)]
    kept.commit("twin")
    await kept.round("source")
    assert kept.anchored()[2:] == [("source", 2), ("twin", 1), ("receipts", 3)]
    await kept.round("twin")
    assert kept.anchored()[5:] == [("twin", 2), ("receipts", 6)]
    # One commit for each round, and the newest round's are pending.
    assert kept.sink.commits == [2, 3, 2]
    assert kept.logs["receipts"].size == 8
    assert kept.receipted() == in_journal(kept)


async def test_what_only_the_log_of_receipts_holds_starts_no_round(kept: Bench) -> None:
    await kept.start()
    await kept.round("source")
    before = kept.anchored()
    kept.clock.advance(1000 * SECOND)
    assert await kept.anchorer.step() == 0
    assert await kept.anchorer.step(flush=True) == 0
    kept.logs["receipts"].append([("bench", Event(0, "started", b""))])
    assert await kept.anchorer.step(flush=True) == 0
    assert kept.anchored() == before


async def test_a_flush_ends_and_leaves_nothing_but_receipts(kept: Bench) -> None:
    kept.policy = Policy(2, 60 * SECOND)
    await kept.start()
    for _ in range(5):
        kept.commit("source")
    kept.commit("twin")
    assert await kept.anchorer.step(flush=True) == 7
    assert kept.anchored() == [
        *(("source", 2), ("twin", 1), ("receipts", 1)),
        *(("source", 4), ("receipts", 4)),
        *(("source", 5), ("receipts", 6)),
    ]
    assert kept.sink.commits == [3, 2, 2]
    assert kept.receipted() == in_journal(kept)


async def test_receipts_of_a_journal_that_had_no_log_for_them(kept: Bench) -> None:
    kept.receipts = False
    await kept.start()
    for _ in range(260):
        kept.commit("source")
    kept.policy = Policy(1, SECOND)
    await kept.anchorer.step()
    kept.receipts = True
    await kept.start()
    assert kept.anchorer.catch_up() == 260
    assert kept.anchorer.catch_up() == 0
    assert kept.sink.commits == [256, 4]
    assert kept.receipted() == in_journal(kept)


@pytest.mark.parametrize("at", ["send", "mined", "second send", "second mined", "commit", "committed"])
async def test_a_kill_leaves_no_receipt_out_and_doubles_none(kept: Bench, at: str) -> None:
    await kept.start()
    await kept.round("source")
    kept.commit("twin")
    if at.startswith("second"):
        sends: list[str] = []
        kept.node.hook = lambda method: _die_at_second(kept, method, sends, at)
    elif at in ("send", "mined"):
        kept.node.dies = {"send": "before", "mined": "behind"}[at]
    else:
        kept.sink.dies = {"commit": "before", "committed": "behind"}[at]
    with pytest.raises(kept.killed):
        await kept.round("source")
    held = kept.receipted()
    anchored = [step for step in iterate_steps(kept.journal_file) if step.anchors]
    assert held == in_journal(kept)[: len(held)]
    assert len(anchored) - len(held) == {"send": 0, "mined": 0, "commit": 3, "committed": 0}.get(at, 1)
    await kept.start()
    await kept.anchorer.step(flush=True)
    assert kept.receipted() == in_journal(kept)
    # It goes on as ever, once more from its files.
    await kept.round("twin")
    await kept.start()
    assert kept.anchorer.catch_up() == 0
    assert kept.receipted() == in_journal(kept)
    assert (await kept.check()).findings == []


def _die_at_second(bench: Bench, method: str, sends: list[str], at: str) -> None:
    if method == "evm_setNextBlockTimestamp":
        sends.append(method)
        if len(sends) == 2:
            bench.node.dies = "before" if at == "second send" else "behind"


async def test_without_a_kill_it_goes_on_from_a_node_that_was_away(kept: Bench) -> None:
    await kept.start()
    await kept.round("source")
    kept.commit("twin")
    requests: list[str] = []

    def away(method: str) -> None:
        # Gone while the second anchor of the round waits for its receipt, whose block stands.
        requests.append(method)
        if method == "eth_getTransactionReceipt" and requests.count("eth_sendRawTransaction") == 2:
            raise NodeUnreachable("away", "wait")

    kept.node.hook = away
    with pytest.raises(NodeUnreachable):
        await kept.round("source")
    kept.node.hook = None
    await kept.submitter.catch_up(load_artifact())
    # The first anchor came through the round, the second through the submitter's catching up.
    assert await kept.anchorer.step() == 0
    assert kept.receipted() == in_journal(kept)
    assert len(kept.receipted()) == 4
    await kept.round("source")
    assert kept.receipted() == in_journal(kept)


WRONG: dict[str, tuple[str, Callable[[list[AnchorReceipt]], list[tuple[str, AnchorReceipt]]]]] = {
    "one too many": ("the journal has 2 anchors only", lambda right: sourced([*right, right[0]])),
    "one twice": ("record 2 is not the receipt of step 2", lambda right: sourced([right[0], right[0]])),
    "left out": ("record 1 is not the receipt of step 1", lambda right: sourced(right[1:])),
    "out of order": ("record 1 is not the receipt of step 1", lambda right: sourced(right[::-1])),
    "another source": ("record 1 is not the receipt of step 1", lambda right: [(right[1].origin, right[0])]),
    "a bit off": (
        "record 2 is not the receipt of step 2",
        lambda right: sourced([right[0], replace(right[1], header=right[1].header[:-1] + b"\x01")]),
    ),
}


def sourced(receipts: list[AnchorReceipt]) -> list[tuple[str, AnchorReceipt]]:
    return [(receipt.origin, receipt) for receipt in receipts]


async def stops_with(bench: Bench, words: str) -> None:
    """Whoever starts now stops with these words, and leaves everything as it is."""
    await bench.start()
    bench.commit("source")
    before = bench.journal_file.read_bytes(), await bench.height(), bench.logs["receipts"].size
    for _ in range(2):
        with pytest.raises(StoreError, match=words) as raised:
            await bench.anchorer.step(flush=True)
        assert bench.origins["receipts"] in raised.value.problem
        assert raised.value.mend
    assert (bench.journal_file.read_bytes(), await bench.height(), bench.logs["receipts"].size) == before


@pytest.mark.parametrize("what", WRONG)
async def test_with_other_receipts_than_the_journal_s_the_anchor_stops(kept: Bench, what: str) -> None:
    kept.receipts = False
    await kept.start()
    await kept.round("source")
    await kept.round("twin")
    words, made = WRONG[what]
    kept.logs["receipts"].append(made(in_journal(kept)))
    kept.receipts = True
    await stops_with(kept, words)


async def test_a_receipt_changed_behind_its_entry_stops_the_anchor_and_an_erased_one_does_not(kept: Bench) -> None:
    await kept.start()
    await kept.round("source")
    connection = kept.stores["receipts"]._connection
    connection.execute("UPDATE records SET body = NULL WHERE idx = 1")
    await kept.start()
    await kept.round("twin")
    (body,) = connection.execute("SELECT body FROM records WHERE idx = 2").fetchone()
    connection.execute("UPDATE records SET body = ? WHERE idx = 2", (body[:-1] + bytes([body[-1] ^ 1]),))
    await stops_with(kept, "record 2 is not the receipt of step 2")


@pytest.mark.parametrize("rewritten", [False, True])
async def test_a_log_of_receipts_below_its_anchor_is_not_written_on(kept: Bench, rewritten: bool) -> None:
    await kept.start()
    for _ in range(3):
        await kept.round("source")
    connection = kept.stores["receipts"]._connection
    connection.execute("DELETE FROM records WHERE idx >= 1")
    connection.execute("DELETE FROM checkpoints WHERE size > 1")
    words = "it ends at size 1, and size 5 is anchored"
    if rewritten:
        kept.open_log("receipts").append([("bench", Event(n, "started", b"")) for n in range(6)])
        words = "its first 5 records are not those that were anchored"
    await stops_with(kept, words)
