"""Every falsification, on either log, at the first, a middle and the last record: found at its place, nothing else."""

import asyncio
import shutil
from pathlib import Path

import pytest

from testbed.attacks.kinds import KINDS
from testbed.attacks.target import Expected
from testbed.core.errors import UsageError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.falsifying import Place, Request, falsify
from testbed.rig.lockstep import simulate
from testbed.verify.verdict import Report

ROLES = ("gateway", "twin")
OWN = {"twin-record": "twin", "source-record": "gateway", "forged-frame": "gateway", "stripped-frame": "gateway"}
"""Those that are about one log only."""
EVERYWHERE = ("value", "delete", "tile", "chain")
"""Those that are tried at the first and the last record as well; `make deep PART=falsify` does it with all of them."""


def is_quick(kind: str, role: str, place: Place) -> bool:
    """Each kind once, and one of them at both ends of the log as well."""
    return role == OWN.get(kind, "gateway") and (place is Place.MIDDLE or kind == "value")


CASES = [
    pytest.param(
        kind,
        role,
        place,
        id=f"{kind}-{role}-{place.value}",
        marks=() if is_quick(kind, role, place) else pytest.mark.long,
    )
    for kind in KINDS
    for role in ROLES
    for place in Place
    if OWN.get(kind, role) == role and (kind in EVERYWHERE or place is Place.MIDDLE)
]


SCANS = 520
"""Two full tiles of the source log, four of the twin's."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bench that ran and ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), SCANS, 5))
    return folder


@pytest.fixture
def bench(finished: Path, tmp_path: Path) -> Bench:
    shutil.copytree(finished, tmp_path / "copy")
    return load_bench(tmp_path / "copy" / "bench.toml")


def report_on(bench: Bench) -> Report:
    return asyncio.run(audit(bench, bench.trust_file)).report


def answers(found: Finding, expected: Expected) -> bool:
    where = found.where if expected.where == found.where else found.where[: len(expected.where)]
    return (found.what, found.layer, found.origin, found.index, where) == (
        expected.what,
        expected.layer,
        expected.origin,
        expected.index,
        expected.where,
    )


def assert_exactly(report: Report, expected: tuple[Expected, ...]) -> None:
    assert report.verdict is Verdict.FALSIFIED
    assert len(report.findings) == len(expected), [str(one) for one in report.findings]
    for one in expected:
        assert any(answers(found, one) for found in report.findings), (one, [str(f) for f in report.findings])


@pytest.mark.parametrize(("kind", "role", "place"), CASES)
def test_it_is_found_at_its_place_and_nothing_else(bench: Bench, kind: str, role: str, place: Place) -> None:
    done = asyncio.run(falsify(bench, Request(kind, role, None if kind == "slot" else place)))
    assert_exactly(report_on(bench), done.expected)


def test_the_untouched_bench_is_genuine(finished: Path) -> None:
    report = report_on(load_bench(finished / "bench.toml"))
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE
    # The receipts of the newest round wait for the next one.
    assert [one.origin for one in report.standings if one.pending] == ["water-cell/receipts"]


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        pytest.param(kind, role, marks=() if kind == "value" else pytest.mark.long)
        for kind in ("value", "delete", "insert", "swap", "tile", "checkpoint", "slot")
        for role in ("reader", "operator", "receipts")
    ],
)
def test_no_log_is_easier_to_falsify_than_another(bench: Bench, kind: str, role: str) -> None:
    done = asyncio.run(falsify(bench, Request(kind, role)))
    assert_exactly(report_on(bench), done.expected)


def test_falsifications_of_several_kinds_are_each_named(bench: Bench) -> None:
    requests = (
        Request("value", "gateway", index=300),
        Request("tile", "gateway", index=310),
        Request("delete", "twin", index=700),
        Request("checkpoint", "twin", index=40),
    )
    done = [asyncio.run(falsify(bench, request)) for request in requests]
    assert_exactly(report_on(bench), tuple(one for falsified in done for one in falsified.expected))


def test_a_false_twin_record_and_a_false_slot_are_both_named(bench: Bench) -> None:
    record = asyncio.run(falsify(bench, Request("twin-record", "twin")))
    slot = asyncio.run(falsify(bench, Request("slot", "twin")))
    assert_exactly(report_on(bench), record.expected + slot.expected)


def test_a_rewritten_chain_speaks_for_the_slots_above_it(bench: Bench) -> None:
    done = asyncio.run(falsify(bench, Request("chain", "gateway", Place.FIRST)))
    slot = asyncio.run(falsify(bench, Request("slot", "gateway")))
    assert slot.expected
    assert_exactly(report_on(bench), done.expected)


def test_a_request_that_makes_no_sense_changes_nothing(bench: Bench) -> None:
    wrong = (
        Request("value", "gateway", index=10**9),
        Request("value", "gateway", tag="no.tag"),
        Request("delete", "nobody"),
        Request("melt", "gateway"),
        Request("twin-record", "twin", index=0),
        Request("source-record", "gateway", index=0),
        Request("upper-tile", "gateway", index=99),
        Request("chain", "gateway", index=999),
    )
    for request in wrong:
        with pytest.raises(UsageError):
            asyncio.run(falsify(bench, request))
    assert report_on(bench).verdict is Verdict.GENUINE


def test_a_twin_that_lied_from_the_start_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(tmp_path / "bench.toml")
    asyncio.run(simulate(bench, 60, 9, lying_twin=True))
    report = report_on(bench)
    # Genesis, parameters, the first peer; then its first record.
    assert [(one.what, one.layer, one.origin, one.index) for one in report.findings] == [
        (What.DIVERGED, Layer.TWIN, "water-cell/twin", 3)
    ]
    assert report.verdict is Verdict.FALSIFIED
    assert report.replayed == 60
