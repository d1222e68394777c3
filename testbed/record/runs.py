"""A run of tests as lines of JSON: the run's journal, and its measurements.

One object a line, keys in the order of the dataclass's fields. Floats are written by repr, so that reading them gives
the same 64 bits; JSON has no number for NaN and the infinities, they are the texts "nan", "inf" and "-inf". Byte
strings are hex. A journal's line says first what it is: {"record": "begun", ...}.

| record | what |
|---|---|
| begun | RunFacts; the first line |
| started | a test is going to run |
| measured | Measurement |
| captured | a capture was written: file, SHA-256, test, name |
| done | Case |
| ended | RunEnd; the last line |
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from testbed.core.bodies import Beacon
from testbed.core.errors import InvalidData
from testbed.core.identity import Identity
from testbed.core.measurement import Limits, Measurement, Outcome
from testbed.core.run import Case, CaseOutcome, Ended, LogSize, RunEnd, RunFacts, SafeState
from testbed.core.tags import Value


@dataclass(frozen=True, slots=True)
class Started:
    """A test is going to run."""

    test: str


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture stands in `file`, whose SHA-256 is given."""

    file: str
    sha256: bytes
    test: str
    name: str


Record = RunFacts | Started | Measurement | Captured | Case | RunEnd


def encode_record(record: Record) -> bytes:
    """One line of a run's journal, with its line feed."""
    word, fields, _ = _FORMS[type(record)]
    return _line({"record": word, **fields(record)})


def decode_record(line: bytes) -> Record:
    """The record of a line without its line feed; raises InvalidData for anything else."""
    found = _object(line)
    for word, _, read in _FORMS.values():
        if found.get("record") == word:
            record: Record = read(_Fields(found))
            return record
    raise InvalidData(f"no record of a run: {line[:40]!r}")


def encode_measurement(one: Measurement) -> bytes:
    """One line of measurements.jsonl, with its line feed."""
    return _line(_measurement(one))


def decode_measurement(line: bytes) -> Measurement:
    """The measurement of a line without its line feed; raises InvalidData for anything else."""
    return _read_measurement(_Fields(_object(line)))


def _line(fields: dict[str, object]) -> bytes:
    # Half of a surrogate pair has no UTF-8; its escape is the one that JSON has for it.
    return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace") + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise InvalidData(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidData("not a JSON object")
    return found


def _number(value: Value | None) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _facts(one: RunFacts) -> dict[str, object]:
    block = one.block
    return {
        "run": one.run,
        "bench": one.bench,
        "transport": one.transport,
        "vendor": one.device.vendor,
        "product": one.device.product,
        "firmware": one.device.firmware,
        "serial": one.device.serial,
        "commit": one.commit,
        "software": one.software,
        "seed": one.seed,
        "begun_ns": one.begun_ns,
        "logs": _sizes(one.logs),
        "block": None if block is None else [block.chain_id, block.number, block.block_hash.hex()],
    }


def _measurement(one: Measurement) -> dict[str, object]:
    limits = one.limits
    return {
        "test": one.test,
        "name": one.name,
        "tag": one.tag,
        "unit": one.unit,
        "value": _number(one.value),
        "low": _number(limits.low),
        "high": _number(limits.high),
        "equal": _number(limits.equal),
        "for_s": limits.for_s,
        "outcome": one.outcome.value,
        "marginal": one.marginal,
        "boot": one.boot,
        "scan": one.scan,
        "time_ns": one.time_ns,
        "detail": one.detail,
    }


def _end(one: RunEnd) -> dict[str, object]:
    return {
        "how": one.how.value,
        "safe_state": one.safe_state.value,
        "ended_ns": one.ended_ns,
        "detail": one.detail,
        "safe_detail": one.safe_detail,
        "logs": _sizes(one.logs),
    }


def _case(one: Case) -> dict[str, object]:
    return {"test": one.test, "outcome": one.outcome.value, "duration_s": one.duration_s, "detail": one.detail}


def _captured(one: Captured) -> dict[str, object]:
    return {"file": one.file, "sha256": one.sha256.hex(), "test": one.test, "name": one.name}


def _sizes(logs: tuple[LogSize, ...]) -> dict[str, int]:
    return {one.origin: one.size for one in logs}


Member = TypeVar("Member", bound=Enum)


