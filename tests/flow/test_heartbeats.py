"""A runner that beats the PLC's watchdog writes all the time and logs nothing: that is no falsification, and nothing
else is covered up by it.
"""

import asyncio
from pathlib import Path

import pytest

from testbed.core.bodies import WATCHDOG_ARMED, WATCHDOG_TRIPPED, Body, Event
from testbed.core.entry import Kind
from testbed.core.finding import Verdict, What
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import PATIENT_S, modbus_reader
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.meddler import Meddler, Ports
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from testbed.verify.verdict import Report

ARMED, KILLED, SCANS = 3, 12, 30
LIMIT_MS = 1000


class Runner(Meddler):
    """Arms the watchdog before one scan, beats before each, and is killed; `also`: one more tag that it writes."""

    def __init__(self, bench: Bench, also: str = "") -> None:
        self._bench = bench
        self._also = also
        self._port = 0

    async def begin(self, ports: Ports) -> None:
        self._port = ports.modbus

    async def before(self, scan: int) -> None:
        if not ARMED <= scan < KILLED:
            return
        tags = {tag.name: tag for tag in self._bench.tags}
        device = modbus_reader(self._bench, port=self._port, timeout=PATIENT_S)
        await device.connect()
        if scan == ARMED:
            await device.write(tags["watchdog.limit_ms"], LIMIT_MS)
        await device.write(tags["watchdog.beat"], scan)
        if scan == ARMED + 1 and self._also:
            await device.write(tags[self._also], 1.5)
        await device.close()


def ran(folder: Path, text: str, also: str = "") -> tuple[Bench, Report]:
    folder.mkdir()
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, SCANS, 3, meddler=Runner(bench, also)))
    return bench, asyncio.run(audit(bench, bench.trust_file)).report


def events_of(bench: Bench, log: str) -> list[Event]:
    with LogStore.read(Paths(bench.data).log(log)) as store:
        rows = [(decode_entry(row.entry).kind, row.body or b"") for row in store.rows()]
    bodies: list[Body] = [decode_body(kind, body) for kind, body in rows if kind is Kind.EVENT]
    return [body for body in bodies if isinstance(body, Event) and body.name.startswith("watchdog")]


def test_beats_need_no_command_and_the_gateways_log_says_that_they_stopped(tmp_path: Path) -> None:
    bench, report = ran(tmp_path / "lab", default_text())
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE
    assert report.replayed == SCANS
    armed, tripped = events_of(bench, "gateway")
    assert (armed.name, armed.detail) == (WATCHDOG_ARMED, b"1000")
    assert tripped.name == WATCHDOG_TRIPPED
    # The last beat was before scan 11; ten scans are a second, and in the eleventh the limit is passed.
    assert tripped.detail == b"boot 1 scan 22"
    assert events_of(bench, "reader") == []


@pytest.mark.parametrize("beat_is_one", [True, False])
def test_what_is_no_heartbeat_is_unexplained(tmp_path: Path, beat_is_one: bool) -> None:
    """The twin of the test above: a set-point that the runner moved, or a beat that the bench file calls none."""
    text = default_text()
    if beat_is_one:
        _, report = ran(tmp_path / "lab", text, "control.level_setpoint")
        said = "control.level_setpoint went from 1 m to 1.5 m"
    else:
        _, report = ran(tmp_path / "lab", text.replace("heartbeat = true  # written all the time", "#", 1))
        said = "watchdog.beat went from 0 to 3"
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [finding.what for finding in report.findings] == [What.UNEXPLAINED]
    assert report.findings[0].detail.startswith(said)
