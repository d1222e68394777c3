"""Chains of others under whole benches: several benches in one contract, and a further chain that bears witness."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.chain.reading import read_journal
from testbed.chain.registry import address_of
from testbed.chain.rpc import Node
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import initialize
from testbed.rig.lies import meddler_of
from testbed.rig.lockstep import START_NS, simulate
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from tests.anchor.others import network

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHAIN_ID = 4242
SCANS = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A network of others."""
    async with network(tmp_path_factory.mktemp("network"), CHAIN_ID) as found:
        yield found


async def fund(url: str, *seeds: int) -> None:
    """Ether for the anchors of benches with these seeds."""
    async with Node(url) as node:
        for seed in seeds:
            account = address_of(SeededEntropy(seed, "keys").take(32))
            await node.call("anvil_setBalance", account, hex(10**18))


def bench_on(folder: Path, name: str, url: str, more: str = "", further: str = "") -> Bench:
    """A water cell of that name whose chain is the one at `url`, or whose further chain is."""
    text = default_text().replace('name = "water-cell"\n', f'name = "{name}"\n', 1).replace("every = 256", "every = 64")
    head, _, tail = text.partition("[chain]\n")
    own, end, rest = tail.partition("\n\n")
    if url:
        own = f'kind = "url"\nurl = "{url}"\nchain_id = {CHAIN_ID}\n{more}'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.toml").write_text(f"{head}[chain]\n{own}{end}{further}{rest}", encoding="utf-8")
    return load_bench(folder / "bench.toml")


async def test_two_benches_share_one_contract(url: str, tmp_path: Path) -> None:
    await fund(url, 1, 2)
    one = bench_on(tmp_path / "one", "cell-one", url)
    await simulate(one, SCANS, 1)
    contract = load_trust(one.trust_file).chain.contract
    two = bench_on(tmp_path / "two", "cell-two", url, f'contract = "{contract.lower()}"\n')
    await simulate(two, SCANS, 2)
    assert load_trust(two.trust_file).chain.contract == contract
    # The second one deployed nothing: its first step is an anchor.
    assert [read_journal(Paths(b.data).journal).steps[0].intent.anchored is None for b in (one, two)] == [True, False]
    for bench in (one, two):
        report = (await audit(bench, bench.trust_file)).report
        assert (report.verdict, report.findings) == (Verdict.GENUINE, ())
        assert all(standing.confirmed for standing in report.standings)
    # Each verdict is about its own slots: exchanged journals are not each other's.
    shutil.copyfile(Paths(one.data).journal, Paths(two.data).journal)
    report = (await audit(two, two.trust_file)).report
    assert report.verdict is Verdict.FALSIFIED
    assert report.findings[0].what is What.SUBSTITUTED


async def test_a_contract_that_is_none_is_said_when_the_bench_is_made_ready(url: str, tmp_path: Path) -> None:
    bench = bench_on(tmp_path, "cell", url, f'contract = "0x{"12" * 20}"\n')
    with pytest.raises(UsageError, match="stands no contract of this version") as caught:
        await initialize(bench, bench.trust_file, VirtualClock(START_NS), SeededEntropy(9, "keys"), simulated=True)
    assert caught.value.mend
    assert not bench.trust_file.exists()


