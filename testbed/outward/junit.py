"""A run as JUnit XML, one element a line where it is about one test or measurement.

It keeps to the schema that Jenkins' xUnit plugin publishes as junit-10.xsd, which other readers follow: properties of
the run stand in the suite, measurements of a test in its `system-out`, times have three decimals. An ERROR and a
TIMEOUT are an `error`, of those types.
"""

from xml.sax.saxutils import escape, quoteattr

from testbed.core.run import Case, CaseOutcome, Ended, RunReport, SafeState
from testbed.outward import words
from testbed.outward.words import Line

_TAGS = {CaseOutcome.FAIL: "failure", CaseOutcome.ERROR: "error", CaseOutcome.TIMEOUT: "error"}


def junit(report: RunReport) -> list[Line]:
    """The lines of junit.xml."""
    facts, end = report.facts, report.end
    wrong = _of_the_run(report)
    errors = report.count(CaseOutcome.ERROR) + report.count(CaseOutcome.TIMEOUT) + bool(wrong)
    sums = (
        f' tests="{len(report.cases) + bool(wrong)}" failures="{report.count(CaseOutcome.FAIL)}" errors="{errors}"'
        f' time="{max(0, end.ended_ns - facts.begun_ns) / 1e9:.3f}"'
    )
    suite = (
        f"<testsuite name={_quoted(facts.bench)}{sums}"
        f' skipped="{report.count(CaseOutcome.SKIP)}" timestamp={_quoted(words.utc(facts.begun_ns).rstrip("Z"))}>'
    )
    lines = [Line('<?xml version="1.0" encoding="UTF-8"?>'), Line(f"<testsuites{sums}>"), Line(suite)]
    lines.append(Line("<properties>"))
    lines += [Line(f"<property name={_quoted(name)} value={_quoted(value)}/>") for name, value in properties(report)]
    lines.append(Line("</properties>"))
    for case in report.cases:
        lines += _case(report, case)
    if wrong:
        # A reader that looks at nothing but tests must not take such a run for a good one.
        lines.append(Line(f'<testcase classname="run" name={_quoted(wrong)}><error type="run"/></testcase>'))
    return [*lines, Line("</testsuite>"), Line("</testsuites>")]


def properties(report: RunReport) -> list[tuple[str, str]]:
    """What the whole run is about, as (name, value)."""
    facts, end = report.facts, report.end
    block = "" if facts.block is None else f"{facts.block.number} 0x{facts.block.block_hash.hex()}"
    return [
        ("run", facts.run),
        ("bench", facts.bench),
        ("transport", facts.transport),
        ("device", words.device(facts)),
        ("firmware", words.firmware(facts)),
        ("commit", facts.commit or "not known"),
        ("software", facts.software),
        ("seed", "none" if facts.seed is None else str(facts.seed)),
        ("ended", end.how.value),
        ("safe state", words.SAFE[end.safe_state] + (f": {words.clean(end.safe_detail)}" if end.safe_detail else "")),
        *((f"log size of {origin}", grown) for origin, grown in words.log_growth(facts, end)),
        *([("newest block", block)] if block else []),
        *([("last known", report.last)] if report.last else []),
    ]


def _of_the_run(report: RunReport) -> str:
    """What is wrong with the run and with none of its tests."""
    if report.end.how is not Ended.FINISHED:
        return f"the run was {report.end.how.value}" if report.end.how is not Ended.BROKEN_OFF else "the run broke off"
    return "the safe state was not reached" if report.end.safe_state is SafeState.FAILED else ""


def _case(report: RunReport, case: Case) -> list[Line]:
    place, name = _split(case.test)
    head = f'<testcase classname={_quoted(place)} name={_quoted(name)} time="{case.duration_s:.3f}">'
    lines = [Line(head, case.test)]
    said = _quoted(case.detail.partition("\n")[0])
    if case.outcome is CaseOutcome.SKIP:
        lines.append(Line(f"<skipped message={said}/>", case.test))
    elif case.outcome is not CaseOutcome.PASS:
        tag = _TAGS[case.outcome]
        first, *others = [_escaped(text) for text in case.detail.split("\n")]
        lines.append(Line(f'<{tag} type="{case.outcome.value}" message={said}>{first}', case.test))
        lines += [Line(text, case.test) for text in others]
        lines.append(Line(f"</{tag}>", case.test))
    if measured := report.of(case.test):
        lines.append(Line("<system-out>", case.test))
        lines += [Line(_escaped(words.measured(one)), words.about(one)) for one in measured]
        lines.append(Line("</system-out>", case.test))
    return [*lines, Line("</testcase>", case.test)]


def _split(test: str) -> tuple[str, str]:
    """Class and name as pytest's own report has them: `tests/x.py::Group::test_a[1]` is test_a[1] of tests.x.Group."""
    path, bracket, parameters = test.partition("[")
    place, _, name = path.rpartition("::")
    file, *groups = place.split("::")
    return ".".join([file.removesuffix(".py").replace("/", ".") or "tests", *groups]), name + bracket + parameters


def _escaped(text: str) -> str:
    return escape(words.clean(text))


def _quoted(text: str) -> str:
    return quoteattr(words.clean(text))
