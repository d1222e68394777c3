"""Each receipt proves an anchor by itself, and is the one that the journal has in its place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from testbed.core.bodies import AnchorReceipt
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.log_keys import LogKeys
from testbed.rig.auditing import approved_model
from testbed.verify.evidence import ChainEvidence, Evidence
from testbed.verify.log import CheckedLog
from testbed.verify.receipts import Accepted, check_receipts
from testbed.verify.trust import Trust
from testbed.verify.verdict import Checked, check

RECEIPTS = "water-cell/receipts"


@pytest.fixture(scope="module")
def audited(trust: Trust, evidence: Evidence) -> Checked:
    return check(trust, evidence, approved_model)


class Judge:
    """Receipts of the finished bench, with one part of what speaks for or against them exchanged."""

    def __init__(self, trust: Trust, evidence: Evidence, audited: Checked) -> None:
        self.trust = trust
        self.log: CheckedLog = audited.logs[RECEIPTS]
        self.accepted: Accepted | None = audited.chain.accepted
        self.chain: ChainEvidence | None = evidence.chain
        self.places = [
            index for index in sorted(self.log.genuine) if isinstance(self.log.genuine[index].body, AnchorReceipt)
        ]

    def receipt(self, place: int) -> AnchorReceipt:
        body = self.log.genuine[self.places[place]].body
        assert isinstance(body, AnchorReceipt)
        return body

    def put(self, place: int, body: AnchorReceipt) -> None:
        index = self.places[place]
        genuine = {**self.log.genuine, index: replace(self.log.genuine[index], body=body)}
        self.log = replace(self.log, genuine=genuine)

    def found(self, *, settled: bool = True) -> list[Finding]:
        keys = {log.origin: LogKeys(log.key) for log in self.trust.logs}
        return check_receipts(self.log, self.trust.chain, keys, self.accepted, self.chain, settled=settled)[0]


@pytest.fixture
def judge(trust: Trust, evidence: Evidence, audited: Checked) -> Judge:
    return Judge(trust, evidence, audited)


def seen(found: list[Finding]) -> list[tuple[What, Layer, Verdict, int | None]]:
    return [(one.what, one.layer, one.verdict, one.index) for one in found]


FALSE = (What.SUBSTITUTED, Layer.ANCHOR, Verdict.FALSIFIED)


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_the_receipts_of_a_bench_are_those_of_its_journal(judge: Judge) -> None:
    assert judge.accepted is not None
    assert len(judge.places) == len(judge.accepted) > 4
    assert judge.found() == []


@pytest.mark.parametrize("place", [0, 2, -1])
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("checkpoint", flipped),
        ("header", flipped),
        ("slot_proof", flipped),
        ("receipt_proof", flipped),
        ("slot_proof", lambda _: b""),
        ("header", lambda _: b""),
        ("checkpoint", lambda _: b""),
    ],
)
def test_each_part_of_each_receipt_counts(
    judge: Judge, place: int, field: str, change: Callable[[bytes], bytes]
) -> None:
    body = judge.receipt(place)
    changes: dict[str, Any] = {field: change(getattr(body, field))}
    judge.put(place, replace(body, **changes))
    assert seen(judge.found()) == [(*FALSE, judge.places[place])]


def test_without_the_journal_each_proves_itself_all_the_same(judge: Judge) -> None:
    judge.accepted = None
    assert judge.found() == []
    judge.put(1, replace(judge.receipt(1), slot_proof=judge.receipt(0).slot_proof))
    assert seen(judge.found()) == [(*FALSE, judge.places[1])]


def test_receipts_that_changed_places_are_named_at_the_first(judge: Judge) -> None:
    one, other = judge.receipt(1), judge.receipt(2)
    judge.put(1, other)
    judge.put(2, one)
    (found,) = judge.found()
    assert seen([found]) == [(*FALSE, judge.places[1])]
    assert "1 more receipt(s) are wrong as well" in found.detail


def test_a_receipt_of_another_log_is_not_that_logs(judge: Judge) -> None:
    body = judge.receipt(0)
    other = next(log.origin for log in judge.trust.logs if log.origin != body.origin)
    judge.put(0, replace(body, origin=other))
    assert seen(judge.found()) == [(*FALSE, judge.places[0])]


def test_a_log_that_the_auditor_does_not_name_is_passed_over_in_its_place(judge: Judge) -> None:
    origin = judge.receipt(0).origin
    judge.trust = replace(judge.trust, logs=tuple(log for log in judge.trust.logs if log.origin != origin))
    assert judge.found() == []
    judge.put(1, replace(judge.receipt(1), origin="water-cell/nobody"))
    assert seen(judge.found()) == [(*FALSE, judge.places[1])]


def test_more_receipts_than_anchors_show_that_the_journal_was_cut(judge: Judge) -> None:
    assert judge.accepted is not None
    judge.accepted = judge.accepted[:-2]
    assert seen(judge.found()) == [(What.ROLLED_BACK, Layer.ANCHOR, Verdict.FALSIFIED, judge.places[-2])]
    # While the bench goes on and no chain says what came later, it may have grown.
    assert judge.found(settled=False) == []


def test_receipts_of_blocks_that_came_while_the_bench_was_read_are_left_for_the_next_check(judge: Judge) -> None:
    assert judge.accepted is not None
    assert judge.chain is not None
    judge.chain = replace(judge.chain, height=judge.accepted[-3][0].height)
    judge.accepted = judge.accepted[:-2]
    assert judge.found() == []


def test_the_receipts_of_the_newest_round_may_be_missing_and_no_others(judge: Judge) -> None:
    assert judge.accepted is not None
    origins = [anchoring.origin for _, anchoring in judge.accepted]
    newest = next(count for count in range(1, len(origins)) if origins[-count - 1] in origins[-count:])
    whole = judge.log
    for count, missing in ((newest, False), (newest + 1, True)):
        size = judge.places[-count]
        genuine = {index: found for index, found in whole.genuine.items() if index < size}
        judge.log = replace(whole, genuine=genuine, size=size)
        found = judge.found()
        assert bool(found) is missing
    assert seen(found) == [(What.MISSING, Layer.ANCHOR, Verdict.INCONCLUSIVE, None)]


def test_another_block_at_the_height_of_a_receipt_was_rewritten(judge: Judge) -> None:
    assert judge.accepted is not None
    assert judge.chain is not None
    height = judge.accepted[3][0].height
    blocks = {**judge.chain.blocks, height: replace(judge.chain.blocks[height], hash=b"x" * 32)}
    judge.chain = replace(judge.chain, blocks=blocks)
    assert seen(judge.found()) == [(What.REWRITTEN, Layer.CHAIN, Verdict.FALSIFIED, judge.places[3])]
    # With its proofs gone it would show nothing.
    judge.put(3, replace(judge.receipt(3), header=judge.receipt(2).header))
    assert seen(judge.found()) == [(*FALSE, judge.places[3])]


def test_a_block_that_others_name_was_rewritten_though_journal_and_chain_agree(judge: Judge) -> None:
    """The receipt shows another block than both have."""
    assert judge.accepted is not None
    assert judge.chain is not None
    mined, anchoring = judge.accepted[3]
    other = replace(mined, header=flipped(mined.header), block_hash=b"x" * 32)
    judge.accepted = [*judge.accepted[:3], (other, anchoring), *judge.accepted[4:]]
    blocks = {**judge.chain.blocks, mined.height: replace(judge.chain.blocks[mined.height], hash=other.block_hash)}
    judge.chain = replace(judge.chain, blocks=blocks)
    keys = {log.origin: LogKeys(log.key) for log in judge.trust.logs}

    def found(*named: bytes) -> list[tuple[What, Layer, Verdict, int | None]]:
        receipts = judge.log, judge.trust.chain, keys, judge.accepted, judge.chain, named.__contains__
        return seen(check_receipts(*receipts, settled=True)[0])

    index = judge.places[3]
    assert found(mined.block_hash) == [(What.REWRITTEN, Layer.CHAIN, Verdict.FALSIFIED, index)]
    assert found() == [(What.SUBSTITUTED, Layer.ANCHOR, Verdict.FALSIFIED, index)]