def further_table(url: str) -> str:
    keys = f'name = "public"\nurl = "{url}"\nchain_id = {CHAIN_ID}\nconfirmations = 2\nevery = 64\nwithin_s = 2.0\n'
    return f"[[further_chain]]\n{keys}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witnessed(url: str, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with a chain of its own and a further one. Not to be changed."""
    await fund(url, 7)
    bench = bench_on(tmp_path_factory.mktemp("witnessed"), "water-cell", "", further=further_table(url))
    await simulate(bench, SCANS, 7)
    return bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forged(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Another history under the same keys, its own chain included: the work of somebody who holds all of them."""
    bench = bench_on(tmp_path_factory.mktemp("forged"), "water-cell", "")
    await simulate(bench, SCANS, 7, meddler=meddler_of(bench, "wire", 20, None))
    return bench


async def test_every_log_is_anchored_on_both_chains(witnessed: Bench) -> None:
    report = (await audit(witnessed, witnessed.trust_file)).report
    assert (report.verdict, report.findings) == (Verdict.GENUINE, ())
    (public,) = report.further
    assert set(public.confirmed) == {standing.origin for standing in report.standings}
    for standing in report.standings:
        # Its newest blocks are not deep enough yet.
        assert 0 < public.confirmed[standing.origin] <= standing.size
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "testbed.cli.main", "verify", "--bench", str(witnessed.folder / "bench.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "further     chain public, up to block" in done.stdout


def with_data_of(bench: Bench, other: Bench, folder: Path) -> Bench:
    """A copy of `bench` whose data are those of another one."""
    shutil.copytree(bench.folder, folder)
    shutil.rmtree(folder / ".testbed")
    shutil.copytree(other.data, folder / ".testbed")
    return load_bench(folder / "bench.toml")


async def test_a_first_chain_that_was_made_anew_is_shown_by_the_further_one(
    witnessed: Bench, forged: Bench, tmp_path: Path
) -> None:
    # By the first chain alone nothing is wrong: who holds every key makes everything anew.
    alone = with_data_of(forged, forged, tmp_path / "alone")
    assert load_trust(alone.trust_file).chain == load_trust(witnessed.trust_file).chain
    assert all(one.what is What.DISAGREED for one in (await audit(alone, alone.trust_file)).report.findings)
    # The further chain's journal is kept, lost, or begun anew.
    kept = with_data_of(witnessed, forged, tmp_path / "kept")
    journal = Paths(kept.data).further_journal("public")
    shutil.copyfile(Paths(witnessed.data).further_journal("public"), journal)
    report = (await audit(kept, kept.trust_file)).report
    assert report.verdict is Verdict.FALSIFIED
    forks = [one for one in report.findings if one.what is What.FORKED]
    assert {one.origin for one in forks} >= {"water-cell/gateway", "water-cell/twin"}
    assert all("of chain public" in one.where for one in forks)
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.index(b"\n") + 1])
    report = (await audit(kept, kept.trust_file)).report
    found = {(one.what, one.layer) for one in report.findings if one.verdict is Verdict.FALSIFIED}
    assert found == {(What.SUBSTITUTED, Layer.ANCHOR)}
    journal.unlink()
    assert (await audit(kept, kept.trust_file)).report.verdict is Verdict.INCONCLUSIVE


async def test_a_further_chain_that_cannot_be_read_is_said(witnessed: Bench, tmp_path: Path) -> None:
    copy = with_data_of(witnessed, witnessed, tmp_path / "copy")
    text = (copy.folder / "bench.toml").read_text(encoding="utf-8")
    (further,) = copy.further_chains
    unreachable = text.replace(f'url = "{further.url}"', 'url = "http://127.0.0.1:9"')
    for changed in (unreachable, text.replace(further_table(further.url), "")):
        assert changed != text
        (copy.folder / "bench.toml").write_text(changed, encoding="utf-8")
        report = (await audit(load_bench(copy.folder / "bench.toml"), copy.trust_file)).report
        assert report.verdict is Verdict.INCONCLUSIVE
        assert [(one.what, one.layer) for one in report.findings] == [(What.UNREACHABLE, Layer.CHAIN)]
        assert all(standing.confirmed for standing in report.standings)


async def test_the_first_chain_does_not_wait_for_a_further_one(tmp_path: Path) -> None:
    """The account of the further chain has no ether: the first goes on, and the role says what the other waits for."""
    async with network(tmp_path / "poor", CHAIN_ID) as url, Node(url) as others:
        await others.call("evm_mine")
        bench = bench_on(tmp_path / "bench", "water-cell", "", further=further_table(url))
        done = await simulate(bench, 20, 8)
        assert done.anchors > 0
        report = (await audit(bench, bench.trust_file)).report
    assert (report.verdict, report.findings) == (Verdict.GENUINE, ())
    assert report.further[0].confirmed == {}


async def test_the_trust_file_reads_back_with_further_chains(witnessed: Bench) -> None:
    trust = load_trust(witnessed.trust_file)
    assert [one.name for one in trust.further_chain] == ["public"]
    assert trust.further_chain[0].submitter == trust.chain.submitter
    assert json.loads(trust.model_dump_json())["further_chain"][0]["confirmations"] == 2
