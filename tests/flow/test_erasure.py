"""Bodies that the operator has erased: their bytes are gone, proofs hold, and what depends on them is named."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core import failpoints
from testbed.core.bodies import Tombstone
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.entry import Kind
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.evidence_file import encode_evidence, parse_evidence
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.auditing import approved_model, auditor, evidence_of
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.erasing import Erased, erase
from testbed.rig.lockstep import START_NS, go_on, simulate
from testbed.rig.paths import Paths
from testbed.rig.proving import Prover
from testbed.rig.trust import load_trust
from testbed.store.sqlite import LogStore
from testbed.verify.evidence import Evidence
from testbed.verify.proved import check_evidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check

GATEWAY, OPERATOR, TWIN = "water-cell/gateway", "water-cell/operator", "water-cell/twin"
HOUR_NS = 3600 * 10**9
CLOCK = VirtualClock(START_NS + HOUR_NS // 2)
REASON = "asked for by the owner"
STATES = (20, 21, 30)
"""States of the gateway's log."""


def erased_in(bench: Bench, log: str = GATEWAY, indices: tuple[int, ...] = STATES) -> tuple[Erased, ...]:
    return erase(bench, log, indices, REASON, CLOCK, SeededEntropy(8, "operator"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench that ran and ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), 40, 5))
    return folder


@pytest.fixture
def bench(stopped: Path, tmp_path: Path) -> Bench:
    shutil.copytree(stopped, tmp_path / "bench")
    return load_bench(tmp_path / "bench" / "bench.toml")


@pytest.fixture(scope="module")
def erased(stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, tuple[Erased, ...]]:
    """Three states were erased, and the bench ran on. Not to be changed."""
    folder = tmp_path_factory.mktemp("erased") / "bench"
    shutil.copytree(stopped, folder)
    bench = load_bench(folder / "bench.toml")
    done = erased_in(bench)
    asyncio.run(go_on(bench, 10, 6, START_NS + HOUR_NS))
    return bench, done


def gathered(bench: Bench) -> tuple[Trust, Evidence]:
    trust = auditor(load_trust(bench.trust_file))
    return trust, asyncio.run(evidence_of(bench, trust))


