"""A record of the standard library's logging becomes one line: JSON for machines, plain for people."""

import io
import json
import logging
import sys
import warnings
from typing import Any

import pytest

from testbed.core.clock import VirtualClock
from testbed.rig.log_lines import line_handler, logging_to

SECOND = 10**9
START = 1_700_000_000 * SECOND + 250_000_000


class Bound:
    """Lines of one role, and its clock."""

    def __init__(self, *, json_lines: bool = True) -> None:
        self.clock = VirtualClock(START)
        self._text = io.StringIO()
        self.handler = line_handler("cell", "gateway", self._text, json_lines=json_lines, clock=self.clock)

    def text(self) -> str:
        return self._text.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


def test_a_line_says_when_how_bad_who_and_what() -> None:
    bound = Bound()
    with logging_to(bound.handler):
        logging.getLogger("testbed").warning("%s is away", "the PLC", extra={"retry_s": 0.5, "port": 5020})
    (line,) = bound.lines()
    assert list(line.items()) == [
        ("timestamp", "2023-11-14T22:13:20.250000Z"),
        ("level", "warning"),
        ("bench", "cell"),
        ("role", "gateway"),
        ("event", "the PLC is away"),
        ("logger", "testbed"),
        ("retry_s", 0.5),
        ("port", 5020),
    ]


def test_a_person_gets_plain_lines() -> None:
    bound = Bound(json_lines=False)
    with logging_to(bound.handler):
        logging.getLogger("testbed").warning("the PLC is away", extra={"retry_s": 0.5})
    assert bound.text().startswith("2023-11-14T22:13:20.250000Z [warning  ] the PLC is away")
    assert "retry_s=0.5" in bound.text()
    assert "\x1b" not in bound.text()
    assert "gateway" not in bound.text()


@pytest.mark.parametrize("json_lines", [True, False])
def test_what_was_raised_is_told(json_lines: bool) -> None:
    bound = Bound(json_lines=json_lines)
    with logging_to(bound.handler):
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            logging.getLogger("testbed").exception("the role broke")
    assert "the role broke" in bound.text()
    assert "ZeroDivisionError: integer division or modulo by zero" in bound.text()
    if json_lines:
        assert bound.lines()[0]["exception"].startswith("Traceback")


def test_libraries_are_heard_from_the_level_that_fits_them() -> None:
    bound = Bound()
    with logging_to(bound.handler):
        logging.getLogger("some.library").info("heard")
        logging.getLogger("some.library").debug("not heard")
        logging.getLogger("pymodbus.logging").error("a client sent junk")
        logging.getLogger("asyncua.server").error("likewise")
        logging.getLogger("web3.manager").info("a call for each block")
        logging.getLogger("web3.manager").warning("heard as well")
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # here they are errors otherwise
            warnings.warn("an old thing is used", UserWarning, stacklevel=1)
    assert [line["event"] for line in bound.lines()[:2]] == ["heard", "heard as well"]
    assert "an old thing is used" in bound.lines()[2]["event"]
    assert len(bound.lines()) == 3


def test_nothing_is_left_behind() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), warnings.showwarning, sys.excepthook)
    with logging_to(Bound().handler):
        assert root.level == logging.INFO
    assert (root.level, list(root.handlers), warnings.showwarning, sys.excepthook) == before


def test_a_password_in_an_address_is_not_told() -> None:
    bound = Bound()
    secret = "hunter2"  # noqa: S105 - it is the one that must not be seen
    address = "@".join((f"https://me:{secret}", "node.example:8545/path"))
    with logging_to(bound.handler):
        logging.getLogger("testbed").warning("%s does not answer", address, extra={"url": address})
    (line,) = bound.lines()
    assert secret not in bound.text()
    assert line["event"] == "https://...@node.example:8545/path does not answer"
    assert line["url"] == "https://...@node.example:8545/path"


def test_the_same_words_again_and_again_are_one_line_a_minute() -> None:
    bound = Bound()
    log = logging.getLogger("testbed")
    with logging_to(bound.handler):
        for _ in range(150):
            log.warning("the PLC does not answer")
            bound.clock.advance(SECOND)
        log.warning("the PLC answers")
        log.warning("the PLC does not answer")
    assert [(line["event"], line.get("left_out", 0)) for line in bound.lines()] == [
        ("the PLC does not answer", 0),
        ("the PLC does not answer", 59),
        ("the PLC does not answer", 59),
        ("the PLC answers", 29),
        ("the PLC does not answer", 0),
    ]


def test_a_field_that_json_does_not_know_is_told_as_text() -> None:
    bound = Bound()
    with logging_to(bound.handler):
        logging.getLogger("testbed").info("read", extra={"raw": b"\x01", "at": {1}})
    assert bound.lines()[0]["raw"] == "b'\\x01'"
