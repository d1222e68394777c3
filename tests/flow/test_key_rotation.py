"""A bench whose logs change their keys: it goes on, the verdict follows, and no other key gets in between."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core import failpoints
from testbed.core.bodies import KEY_CHANGED, Event
from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import VirtualClock
from testbed.core.entropy import Entropy, SeededEntropy, SystemEntropy
from testbed.core.errors import StoreError, UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.checkpoint import open_checkpoint, sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.evidence_file import encode_evidence, parse_evidence
from testbed.keys.files import read_secret
from testbed.keys.log_keys import Revoked, open_key_change
from testbed.rig.auditing import approved_model, auditor, evidence_of
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import START_NS, go_on, simulate
from testbed.rig.log_keys import log_keys, signing_key
from testbed.rig.logs import continue_log
from testbed.rig.paths import Paths
from testbed.rig.proving import Prover
from testbed.rig.rotation import apply, request, root_key, sign_request, trusted_root
from testbed.rig.trust import load_trust
from testbed.store.sqlite import LogStore
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.proved import check_evidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check

GATEWAY, OPERATOR, TWIN = "water-cell/gateway", "water-cell/operator", "water-cell/twin"
HOUR_NS = 3600 * 10**9
CLOCK = VirtualClock(START_NS + HOUR_NS // 2)
ROTATED = ("gateway", "operator", "twin", "receipts")


def rotate(bench: Bench, role: str, seed: int = 3) -> None:
    entropy = SeededEntropy(seed, f"keys of {role}")
    _, note = sign_request(request(bench, role, entropy), bench.folder / "root.key")
    apply(bench, role, note, trusted_root(bench, bench.trust_file), CLOCK, entropy)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench that ran and ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), 40, 5))
    return folder


@pytest.fixture(scope="module")
def rotated(stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Four of its logs got new keys, the gateway's two of them, and it ran on each time. Not to be changed."""
    folder = tmp_path_factory.mktemp("rotated") / "bench"
    shutil.copytree(stopped, folder)
    bench = load_bench(folder / "bench.toml")
    for role in ROTATED:
        rotate(bench, role)
    asyncio.run(go_on(bench, 30, 6, START_NS + HOUR_NS))
    rotate(bench, "gateway", 4)
    asyncio.run(go_on(bench, 20, 7, START_NS + 2 * HOUR_NS))
    return bench


@pytest.fixture(scope="module")
def trust(rotated: Bench) -> Trust:
    return auditor(load_trust(rotated.trust_file))


@pytest.fixture(scope="module")
def evidence(rotated: Bench, trust: Trust) -> Evidence:
    return asyncio.run(evidence_of(rotated, trust))


@pytest.fixture
def bench(stopped: Path, tmp_path: Path) -> Bench:
    shutil.copytree(stopped, tmp_path / "bench")
    return load_bench(tmp_path / "bench" / "bench.toml")


