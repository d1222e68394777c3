"""Every lie is told to a bench of two readers in one scan, and two scans later verify has found it, and only it."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client

from testbed.acquire.gateway import Sink
from testbed.attacks.relay import HOST, Relay
from testbed.core.bodies import Body, State
from testbed.core.errors import UsageError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import PROMPT_S
from testbed.rig.default import default_text
from testbed.rig.lies import AlteredCommands, meddler_of
from testbed.rig.lockstep import Commands, simulate
from testbed.rig.meddler import HONEST, Meddler, Ports
from testbed.rig.paths import Paths
from testbed.verify.verdict import Report

SEED = 3
SCAN = 5
"""In which the lie is told."""
LATER = 2
"""Scans after it."""
GATEWAY, READER = "water-cell/gateway", "water-cell/reader"
SETPOINT = "control.level_setpoint"
COMMAND: Commands = {SCAN - 1: (SETPOINT, 1.5)}
"""An operator's, who writes before that scan."""
FIRST = {GATEWAY: 5, READER: 4}
"""Index of the first scan's state: genesis, tags, identity, beacon; in the gateway's log the operator's checkpoint."""

# Each lie is told once in `make test`: to the gateway where the PLC signs, to the other reader where it does not.
LONG = partial(pytest.param, marks=pytest.mark.long)
LIED_TO = pytest.mark.parametrize("by", ["gateway", LONG("reader")])
OF_ONE_THAT_DOES_NOT_SIGN = pytest.mark.parametrize("by", [LONG("gateway"), "reader"])

MakeMeddler = Callable[[Bench], Meddler]


def honest(_: Bench) -> Meddler:
    return HONEST


def telling(kind: str, by: str | None = None, tag: str | None = None) -> MakeMeddler:
    return lambda bench: meddler_of(bench, kind, SCAN, by, tag)


class OpcUaStranger(Meddler):
    """Somebody with an OPC UA client, who writes a set-point before the scan."""

    async def begin(self, ports: Ports) -> None:
        self._port = ports.opcua

    async def before(self, scan: int) -> None:
        if scan == SCAN:
            async with Client(f"opc.tcp://127.0.0.1:{self._port}/attestbed") as client:
                node = client.get_node(ua.NodeId(ua.String("cell.control.level_setpoint"), ua.Int16(2)))
                await node.write_value(ua.DataValue(ua.Variant(1.5, ua.VariantType.Float)))


def altered(bench: Bench) -> Meddler:
    return AlteredCommands(next(tag for tag in bench.tags if tag.name == SETPOINT))


