"""The journal of a network that takes blocks back: which line may follow which, and what all of them come to."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.chain.journal import Journal
from testbed.chain.proofs import header_fields
from testbed.chain.reading import iterate_steps, read_journal, read_tail, summarize
from testbed.chain.registry import decode_anchor, fees_of, read_transaction, with_fees
from testbed.chain.steps import (
    Anchoring,
    Dropped,
    Head,
    Intent,
    Mined,
    Reorganised,
    Settled,
    Successor,
    Version,
)
from testbed.chain.succession import AnchoredHead, StepLine
from testbed.core.errors import StoreError

KEY = bytes([0x11]) * 32
OTHER = bytes([7]) * 32
HEIR = "0x" + "22" * 20


@pytest.fixture
def head(recorded: dict[str, Any]) -> Head:
    genesis = bytes.fromhex(recorded["genesis_hash"])
    return Head(recorded["chain_id"], genesis, None, (), recorded["submitter"], recorded["contract"], 3)


@pytest.fixture
def pairs(recorded: dict[str, Any]) -> list[tuple[Intent, Mined]]:
    """The committed chain, as if it were a network of others: a deployment and four anchors of one log."""
    return [pair(number, block, recorded["origin"]) for number, block in enumerate(recorded["blocks"])]


def pair(number: int, block: dict[str, Any], origin: str) -> tuple[Intent, Mined]:
    raw, encoded = bytes.fromhex(block["transaction"]), bytes.fromhex(block["header"])
    header, transaction = header_fields(encoded), read_transaction(raw)
    anchored, proof = None, None
    if transaction.to is not None:
        call = decode_anchor(transaction.data)
        anchored = Anchoring(origin, call.old_size, call.old_root, call.old_time, call.size, call.root, b"note")
        proof = bytes.fromhex(block["proof"])
    receipt = bytes.fromhex(block["receipt"])
    return (
        Intent(number, header.number, header.parent_hash, None, raw, anchored),
        Mined(
            *(number, header.number, header.hash, encoded, header.timestamp, block["gas_used"]),
            *(transaction.hash, proof, receipt),
        ),
    )


@pytest.fixture
def journal(tmp_path: Path, head: Head, pairs: list[tuple[Intent, Mined]]) -> Iterator[Journal]:
    """Three steps, of which the first is settled."""
    made = Journal.create(tmp_path / "journal.jsonl", head)
    for intent, mined in pairs[:3]:
        made.intent(intent)
        made.mined(mined)
    made.note(Settled(0))
    yield made
    made.close()


def append(journal: Journal, line: StepLine) -> None:
    match line:
        case Intent():
            journal.intent(line)
        case Mined():
            journal.mined(line)
        case _:
            journal.note(line)


def same_everywhere(journal: Journal) -> None:
    """Writer and readers are of one mind."""
    reached, path = summarize(journal.path), journal.path
    assert (reached.steps, reached.last, reached.recent) == (
        journal.reached.steps,
        journal.reached.last,
        journal.reached.recent,
    )
    assert (reached.heads, reached.newest, reached.anchors) == (
        journal.reached.heads,
        journal.reached.newest,
        journal.reached.anchors,
    )
    assert read_journal(path).steps == tuple(iterate_steps(path))
    tail = read_tail(path)
    assert (tail.steps, tail.last, tail.settled) == (reached.steps, reached.last, reached.settled.newest)


def test_what_is_taken_back_is_open_again_in_its_order(journal: Journal, pairs: list[tuple[Intent, Mined]]) -> None:
    origin = "bench.example/source"
    assert journal.reached.heads[origin].size == 2
    journal.note(Reorganised(1, pairs[1][1].height, OTHER))
    same_everywhere(journal)
    assert journal.reached.heads == {}
    assert journal.reached.newest == pairs[0][1]
    with pytest.raises(StoreError, match="step is open"):
        journal.check_ready()
    with pytest.raises(StoreError, match="without its intent"):
        journal.mined(pairs[2][1])
    journal.mined(pairs[1][1])
    root = decode_anchor(read_transaction(pairs[1][0].transaction).data).root
    assert journal.reached.heads[origin] == AnchoredHead(1, root, pairs[1][1].timestamp)
    journal.mined(pairs[2][1])
    same_everywhere(journal)
    assert [step.reopened for step in read_journal(journal.path).steps] == [False, True, True]
    journal.note(Settled(2))
    same_everywhere(journal)
    assert all(step.settled for step in read_journal(journal.path).steps)
    assert journal.reached.settled.proved == 2


def test_a_version_may_be_what_is_mined(journal: Journal, pairs: list[tuple[Intent, Mined]]) -> None:
    intent, mined = pairs[3]
    fees = fees_of(intent.transaction)
    dearer = with_fees(KEY, intent.transaction, replace(fees, max_fee_per_gas=2 * fees.max_fee_per_gas))
    journal.intent(replace(intent, transaction=dearer))
    journal.note(Version(3, intent.transaction))
    journal.mined(mined)
    same_everywhere(journal)
    step = read_journal(journal.path).steps[3]
    assert (step.sent, step.transactions) == (intent.transaction, (dearer, intent.transaction))


def test_a_step_that_is_dropped_moves_no_head(journal: Journal, pairs: list[tuple[Intent, Mined]]) -> None:
    before = dict(journal.reached.heads)
    journal.intent(pairs[3][0])
    journal.note(Dropped(3))
    assert journal.reached.heads == before
    journal.check_ready()
    journal.note(Settled(3))
    same_everywhere(journal)


def test_another_account_begins_with_nothing(journal: Journal, pairs: list[tuple[Intent, Mined]]) -> None:
    with pytest.raises(StoreError, match="not settled"):
        journal.note(Successor(HEIR))
    journal.note(Settled(2))
    journal.intent(pairs[3][0])
    journal.note(Successor(HEIR))
    same_everywhere(journal)
    assert (journal.reached.submitter, journal.reached.heads) == (HEIR, {})
    assert journal.reached.floors == {"bench.example/source": 2}
    assert [step.dropped for step in read_journal(journal.path).steps] == [False, False, False, True]
    journal.check_ready()


Wrong = Callable[[list[tuple[Intent, Mined]]], StepLine]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda _: Settled(0),
        lambda _: Settled(3),
        lambda _: Dropped(2),
        lambda _: Dropped(3),
        lambda pairs: Version(2, pairs[2][0].transaction),
        lambda pairs: Reorganised(0, pairs[0][1].height, OTHER),
        lambda pairs: Reorganised(1, pairs[2][1].height, OTHER),
        lambda pairs: Reorganised(1, pairs[1][1].height, pairs[1][1].block_hash),
        lambda _: Reorganised(3, 4, OTHER),
        lambda _: Successor(HEIR),
        lambda pairs: pairs[2][1],
    ],
)
def test_a_line_that_may_not_stand_there_is_not_taken(
    journal: Journal, pairs: list[tuple[Intent, Mined]], wrong: Wrong
) -> None:
    before = journal.path.read_bytes()
    with pytest.raises(StoreError):
        append(journal, wrong(pairs))
    assert journal.path.read_bytes() == before
    same_everywhere(journal)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda _: Settled(3),
        lambda pairs: Version(3, pairs[3][0].transaction),
        lambda pairs: Version(3, pairs[4][0].transaction),
        lambda pairs: Version(3, with_fees(OTHER, pairs[3][0].transaction, fees_of(pairs[3][0].transaction))),
        lambda _: Dropped(2),
    ],
)
def test_nor_while_a_step_is_open(journal: Journal, pairs: list[tuple[Intent, Mined]], wrong: Wrong) -> None:
    journal.intent(pairs[3][0])
    with pytest.raises(StoreError):
        append(journal, wrong(pairs))
    same_everywhere(journal)


@pytest.mark.parametrize("line", [Settled(0), Dropped(1), Reorganised(0, 1, None), Successor(HEIR)])
def test_none_of_them_stands_in_the_journal_of_a_node_of_ones_own(
    tmp_path: Path, head: Head, pairs: list[tuple[Intent, Mined]], line: StepLine
) -> None:
    own = replace(head, node_version="anvil", confirmations=1)
    with Journal.create(tmp_path / "own.jsonl", own) as journal:
        for intent, mined in pairs[:1]:
            journal.intent(replace(intent, timestamp=mined.timestamp))
            journal.mined(mined)
        with pytest.raises(StoreError, match="own node"):
            append(journal, line)


def test_a_journal_of_a_network_that_is_cut_anywhere_goes_on(
    journal: Journal, pairs: list[tuple[Intent, Mined]]
) -> None:
    journal.note(Reorganised(1, pairs[1][1].height, OTHER))
    journal.mined(pairs[1][1])
    journal.close()
    whole = journal.path.read_bytes()
    for place in range(whole.index(b"\n") + 1, len(whole), 97):
        journal.path.write_bytes(whole[:place])
        with Journal.open(journal.path) as again:
            same_everywhere(again)
            assert again.path.read_bytes() == whole[:place][: whole[:place].rfind(b"\n") + 1]