def judged(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def seen(report: Report) -> list[tuple[What, Layer, str, int | None]]:
    return [(one.what, one.layer, one.origin, one.index) for one in report.findings]


def secrets_of(bench: Bench, role: str, indices: tuple[int, ...]) -> list[bytes]:
    """Salts and bodies, as they stand in the store."""
    with LogStore.read(Paths(bench.data).log(role)) as store:
        return [part for row in store.rows() if row.index in indices for part in (row.salt, row.body or b"")]


def tombstones(bench: Bench) -> list[tuple[int, Tombstone]]:
    with LogStore.read(Paths(bench.data).log("operator")) as store:
        bodies = {row.index: decode_body(decode_entry(row.entry).kind, row.body or b"") for row in store.rows()}
    return [(index, body) for index, body in bodies.items() if isinstance(body, Tombstone)]


def files_of(bench: Bench) -> bytes:
    return b"".join(path.read_bytes() for path in bench.data.rglob("*") if path.is_file())


def test_evidence_shows_that_it_was_logged_and_who_had_it_erased(erased: tuple[Bench, tuple[Erased, ...]]) -> None:
    bench, done = erased
    trust = auditor(load_trust(bench.trust_file))
    with Prover(bench) as prover:
        file = prover.prove("gateway", STATES[0])
        found = check_evidence(parse_evidence(encode_evidence(file)), trust, approved_model)
        assert (found.verdict, [one.what for one in found.findings]) == (Verdict.INCONCLUSIVE, [What.ERASED])
        tombstone = next(one.tombstone for one in done if (one.origin, one.index) == (GATEWAY, STATES[0]))
        assert f"({REASON}; record {tombstone} of {OPERATOR})" in found.findings[0].detail
        assert found.anchored is not None
        # The step across it cannot be run again; the one behind the next state can.
        twins = [one.index for one in done if one.origin == TWIN]
        across = check_evidence(prover.prove("twin", twins[0]), trust, approved_model)
        assert (across.verdict, across.findings[0].what) == (Verdict.INCONCLUSIVE, What.ERASED)


def test_every_body_that_shows_the_values_goes_and_no_byte_of_it_is_left(bench: Bench) -> None:
    before = files_of(bench)
    gone = secrets_of(bench, "gateway", STATES)
    done = erased_in(bench)
    twins = tuple(one.index for one in done if one.origin == TWIN)
    assert [one.index for one in done if one.origin == GATEWAY] == list(STATES)
    assert len(twins) == len(STATES)
    assert {one.shows for one in done if one.origin == TWIN} == set(STATES)
    assert tombstones(bench) == [(one.tombstone, Tombstone(one.origin, one.index, REASON)) for one in done]
    after = files_of(bench)
    assert all(part in before for part in gone)
    assert [part for part in gone if part in after] == []


def test_what_was_erased_is_told_from_what_is_missing(erased: tuple[Bench, tuple[Erased, ...]]) -> None:
    bench, done = erased
    report = judged(*gathered(bench))
    twins = sorted(one.index for one in done if one.origin == TWIN)
    assert seen(report) == [
        (What.ERASED, Layer.STORE, GATEWAY, 20),
        (What.ERASED, Layer.STORE, GATEWAY, 30),
        *((What.ERASED, Layer.STORE, TWIN, index) for index in twins),
    ], [str(one) for one in report.findings]
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.findings[0].where == f"records 20 to 21 of {GATEWAY}"
    assert REASON in report.findings[0].detail
    # One step of the twin is not checked for each; what follows is conditional on it, and said to be.
    assert all(f"the step to record {index + 2}" in report.findings[-1].detail for index in twins[-1:])
    assert "conditional" in report.findings[-1].detail
    # The verdict on the rest stays.
    gateway, twin = (next(one for one in report.standings if one.origin == origin) for origin in (GATEWAY, TWIN))
    assert (gateway.erased, gateway.genuine) == (3, gateway.confirmed - 3)
    assert (twin.erased, twin.genuine) == (3, twin.confirmed - 3)
    # Each erased record of the twin, and the one behind it whose start it was.
    assert report.replayed == 50 - 5
    assert report.kept == ()


def test_what_is_falsified_beside_it_is_found_as_before(erased: tuple[Bench, tuple[Erased, ...]]) -> None:
    trust, evidence = gathered(erased[0])
    log = evidence.logs[GATEWAY]
    rows = list(log.rows)
    body = bytearray(rows[25].body or b"")
    body[-1] ^= 1
    rows[25] = replace(rows[25], body=bytes(body))
    rows[27] = replace(rows[27], body=None)
    report = judged(trust, replace(evidence, logs={**evidence.logs, GATEWAY: replace(log, rows=tuple(rows))}))
    assert report.verdict is Verdict.FALSIFIED
    found = [one for one in seen(report) if one[0] is not What.ERASED]
    assert found == [(What.ALTERED, Layer.STORE, GATEWAY, 25), (What.MISSING, Layer.STORE, GATEWAY, 27)]


def test_a_tombstone_counts_once_it_is_anchored(bench: Bench) -> None:
    erased_in(bench)
    report = judged(*gathered(bench))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {one.what for one in report.findings} == {What.MISSING}
    assert all("no anchor covers that yet" in one.detail for one in report.findings)


@pytest.mark.parametrize("bit", range(8))
def test_a_tombstone_with_a_flipped_bit_explains_nothing(erased: tuple[Bench, tuple[Erased, ...]], bit: int) -> None:
    bench, done = erased
    trust, evidence = gathered(bench)
    log = evidence.logs[OPERATOR]
    index = done[0].tombstone
    body = bytearray(log.rows[index].body or b"")
    body[len(body) // 2] ^= 1 << bit
    rows = (*log.rows[:index], replace(log.rows[index], body=bytes(body)), *log.rows[index + 1 :])
    report = judged(trust, replace(evidence, logs={**evidence.logs, OPERATOR: replace(log, rows=rows)}))
    assert (What.ALTERED, Layer.STORE, OPERATOR, index) in seen(report)
    assert (What.MISSING, Layer.STORE, GATEWAY, STATES[0]) in seen(report)


def test_a_body_that_is_still_there_is_said(bench: Bench, stopped: Path) -> None:
    done = erased_in(bench)
    # A backup of the twin's store is put back.
    shutil.copy(load_bench(stopped / "bench.toml").data / "twin" / "log.sqlite", Paths(bench.data).log("twin"))
    asyncio.run(go_on(bench, 5, 6, START_NS + HOUR_NS))
    report = judged(*gathered(bench))
    twins = [(one.origin, one.index) for one in done if one.origin == TWIN]
    assert sorted(report.kept) == sorted(twins)
    (first, *_) = [one for one in report.findings if one.what is What.ERASED]
    assert f"record {twins[0][1]} of {TWIN} still shows values of it" in first.detail


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("when", [failpoints.BEFORE, failpoints.AFTER])
@pytest.mark.parametrize(("point", "count"), [("sequence", 1), ("publish", 1), ("erase", 1), ("erase", 2)])
def test_killed_at_any_instant_it_is_done_by_asking_again(
    bench: Bench, point: str, count: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_armed", {})

    def kill(_: str) -> None:
        raise Killed

    gone = secrets_of(bench, "gateway", STATES)
    failpoints.arm(point, when, count, kill)
    with pytest.raises(Killed):
        erased_in(bench)
    failpoints._armed.clear()
    erased_in(bench)
    after = files_of(bench)
    assert [part for part in gone if part in after] == []
    # None of them has two.
    laid = [(body.origin, body.index) for _, body in tombstones(bench)]
    assert sorted(laid) == sorted(set(laid))
    assert {index for origin, index in laid if origin == GATEWAY} == set(STATES)


def test_what_proofs_rest_on_or_the_twin_goes_on_from_stays(bench: Bench) -> None:
    with LogStore.read(Paths(bench.data).log("gateway")) as store:
        kinds = {row.index: decode_entry(row.entry).kind for row in store.rows()}
    newest = max(index for index, kind in kinds.items() if kind is Kind.STATE)
    wrong: list[tuple[str, tuple[int, ...], str]] = [
        (GATEWAY, (0,), "genesis record"),
        (GATEWAY, (1,), "event record"),
        (GATEWAY, (next(index for index, kind in kinds.items() if kind is Kind.PEER),), "peer record"),
        ("receipts", (1,), "receipt record"),
        (GATEWAY, (20, newest), "the twin goes on from it"),
        (GATEWAY, (10**6,), "has no record"),
        (GATEWAY, (-1,), "has no record"),
        ("nobody", (1,), "there is no log"),
    ]
    for log, indices, problem in wrong:
        with pytest.raises(UsageError, match=problem):
            erased_in(bench, log, indices)
    with pytest.raises(UsageError, match="say why"):
        erase(bench, GATEWAY, [20], " ", CLOCK, SeededEntropy(8, "operator"))
    assert tombstones(bench) == []
    assert judged(*gathered(bench)).verdict is Verdict.GENUINE
