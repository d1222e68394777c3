"""What witnesses add to a verdict: what they saw is listed, what lies off it is found, and named to the record."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.attacks.published import change_tile
from testbed.attacks.records import rewriting
from testbed.attacks.resigned import rewrite_state
from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.cosignature import WitnessKey, cosign
from testbed.keys.ed25519 import SigningKey
from testbed.keys.note import add_lines, split_note
from testbed.merkle.packed import Packed
from testbed.merkle.tree import Tree, leaf_hash
from testbed.rig.auditing import approved_model, evidence_of
from testbed.rig.bench import Bench
from testbed.rig.falsifying import target_of
from testbed.rig.log_keys import signing_key
from testbed.rig.paths import Paths
from testbed.rig.witness_reading import read_witnesses
from testbed.verify.evidence import Evidence, MirrorEvidence
from testbed.verify.trust import Trust, TrustedWitness
from testbed.verify.verdict import Report, check
from testbed.witness.memory import origin_hash

GATEWAY, TWIN, RECEIPTS = "water-cell/gateway", "water-cell/twin", "water-cell/receipts"


def report(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def mirrored(
    evidence: Evidence, change: Callable[[MirrorEvidence], MirrorEvidence | None], origin: str | None = None
) -> Evidence:
    """The evidence with what witnesses keep of one log, or of all, changed."""
    logs = {
        name: replace(log, mirrors=tuple(new for one in log.mirrors if (new := change(one)) is not None))
        if origin in (None, name)
        else log
        for name, log in evidence.logs.items()
    }
    return replace(evidence, logs=logs)


def test_everything_is_witnessed_at_the_end(trust: Trust, evidence: Evidence) -> None:
    found = report(trust, evidence)
    assert found.verdict is Verdict.GENUINE
    assert found.witnesses == 1
    sizes = {one.origin: one.size for one in found.standings}
    assert {one.origin: one.size for one in found.witnessed} == sizes
    assert {(one.by, one.waiting) for one in found.witnessed} == {(1, 0)}


def test_what_waits_for_a_witness_is_listed_and_changes_no_verdict(trust: Trust, evidence: Evidence) -> None:
    found = report(trust, mirrored(evidence, lambda one: replace(one, notes=(), leaves=Packed(b"")), GATEWAY))
    assert (found.verdict, found.findings) == (Verdict.GENUINE, ())
    (gateway,) = (one for one in found.witnessed if one.origin == GATEWAY)
    size = next(one.size for one in found.standings if one.origin == GATEWAY)
    assert (gateway.size, gateway.by, gateway.waiting) == (0, 0, size)


def test_an_old_trust_file_asks_for_no_witness(trust: Trust, evidence: Evidence) -> None:
    found = report(replace(trust, witnesses=()), mirrored(evidence, lambda _: None))
    assert (found.verdict, found.witnesses, found.witnessed) == (Verdict.GENUINE, 0, ())


def test_a_quorum_of_witnesses_must_be_heard(trust: Trust, evidence: Evidence) -> None:
    more = [WitnessKey.of(SigningKey.from_seed(f"w{number}", bytes([number]) * 32)) for number in range(2)]
    three = replace(trust, witnesses=(*trust.witnesses, *(TrustedWitness(key.name, key) for key in more)))
    away = (MirrorEvidence("w0", problem="no answer"), MirrorEvidence("w1"))
    logs = {name: replace(log, mirrors=(*log.mirrors, *away)) for name, log in evidence.logs.items()}
    found = report(three, replace(evidence, logs=logs))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert all((one.size, one.by) == (0, 1) for one in found.witnessed), "one of three is no quorum"
    (one,) = found.findings
    assert (one.what, one.layer, one.where) == (What.UNREACHABLE, Layer.WITNESS, "w0, w1")
    assert "of 3 trusted, 1 have" in one.detail
    assert "no answer" in one.detail


def test_a_second_witness_makes_a_quorum_of_three(bench: Bench, trust: Trust, evidence: Evidence) -> None:
    """It has seen less than the first: what both have seen is witnessed."""
    key = SigningKey.from_seed("second", bytes([5]) * 32)
    three = replace(
        trust,
        witnesses=(
            *trust.witnesses,
            TrustedWitness("second", WitnessKey.of(key)),
            TrustedWitness("third", WitnessKey.of(SigningKey.from_seed("third", bytes([6]) * 32))),
        ),
    )
    rows = evidence.logs[GATEWAY].rows
    note = resigned(bench, GATEWAY, 200, Tree(leaf_hash(row.entry) for row in rows[:200]).root())
    note = add_lines(note, [cosign(split_note(note)[0], key, 9)])
    logs = {**evidence.logs}
    logs[GATEWAY] = replace(logs[GATEWAY], mirrors=(*logs[GATEWAY].mirrors, MirrorEvidence("elsewhere", (note,))))
    found = report(three, replace(evidence, logs=logs))
    assert (found.verdict, found.findings) == (Verdict.GENUINE, ())
    sizes = {one.origin: (one.size, one.by, one.waiting) for one in found.witnessed}
    assert sizes[GATEWAY] == (200, 2, len(rows) - 200)
    assert sizes[TWIN][:2] == (0, 1)


def test_two_keys_of_which_both_cosigned_are_two(trust: Trust, evidence: Evidence) -> None:
    """One of two is half, not more than half."""
    other = TrustedWitness("other", WitnessKey.of(SigningKey.from_seed("other", bytes(32))))
    found = report(replace(trust, witnesses=(*trust.witnesses, other)), evidence)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert all(one.size == 0 for one in found.witnessed)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("part", ["text", "log", "witness", "leaves"])
def test_a_changed_file_of_a_witness_is_the_witness_and_not_the_log(
    trust: Trust, evidence: Evidence, part: str
) -> None:
    def spoil(one: MirrorEvidence) -> MirrorEvidence:
        (note,) = one.notes
        if part == "leaves":
            return replace(one, leaves=Packed(flipped(bytes(one.leaves.data), 32 * 17 + 5)))
        text, lines = split_note(note)
        at = {"text": 2, "log": len(text.encode()) + 50}.get(part, len(note) - 20)
        bad = flipped(note, at)
        assert part == "text" or [line.name for line in split_note(bad)[1]] == [line.name for line in lines]
        return replace(one, notes=(bad,))

    found = report(trust, mirrored(evidence, spoil, GATEWAY))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert {(one.what, one.layer, one.origin) for one in found.findings} == {(What.ALTERED, Layer.WITNESS, GATEWAY)}
    if part == "leaves":
        assert found.findings[0].where == f"record 17 of {GATEWAY} in the mirror of witness"


def resigned(bench: Bench, origin: str, size: int, root: bytes) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root), signing_key(bench, origin.partition("/")[2]))


def test_a_checkpoint_that_a_witness_refused_shows_the_fork(bench: Bench, trust: Trust, evidence: Evidence) -> None:
    """The log is as it was again; its key has signed another one all the same."""
    fork = resigned(bench, TWIN, 40, bytes(32))
    found = report(trust, mirrored(evidence, lambda one: replace(one, notes=(*one.notes, fork)), TWIN))
    assert found.verdict is Verdict.FALSIFIED
    (one,) = found.findings
    assert (one.what, one.layer, one.origin) == (What.FORKED, Layer.LOG, TWIN)
    assert one.where == f"checkpoint of {TWIN}, size 40, that witness keeps"


def test_a_log_that_was_cut_back_and_never_anchored_so_far(bench: Bench, trust: Trust, evidence: Evidence) -> None:
    size = len(evidence.logs[RECEIPTS].rows)
    longer = resigned(bench, RECEIPTS, size + 3, bytes(32))
    found = report(trust, mirrored(evidence, lambda one: replace(one, notes=(longer,)), RECEIPTS))
    assert found.verdict is Verdict.FALSIFIED
    assert [(one.what, one.index) for one in found.findings if one.origin == RECEIPTS] == [(What.ROLLED_BACK, size)]


def test_after_a_full_rewrite_each_record_is_named(bench: Bench, trust: Trust) -> None:
    """Store, bodies, tiles and checkpoints are all made anew and signed with the log's own key."""
    reader = target_of(bench).logs["reader"]
    for index in (100, 200):
        rewrite_state(reader, index, "tank2.level", None)
    found = report(trust, asyncio.run(evidence_of(bench, trust)))
    assert found.verdict is Verdict.FALSIFIED
    # The device signed other values than the log has now, which is a finding of its own.
    named = [one for one in found.findings if one.what is What.FORKED and one.origin == reader.origin]
    assert [(one.what, one.layer, one.where) for one in named] == [
        (What.FORKED, Layer.LOG, f"record {index} of {reader.origin}") for index in (100, 200)
    ]
    assert "witness saw under a checkpoint of size" in named[0].detail
    # Without a witness only the anchors speak: where it begins is a range.
    unseen = mirrored(asyncio.run(evidence_of(bench, trust)), lambda _: None)
    alone = [one for one in report(replace(trust, witnesses=()), unseen).findings if one.what is What.FORKED]
    assert [one.index for one in alone] == [None]


