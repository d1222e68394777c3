"""How a role's log lines look: JSON for machines under `testbed up`, plain lines for a person who runs one role.

All modules and libraries call the standard library's `logging`; here, and only here, a record becomes a line. Fields
are given as `extra={"name": value}`.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

from testbed.core.clock import Clock, SystemClock

QUIET = {
    # Clients that send junk are the client's affair, not a line for each frame.
    "pymodbus": logging.CRITICAL,
    "asyncua": logging.CRITICAL,
    "web3": logging.WARNING,
}
_REPEAT_NS = 60 * 10**9
_FIRST = ("timestamp", "level", "bench", "role", "event")
_DERIVED = ("message", "asctime")
"""What another handler may have left on a record, and nobody can have given."""
_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))).union(_DERIVED)
_PASSWORD = re.compile(r"://[^/\s@]+@")
_MICROSECOND_NS = 1000


class Lines(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def pipeline(bench: str, role: str, clock: Clock, *, json_lines: bool) -> list[Processor]:
    """From a record to a line: each step takes the fields and hands them on."""
    return [
        ExtraAdder(),
        ProcessorFormatter.remove_processors_meta,
        format_exc_info,
        _Stamp(clock),
        *([_Named(bench, role)] if json_lines else []),  # whoever runs one role knows which
        _without_passwords,
        _in_order,
        JSONRenderer(default=str) if json_lines else ConsoleRenderer(colors=False, exception_formatter=plain_traceback),
    ]


def line_handler(
    bench: str, role: str, lines: Lines, *, json_lines: bool, clock: Clock | None = None
) -> logging.Handler:
    """What writes records to `lines`, one line each. The same record again and again is written once a minute."""
    clock = clock or SystemClock()
    handler = logging.StreamHandler(lines)
    handler.addFilter(_Repeats(clock))
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[add_log_level, add_logger_name],
            processors=pipeline(bench, role, clock, json_lines=json_lines),
        )
    )
    return handler


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[None]:
    """Meanwhile every record of this process from level INFO on goes to `handler`, and Python's warnings do."""
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.setLevel(level)
        root.removeHandler(handler)


class _Stamp:
    """When: UTC, ISO 8601 with microseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: object, _method: str, fields: EventDict) -> EventDict:
        microseconds = self._clock.now_ns() // _MICROSECOND_NS
        now = datetime.fromtimestamp(microseconds // 10**6, UTC).replace(microsecond=microseconds % 10**6)
        return {**fields, "timestamp": now.isoformat(timespec="microseconds").replace("+00:00", "Z")}


class _Named:
    """Whose line it is."""

    def __init__(self, bench: str, role: str) -> None:
        self._names = {"bench": bench, "role": role}

    def __call__(self, _logger: object, _method: str, fields: EventDict) -> EventDict:
        return {**fields, **self._names}


def _without_passwords(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """An address may hold a password, such as that of a node; it is nobody's affair."""
    return {name: _PASSWORD.sub("://...@", text) if isinstance(text, str) else text for name, text in fields.items()}


def _in_order(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """What every line has comes first."""
    others = (name for name in fields if name not in (*_FIRST, *_DERIVED))
    return {name: fields[name] for name in (*_FIRST, *others) if name in fields}


class _Repeats(logging.Filter):
    """Leaves out a record that says what the one before it said. The next one that is written tells how many."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._newest: tuple[object, ...] | None = None
        self._written_ns = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        fields = repr({name: value for name, value in vars(record).items() if name not in _EVERY_RECORD})
        says = (record.name, record.levelno, record.getMessage(), fields)
        now = self._clock.monotonic_ns()
        if says == self._newest and now - self._written_ns < _REPEAT_NS:
            self._left_out += 1
            return False
        if self._left_out:
            record.left_out = self._left_out
        self._newest, self._written_ns, self._left_out = says, now, 0
        return True
