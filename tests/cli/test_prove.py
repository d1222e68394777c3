"""`testbed prove` and `testbed verify FILE`: one file, checked in an empty folder with nothing but a trust file."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest

from testbed.chain.devnode import DevNode
from testbed.rig.bench import load_bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.paths import Paths
from tests.cli.conftest import Said, Type, run

Falsified = Callable[..., Path]


@pytest.fixture
def falsified(simulated: Path, tmp_path: Path) -> Falsified:
    """`falsified("value", "--index", "9")`: the bench file of a copy in which that was done."""

    def falsify(*arguments: str) -> Path:
        shutil.copytree(simulated, tmp_path / "falsified")
        bench = tmp_path / "falsified" / "bench.toml"
        assert run("falsify", *arguments, "--bench", str(bench)).code == 0
        return bench

    return falsify


@pytest.fixture
def proved(typed: Type, simulated: Path, tmp_path: Path) -> Path:
    """A file about one state, in the folder that `typed` types in; the bench is elsewhere."""
    said = typed("prove", "gateway", "20", "--bench", str(simulated / "bench.toml"), "--out", "state.evidence")
    assert said.code == 0, said.err
    shutil.copy(simulated / "trust.toml", tmp_path)
    return tmp_path / "state.evidence"


def checked(file: Path, *more: str) -> Said:
    return run("verify", file.name, "--trust", "trust.toml", *more)


def test_a_stranger_checks_a_state_in_an_empty_folder(proved: Path) -> None:
    said = checked(proved)
    assert said.code == 0, said.out
    assert said.out.startswith("GENUINE\n\nrecord      20 of water-cell/gateway: state ")
    for line in (
        "tank2.level = ",
        "logged      between block ",
        "keys        water-cell/gateway+",
        "not proved  that block ",
    ):
        assert line in said.out
    facts = json.loads(checked(proved, "--json").out)
    assert (facts["verdict"], facts["findings"]) == ("GENUINE", [])
    assert (facts["claim"], facts["origin"], facts["index"]) == ("record", "water-cell/gateway", 20)
    assert facts["record"]["kind"] == "state"
    assert facts["anchor"]["hash"] in said.out


def test_evidence_brings_no_trust_of_its_own(proved: Path) -> None:
    said = run("verify", proved.name)
    assert (said.code, said.out.partition(" ")[0]) == (3, "INCONCLUSIVE")
    assert json.loads(run("verify", proved.name, "--json").out)["verdict"] == "INCONCLUSIVE"
    text = Path("trust.toml").read_text(encoding="utf-8")
    first = text[text.index("water-cell/gateway+") :].partition('"')[0]
    assert run("init", "--in", "other").code == 0
    assert run("init", "--bench", "other/bench.toml").code == 0
    others = Path("other/trust.toml").read_text(encoding="utf-8")
    assert first not in others
    said = run("verify", proved.name, "--trust", "other/trust.toml")
    assert said.code == 1
    assert "wrong key, layer identity: record 0 of water-cell/gateway" in said.out


def test_a_damaged_file_says_nothing(proved: Path) -> None:
    whole = proved.read_bytes()
    for damaged in (whole[:-1], whole.replace(b"\n", b"\r\n"), whole.replace(b"salt ", b"salt A", 1)):
        proved.write_bytes(damaged)
        said = checked(proved)
        assert said.code in (2, 3), said
        assert "GENUINE" not in said.out
    proved.write_bytes(whole.replace(b"# Commentary", b"# Comment", 1))
    assert checked(proved).code == 0


def test_what_is_neither_evidence_nor_a_report_is_wrong_usage(proved: Path) -> None:
    Path("other.txt").write_text("something\n", encoding="utf-8")
    assert checked(Path("other.txt")).code == 2
    assert checked(proved, "--record", "cell", "1").code == 2
    assert run("verify", "--node", "http://127.0.0.1:1", "--trust", "trust.toml").code == 2


def test_a_record_is_found_by_what_it_speaks_of(typed: Type, simulated: Path) -> None:
    bench = str(simulated / "bench.toml")
    for log, more in (("gateway", ()), ("reader", ("--log", "reader"))):
        said = typed("prove", "--record", "cell", "9", *more, "--bench", bench, "--out", f"{log}.evidence", "--json")
        facts = json.loads(said.out)
        assert (said.code, facts["verdict"], facts["origin"]) == (0, "GENUINE", f"water-cell/{log}")
        assert Path(f"{log}.evidence").stat().st_size == facts["bytes"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to prove"),
        (("gateway",), "say what to prove"),
        (("gateway", "1", "--finding", "1"), "say what to prove"),
        (("gateway", "100000"), "has no record 100000"),
        (("gateway", "-1"), "has no record -1"),
        (("nowhere", "1"), "there is no log 'water-cell/nowhere'"),
        (("--record", "cell", "x"), "'x' is no number"),
        (("--record", "cell", "100000"), "no log has a record 100000"),
        (("gateway", "1", "--log", "reader"), "--log goes with --record"),
        (("--finding", "1"), "there is no finding 1"),
        (("gateway", "1", "--trust", "none.toml"), "there is no trust file"),
    ],
)
def test_a_wrong_request_writes_nothing(arguments: tuple[str, ...], said: str, typed: Type, simulated: Path) -> None:
    found = typed("prove", *arguments, "--bench", str(simulated / "bench.toml"), "--out", "x.evidence")
    assert (found.code, Path("x.evidence").exists()) == (2, False)
    assert said in found.err


def test_a_file_that_stands_is_not_written_over(proved: Path, simulated: Path) -> None:
    before = proved.read_bytes()
    found = run("prove", "gateway", "21", "--bench", str(simulated / "bench.toml"), "--out", proved.name)
    assert (found.code, proved.read_bytes()) == (2, before)


def test_a_bench_that_was_never_anchored_proves_what_is_pending(typed: Type, simulated: Path, tmp_path: Path) -> None:
    shutil.copytree(simulated, tmp_path / "copy")
    bench = tmp_path / "copy" / "bench.toml"
    shutil.rmtree(load_bench(bench).data / "receipts")
    said = typed("prove", "gateway", "20", "--bench", str(bench), "--out", "x.evidence")
    assert said.code == 0, said.err
    assert "INCONCLUSIVE" in said.out
    found = typed("verify", "x.evidence", "--trust", str(bench.with_name("trust.toml")))
    assert found.code == 3
    assert "pending: no receipt of an anchor that covers it is in this file" in found.out


# Falsifications.


def test_a_fork_is_handed_over(typed: Type, falsified: Falsified, simulated: Path) -> None:
    bench = falsified("source-record")
    said = typed("prove", "--finding", "1", "--bench", str(bench), "--out", "fork.evidence")
    assert said.code == 0, said.err
    found = typed("verify", "fork.evidence", "--trust", str(simulated / "trust.toml"))
    assert found.code == 1
    assert found.out.startswith("FALSIFIED\n  forked, layer log: checkpoint of water-cell/gateway, size ")


def test_all_that_a_twin_did_when_it_signed_anew_is_handed_over(typed: Type, falsified: Falsified) -> None:
    bench = falsified("twin-record", "--at", "last")
    listed = json.loads(typed("verify", "--bench", str(bench), "--json").out)["findings"]
    assert {one["what"] for one in listed} == {"diverged", "forked"}
    for number, one in enumerate(listed, 1):
        assert typed("prove", "--finding", str(number), "--bench", str(bench), "--out", f"{number}.evidence").code == 0
        found = typed("verify", f"{number}.evidence", "--trust", str(bench.with_name("trust.toml")))
        assert found.code == 1
        assert found.out.startswith(f"FALSIFIED\n  {one['what']}, layer {one['layer']}: ")
    # The record itself is not the one that was anchored.
    assert typed("prove", "twin", "81", "--bench", str(bench), "--out", "x.evidence").code == 3


def test_an_evil_twin_is_handed_over(typed: Type) -> None:
    assert typed("simulate", "evil", "--scans", "20", "--lying-twin").code == 0
    assert typed("prove", "--finding", "1", "--bench", "evil/bench.toml", "--out", "evil.evidence").code == 0
    found = typed("verify", "evil.evidence", "--trust", "evil/trust.toml")
    assert found.code == 1
    assert found.out.startswith("FALSIFIED\n  diverged, layer twin: record 3 of water-cell/twin\n")
    # Without the claim it is the same lie; with an honest bench's keys it is no evidence at all.
    said = typed("prove", "twin", "3", "--bench", "evil/bench.toml", "--out", "record.evidence")
    assert "FALSIFIED by evil/trust.toml" in said.out
    assert typed("init", "--in", "other").code == 0
    assert typed("init", "--bench", "other/bench.toml").code == 0
    assert typed("verify", "evil.evidence", "--trust", "other/trust.toml").code == 3


def test_what_no_file_can_prove_is_refused_with_the_reason(typed: Type, falsified: Falsified) -> None:
    bench = falsified("value")
    said = typed("prove", "--finding", "1", "--bench", str(bench), "--out", "x.evidence")
    assert (said.code, Path("x.evidence").exists()) == (2, False)
    assert "no file can prove this to a stranger: altered, layer store" in said.err
    assert "can be made up by anybody" in said.err


def test_a_damaged_log_proves_what_its_signature_still_holds(typed: Type, falsified: Falsified) -> None:
    bench = falsified("value", "--index", "20")
    said = typed("prove", "gateway", "20", "--bench", str(bench), "--out", "x.evidence")
    assert said.code == 0
    assert "FALSIFIED" in said.out
    assert typed("prove", "gateway", "21", "--bench", str(bench), "--out", "y.evidence").out.count("GENUINE") == 1


# A node of the auditor's choice.


def test_a_node_is_asked_where_the_auditor_names_one(proved: Path, simulated: Path, tmp_path: Path) -> None:
    paths = Paths(load_bench(simulated / "bench.toml").data)
    own = read_dev_chain(paths)

    async def ask(state: Path | None) -> Said:
        folder = tmp_path / f"node{state is None}"
        folder.mkdir()
        copy = None if state is None else Path(shutil.copy(state, folder / "state"))
        node = await DevNode.start(folder, own.chain_id, own.genesis_time_s, own.funded, state=copy)
        try:
            return await asyncio.to_thread(checked, proved, "--node", node.url)
        finally:
            await node.stop()

    held = asyncio.run(ask(paths.chain_state))
    assert held.code == 0, held.out
    assert "was asked for the block" in held.out
    empty = asyncio.run(ask(None))
    assert empty.code == 3, empty.out
    assert "behind, layer chain" in empty.out
    assert checked(proved, "--node", "http://127.0.0.1:9").code == 3


def test_a_statement_in_cose_is_written_beside_it(typed: Type, simulated: Path) -> None:
    bench = str(simulated / "bench.toml")
    said = typed("prove", "gateway", "20", "--bench", bench, "--out", "a.evidence", "--cose", "a.cose")
    assert said.code == 0
    tagged = cbor2.loads(Path("a.cose").read_bytes())
    assert tagged.tag == 18
    claims = cbor2.loads(cbor2.loads(tagged.value[1][394][0]).value[0])[15]
    checkpoint = json.loads(typed("verify", "a.evidence", "--bench", bench, "--json").out)["record"]["checkpoint"]
    assert (claims[1], claims[-65537], claims[-65538]) == ("water-cell/gateway", checkpoint["size"], 20)
