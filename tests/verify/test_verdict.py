"""The verdict: what could not be checked is never genuine, and each thing that was falsified is named once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from testbed.chain.steps import Anchoring
from testbed.core.entry import Row
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.tiles import TILE_WIDTH
from testbed.rig.auditing import approved_model
from testbed.verify.evidence import ChainEvidence, Evidence, LogEvidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check

SOURCE, TWIN, RECEIPTS = "water-cell/gateway", "water-cell/twin", "water-cell/receipts"

Seen = tuple[What, Layer, str, int | None]


def unseen(trust: Trust, evidence: Evidence) -> tuple[Trust, Evidence]:
    """As if there were no witness, who would know better, or would have seen what came later."""
    logs = {origin: replace(log, mirrors=()) for origin, log in evidence.logs.items()}
    return replace(trust, witnesses=()), replace(evidence, logs=logs)


def judged(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def seen(report: Report) -> set[Seen]:
    return {(one.what, one.layer, one.origin, one.index) for one in report.findings}


def with_log(evidence: Evidence, origin: str, **changes: Any) -> Evidence:  # noqa: ANN401 - fields of LogEvidence
    return replace(evidence, logs={**evidence.logs, origin: replace(evidence.logs[origin], **changes)})


def with_chain(evidence: Evidence, **changes: Any) -> Evidence:  # noqa: ANN401 - fields of ChainEvidence
    assert evidence.chain is not None
    return replace(evidence, chain=replace(evidence.chain, **changes))


def without_receipts(trust: Trust) -> Trust:
    return replace(trust, logs=tuple(log for log in trust.logs if log.origin != RECEIPTS))


def before_the_newest_round(evidence: Evidence) -> Evidence:
    """As the log of receipts was before its last commit."""
    log = evidence.logs[RECEIPTS]
    (size, note), _ = log.checkpoints[-2:]
    return with_log(
        evidence, RECEIPTS, rows=log.rows[:size], checkpoints=log.checkpoints[:-1], published=note, tiles=None
    )


def rows(evidence: Evidence, origin: str) -> list[Row]:
    return list(evidence.logs[origin].rows)


def renumbered(changed: list[Row]) -> tuple[Row, ...]:
    return tuple(replace(row, index=index) for index, row in enumerate(changed))


def flipped(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_the_untouched_bench_is_genuine(trust: Trust, evidence: Evidence) -> None:
    report = judged(trust, evidence)
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE
    assert report.replayed == 300
    # The receipts of the newest round wait for the next one.
    assert [one.origin for one in report.standings if one.pending] == [RECEIPTS]


# What could not be checked.


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda e: replace(e, journal_head=None, journal=(), journal_problem="gone"), What.UNANCHORED),
        (lambda e: replace(e, chain=None, chain_problem="no node"), What.UNREACHABLE),
        (lambda e: replace(e, logs={}), What.UNREACHABLE),
        (lambda e: replace(e, logs={SOURCE: e.logs[SOURCE]}), What.UNREACHABLE),
        (lambda e: with_log(e, SOURCE, problem="SQLite cannot read it", rows=(), checkpoints=()), What.UNREACHABLE),
        (lambda e: with_log(e, SOURCE, published=None, tiles={}), What.MISSING),
        (lambda e: with_log(e, TWIN, published=None, tiles={}), What.MISSING),
        (lambda e: with_log(e, SOURCE, tiles={}), What.MISSING),
    ],
    ids=["journal", "node", "logs", "twin log", "store", "source folder", "twin folder", "tiles"],
)
def test_what_could_not_be_checked_is_inconclusive(
    trust: Trust, evidence: Evidence, spoil: Callable[[Evidence], Evidence], what: What
) -> None:
    report = judged(trust, spoil(evidence))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert what in {one.what for one in report.findings}


def test_one_missing_tile_is_one_finding(trust: Trust, evidence: Evidence) -> None:
    tiles = evidence.logs[SOURCE].tiles or {}
    for path in tiles:
        left = {name: data for name, data in tiles.items() if name != path}
        report = judged(trust, with_log(evidence, SOURCE, tiles=left))
        assert [(one.what, one.layer) for one in report.findings] == [(What.MISSING, Layer.LOG)], path
        assert report.verdict is Verdict.INCONCLUSIVE


def test_one_missing_body_is_named(trust: Trust, evidence: Evidence) -> None:
    changed = rows(evidence, SOURCE)
    changed[100] = replace(changed[100], body=None)
    report = judged(trust, with_log(evidence, SOURCE, rows=tuple(changed)))
    assert seen(report) == {(What.MISSING, Layer.STORE, SOURCE, 100)}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_simulated_bench_needs_a_trust_file_that_allows_it(trust: Trust, evidence: Evidence) -> None:
    report = judged(replace(trust, simulated=False), evidence)
    assert seen(report) == {(What.SIMULATED, Layer.IDENTITY, origin, 0) for origin in evidence.logs}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_journal_cut_to_its_head_is_not_genuine(trust: Trust, evidence: Evidence) -> None:
    report = judged(trust, replace(evidence, journal=()))
    assert report.verdict is not Verdict.GENUINE
    # The slots hold what the receipts prove, so it is the journal that was cut off.
    assert seen(report) == {(What.ROLLED_BACK, Layer.ANCHOR, RECEIPTS, 1)}


def test_a_bench_without_any_anchor_is_inconclusive(trust: Trust, evidence: Evidence) -> None:
    empty = dict.fromkeys(evidence.logs, bytes(32))
    report = judged(without_receipts(trust), with_chain(replace(evidence, journal=evidence.journal[:1]), slots=empty))
    assert {one.what for one in report.findings} == {What.UNANCHORED}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_too_few_confirmations_anchor_nothing(trust: Trust, evidence: Evidence) -> None:
    report = judged(replace(trust, chain=replace(trust.chain, confirmations=1000)), evidence)
    assert {one.what for one in report.findings} == {What.UNANCHORED}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_no_approved_model_is_not_genuine(trust: Trust, evidence: Evidence) -> None:
    report = check(trust, evidence, lambda *_: None).report
    assert report.verdict is Verdict.INCONCLUSIVE
    report = judged(replace(trust, models=()), evidence)
    assert report.verdict is Verdict.FALSIFIED
    assert [one.what for one in report.findings] == [What.UNAPPROVED]


# Several at once.


def test_a_value_and_a_tile_in_the_same_block_are_both_named(trust: Trust, evidence: Evidence) -> None:
    log = evidence.logs[SOURCE]
    changed = rows(evidence, SOURCE)
    changed[20] = replace(changed[20], body=flipped(changed[20].body or b"", 40))
    tiles = dict(log.tiles or {})
    tiles["tile/0/000"] = flipped(tiles["tile/0/000"], 32 * 40)
    report = judged(trust, with_log(evidence, SOURCE, rows=tuple(changed), tiles=tiles))
    assert seen(report) == {(What.ALTERED, Layer.STORE, SOURCE, 20), (What.ALTERED, Layer.LOG, SOURCE, 40)}


def test_a_deleted_and_an_inserted_record_are_both_named(trust: Trust, evidence: Evidence) -> None:
    changed = rows(evidence, TWIN)
    made_up = replace(changed[7], entry=flipped(changed[7].entry, -1 % len(changed[7].entry)))
    del changed[50]
    changed.insert(200, made_up)
    report = judged(trust, with_log(evidence, TWIN, rows=renumbered(changed)))
    # Behind the deleted record the store counts one less, so the made-up one pushed in before record 201.
    assert seen(report) == {(What.DELETED, Layer.STORE, TWIN, 50), (What.INSERTED, Layer.STORE, TWIN, 201)}


def test_a_deletion_and_a_tile_in_the_same_block_are_both_named(trust: Trust, evidence: Evidence) -> None:
    changed = rows(evidence, SOURCE)
    del changed[30]
    tiles = dict(evidence.logs[SOURCE].tiles or {})
    tiles["tile/0/000"] = flipped(tiles["tile/0/000"], 32 * 99)
    report = judged(trust, with_log(evidence, SOURCE, rows=renumbered(changed), tiles=tiles))
    assert seen(report) == {(What.DELETED, Layer.STORE, SOURCE, 30), (What.ALTERED, Layer.LOG, SOURCE, 99)}


def test_tiles_that_lag_behind_do_not_blur_a_deletion(trust: Trust, evidence: Evidence) -> None:
    # A writer that was killed left records that no tile has yet.
    changed = rows(evidence, TWIN)
    del changed[3]
    notes = dict(evidence.logs[TWIN].checkpoints)
    size = max(size for size in notes if size % TILE_WIDTH == 0)
    tiles = {path: data for path, data in (evidence.logs[TWIN].tiles or {}).items() if not path.endswith(".p/")}
    whole = {path: data for path, data in tiles.items() if ".p/" not in path}
    level1 = next(data for path, data in tiles.items() if path.startswith("tile/1/"))
    count = size // TILE_WIDTH
    whole[f"tile/1/000.p/{count}"] = level1[: 32 * count]
    report = judged(trust, with_log(evidence, TWIN, rows=renumbered(changed), published=notes[size], tiles=whole))
    assert seen(report) == {(What.DELETED, Layer.STORE, TWIN, 3)}


def test_a_slot_behind_a_rewritten_chain_is_not_named_twice(trust: Trust, evidence: Evidence) -> None:
    assert evidence.chain is not None
    height = evidence.journal[3].intent.height
    blocks = {
        at: replace(block, hash=b"x" * 32, transactions_root=b"y" * 32) if at >= height else block
        for at, block in evidence.chain.blocks.items()
    }
    report = judged(trust, with_chain(evidence, blocks=blocks, slots={SOURCE: bytes(32), TWIN: bytes(32)}))
    assert [(one.what, one.layer, one.where) for one in report.findings] == [
        (What.REWRITTEN, Layer.CHAIN, f"block {height}")
    ]


def test_another_version_of_the_node_is_inconclusive_where_the_transaction_is_the_same(
    trust: Trust, evidence: Evidence
) -> None:
    assert evidence.chain is not None
    blocks = {at: replace(block, hash=b"x" * 32) for at, block in evidence.chain.blocks.items()}
    same_version = judged(trust, with_chain(evidence, blocks=blocks))
    assert [one.what for one in same_version.findings] == [What.REWRITTEN]
    other = judged(trust, with_chain(evidence, blocks=blocks, version="anvil/v99"))
    assert [one.what for one in other.findings] == [What.UNREACHABLE]
    assert other.verdict is Verdict.INCONCLUSIVE
    lies = {at: replace(block, hash=b"x" * 32, transactions_root=b"y" * 32) for at, block in blocks.items()}
    assert judged(trust, with_chain(evidence, blocks=lies, version="anvil/v99")).verdict is Verdict.FALSIFIED


def test_a_chain_that_ends_early_is_behind(trust: Trust, evidence: Evidence) -> None:
    assert evidence.chain is not None
    blocks = {at: block for at, block in evidence.chain.blocks.items() if at <= 4}
    report = judged(trust, with_chain(evidence, blocks=blocks, height=4))
    assert [(one.what, one.where) for one in report.findings] == [(What.BEHIND, "block 4")]
    assert report.verdict is Verdict.INCONCLUSIVE


def test_another_contract_or_chain_is_falsified(trust: Trust, evidence: Evidence) -> None:
    assert [one.what for one in judged(trust, with_chain(evidence, code_hash=b"x" * 32)).findings] == [What.SUBSTITUTED]
    assert [one.what for one in judged(trust, with_chain(evidence, genesis=b"x" * 32)).findings] == [What.REWRITTEN]


# A log cut back, and checkpoints that are not what they should be.


def cut_back(log: LogEvidence, size: int) -> LogEvidence:
    """Rows and checkpoints cut back; tiles and checkpoint file as a backup of that time has them."""
    notes = tuple((at, note) for at, note in log.checkpoints if at <= size)
    tiles = {}
    for path, data in (log.tiles or {}).items():
        if path.startswith("tile/0/000"):
            tiles[f"tile/0/000.p/{size}"] = data[: 32 * size]
        if path.startswith("tile/entries/000"):
            width = sum(2 + len(row.entry) for row in log.rows[:size])
            tiles[f"tile/entries/000.p/{size}"] = data[:width]
    return replace(log, rows=log.rows[:size], checkpoints=notes, published=notes[-1][1], tiles=tiles)


def test_a_log_restored_from_an_old_copy_was_rolled_back(trust: Trust, evidence: Evidence) -> None:
    old = cut_back(evidence.logs[SOURCE], 200)
    report = judged(trust, replace(evidence, logs={**evidence.logs, SOURCE: old}))
    assert seen(report) == {(What.ROLLED_BACK, Layer.LOG, SOURCE, 200)}
    assert report.verdict is Verdict.FALSIFIED


def test_a_checkpoint_made_up_for_a_cut_log_hides_nothing(trust: Trust, evidence: Evidence) -> None:
    old = cut_back(evidence.logs[SOURCE], 200)
    old = replace(old, checkpoints=(*old.checkpoints, (10**15, b"junk")))
    report = judged(trust, replace(evidence, logs={**evidence.logs, SOURCE: old}))
    assert seen(report) == {
        (What.ROLLED_BACK, Layer.LOG, SOURCE, 200),
        (What.WRONG_KEY, Layer.IDENTITY, SOURCE, None),
    }


@pytest.mark.parametrize("size", [-5, 0, 2**62])
def test_a_checkpoint_of_an_impossible_size_is_one_finding(trust: Trust, evidence: Evidence, size: int) -> None:
    notes = evidence.logs[SOURCE].checkpoints
    report = judged(trust, with_log(evidence, SOURCE, checkpoints=(*notes, (size, b"junk"))))
    assert seen(report) == {(What.WRONG_KEY, Layer.IDENTITY, SOURCE, None)}


def test_an_anchored_checkpoint_that_the_store_lost_is_named(trust: Trust, evidence: Evidence) -> None:
    size = next(
        step.intent.anchored.size
        for step in evidence.journal
        if step.intent.anchored is not None and step.intent.anchored.origin == TWIN
    )
    left = tuple(pair for pair in evidence.logs[TWIN].checkpoints if pair[0] != size)
    report = judged(trust, with_log(evidence, TWIN, checkpoints=left))
    assert [(one.what, one.where) for one in report.findings] == [(What.DELETED, f"checkpoint of {TWIN}, size {size}")]


def test_records_rewritten_everywhere_but_without_the_key_are_located(trust: Trust, evidence: Evidence) -> None:
    trust, evidence = unseen(trust, evidence)
    from testbed.merkle.tiles import encode_bundle, entry_bundles, tile_hashes, tile_widths
    from testbed.merkle.tree import Tree, leaf_hash

    for origin, index, store_index in ((SOURCE, 77, 77), (TWIN, 77, None)):
        changed = rows(evidence, origin)
        changed[index] = replace(changed[index], entry=flipped(changed[index].entry, len(changed[index].entry) - 1))
        tree = Tree(leaf_hash(row.entry) for row in changed)
        tiles = {tile.path: tile_hashes(tree, tile) for tile in tile_widths(tree.size)}
        for bundle in entry_bundles(tree.size):
            start = bundle.n * TILE_WIDTH
            tiles[bundle.path] = encode_bundle([row.entry for row in changed[start : start + bundle.width]])
        report = judged(trust, with_log(evidence, origin, rows=tuple(changed), tiles=tiles))
        assert report.verdict is Verdict.FALSIFIED
        if store_index is not None:
            # The twin noted the leaf hash that it read.
            assert (What.ALTERED, Layer.STORE, origin, store_index) in seen(report)
            assert (What.ALTERED, Layer.LOG, origin, store_index) in seen(report)
            assert {one.index for one in report.findings} <= {store_index, None}
        else:
            # Nobody keeps the twin's leaves; the checkpoint of each commit (a peer and a record) bounds the place.
            (one,) = report.findings
            assert (one.what, one.layer) == (What.ALTERED, Layer.LOG)
            assert one.where == f"records 76 to 77 of {TWIN}"


# Claims of the journal.


def _tampered(evidence: Evidence, place: int, part: str, **changes: Any) -> Evidence:  # noqa: ANN401 - fields of a step
    step = evidence.journal[place]
    changed = replace(step, **{part: replace(getattr(step, part), **changes)})
    return replace(evidence, journal=(*evidence.journal[:place], changed, *evidence.journal[place + 1 :]))


def _anchoring(evidence: Evidence, place: int) -> Anchoring:
    anchored = evidence.journal[place].intent.anchored
    assert anchored is not None
    return anchored


MINED: list[tuple[str, Callable[[Any], Any]]] = [
    ("block_hash", flipped),
    ("header", lambda data: flipped(data, 40)),
    ("height", lambda n: n + 1),
    ("timestamp", lambda n: n + 1),
    ("gas_used", lambda n: n + 1),
    ("tx_hash", flipped),
    ("slot_proof", lambda _: None),
    ("slot_proof", lambda proof: flipped(proof, len(proof) - 1)),
    ("slot_proof", lambda _: b""),
    ("receipt", lambda data: flipped(data, len(data) - 1)),
    ("receipt", lambda data: data[:4] + b"\x80" + data[5:]),
    ("receipt", lambda _: b""),
]
ANCHORED: list[tuple[str, Callable[[Any], Any]]] = [
    ("origin", lambda _: "water-cell/other"),
    ("old_size", lambda n: n + 1),
    ("old_root", flipped),
    ("old_time", lambda n: n + 1),
    ("size", lambda n: n + 1),
    ("root", flipped),
    ("note", lambda data: flipped(data, len(data) - 5)),
    ("note", lambda _: b""),
]


@pytest.mark.parametrize("place", [1, 4, -1])
@pytest.mark.parametrize(("name", "change"), MINED)
def test_each_claim_of_what_was_mined_is_checked(
    trust: Trust, evidence: Evidence, place: int, name: str, change: Callable[[Any], Any]
) -> None:
    place %= len(evidence.journal)
    old = getattr(evidence.journal[place].mined, name)
    report = judged(trust, _tampered(evidence, place, "mined", **{name: change(old)}))
    assert report.verdict is Verdict.FALSIFIED
    assert [one.what for one in report.findings] == [What.SUBSTITUTED]


@pytest.mark.parametrize("place", [1, 4, -1])
@pytest.mark.parametrize(("name", "change"), ANCHORED)
def test_each_claim_of_what_was_anchored_is_checked(
    trust: Trust, evidence: Evidence, place: int, name: str, change: Callable[[Any], Any]
) -> None:
    place %= len(evidence.journal)
    anchored = _anchoring(evidence, place)
    changed = replace(anchored, **{name: change(getattr(anchored, name))})
    report = judged(trust, _tampered(evidence, place, "intent", anchored=changed))
    assert report.verdict is Verdict.FALSIFIED
    assert What.SUBSTITUTED in {one.what for one in report.findings}


@pytest.mark.parametrize("field", ["chain_id", "genesis_hash", "contract", "submitter"])
def test_a_journal_of_another_chain_is_substituted(trust: Trust, evidence: Evidence, field: str) -> None:
    assert evidence.journal_head is not None
    other: dict[str, Any] = {
        "chain_id": 1,
        "genesis_hash": b"x" * 32,
        "contract": "0x" + "11" * 20,
        "submitter": "0x" + "22" * 20,
    }
    head = replace(evidence.journal_head, **{field: other[field]})
    report = judged(trust, replace(evidence, journal_head=head))
    assert (What.SUBSTITUTED, Layer.ANCHOR, "", None) in seen(report)
    assert report.verdict is Verdict.FALSIFIED


def test_an_anchor_that_was_sent_and_not_yet_noted_is_no_falsification(trust: Trust, evidence: Evidence) -> None:
    open_step = replace(evidence.journal[-1], mined=None)
    # The receipts of its round are logged only after it was noted.
    before = before_the_newest_round(evidence)
    report = judged(*unseen(trust, replace(before, journal=(*evidence.journal[:-1], open_step))))
    assert report.findings == ()
    assert [one.origin for one in report.standings if one.pending] == [RECEIPTS]


def test_a_contract_that_moved_on_without_the_journal_is_named(trust: Trust, evidence: Evidence) -> None:
    last = _anchoring(evidence, len(evidence.journal) - 1).origin
    shorter = replace(evidence, journal=evidence.journal[:-1])
    receipts = evidence.logs[RECEIPTS].rows
    # The receipt proves what the contract holds: the journal was cut off.
    assert seen(judged(trust, shorter)) == {(What.ROLLED_BACK, Layer.ANCHOR, RECEIPTS, receipts[-1].index)}
    # Without one, it is the contract that has moved on.
    assert seen(judged(without_receipts(trust), shorter)) == {(What.SUBSTITUTED, Layer.ANCHOR, last, None)}
    assert evidence.chain is not None
    # Another value in the slot is another cause.
    slots = {**evidence.chain.slots, last: bytes(32)}
    assert seen(judged(trust, with_chain(shorter, slots=slots))) == {
        (What.SUBSTITUTED, Layer.ANCHOR, last, None),
        (What.ROLLED_BACK, Layer.ANCHOR, RECEIPTS, receipts[-1].index),
    }


def test_findings_read_as_sentences() -> None:
    one = Finding(What.ALTERED, Layer.STORE, "record 1 of a/b", "why")
    assert str(one) == "altered, store: record 1 of a/b: why"


def test_chain_evidence_says_which_node_answered(evidence: Evidence) -> None:
    assert isinstance(evidence.chain, ChainEvidence)
    assert evidence.chain.version.startswith("anvil")
