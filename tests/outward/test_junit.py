"""junit.xml: read by parsers, and by the rules of junit-10.xsd that Jenkins' xUnit plugin and others hold it to."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from testbed.core.measurement import Measurement
from testbed.core.run import Case, CaseOutcome, Ended, RunEnd, RunFacts, RunReport, SafeState
from testbed.outward.junit import junit
from testbed.outward.words import joined
from tests.rig.runs import BEGUN, CASES, DEVICE, ENDS, FACTS, HEAT, LEVEL, MEASUREMENTS, measurement

# By element: the children that it may have, the attributes that it must have, and those that it may have.
RULES: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "skipped": (set(), set(), {"type", "message"}),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}
SUREFIRE_TIME = r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?"

reports = st.builds(
    RunReport,
    FACTS,
    st.lists(CASES, max_size=4).map(tuple),
    st.lists(MEASUREMENTS, max_size=3).map(tuple),
    st.just(()),
    ENDS,
    st.text(max_size=5),
)


def broken_rules(element: ElementTree.Element) -> Iterator[str]:
    children, needed, optional = RULES[element.tag]
    found = set(element.attrib)
    if needed - found or found - needed - optional:
        yield f"{element.tag} has {found}"
    if element.tag.startswith("testsuite") and not re.fullmatch(SUREFIRE_TIME, element.get("time", "")):
        yield f"time {element.get('time')}"
    for child in element:
        if child.tag in children:
            yield from broken_rules(child)
        else:
            yield f"{child.tag} in {element.tag}"


def read(report: RunReport) -> ElementTree.Element:
    return ElementTree.fromstring(joined(junit(report)))  # noqa: S314  # we wrote it


def report(*cases: Case, how: Ended = Ended.FINISHED, measurements: tuple[Measurement, ...] = ()) -> RunReport:
    facts = RunFacts("run-1", "cell", "modbus", DEVICE, "abc123", "attestbed 0", 7, BEGUN)
    return RunReport(facts, cases, measurements, (), RunEnd(how, SafeState.REACHED, BEGUN + 1_500_000_000))


@given(reports)
def test_any_run_follows_the_schema(one: RunReport) -> None:
    root = read(one)
    assert root.tag == "testsuites"
    assert list(broken_rules(root)) == []


@given(reports)
def test_a_second_parser_finds_the_same_elements(one: RunReport) -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(f"{tag} {[name for name, _ in attrs]}")

    Reader().feed(joined(junit(one)).decode())
    assert seen == [f"{element.tag} {list(element.attrib)}" for element in read(one).iter()]


def test_outcomes_are_what_readers_count() -> None:
    cases = [Case(f"tests/x.py::Group::test_{one.value}[a::b]", one, 1.5, "why\nand more") for one in CaseOutcome]
    suite = read(report(*cases))[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "5",
        "failures": "1",
        "errors": "2",
        "skipped": "1",
        "time": "1.500",
    }
    tests = suite.findall("testcase")
    assert [one.get("classname") for one in tests] == ["tests.x.Group"] * 5
    assert [one.get("name") for one in tests] == [f"test_{one.value}[a::b]" for one in CaseOutcome]
    assert [[child.tag for child in one] for one in tests] == [[], ["failure"], ["error"], ["error"], ["skipped"]]
    assert tests[1][0].get("message") == "why"
    assert tests[1][0].text == "why\nand more\n"
    assert tests[3][0].get("type") == "TIMEOUT"


def test_device_firmware_commit_and_measurements_are_in_it() -> None:
    one = replace(measurement(value=0.1 + 0.2), marginal=True)
    root = read(report(Case(LEVEL, CaseOutcome.PASS, 1.0), measurements=(one,)))
    properties = {found.get("name"): found.get("value") for found in root.iter("property")}
    assert properties["firmware"] == "1.0"
    assert properties["device"] == "Attestbed emulated-plc"
    assert (properties["bench"], properties["commit"]) == ("cell", "abc123")
    (said,) = root.iter("system-out")
    limits = "limits 0.9 to 1.1 for 2.5 s"
    assert said.text == f"\ntank2.level = 0.30000000000000004 m, {limits}: PASS, marginal\n"


def test_a_run_that_did_not_finish_is_no_good_run_to_who_counts_errors() -> None:
    good = [Case(LEVEL, CaseOutcome.PASS, 1.0), Case(HEAT, CaseOutcome.PASS, 1.0)]
    assert read(report(*good)).get("errors") == "0"
    for how in (Ended.BROKEN_OFF, Ended.INTERRUPTED, Ended.STOPPED):
        root = read(report(*good, how=how))
        assert (root.get("tests"), root.get("errors")) == ("3", "1")
        assert len(list(root.iter("error"))) == 1


def test_each_line_says_which_test_or_measurement_it_is_about() -> None:
    lines = junit(report(Case(LEVEL, CaseOutcome.FAIL, 1.0, "why"), measurements=(measurement(),)))
    assert {line.about for line in lines} == {"", LEVEL, f"{LEVEL} tank2.level"}
    assert [line.text.partition(" = ")[0] for line in lines if line.about.endswith("tank2.level")] == ["tank2.level"]
