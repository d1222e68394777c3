"""From the journal of a run to its report, and from the report to its files. Pure."""

from collections.abc import Callable, Mapping, Sequence

from testbed.core.errors import InvalidData
from testbed.core.measurement import Capture, Measurement
from testbed.core.run import CaptureFile, Case, Ended, RunEnd, RunFacts, RunReport
from testbed.outward import words
from testbed.outward.junit import junit
from testbed.outward.report_html import report_html
from testbed.outward.words import Line, joined
from testbed.record.runs import Captured, Record, Started, encode_measurement, encode_record

JOURNAL = "run.jsonl"


def report_of(records: Sequence[Record], capture_in: Callable[[Captured], Capture | None]) -> RunReport:
    """The run that a whole journal tells of. capture_in: what stands in a capture's file, None where that is lost."""
    facts, end = records[0], records[-1]
    if not isinstance(facts, RunFacts) or not isinstance(end, RunEnd):
        raise InvalidData("a run begins with its facts and ends with its end")
    return RunReport(
        facts=facts,
        cases=tuple(one for one in records if isinstance(one, Case)),
        measurements=tuple(one for one in records if isinstance(one, Measurement)),
        captures=tuple(
            CaptureFile(one.file, one.test, one.name, capture_in(one)) for one in records if isinstance(one, Captured)
        ),
        end=end,
        last=last_known(records) if end.how is Ended.BROKEN_OFF else "",
    )


def last_known(records: Sequence[Record]) -> str:
    """The last thing that a journal tells of what was done, in words."""
    for place in range(len(records) - 1, -1, -1):
        match records[place]:
            case Started(test):
                measured = [one for one in records[place:] if isinstance(one, Measurement)]
                return f"{test} was running" + (f", with {words.measured(measured[-1])}" if measured else "")
            case Case() as case:
                return f"{case.test} was done: {case.outcome.value}"
    return "no test had begun"


def texts_of(report: RunReport) -> dict[str, list[Line]]:
    """The text files that are made of a report, by name."""
    measured = [Line(_text(encode_measurement(one)), words.about(one)) for one in report.measurements]
    return {"measurements.jsonl": measured, "junit.xml": junit(report), "report.html": report_html(report)}


def journal_lines(records: Sequence[Record]) -> list[Line]:
    """The journal itself."""
    return [Line(_text(encode_record(one)), _about(one)) for one in records]


def abouts(texts: Mapping[str, Sequence[Line]]) -> dict[str, list[str]]:
    """By file, what each line is about."""
    return {name: [line.about for line in lines] for name, lines in texts.items()}


def capture_name(number: int, name: str) -> str:
    """Name of a capture's file: `capture-003-level.parquet`."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return f"capture-{number:03d}-{plain[:40].strip('-') or 'unnamed'}.parquet"


def bytes_of(texts: Mapping[str, list[Line]]) -> dict[str, bytes]:
    """The files' bytes, by name."""
    return {name: joined(lines) for name, lines in texts.items()}


def _text(line: bytes) -> str:
    return line.decode().removesuffix("\n")


def _about(record: Record) -> str:
    match record:
        case Measurement():
            return words.about(record)
        case Captured():
            return f"{record.test} {record.name}"
        case Started() | Case():
            return record.test
    return ""
