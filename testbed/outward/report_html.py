"""A run as one page of HTML: nothing is loaded, nothing is run; each test or measurement stands on lines of its own."""

from collections.abc import Iterator
from html import escape

from testbed.core.measurement import Measurement, Outcome
from testbed.core.run import CaptureFile, Case, CaseOutcome, Ended, RunReport, SafeState
from testbed.outward import words
from testbed.outward.junit import properties
from testbed.outward.plot_svg import plot
from testbed.outward.words import Line

_STYLE = """\
:root{color-scheme:light dark;--page:#fff;--card:#f6f7f9;--text:#1a1d21;--soft:#59616b;--line:#d5d9df;--signal:#1f5fbf;\
--limit:#a15c00;--good:#1a7f37;--bad:#c0262d;--skip:#59616b}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2126;--text:#e7eaee;--soft:#a0a8b3;--line:#363c44;\
--signal:#78b0ff;--limit:#f0a845;--good:#56c271;--bad:#ff7b78;--skip:#a0a8b3}}
*{box-sizing:border-box}body{margin:0 auto;padding:16px;max-width:1040px;background:var(--page);color:var(--text);\
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:.2em 0}h2{font-size:1.1rem;margin:1.6em 0 .4em}.soft{color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:1em 0}dt{color:var(--soft)}\
dd{margin:0;min-width:0;overflow-wrap:anywhere}
@media(max-width:560px){dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
details{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 12px}
summary{display:flex;gap:10px;align-items:baseline;padding:9px 0;cursor:pointer}summary code{flex:1;min-width:0;\
overflow-wrap:anywhere}summary::before{content:"\\25b8";color:var(--soft)}details[open]>summary::before{content:"\\25be"}
code,pre,td.n{font-family:ui-monospace,monospace;font-size:.88rem}pre{white-space:pre;overflow-x:auto;margin:0 0 10px}
.PASS,.good{color:var(--good)}.FAIL,.ERROR,.TIMEOUT,.bad{color:var(--bad)}.SKIP{color:var(--skip)}b{white-space:nowrap}
.wide{overflow-x:auto;margin-bottom:10px}table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;\
color:var(--soft)}th,td{padding:4px 14px 4px 0;border-top:1px solid var(--line);vertical-align:top}\
td.n{white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:12px;margin-bottom:12px}
svg{width:100%;height:auto;background:var(--page);border:1px solid var(--line);border-radius:6px;font:11px system-ui,\
sans-serif}svg text{fill:var(--text)}svg .title{font-size:13px;font-weight:600}svg .tick{fill:var(--soft)}
svg .grid{stroke:var(--line)}svg line.limit{stroke:var(--limit);stroke-dasharray:5 4}svg text.limit{fill:var(--limit)}
svg .signal{fill:none;stroke:var(--signal);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
@media(max-width:560px){svg{font-size:14px}svg .title{font-size:16px}}svg circle{stroke:var(--page);stroke-width:1.5}\
svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_html(report: RunReport) -> list[Line]:
    """The lines of report.html."""
    facts = report.facts
    return [
        Line('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'),
        Line('<meta name="viewport" content="width=device-width,initial-scale=1">'),
        Line(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Line(f"<title>{_text(facts.bench)}: {_text(facts.run)}</title>"),
        *(Line(text) for text in f"<style>\n{_STYLE}\n</style></head><body>".split("\n")),
        Line(f"<h1>{_text(facts.bench)} {_verdict(report)}</h1>"),
        Line(
            f'<p class="soft">{_text(facts.run)}, begun {words.utc(facts.begun_ns)}, {_text(words.counts(report))}</p>'
        ),
        *_ending(report),
        Line("<dl>"),
        *(Line(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>") for name, value in properties(report)[1:]),
        Line("</dl><h2>Tests</h2>"),
        *(line for case in report.cases for line in _case(report, case)),
        *_without_outcome(report),
        Line('<p class="soft">Whether this page is as the run wrote it: <code>testbed verify FOLDER</code></p>'),
        Line("</body></html>"),
    ]


def _verdict(report: RunReport) -> str:
    good = report.end.how is Ended.FINISHED and report.end.safe_state is not SafeState.FAILED
    good = good and all(case.outcome in (CaseOutcome.PASS, CaseOutcome.SKIP) for case in report.cases)
    return '<b class="good">passed</b>' if good else '<b class="bad">not passed</b>'


def _ending(report: RunReport) -> Iterator[Line]:
    """What a reader must not miss."""
    end = report.end
    if end.how is not Ended.FINISHED:
        why = f": {_text(end.detail)}" if end.detail else ""
        yield Line(f'<p><b class="bad">This run was {end.how.value}</b>{why}</p>')
    if end.safe_state is SafeState.FAILED:
        yield Line(f'<p><b class="bad">The safe state was not reached</b>: {_text(end.safe_detail)}</p>')


def _case(report: RunReport, case: Case) -> Iterator[Line]:
    test = case.test
    mark = "" if case.outcome in (CaseOutcome.PASS, CaseOutcome.SKIP) else " open"
    badge = f'<b class="{case.outcome.value}">{case.outcome.value}</b>'
    took = f'<span class="soft">{case.duration_s:.3f} s</span>'
    yield Line(f"<details{mark}><summary>{badge}<code>{_text(test)}</code>{took}</summary>", test)
    yield from _preformatted(case.detail, test)
    yield from _inside(report, test)
    yield Line("</details>", test)


def _without_outcome(report: RunReport) -> Iterator[Line]:
    """What tests measured that no outcome is known of: the run broke off in them."""
    done = {case.test for case in report.cases}
    others = [*(one.test for one in report.measurements), *(one.test for one in report.captures)]
    for test in dict.fromkeys(test for test in others if test not in done):
        badge = '<b class="bad">no outcome</b>'
        yield Line(f"<details open><summary>{badge}<code>{_text(test)}</code></summary>", test)
        yield from _inside(report, test)
        yield Line("</details>", test)


def _inside(report: RunReport, test: str) -> Iterator[Line]:
    if measured := report.of(test):
        yield Line('<div class="wide"><table>', test)
        yield Line("<tr><th>outcome</th><th>measured</th><th>value</th><th>limits</th><th>scan</th></tr>", test)
        yield from (Line(_row(one), words.about(one)) for one in measured)
        yield Line("</table></div>", test)
    for kept in report.captures:
        if kept.test == test:
            yield from _capture(report, kept)


def _row(one: Measurement) -> str:
    unit = f" {_text(one.unit)}" if one.unit else ""
    tag = "" if one.tag == one.name else f' <span class="soft">{_text(one.tag)}</span>'
    marginal = ", marginal" if one.marginal else ""
    why = f" {_text(one.detail)}" if one.detail else ""
    kind = "good" if one.outcome is Outcome.PASS else "bad"
    return (
        f'<tr><td><b class="{kind}">{one.outcome.value}{marginal}</b>{why}</td><td>{_text(one.name)}{tag}</td>'
        f'<td class="n">{words.shown(one.value)}{unit}</td><td class="n">{_text(str(one.limits))}</td>'
        f'<td class="n">{"" if one.scan is None else one.scan}</td></tr>'
    )


def _capture(report: RunReport, kept: CaptureFile) -> Iterator[Line]:
    about = f"{kept.test} {kept.name}"
    capture = kept.capture
    if capture is None:
        yield Line(f'<p><b class="bad">{_text(kept.file)} cannot be read</b></p>', about)
        return
    said = f"{_text(kept.name)}: {len(capture.times)} samples from {words.utc(capture.start_ns)}, {_text(kept.file)}"
    yield Line(f'<p class="soft">{said}</p><div class="plots">', about)
    for tag in capture.tags:
        yield Line(plot(capture, tag, report.of(kept.test)), f"{about} {tag}")
    yield Line("</div>", about)


def _preformatted(text: str, test: str) -> Iterator[Line]:
    if text:
        first, *others = [_text(line) for line in text.split("\n")]
        yield from (Line(line, test) for line in (f"<pre>{first}", *others))
        yield Line("</pre>", test)


def _text(text: str) -> str:
    return escape(words.clean(text))
