"""Chains of others under whole benches: several benches in one contract, and a further chain that bears witness."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.chain.reading import read_journal
from testbed.chain.registry import AnchorCall, address_of, anchor_transaction, read_transaction
from testbed.chain.rpc import Node
from testbed.chain.steps import Step
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy, SystemEntropy
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.files import read_secret
from testbed.merkle.tree import Tree, leaf_hash
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.handing_over import hand_over
from testbed.rig.initialize import initialize
from testbed.rig.lies import meddler_of
from testbed.rig.lockstep import START_NS, simulate
from testbed.rig.paths import Paths
from testbed.rig.roles.anchor import AnchorRole
from testbed.rig.trust import load_trust, submitter_table
from testbed.store.sqlite import LogStore
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
    text = default_text().replace('name = "water-cell"', f'name = "{name}"', 1).replace("every = 256", "every = 64")
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
    # By the first chain alone nothing is wrong: who holds every key but the PLC's makes everything anew.
    alone = with_data_of(forged, forged, tmp_path / "alone")
    assert load_trust(alone.trust_file).chain == load_trust(witnessed.trust_file).chain
    assert {(one.what, one.layer) for one in (await audit(alone, alone.trust_file)).report.findings} == {
        (What.ALTERED, Layer.GATEWAY)
    }
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
    assert found == {(What.SUBSTITUTED, Layer.ANCHOR), (What.ALTERED, Layer.GATEWAY)}
    journal.unlink()
    findings = (await audit(kept, kept.trust_file)).report.findings
    assert {one.verdict for one in findings if one.layer is not Layer.GATEWAY} == {Verdict.INCONCLUSIVE}


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


async def steal(bench: Bench, seed: int, url: str, origin: str) -> None:
    """Somebody who has the submitter's key anchors something else behind the log's last anchor."""
    journal = read_journal(Paths(bench.data).journal)
    last = [step for step in journal.steps if step.anchors and step.intent.anchored and step.mined][::-1]
    anchored, mined = next(
        (step.intent.anchored, step.mined)
        for step in last
        if step.intent.anchored and step.intent.anchored.origin == origin
    )
    assert anchored is not None
    assert mined is not None
    log = LogStore.read(Paths(bench.data).log(origin.partition("/")[2]))
    tree = Tree(leaf_hash(row.entry) for row in log.rows(0, anchored.size))
    log.close()
    for number in range(3):
        tree.append(hashlib.sha256(bytes([number])).digest())
    path = tuple(tree.consistency_path(anchored.size, tree.size))
    call = AnchorCall(origin, anchored.size, anchored.root, mined.timestamp, tree.size, tree.root(), path)
    key = SeededEntropy(seed, "keys").take(32)
    async with Node(url) as node:
        nonce = await node.nonce(address_of(key))
        raw = anchor_transaction(key, CHAIN_ID, nonce, journal.head.contract, call)
        assert (await node.wait_for_receipt(await node.send(raw))).succeeded


async def test_after_a_stolen_key_another_account_goes_on(url: str, tmp_path: Path) -> None:
    await fund(url, 21)
    bench = bench_on(tmp_path / "bench", "cell-stolen", url)
    await simulate(bench, SCANS, 21)
    origin = bench.origin(bench.gateway.name)
    before = (await audit(bench, bench.trust_file)).report
    assert before.verdict is Verdict.GENUINE
    await steal(bench, 21, url, origin)
    report = (await audit(bench, bench.trust_file)).report
    (finding,) = report.findings
    assert (finding.what, finding.layer, finding.origin) == (What.SUBSTITUTED, Layer.ANCHOR, origin)
    assert report.verdict is Verdict.FALSIFIED
    # What was anchored before stays proved, and is listed.
    assert [(one.confirmed, one.genuine) for one in report.standings] == [
        (one.confirmed, one.genuine) for one in before.standings
    ]

    done = hand_over(bench, "", SystemEntropy())
    trusted = bench.trust_file.read_text(encoding="utf-8")
    bench.trust_file.write_text(trusted + "\n".join(map(submitter_table, done.tables)) + "\n", encoding="utf-8")
    async with Node(url) as node:
        await node.call("anvil_setBalance", done.account, hex(10**18))
    clock = VirtualClock(START_NS + 3600 * 10**9)
    anchor = AnchorRole(bench, clock, SeededEntropy(5, "receipts"), url, simulated=True)
    await anchor.start()
    await anchor.stop()
    assert any(step.intent.anchored and step.intent.anchored.old_size == 0 for step in newest_steps(bench))
    report = (await audit(bench, bench.trust_file)).report
    assert (report.verdict, report.findings) == (Verdict.GENUINE, ())
    assert all(one.confirmed for one in report.standings)

    # Without what the new account wrote down, its receipts show that the journal was cut off.
    journal = Paths(bench.data).journal
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = next(place for place, line in enumerate(lines) if b'"type":"successor"' in line)
    journal.write_bytes(b"".join(lines[:cut]))
    report = (await audit(bench, bench.trust_file)).report
    assert {one.what for one in report.findings if one.verdict is Verdict.FALSIFIED} == {What.ROLLED_BACK}


def newest_steps(bench: Bench) -> list[Step]:
    """What the new account did."""
    steps = read_journal(Paths(bench.data).journal).steps
    return [step for step in steps if read_transaction(step.sent).sender == step_account(bench)]


def step_account(bench: Bench) -> str:
    return address_of(read_secret(Paths(bench.data).submitter_key("")))


async def test_a_chain_of_the_benchs_own_is_handed_to_nobody(witnessed: Bench) -> None:
    with pytest.raises(UsageError, match="no other can take over") as caught:
        hand_over(witnessed, "", SystemEntropy())
    assert caught.value.mend
    with pytest.raises(UsageError, match=r"there is no \[\[further_chain\]\]"):
        hand_over(witnessed, "publik", SystemEntropy())