def judged(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def changed(evidence: Evidence, change: Callable[[LogEvidence], LogEvidence], origin: str = GATEWAY) -> Evidence:
    return replace(evidence, logs={**evidence.logs, origin: change(evidence.logs[origin])})


def places(bench: Bench, role: str) -> list[int]:
    return [change.first for change in log_keys(bench, role).changes]


def test_a_bench_whose_keys_changed_is_genuine(rotated: Bench, trust: Trust, evidence: Evidence) -> None:
    report = judged(trust, evidence)
    assert [str(one) for one in report.findings] == []
    assert report.verdict is Verdict.GENUINE
    assert report.replayed == 90
    for role in rotated.logs:
        standing = next(one for one in report.standings if one.origin == rotated.origin(role))
        assert list(standing.key_changes) == places(rotated, role)
        assert len(standing.key_changes) == (2 if role == "gateway" else role in ROTATED)
        assert standing.confirmed >= max(standing.key_changes, default=1)


def test_at_each_size_the_key_signed_that_counts_there(rotated: Bench) -> None:
    keys = log_keys(rotated, "gateway")
    with LogStore.read(Paths(rotated.data).log("gateway")) as store:
        notes = dict(store.checkpoints())
    for change in keys.changes:
        behind = min(size for size in notes if size > change.first)
        for size, key in ((change.first, change.old), (behind, change.new)):
            assert open_checkpoint(notes[size], key, GATEWAY).size == size
    # The secret that does not sign any more is gone.
    assert signing_key(rotated, "gateway").verifier() == keys.newest
    assert not Paths(rotated.data).next_key("gateway").exists()


def test_the_log_alone_or_what_is_published_alone_says_which_keys_count(trust: Trust, evidence: Evidence) -> None:
    without = changed(evidence, lambda log: replace(log, key_changes=()))
    assert judged(trust, without).verdict is Verdict.GENUINE
    # A change whose body was damaged is one record that was altered, and no more.
    first = int(evidence.logs[GATEWAY].key_changes[0].splitlines()[3])

    def damaged(log: LogEvidence) -> LogEvidence:
        row = log.rows[first - 1]
        body = bytearray(row.body or b"")
        body[-3] ^= 1
        return replace(log, rows=(*log.rows[: first - 1], replace(row, body=bytes(body)), *log.rows[first:]))

    report = judged(trust, changed(evidence, damaged))
    assert [(one.what, one.layer, one.origin, one.index) for one in report.findings] == [
        (What.ALTERED, Layer.STORE, GATEWAY, first - 1)
    ]
    report = judged(trust, changed(without, damaged))
    assert report.verdict is Verdict.FALSIFIED
    assert What.WRONG_KEY in {one.what for one in report.findings}


def test_without_the_root_key_no_other_key_counts(trust: Trust, evidence: Evidence) -> None:
    for root in (None, SigningKey.from_seed("water-cell/root", b"x" * 32).verifier()):
        report = judged(replace(trust, root=root), evidence)
        assert report.verdict is Verdict.FALSIFIED
        wrong = {one.origin for one in report.findings if one.what is What.WRONG_KEY}
        assert wrong == {f"water-cell/{role}" for role in ROTATED}
        standing = next(one for one in report.standings if one.origin == GATEWAY)
        first = int(evidence.logs[GATEWAY].key_changes[0].splitlines()[3])
        # What the trusted key signed stays genuine.
        assert 0 < standing.genuine == standing.confirmed <= first


@pytest.mark.parametrize("which", ["the key before", "the key behind"])
def test_a_checkpoint_by_the_wrong_one_of_two_keys_does_not_count(bench: Bench, which: str) -> None:
    old = signing_key(bench, "gateway")
    rotate(bench, "gateway")
    new = signing_key(bench, "gateway")
    asyncio.run(go_on(bench, 10, 6, START_NS + HOUR_NS))
    trust = auditor(load_trust(bench.trust_file))
    evidence = asyncio.run(evidence_of(bench, trust))
    assert judged(trust, evidence).verdict is Verdict.GENUINE
    first = places(bench, "gateway")[0]
    size = (
        first
        if which == "the key behind"
        else next(size for size, _ in evidence.logs[GATEWAY].checkpoints if size > first)
    )
    signer = new if which == "the key behind" else old

    def signed_anew(log: LogEvidence) -> LogEvidence:
        notes = dict(log.checkpoints)
        known = open_checkpoint(notes[size], log_keys(bench, "gateway"), GATEWAY)
        notes[size] = sign_checkpoint(Checkpoint(GATEWAY, size, known.root), signer)
        return replace(log, checkpoints=tuple(notes.items()))

    report = judged(trust, changed(evidence, signed_anew))
    (found,) = report.findings
    assert (found.what, found.layer, found.origin) == (What.WRONG_KEY, Layer.IDENTITY, GATEWAY)
    assert found.where == f"checkpoint of {GATEWAY}, size {size}"
    assert f"size {first} only" in found.detail
    assert report.verdict is Verdict.FALSIFIED


def test_a_record_that_only_says_that_the_key_changes_is_no_change(bench: Bench) -> None:
    """The owner of a log cannot appoint a key: the root key has not signed."""
    old = signing_key(bench, "gateway")
    entropy = SeededEntropy(9, "forger")
    forged = request(bench, "gateway", entropy)
    _, note = sign_request(forged, bench.folder / "root.key")
    other = SigningKey.from_seed("water-cell/root", b"x" * 32)
    false = forged + note[len(forged) :].replace(b"water-cell/root", b"water-cell/rook")
    for wrong in (forged, false):
        with pytest.raises(UsageError, match="does not count"):
            apply(bench, "gateway", wrong, trusted_root(bench, bench.trust_file), CLOCK, entropy)
    with pytest.raises(UsageError, match="does not count"):
        apply(bench, "gateway", note, other.verifier(), CLOCK, entropy)
    assert signing_key(bench, "gateway").verifier() == old.verifier()
    log, store = continue_log(bench, "gateway", entropy)
    with store:
        size = log.append([("cell", Event(CLOCK.now_ns(), KEY_CHANGED, false))]).first_index
    trust = auditor(load_trust(bench.trust_file))
    report = judged(trust, asyncio.run(evidence_of(bench, trust)))
    assert [(one.what, one.layer, one.index) for one in report.findings] == [(What.WRONG_KEY, Layer.IDENTITY, size)]


def test_a_log_that_has_grown_is_asked_for_again(bench: Bench) -> None:
    entropy = SystemEntropy()
    root = trusted_root(bench, bench.trust_file)
    _, note = sign_request(request(bench, "gateway", entropy), bench.folder / "root.key")
    asyncio.run(go_on(bench, 5, 6, START_NS + HOUR_NS))
    with pytest.raises(UsageError, match="has grown"):
        apply(bench, "gateway", note, root, CLOCK, entropy)
    # The key that waits is the same.
    change, again = sign_request(request(bench, "gateway", entropy), bench.folder / "root.key")
    assert change.new == open_key_change(note, root).new
    assert apply(bench, "gateway", again, root, CLOCK, entropy) == change
    # Applied twice, it was applied once.
    assert apply(bench, "gateway", again, root, CLOCK, entropy) == change
    assert len(places(bench, "gateway")) == 1
    with pytest.raises(UsageError):
        apply(bench, "twin", again, root, CLOCK, entropy)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("when", [failpoints.BEFORE, failpoints.AFTER])
@pytest.mark.parametrize("point", ["sequence", "publish", "key"])
def test_killed_at_any_instant_exactly_one_key_signs(
    bench: Bench, point: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_armed", {})

    def kill(_: str) -> None:
        raise Killed

    entropy: Entropy = SystemEntropy()
    root = trusted_root(bench, bench.trust_file)
    change, note = sign_request(request(bench, "gateway", entropy), bench.folder / "root.key")
    failpoints.arm(point, when, 1, kill)
    with pytest.raises(Killed):
        apply(bench, "gateway", note, root, CLOCK, entropy)
    failpoints._armed.clear()
    happened = (point, when) != ("sequence", failpoints.BEFORE)
    # Whoever starts next is the log's own writer, and it goes on under one key.
    asyncio.run(go_on(bench, 5, 6, START_NS + HOUR_NS))
    assert signing_key(bench, "gateway").verifier() == (change.new if happened else change.old)
    assert places(bench, "gateway") == ([change.first] if happened else [])
    trust = auditor(load_trust(bench.trust_file))
    assert [str(one) for one in judged(trust, asyncio.run(evidence_of(bench, trust))).findings] == []


def test_a_log_is_not_continued_with_the_key_before(bench: Bench) -> None:
    paths = Paths(bench.data)
    old = read_secret(paths.key("gateway"))
    rotate(bench, "gateway")
    paths.key("gateway").write_bytes(old)
    log, store = continue_log(bench, "gateway", SystemEntropy())
    with store, pytest.raises(StoreError, match="signs no longer"):
        log.append([("cell", Event(0, "started", b""))])


def test_what_a_revoked_key_signed_beyond_its_size_does_not_count(trust: Trust, evidence: Evidence) -> None:
    log = evidence.logs[GATEWAY]
    first, second = (int(note.splitlines()[3]) for note in log.key_changes)
    begun = trust.logs[0].key
    anchored = sorted(
        step.intent.anchored.size
        for step in evidence.journal
        if step.intent.anchored is not None and step.intent.anchored.origin == GATEWAY
    )
    # Revoked where its turn was over, it changes nothing.
    assert judged(replace(trust, revoked=(Revoked(begun, first),)), evidence).verdict is Verdict.GENUINE
    limit = anchored[0]
    report = judged(replace(trust, revoked=(Revoked(begun, limit),)), evidence)
    assert {(one.what, one.layer, one.origin) for one in report.findings} == {
        (What.WRONG_KEY, Layer.IDENTITY, GATEWAY)
    }, [str(one) for one in report.findings]
    assert len(report.findings) == 1
    # The newest key signed over all of it again.
    assert report.standings[0].genuine == report.standings[0].size
    # Where it is the newest key, the log ends there.
    newest = open_key_change(log.key_changes[1], trust.root).new
    report = judged(replace(trust, revoked=(Revoked(newest, second),)), evidence)
    assert report.verdict is Verdict.FALSIFIED
    below = max(size for size in anchored if size <= second)
    assert (report.standings[0].size, report.standings[0].genuine) == (second, below)
    assert {(one.what, one.origin) for one in report.findings} == {(What.WRONG_KEY, GATEWAY)}, [
        str(one) for one in report.findings
    ]


def test_evidence_is_shown_under_the_keys_of_its_time(rotated: Bench, trust: Trust) -> None:
    begun = trust.logs[0].key
    first, second = places(rotated, "gateway")
    with Prover(rotated) as prover:
        for role, index in (("gateway", 5), ("gateway", first), ("gateway", second + 2), ("twin", 9), ("reader", 9)):
            file = prover.prove(role, index)
            found = check_evidence(parse_evidence(encode_evidence(file)), trust, approved_model)
            assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
            # What a key signs that follows another counts by the change that old, new and root key signed.
            for doubtful in (replace(file, key_changes=file.key_changes[:-1]), replace(file, key_changes=())):
                wrong = check_evidence(doubtful, trust, approved_model)
                assert {one.what for one in wrong.findings} == {What.WRONG_KEY}
            assert check_evidence(file, replace(trust, root=None), approved_model).verdict is Verdict.FALSIFIED
        file = prover.prove("gateway", first + 1)
    revoked = check_evidence(file, replace(trust, revoked=(Revoked(begun, 3),)), approved_model)
    assert revoked.verdict is Verdict.GENUINE, "the newest key signed over it again"
    newest = open_key_change(file.key_changes[1], trust.root).new
    revoked = check_evidence(file, replace(trust, revoked=(Revoked(newest, second),)), approved_model)
    assert {one.what for one in revoked.findings} == {What.WRONG_KEY}


def test_the_root_key_is_no_secret_of_the_bench(rotated: Bench, trust: Trust) -> None:
    assert root_key(GATEWAY, rotated.folder / "root.key").verifier() == trust.root
    assert (rotated.folder / "root.key").stat().st_mode & 0o777 == 0o600
    secret = (rotated.folder / "root.key").read_bytes()
    assert all(secret not in path.read_bytes() for path in rotated.data.rglob("*") if path.is_file())
