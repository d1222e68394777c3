"""report.html: one file that loads nothing and runs nothing, with every test, measurement and limit in it."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.measurement import Capture, Limits, Measurement, Outcome
from testbed.core.run import CaptureFile, Case, CaseOutcome, Ended, RunEnd, RunFacts, RunReport, SafeState
from testbed.outward.plot_svg import plot
from testbed.outward.report_html import report_html
from testbed.outward.words import joined
from tests.rig.runs import BEGUN, CASES, DEVICE, ENDS, ESTOP, FACTS, HEAT, LEVEL, MEASUREMENTS, capture, measurement


class Page(HTMLParser):
    """Elements in order, and whether each that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def page(report: RunReport) -> Page:
    return Page(joined(report_html(report)).decode())


def report(how: Ended = Ended.FINISHED, safe: SafeState = SafeState.REACHED) -> RunReport:
    facts = RunFacts("run-1", "cell", "modbus", DEVICE, "abc123", "attestbed 0", 7, BEGUN)
    cases = (Case(LEVEL, CaseOutcome.PASS, 1.0), Case(HEAT, CaseOutcome.FAIL, 2.0, "too hot\n ▂▄▆"))
    measurements = (measurement(), measurement(HEAT, "tank2.temperature", 61.25, Outcome.FAIL))
    files = (CaptureFile("capture-001.parquet", LEVEL, "level and pump", capture()),)
    return RunReport(facts, cases, measurements, files, RunEnd(how, safe, BEGUN + 10**9, "why", "valve open"))


@given(
    st.builds(
        RunReport,
        FACTS,
        st.lists(CASES, max_size=3).map(tuple),
        st.lists(MEASUREMENTS, max_size=3).map(tuple),
        st.just(()),
        ENDS,
    )
)
def test_whatever_a_run_is_called_the_page_is_whole_and_nothing_of_it_is_markup(one: RunReport) -> None:
    found = page(one)
    assert found.open == []
    plain = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "b",
        "p",
        "dl",
        "dt",
        "dd",
        "code",
        "details",
    }
    assert {tag for tag, _ in found.elements} <= plain | {"summary", "span", "pre", "div", "table", "tr", "th", "td"}


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    found = page(report())
    names = {name for _, attributes in found.elements for name in attributes}
    assert not names & {"src", "href", "srcset", "style", "action", "data"}
    assert not any(name.startswith("on") for name in names)
    assert not any(tag in ("script", "link", "iframe", "img", "object") for tag, _ in found.elements)
    assert "url(" not in joined(report_html(report())).decode()
    policies = [one.get("content") for _, one in found.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_it_follows_light_and_dark_and_the_width_of_a_phone() -> None:
    text = joined(report_html(report())).decode()
    assert "color-scheme:light dark" in text
    assert "prefers-color-scheme:dark" in text
    assert 'name="viewport" content="width=device-width,initial-scale=1"' in text


def test_each_test_measurement_and_plot_stands_on_lines_that_say_so() -> None:
    lines = report_html(report())
    by_about: dict[str, list[str]] = {}
    for line in lines:
        by_about.setdefault(line.about, []).append(line.text)
    (row,) = by_about[f"{HEAT} tank2.temperature"]
    assert "61.25 m" in row
    assert "0.9 to 1.1 for 2.5 s" in row
    assert ">FAIL<" in row
    assert len(by_about[f"{LEVEL} level and pump tank2.level"]) == 1
    assert not any("\n" in line.text for line in lines)
    assert [one for one in by_about[""] if "61.25" in one or "1.0 m" in one] == []


@pytest.mark.parametrize(
    ("how", "safe", "words"),
    [
        (Ended.FINISHED, SafeState.FAILED, "The safe state was not reached: valve open"),
        (Ended.BROKEN_OFF, SafeState.UNKNOWN, "This run was broken off: why"),
        (Ended.STOPPED, SafeState.REACHED, "This run was stopped: why"),
    ],
)
def test_what_a_reader_must_not_miss_stands_first(how: Ended, safe: SafeState, words: str) -> None:
    said = page(report(how, safe)).words
    assert words in said
    assert said.index(words) < said.index("Tests")
    assert words not in page(report()).words


def test_a_test_without_an_outcome_is_shown_with_what_it_measured() -> None:
    one = report(Ended.BROKEN_OFF, SafeState.UNKNOWN)
    found = page(RunReport(one.facts, (), (measurement(ESTOP, "pump.running", value=False),), (), one.end))
    assert "no outcome" in found.words
    assert ESTOP in found.words
    assert "false" in found.words


SAMPLES = st.lists(st.none() | st.floats(-1e9, 1e9), max_size=30)


@given(SAMPLES, st.sampled_from([Limits(0.0, 1.0), Limits(low=5.0), Limits(equal=2.0), Limits(equal=True)]))
def test_a_plot_stays_in_its_frame(values: list[float | None], limits: Limits) -> None:
    times = tuple(place / 7 for place in range(len(values)))
    one = Capture(
        "t", "n", ("x",), ("m",), BEGUN, times, tuple(range(len(values))), tuple((value,) for value in values)
    )
    first = next((value for value in values if value is not None), None)
    measured = Measurement("t", "n", "x", "m", limits, first, Outcome.PASS, False, 1, 0, BEGUN)
    text = plot(one, "x", [measured])
    places = [part for points in re.findall(r'points="([^"]*)"', text) for part in points.split()]
    for place in places:
        x, y = (float(number) for number in place.split(","))
        assert 0 <= x <= 480
        assert 0 <= y <= 200
    assert len(places) >= sum(value is not None for value in values)
    assert text.count('<line class="limit"') == len(
        [one for one in (limits.low, limits.high, limits.equal) if one is not None]
    )


def test_a_peak_is_not_lost_among_many_samples() -> None:
    count = 50_000
    values = tuple((100.0 if place == 31_234 else 0.0,) for place in range(count))
    one = Capture(
        "t", "n", ("x",), ("",), BEGUN, tuple(float(place) for place in range(count)), (None,) * count, values
    )
    text = plot(one, "x", [])
    assert len(text) < 20_000
    heights = {point.split(",")[1] for point in re.findall(r'points="([^"]*)"', text)[0].split()}
    assert len(heights) == 2
