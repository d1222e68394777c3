"""What `testbed verify` shows for a person: each log with what it was compared with, and what waits."""

from dataclasses import replace

import pytest

from testbed.cli.verify import print_report
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.rig.bench import load_bench
from testbed.verify.trust import LogRole
from testbed.verify.verdict import Report, Standing


def standing(
    role: LogRole, size: int, confirmed: int, *, states: int = 0, anchors: int = 2, missed: int = 0
) -> Standing:
    origin = f"water-cell/{role.value}"
    return Standing(origin, role, size, confirmed, confirmed, states, anchors, None, missed)


REPORT = Report(
    verdict=Verdict.GENUINE,
    findings=(),
    standings=(
        standing(LogRole.GATEWAY, 110, 110, states=100),
        standing(LogRole.READER, 108, 108, states=98, missed=2),
        standing(LogRole.OPERATOR, 5, 5, anchors=1),
        standing(LogRole.TWIN, 200, 200),
        standing(LogRole.RECEIPTS, 10, 5),
    ),
    replayed=100,
    blocks=9,
    height=11,
    gas=90_000,
    agreed=98,
    commands=2,
    changes=1,
)


def lines(report: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_report(load_bench(None), report, 0.1)
    return capsys.readouterr().out.splitlines()


def test_what_was_compared_stands_by_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    missed = "98 of them states, 2 scans missed by its own word"
    waiting = "5 of the newest round wait for the next one"
    assert lines(REPORT, capsys)[2:11] == [
        "proved      water-cell/gateway: 110 of 110 records, under 2 anchors, 100 of them states",
        f"proved      water-cell/reader: 108 of 108 records, under 2 anchors, {missed}",
        "            98 scans read by two readers, the same",
        "proved      water-cell/operator: 5 of 5 records, under 1 anchor",
        "            1 change of set-points and modes explained by 2 commands",
        "proved      water-cell/twin: 200 of 200 records, under 2 anchors",
        "            100 twin records run again, byte for byte",
        f"proved      water-cell/receipts: 5 of 10 records, under 2 anchors; {waiting}",
        "            9 anchors checked up to block 11; 10000 gas per anchor, 455 gas per state",
    ]


def test_receipts_that_wait_for_more_than_a_round_are_pending(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = replace(REPORT, standings=(*REPORT.standings[:-1], standing(LogRole.RECEIPTS, 20, 5)))
    assert any(line.endswith("5 of 20 records, under 2 anchors; 15 pending") for line in lines(waiting, capsys))
    wrong = Finding(What.MISSING, Layer.ANCHOR, "there", "so", Verdict.INCONCLUSIVE, "water-cell/receipts")
    found = replace(REPORT, findings=(wrong,))
    assert any(line.endswith("5 of 10 records, under 2 anchors; 5 pending") for line in lines(found, capsys))


def test_what_is_not_proved_depends_on_the_readers(capsys: pytest.CaptureFixture[str]) -> None:
    two = "not proved  a lie told identically to both readers: their logs say what was read, not what the machine did"
    one = "not proved  a lie told to the gateway on the wire: its log says what it read, not what the machine did"
    assert two in lines(REPORT, capsys)
    alone = replace(REPORT, standings=(REPORT.standings[0], *REPORT.standings[2:]), agreed=0)
    shown = lines(alone, capsys)
    assert one in shown
    assert not any("two readers" in line for line in shown)