def test_a_log_that_was_written_anew_from_a_record_on(bench: Bench, trust: Trust, evidence: Evidence) -> None:
    """Every leaf behind it is another one: the first and the last are named."""
    size = len(evidence.logs[TWIN].rows)
    leaves = [leaf_hash(row.entry) for row in evidence.logs[TWIN].rows[:50]] + [bytes([7]) * 32] * (size - 50)
    note = resigned(bench, TWIN, size, Tree(leaves).root())
    found = report(trust, mirrored(evidence, lambda one: replace(one, notes=(note,), leaves=Packed.of(leaves)), TWIN))
    (named,) = [one for one in found.findings if one.index is not None]
    assert (named.what, named.where, named.index) == (What.FORKED, f"records 50 to {size - 1} of {TWIN}", 50)


def test_a_record_that_neither_store_nor_tiles_have_is_found_in_a_mirror(bench: Bench, trust: Trust) -> None:
    """Both are damaged at one place: with the mirror it is known what stood there, and who changed it is told apart."""
    reader = target_of(bench).logs["reader"]
    change_tile(reader, 100)
    with rewriting(reader) as connection:
        (entry,) = connection.execute("SELECT entry FROM records WHERE idx = 100").fetchone()
        connection.execute("UPDATE records SET entry = ? WHERE idx = 100", (flipped(entry, 20),))
    kept = asyncio.run(evidence_of(bench, trust))
    seen = {(one.what, one.layer, one.index) for one in report(trust, kept).findings}
    assert {(What.ALTERED, Layer.STORE, 100), (What.ALTERED, Layer.LOG, 100)} <= seen
    unseen = report(replace(trust, witnesses=()), mirrored(kept, lambda _: None)).findings
    assert Layer.STORE not in {one.layer for one in unseen}


