"""A cause is named once, where it lies: not its neighbours, not what it brings about, not somebody who is honest."""

import asyncio
from dataclasses import replace

from testbed.attacks.resigned import rewrite_state
from testbed.chain.receipts import ProvenReceipt
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.rig.auditing import approved_model, evidence_of
from testbed.rig.bench import Bench
from testbed.rig.falsifying import target_of
from testbed.verify import blocks
from testbed.verify.evidence import Evidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check
from tests.verify.test_verdict import RECEIPTS, SOURCE, TWIN, flipped, renumbered, rows, with_log

READER = "water-cell/reader"


def judged(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def alone(report: Report) -> Finding:
    (found,) = report.findings
    return found


def unseen(evidence: Evidence) -> Evidence:
    return replace(evidence, logs={origin: replace(log, mirrors=()) for origin, log in evidence.logs.items()})


def test_a_run_of_deleted_records_is_one_finding(trust: Trust, evidence: Evidence) -> None:
    left = rows(evidence, READER)
    del left[60:200]
    found = alone(judged(trust, with_log(evidence, READER, rows=renumbered(left))))
    assert (found.what, found.where, found.index) == (What.DELETED, f"records 60 to 199 of {READER}", 60)


def test_a_tile_whose_hashes_have_shifted_is_one_finding(trust: Trust, evidence: Evidence) -> None:
    tiles = dict(evidence.logs[SOURCE].tiles or {})
    tile = tiles["tile/0/000"]
    tiles["tile/0/000"] = tile[:320] + tile[352:] + bytes(range(32))
    found = alone(judged(trust, with_log(evidence, SOURCE, tiles=tiles)))
    where = f"records 10 to 255 of {SOURCE} in tile level 0, tile 0, positions 10 to 255"
    assert (found.what, found.layer, found.where, found.index) == (What.ALTERED, Layer.LOG, where, 10)


def test_an_entry_in_another_ones_place_alters_that_one(trust: Trust, evidence: Evidence) -> None:
    changed = rows(evidence, SOURCE)
    changed[40] = replace(changed[40], entry=changed[200].entry)
    found = alone(judged(trust, with_log(evidence, SOURCE, rows=tuple(changed))))
    assert (found.what, found.layer, found.index) == (What.ALTERED, Layer.STORE, 40)


def test_a_tag_list_that_was_altered_speaks_for_what_cannot_be_run_again(trust: Trust, evidence: Evidence) -> None:
    for origin in (SOURCE, TWIN):
        changed = rows(evidence, origin)
        changed[1] = replace(changed[1], body=flipped(changed[1].body or b"", 5))
        found = alone(judged(trust, with_log(evidence, origin, rows=tuple(changed))))
        assert (found.what, found.origin, found.index) == (What.ALTERED, origin, 1)


def test_a_twin_whose_records_are_gone_has_not_stalled(trust: Trust, evidence: Evidence) -> None:
    cut = with_log(evidence, TWIN, rows=evidence.logs[TWIN].rows[:300])
    found = alone(judged(replace(trust, twin_lag=20), cut))
    assert (found.what, found.layer, found.index) == (What.DELETED, Layer.STORE, 300)


def test_tiles_are_a_copy_also_under_a_false_checkpoint(trust: Trust, evidence: Evidence) -> None:
    """Nobody else has the leaf of a receipt that is gone."""
    left = rows(evidence, RECEIPTS)
    del left[20]
    note = flipped(evidence.logs[RECEIPTS].published or b"", -30 % len(evidence.logs[RECEIPTS].published or b""))
    changed = with_log(unseen(evidence), RECEIPTS, rows=renumbered(left), published=note)
    found = judged(replace(trust, witnesses=()), changed).findings
    assert {(one.what, one.layer, one.index) for one in found} == {
        (What.DELETED, Layer.STORE, 20),
        (What.WRONG_KEY, Layer.IDENTITY, None),
    }


def test_receipts_show_a_fork_whatever_became_of_the_journal(bench: Bench, trust: Trust) -> None:
    reader = target_of(bench).logs["reader"]
    rewrite_state(reader, 100, "tank2.level", None)
    changed = unseen(asyncio.run(evidence_of(bench, trust)))
    trust = replace(trust, witnesses=())
    lost = replace(changed, journal_head=None, journal=(), journal_problem="gone")
    by_anchor, by_receipt = (
        next(one for one in judged(trust, found).findings if one.what is What.FORKED) for found in (changed, lost)
    )
    assert "anchored in block" in by_anchor.where
    assert f"of {RECEIPTS}" in by_receipt.where
    for one in (by_anchor, by_receipt):
        assert one.verdict is Verdict.FALSIFIED
        assert one.index is None
        # The place is a range, and it says so.
        first, last = (int(word) for word in one.detail.partition("records ")[2].partition(":")[0].split(" to "))
        assert first <= 100 <= last
        assert "a range between two signed sizes" in one.detail


def test_beacons_that_name_the_same_block_are_one_finding() -> None:
    def beacon(origin: str, named: str) -> Finding:
        detail = f"it names block 7 as {named}; ff stands there: the chain was rewritten, or the beacon is false"
        return Finding(What.REWRITTEN, Layer.CHAIN, f"record 3 of {origin}", detail, origin=origin, index=3)

    both = blocks._alike([beacon(SOURCE, "aa"), beacon(READER, "aa")])
    assert [(one.origin, one.index) for one in both] == [(SOURCE, 3)]
    assert both[0].detail.endswith(f"; so does record 3 of {READER}")
    assert len(blocks._alike([beacon(SOURCE, "aa"), beacon(READER, "bb")])) == 2


def test_a_slot_is_explained_by_the_last_receipt_alone(trust: Trust, evidence: Evidence) -> None:
    checked = check(trust, replace(evidence, journal=evidence.journal[:-4]), approved_model)
    cut_off = [one for one in checked.report.findings if one.what is What.ROLLED_BACK]
    assert len(checked.report.findings) == len(cut_off) == 1
    assert len(checked.chain.findings) > 1
    older = [ProvenReceipt(one.origin, 1, bytes(32), 1, bytes(32), 1, True) for one in checked.chain.findings]
    assert blocks._explained(evidence, checked.chain, cut_off, older) == []
