"""How values of a test run read for a person, and what each line of a text file is about."""

import math
import time
from dataclasses import dataclass

from testbed.core.measurement import Measurement, Outcome
from testbed.core.run import CaseOutcome, RunEnd, RunFacts, RunReport, SafeState
from testbed.core.tags import Value

_END = 253_402_300_800
"""The year 10000, s since 1970: no calendar goes on for ever."""

SAFE = {
    SafeState.REACHED: "reached, and read back",
    SafeState.FAILED: "NOT reached",
    SafeState.NONE: "none was asked for",
    SafeState.UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text file, without its line feed. about: the test, or the test and measurement, or ""."""

    text: str
    about: str = ""


def joined(lines: list[Line]) -> bytes:
    """The file."""
    return "".join(f"{line.text}\n" for line in lines).encode()


def about(one: Measurement) -> str:
    """What a line about this measurement is about: its test and its name."""
    return f"{one.test} {one.name}"


def clean(text: str) -> str:
    """On one line, without what XML has no letter for."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shown(value: Value | None) -> str:
    """A value in full: floats to the last bit."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def measured(one: Measurement) -> str:
    """The measurement as a sentence: `level = 4.02 m, limits 3.9 to 4.1: PASS`."""
    marginal = ", marginal" if one.marginal else ""
    why = f" ({clean(one.detail)})" if one.detail else ""
    unit = f" {one.unit}" if one.unit else ""
    return f"{one.name} = {shown(one.value)}{unit}, limits {one.limits}: {one.outcome.value}{marginal}{why}"


def device(facts: RunFacts) -> str:
    """Who the device says it is, without its firmware."""
    one = facts.device
    serial = f"serial {one.serial}" if one.serial else ""
    return ", ".join(part for part in (f"{one.vendor} {one.product}".strip(), serial) if part) or "did not say"


def firmware(facts: RunFacts) -> str:
    """The device's firmware by its own word."""
    return facts.device.firmware or "did not say"


def log_growth(facts: RunFacts, end: RunEnd) -> list[tuple[str, str]]:
    """By log: its size before and after, `600 to 674`."""
    after = {one.origin: one.size for one in end.logs}
    return [(one.origin, f"{one.size} to {after.get(one.origin, 'not known')}") for one in facts.logs]


def counts(report: RunReport) -> str:
    """`27 tests: 25 PASS, 2 SKIP; 80 measurements, 1 of them FAIL`."""
    tests = [f"{number} {outcome.value}" for outcome in CaseOutcome if (number := report.count(outcome))]
    failed = sum(one.outcome is not Outcome.PASS for one in report.measurements)
    broken = f", {failed} of them not PASS" if failed else ""
    return f"{many(len(report.cases), 'test')}: {', '.join(tests) or 'none done'}; {_measured(report)}{broken}"


def _measured(report: RunReport) -> str:
    return many(len(report.measurements), "measurement")


def many(number: int, what: str) -> str:
    """As "1 test" or "2 tests"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def utc(time_ns: int) -> str:
    """To the second, ISO 8601."""
    if not 0 <= time_ns < _END * 10**9:
        return f"{time_ns} ns since 1970"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 10**9))


def number(value: float) -> str:
    """Short, for an axis."""
    return "nothing" if math.isnan(value) else f"{value:.6g}"