def test_what_a_witness_keeps_is_read_from_its_folder(bench: Bench, trust: Trust, tmp_path: Path) -> None:
    found = read_witnesses(bench, trust, [])
    assert {origin: [one.witness for one in kept] for origin, kept in found.items()} == {
        log.origin: ["witness"] for log in trust.logs
    }
    assert len(found[GATEWAY][0].leaves) > 300
    # It stands elsewhere: then it must be named.
    folder = Paths(bench.data).role_folder("witness")
    shutil.move(folder, tmp_path / "elsewhere")
    assert set(read_witnesses(bench, trust, []).values()) == {()}
    (moved,) = read_witnesses(bench, trust, [str(tmp_path / "elsewhere")])[GATEWAY]
    assert (moved.notes, list(moved.leaves)) == (found[GATEWAY][0].notes, list(found[GATEWAY][0].leaves))
    (gone,) = read_witnesses(bench, trust, [str(tmp_path / "nowhere")])[GATEWAY]
    assert "there is no such folder" in gone.problem
    refused = tmp_path / "elsewhere" / origin_hash(GATEWAY) / "refused"
    refused.mkdir()
    (refused / "0.theirs").write_bytes(b"theirs")
    (refused / "0.ours").write_bytes(b"ours")
    (more,) = read_witnesses(bench, trust, [str(tmp_path / "elsewhere")])[GATEWAY]
    assert more.notes == (*moved.notes, b"theirs", b"ours")