class _Fields:
    """Takes typed fields out of a JSON object; each raises InvalidData that names the key."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def text(self, key: str) -> str:
        value = self._found.get(key)
        if not isinstance(value, str):
            raise InvalidData(f"{key} is no text")
        return value

    def whole(self, key: str) -> int:
        value = self._found.get(key)
        if type(value) is not int:
            raise InvalidData(f"{key} is no whole number")
        return value

    def whole_or_none(self, key: str) -> int | None:
        return None if self._found.get(key) is None else self.whole(key)

    def value(self, key: str) -> Value | None:
        value = self._found.get(key)
        if value in ("nan", "inf", "-inf"):
            return float(value)
        if value is not None and not isinstance(value, bool | int | float):
            raise InvalidData(f"{key} is no number, true or false")
        return value

    def seconds(self, key: str) -> float:
        value = self._found.get(key)
        if type(value) is not float and type(value) is not int:
            raise InvalidData(f"{key} is no number")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._found.get(key)
        if not isinstance(value, bool):
            raise InvalidData(f"{key} is neither true nor false")
        return value

    def one_of(self, key: str, kind: type[Member]) -> Member:
        try:
            return kind(self._found.get(key))
        except ValueError:
            raise InvalidData(f"{key} is none of {', '.join(str(one.value) for one in kind)}") from None

    def digest(self, key: str) -> bytes:
        return _hash(key, self._found.get(key))

    def sizes(self, key: str) -> tuple[LogSize, ...]:
        value = self._found.get(key)
        if not isinstance(value, dict) or not all(type(size) is int for size in value.values()):
            raise InvalidData(f"{key} are no sizes of logs")
        return tuple(LogSize(origin, size) for origin, size in value.items())

    def block(self, key: str) -> Beacon | None:
        match self._found.get(key):
            case None:
                return None
            case [int(chain_id), int(number), text]:
                return Beacon(chain_id, number, _hash(key, text))
        raise InvalidData(f"{key} is no block")


def _hash(key: str, value: object) -> bytes:
    try:
        found = bytes.fromhex(str(value))
    except ValueError:
        raise InvalidData(f"{key} is no hash") from None
    if len(found) != 32:
        raise InvalidData(f"{key} is no hash of 32 bytes")
    return found


def _read_facts(found: _Fields) -> RunFacts:
    return RunFacts(
        run=found.text("run"),
        bench=found.text("bench"),
        transport=found.text("transport"),
        device=Identity(found.text("vendor"), found.text("product"), found.text("firmware"), found.text("serial")),
        commit=found.text("commit"),
        software=found.text("software"),
        seed=found.whole_or_none("seed"),
        begun_ns=found.whole("begun_ns"),
        logs=found.sizes("logs"),
        block=found.block("block"),
    )


def _read_measurement(found: _Fields) -> Measurement:
    low, high = found.value("low"), found.value("high")
    try:
        limits = Limits(low, high, found.value("equal"), found.seconds("for_s"))
    except ValueError as error:
        raise InvalidData(str(error)) from None
    return Measurement(
        test=found.text("test"),
        name=found.text("name"),
        tag=found.text("tag"),
        unit=found.text("unit"),
        limits=limits,
        value=found.value("value"),
        outcome=found.one_of("outcome", Outcome),
        marginal=found.flag("marginal"),
        boot=found.whole("boot"),
        scan=found.whole_or_none("scan"),
        time_ns=found.whole("time_ns"),
        detail=found.text("detail"),
    )


def _read_end(found: _Fields) -> RunEnd:
    return RunEnd(
        how=found.one_of("how", Ended),
        safe_state=found.one_of("safe_state", SafeState),
        ended_ns=found.whole("ended_ns"),
        detail=found.text("detail"),
        safe_detail=found.text("safe_detail"),
        logs=found.sizes("logs"),
    )


def _read_case(found: _Fields) -> Case:
    return Case(
        found.text("test"), found.one_of("outcome", CaseOutcome), found.seconds("duration_s"), found.text("detail")
    )


def _read_captured(found: _Fields) -> Captured:
    return Captured(found.text("file"), found.digest("sha256"), found.text("test"), found.text("name"))


_FORMS: dict[type, tuple[str, Callable[[Any], dict[str, object]], Callable[[_Fields], Any]]] = {
    RunFacts: ("begun", _facts, _read_facts),
    Started: ("started", lambda one: {"test": one.test}, lambda found: Started(found.text("test"))),
    Measurement: ("measured", _measurement, _read_measurement),
    Captured: ("captured", _captured, _read_captured),
    Case: ("done", _case, _read_case),
    RunEnd: ("ended", _end, _read_end),
}
