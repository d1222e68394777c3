"""After a stolen submitter key, or a lost log: what was proved stays proved, and a successor goes on for it."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import StoreError, UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.ed25519 import SigningKey
from testbed.rig.auditing import approved_model, auditor, evidence_of
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.falsifying import Request, falsify
from testbed.rig.initialize import initialize
from testbed.rig.lockstep import START_NS, go_on, simulate
from testbed.rig.paths import Paths
from testbed.rig.succession import Before, bench_before
from testbed.rig.trust import load_trust
from testbed.verify.evidence import Evidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check

GATEWAY, AFTER = "water-cell/gateway", "water-cell-2/gateway"
DAY_NS = 86_400 * 10**9


def written(folder: Path, name: str) -> Bench:
    folder.mkdir()
    text = default_text().replace('name = "water-cell"', f'name = "{name}"', 1)
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    return load_bench(folder / "bench.toml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench that ran and ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    asyncio.run(simulate(written(folder / "old", "water-cell"), 30, 5))
    return folder / "old"


@pytest.fixture
def old(finished: Path, tmp_path: Path) -> Bench:
    shutil.copytree(finished, tmp_path / "old")
    return load_bench(tmp_path / "old" / "bench.toml")


def succeed(old: Bench, folder: Path) -> tuple[Bench, Before]:
    """A bench that goes on for the old one, and has run."""
    new = written(folder, "water-cell-2")

    async def made() -> Before:
        before = await bench_before(new, old, old.trust_file)
        clock, entropy = VirtualClock(START_NS + DAY_NS), SeededEntropy(7, "keys")
        await initialize(new, new.trust_file, clock, entropy, simulated=True, before=before)
        return before

    before = asyncio.run(made())
    asyncio.run(go_on(new, 10, 8, START_NS + DAY_NS))
    return new, before


def gathered(bench: Bench) -> tuple[Trust, Evidence]:
    trust = auditor(load_trust(bench.trust_file))
    return trust, asyncio.run(evidence_of(bench, trust))


def judged(trust: Trust, evidence: Evidence) -> Report:
    return check(trust, evidence, approved_model).report


def test_what_was_proved_before_a_stolen_submitter_key_stays_and_a_successor_goes_on(
    old: Bench, tmp_path: Path
) -> None:
    sizes = {one.origin: one.confirmed for one in judged(*gathered(old)).standings}
    # Whoever has the submitter's key anchors something of the own.
    asyncio.run(falsify(old, Request("slot", "gateway")))
    report = judged(*gathered(old))
    assert report.verdict is Verdict.FALSIFIED
    (found,) = report.findings
    assert (found.what, found.layer, found.origin) == (What.SUBSTITUTED, Layer.ANCHOR, GATEWAY)
    assert f"size {sizes[GATEWAY]}" in found.where
    for one in report.standings:
        assert one.genuine == one.confirmed == sizes[one.origin]
    new, before = succeed(old, tmp_path / "new")
    assert before.report.verdict is Verdict.FALSIFIED
    assert {one.origin: one.size for one in before.logs.values()} == sizes
    after = judged(*gathered(new))
    assert [str(one) for one in after.findings] == []
    assert after.verdict is Verdict.GENUINE
    assert {one.origin: one.succeeds for one in after.standings} == {
        new.origin(role): (old.origin(role), sizes[old.origin(role)]) for role in new.logs
    }


def test_a_lost_log_has_a_successor_too(old: Bench, tmp_path: Path) -> None:
    size = next(one.confirmed for one in judged(*gathered(old)).standings if one.origin == GATEWAY)
    shutil.rmtree(Paths(old.data).tlog("gateway"))
    Paths(old.data).log("gateway").unlink()
    # The old log is not begun again: it would sign below what was anchored.
    with pytest.raises(StoreError, match="init --succeeds"):
        asyncio.run(go_on(old, 1, 6, START_NS + DAY_NS))
    new, before = succeed(old, tmp_path / "new")
    assert before.logs["gateway"].size == size
    assert judged(*gathered(new)).verdict is Verdict.GENUINE


def test_a_successor_names_what_the_trust_file_names(old: Bench, tmp_path: Path) -> None:
    new, _ = succeed(old, tmp_path / "new")
    trust, evidence = gathered(new)
    gateway = next(one for one in trust.succeeded if one.successor == AFTER)

    def seen(*changed: object) -> list[tuple[What, Layer, str, Verdict]]:
        others = tuple(one for one in trust.succeeded if one.successor != AFTER)
        report = judged(replace(trust, succeeded=(*others, *changed)), evidence)  # type: ignore[arg-type]
        return [(one.what, one.layer, one.origin, one.verdict) for one in report.findings]

    assert seen(gateway) == []
    false = (What.UNAPPROVED, Layer.IDENTITY, AFTER, Verdict.FALSIFIED)
    for other in (
        replace(gateway.before, size=gateway.before.size - 1),
        replace(gateway.before, root=bytes([gateway.before.root[0] ^ 1]) + gateway.before.root[1:]),
        replace(gateway.before, origin="water-cell/reader"),
    ):
        assert seen(replace(gateway, before=other)) == [false]
    # Not named, or not signed by whom the auditor knows: nobody knows whose log it goes on for.
    unknown = (What.UNAPPROVED, Layer.IDENTITY, AFTER, Verdict.INCONCLUSIVE)
    assert seen() == [unknown]
    other_key = SigningKey.from_seed("water-cell/operator", b"x" * 32).verifier()
    assert seen(replace(gateway, operator=other_key)) == [unknown]
    # The key was lost: then the trust file alone says so.
    assert seen(replace(gateway, operator=None)) == []


def test_a_successor_has_a_name_of_its_own_and_something_to_go_on_for(old: Bench, tmp_path: Path) -> None:
    same = written(tmp_path / "same", "water-cell")
    with pytest.raises(UsageError, match="a name of its own"):
        asyncio.run(bench_before(same, old, old.trust_file))
    Paths(old.data).journal.unlink()
    with pytest.raises(UsageError, match="no record of this bench is proved"):
        asyncio.run(bench_before(written(tmp_path / "new", "water-cell-2"), old, old.trust_file))