def run(
    folder: Path,
    make: MakeMeddler,
    commands: Commands | None = None,
    scans: int = SCAN + LATER,
    *,
    signs: bool = True,
) -> Report:
    folder.mkdir()
    text = default_text()
    assert "\nsigns = true " in text
    (folder / "bench.toml").write_text(text if signs else text.replace("\nsigns = true ", "\nsigns = false "), "utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, scans, SEED, meddler=make(bench), commands=commands))
    return asyncio.run(audit(bench, bench.trust_file)).report


def record(origin: str, number: int = SCAN) -> str:
    """Where the state of that scan stands in a log from which nothing is missing before it."""
    return f"record {FIRST[origin] + number - 1} of {origin}"


def assert_only(
    report: Report, *expected: tuple[What, Layer], verdict: Verdict = Verdict.INCONCLUSIVE
) -> tuple[Finding, ...]:
    assert sorted((one.what.value, one.layer.value) for one in report.findings) == sorted(
        (what.value, layer.value) for what, layer in expected
    ), [str(one) for one in report.findings]
    assert report.verdict is verdict
    assert {one.verdict for one in report.findings} == {verdict}
    return report.findings


def assert_disagreed(report: Report) -> str:
    """The one finding is that two readers disagree, and it blames neither of them alone; what it says."""
    (found,) = assert_only(report, (What.DISAGREED, Layer.WIRE))
    said = str(found)
    assert GATEWAY in said
    assert READER in said
    assert said.endswith("either reader or either wire")
    # It is no log's own: no origin is blamed.
    assert (found.origin, found.index) == ("", None)
    return said


def assert_known(report: Report, what: What, layer: Layer, by: str) -> str:
    """The one finding is about that log alone, at the record of the scan; what it says."""
    (found,) = assert_only(report, (what, layer), verdict=Verdict.FALSIFIED)
    origin = {"gateway": GATEWAY, "reader": READER}[by]
    assert (found.where, found.origin, found.index) == (record(origin), origin, FIRST[origin] + SCAN - 1)
    signed = {one.origin: (one.signed, one.states) for one in report.standings if one.plc is not None}
    assert signed == {one: (SCAN + LATER - (one == origin), SCAN + LATER) for one in (GATEWAY, READER)}
    return found.detail


@LIED_TO
@pytest.mark.parametrize("kind", ["values", "replay", "wire"])
def test_values_that_were_not_so(tmp_path: Path, kind: str, by: str) -> None:
    report = run(tmp_path / "bench", telling(kind, by, "tank1.level"))
    said = assert_known(report, What.ALTERED, Layer.GATEWAY, by)
    assert said.startswith("cell signed tank1.level = ")
    assert f" in scan {SCAN}, boot 1; it has " in said


@OF_ONE_THAT_DOES_NOT_SIGN
@pytest.mark.parametrize("kind", [LONG("values"), LONG("replay"), "wire"])
def test_values_that_were_not_so_of_a_plc_that_does_not_sign(tmp_path: Path, kind: str, by: str) -> None:
    report = run(tmp_path / "bench", telling(kind, by, "tank1.level"), signs=False)
    said = assert_disagreed(report)
    assert f"{record(GATEWAY)} and {record(READER)}" in said
    assert f"of scan {SCAN}, boot 1, the one has tank1.level = " in said
    assert "more time" not in said
    assert {one.signed for one in report.standings} == {None}


@LIED_TO
def test_values_in_a_frame_of_the_readers_own(tmp_path: Path, by: str) -> None:
    report = run(tmp_path / "bench", telling("forge", by, "tank1.level"))
    assert "not signed by the key of cell" in assert_known(report, What.FORGED, Layer.WIRE, by)


@LIED_TO
def test_a_scan_without_the_signature_of_the_plc(tmp_path: Path, by: str) -> None:
    report = run(tmp_path / "bench", telling("strip", by))
    (found,) = assert_only(report, (What.STRIPPED, Layer.GATEWAY))
    origin = {"gateway": GATEWAY, "reader": READER}[by]
    assert (found.where, found.origin, found.index) == (record(origin), origin, FIRST[origin] + SCAN - 1)
    assert "more" not in found.detail


@LIED_TO
def test_a_scan_that_one_reader_leaves_out(tmp_path: Path, by: str) -> None:
    report = run(tmp_path / "bench", telling("omission", by))
    (found,) = assert_only(report, (What.DROPPED, Layer.WIRE))
    origin = {"gateway": GATEWAY, "reader": READER}[by]
    before = FIRST[origin] + SCAN - 2
    assert (found.origin, found.where) == (origin, f"between records {before} and {before + 1} of {origin}")
    assert found.detail.startswith(f"by the counter that cell signs it lacks scan {SCAN}, boot 1, and it does not")


@OF_ONE_THAT_DOES_NOT_SIGN
def test_a_scan_that_one_reader_leaves_out_of_a_plc_that_does_not_sign(tmp_path: Path, by: str) -> None:
    said = assert_disagreed(run(tmp_path / "bench", telling("omission", by), signs=False))
    liar, other = (GATEWAY, READER) if by == "gateway" else (READER, GATEWAY)
    before = FIRST[liar] + SCAN - 2
    assert f"between records {before} and {before + 1} of {liar}: it lacks scan {SCAN}, boot 1" in said
    assert f"{record(other)} has it" in said


@LIED_TO
def test_an_old_scan_that_comes_again(tmp_path: Path, by: str) -> None:
    said = assert_known(run(tmp_path / "bench", telling("rewind", by)), What.REPLAYED, Layer.WIRE, by)
    assert said == f"its frame is of scan {SCAN - 2}, boot 1, behind one of scan {SCAN - 1}, boot 1"


@OF_ONE_THAT_DOES_NOT_SIGN
def test_an_old_scan_that_comes_again_of_a_plc_that_does_not_sign(tmp_path: Path, by: str) -> None:
    said = assert_disagreed(run(tmp_path / "bench", telling("rewind", by), signs=False))
    liar, other = (GATEWAY, READER) if by == "gateway" else (READER, GATEWAY)
    assert f"{record(liar)}: scan {SCAN - 2}, boot 1, comes again" in said
    assert other in said


def assert_unexplained(report: Report, *, records_before: int = 0, became: str) -> None:
    """records_before: in the gateway's log, beside the states, between the first one and this one."""
    (found,) = assert_only(report, (What.UNEXPLAINED, Layer.PLC))
    assert (found.origin, found.index) == (GATEWAY, FIRST[GATEWAY] + SCAN - 1 + records_before)
    assert f"{SETPOINT} went from 1 m to {became} m" in found.detail
    assert "no logged command says so: the PLC's program, somebody else on the wire, or the gateway" in found.detail


def test_a_set_point_that_a_stranger_writes_by_modbus(tmp_path: Path) -> None:
    assert_unexplained(run(tmp_path / "bench", telling("command", tag=SETPOINT)), became="2")


def test_a_set_point_that_a_stranger_writes_by_opc_ua(tmp_path: Path) -> None:
    assert_unexplained(run(tmp_path / "bench", lambda _: OpcUaStranger()), became="1.5")


def test_a_command_that_is_altered_on_its_way(tmp_path: Path) -> None:
    # The operator's own checkpoint stands before it.
    assert_unexplained(run(tmp_path / "bench", altered, COMMAND), records_before=1, became="0.5")


def test_a_set_point_that_only_the_gateway_is_shown(tmp_path: Path) -> None:
    """It was never so, by the PLC's own word: nobody has to explain it."""
    report = run(tmp_path / "bench", telling("wire", "gateway", SETPOINT))
    assert SETPOINT in assert_known(report, What.ALTERED, Layer.GATEWAY, "gateway")


def test_a_set_point_that_only_the_gateway_is_shown_of_a_plc_that_does_not_sign(tmp_path: Path) -> None:
    report = run(tmp_path / "bench", telling("wire", "gateway", SETPOINT), signs=False)
    found = assert_only(report, (What.DISAGREED, Layer.WIRE), (What.UNEXPLAINED, Layer.PLC))
    assert all(f"{record(GATEWAY)}" in one.where and SETPOINT in one.detail for one in found)


class BackDating(Meddler):
    """A reader that logs its states from that scan on as of an hour before."""

    def __init__(self, at: str) -> None:
        self.at = at

    def sink(self, sink: Sink) -> Sink:
        self._log = sink
        return self

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        return self._log.append([(source, self._dated(body)) for source, body in records])

    @staticmethod
    def _dated(body: Body) -> Body:
        if not isinstance(body, State) or body.scan is None or body.scan < SCAN:
            return body
        return replace(body, receive_time_ns=body.receive_time_ns - 3600 * 10**9)


@pytest.mark.parametrize("by", ["gateway", "reader"])
def test_states_that_are_dated_back_behind_a_block_that_stood_before_them(tmp_path: Path, by: str) -> None:
    report = run(tmp_path / "bench", lambda _: BackDating(by))
    (found,) = assert_only(report, (What.BACK_DATED, Layer.CLOCK))
    origin = {"gateway": GATEWAY, "reader": READER}[by]
    assert (found.where, found.origin, found.index) == (record(origin), origin, FIRST[origin] + SCAN - 1)
    assert "before the block of the beacon that stands before it; so are 2 more" in found.detail


def test_who_does_not_sign_cannot_be_forged(tmp_path: Path) -> None:
    for kind in ("forge", "strip"):
        with pytest.raises(UsageError, match="cell does not sign"):
            run(tmp_path / kind, telling(kind), signs=False)


@pytest.mark.parametrize("commands", [None, COMMAND], ids=["nobody commands", "the operator commands"])
def test_the_same_run_without_a_lie_is_genuine(tmp_path: Path, commands: Commands | None) -> None:
    report = run(tmp_path / "bench", honest, commands)
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE


def test_men_in_the_middle_who_change_nothing_are_not_seen(tmp_path: Path) -> None:
    """Their relays are in the way all the time, and their scan does not come."""
    later = SCAN + LATER + 1
    for by in ("gateway", "reader"):
        report = run(tmp_path / by, lambda bench, by=by: meddler_of(bench, "wire", later, by))  # type: ignore[misc]
        assert (report.verdict, report.findings) == (Verdict.GENUINE, ())


@pytest.mark.long
def test_a_lie_is_the_same_lie_again(tmp_path: Path) -> None:
    reports = [run(tmp_path / name, telling("wire", "reader")) for name in ("one", "other")]
    assert reports[0] == reports[1]
    assert_same_bytes(tmp_path)


def assert_same_bytes(folder: Path) -> None:
    """Of the benches `one` and `other`: checkpoints, which speak for every record, and the journal."""
    one, other = (Paths(load_bench(folder / name / "bench.toml").data) for name in ("one", "other"))
    for part in (*(f"{log}/tlog/checkpoint" for log in ("gateway", "reader", "twin")), "anchor/journal.jsonl"):
        assert (one.data / part).read_bytes() == (other.data / part).read_bytes(), part


class Stalling(Meddler):
    """On the wire of a reader: while one question is on its way the machine stands still, as a busy one does."""

    def __init__(self, at: str) -> None:
        self.at = at
        self._due = False

    async def reader_port(self, port: int) -> int:
        self._relay = Relay(HOST, port, lambda: self)
        await self._relay.start()
        return self._relay.port

    async def before(self, scan: int) -> None:
        self._due = scan == 2

    def there(self, data: bytes) -> bytes:
        if self._due:
            time.sleep(PROMPT_S + 0.2)  # nothing else of the whole bench runs meanwhile
            self._due = False
        return data

    def back(self, data: bytes) -> bytes:
        return data

    async def close(self) -> None:
        await self._relay.close()


@LIED_TO
def test_a_machine_that_stands_still_changes_nothing(tmp_path: Path, by: str) -> None:
    reports = [run(tmp_path / "one", honest, scans=3), run(tmp_path / "other", lambda _: Stalling(by), scans=3)]
    assert reports[0] == reports[1]
    assert_same_bytes(tmp_path)
