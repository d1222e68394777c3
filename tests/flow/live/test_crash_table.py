"""The crash table: each step of a record's life between capture and confirmation, ended by SIGKILL twice.

*before*: the step fails, nothing of it is on disk. *after*: it fails but persisted, and nobody was told. One bench goes
through the whole table: every role dies again and again, and the bench must come out of it whole.

| role | point | killed before | killed after |
|---|---|---|---|
| gateway, reader | sequence | the records are not there; the next start says so | they are there, once |
| gateway | publish | tiles stay behind the log; the next start writes them | likewise, they are what the log says |
| twin | sequence | the input is consumed again, by the next start | its record is there, once |
| anchor | intent | nothing was sent; another transaction may be written | sent as it was written |
| anchor | send | the written transaction is sent | it was mined: found, not sent again |
| anchor | mined | what was mined is found on the chain | its receipt is logged by the next start |
| anchor | sequence | the round's receipts are logged by the next start | they are there, once |
| operator | sequence | nothing was commanded | the intent stands; nothing was sent |
| operator | command | as above | the PLC did it; the outcome is not logged |
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from testbed.core.bodies import CONFIRMED, STARTED, AnchorReceipt, Body, Command, Event, State, TwinRecord
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import load_bench
from testbed.rig.failing import VARIABLE
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from tests.flow.live.conftest import LiveBench, until
from tests.flow.live.outside import Outsider
from tests.flow.live.quick import Quick, make_quick

# Counts are from a role's start on. The first commit of a start says that it started; the second one is a record.
TABLE = """\
gateway sequence before 3
gateway sequence after 3
gateway publish before 2
gateway publish after 2
reader sequence before 3
reader sequence after 3
twin sequence before 2
twin sequence after 2
anchor intent before 2
anchor intent after 2
anchor send before 2
anchor send after 2
anchor mined before 2
anchor mined after 2
anchor sequence before 2
anchor sequence after 2
operator sequence before 1
operator sequence after 1
operator command before 1
operator command after 1
operator sequence before 2
operator sequence after 2
"""


def test_each_step_fails_and_fails_but_persisted(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text(TABLE, encoding="utf-8")
    fired = tmp_path / "plan.fired"
    environment = {VARIABLE: str(plan)}
    live = make_quick(tmp_path / "bench")
    quick = Quick(live, environment)
    quick.start()
    try:
        outsider = Outsider(quick.bench)
        outsider.start()
        quick.wait_until_well()
        commanded = [_command(live, number, environment) for number in range(8)]
        # Six of them die, and the last two carry on.
        assert commanded == [-signal.SIGKILL] * 6 + [0, 0]
        until(lambda: _lines(fired) == sorted(TABLE.splitlines()))
        quick.wait_until_well()
        outsider.stop()
        assert quick.stop() == 0, quick.said()[-2000:]
    finally:
        quick.clean_up()
    report = live.genuine()
    assert outsider.compare() == []
    assert outsider.checkpoints > 0
    _look_at_each(live, fired, report["anchors"])


def _command(bench: LiveBench, number: int, environment: dict[str, str]) -> int:
    """`testbed write`, each time another set-point; its exit code, negative for a signal."""
    command = [sys.executable, "-m", "testbed.cli.main", "write", "control.level_setpoint", str(0.5 + number / 16)]
    done = subprocess.run(
        [*command, "--who", "eve", "--bench", str(bench.file)],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode


def _lines(fired: Path) -> list[str]:
    """What fired, without the details, sorted."""
    text = fired.read_text(encoding="utf-8") if fired.exists() else ""
    return sorted(" ".join(line.split()[:4]) for line in text.splitlines())


def _look_at_each(bench: LiveBench, fired: Path, anchors: int) -> None:
    bodies = {name: _bodies(bench, name) for name in ("gateway", "reader", "operator", "twin", "receipts")}
    for line in fired.read_text(encoding="utf-8").splitlines():
        role, point, when, _, detail = line.split()
        if role in ("gateway", "reader", "twin") and point == "sequence":
            # Before: that commit's place was taken by the next start. After: the next start stands behind it.
            after = bodies[role][int(detail)]
            assert isinstance(after, Event), (line, after)
            assert after.name == STARTED
            assert when == "before" or not _is_start(bodies[role][int(detail) - 1]), line
    for name in ("gateway", "reader"):
        scans = [(body.boot, body.scan) for body in bodies[name] if isinstance(body, State) and body.scan is not None]
        assert scans == sorted(set(scans)), "no scan twice, none out of order"
    inputs = [ref.index for body in bodies["twin"] if isinstance(body, TwinRecord) for ref in body.inputs]
    assert inputs == list(range(len(inputs))), "every record of the source is consumed, once"
    commands = [(body.what, body.outcome.partition(":")[0]) for body in bodies["operator"] if isinstance(body, Command)]
    # Of eight commands one was never logged; four have an intent alone; in one the outcome was logged and not told.
    outcomes = Counter(outcome for _, outcome in commands)
    assert outcomes == {"": 7, CONFIRMED: 3}
    assert len(set(commands)) == len(commands)
    receipts = [body for body in bodies["receipts"] if isinstance(body, AnchorReceipt)]
    assert len({receipt.checkpoint for receipt in receipts}) == len(receipts) == anchors


def _is_start(body: Body) -> bool:
    return isinstance(body, Event) and body.name == STARTED


def _bodies(bench: LiveBench, name: str) -> list[Body]:
    with LogStore.examine(Paths(load_bench(bench.file).data).log(name)) as store:
        return [decode_body(decode_entry(row.entry).kind, row.body or b"") for row in store.rows()]
