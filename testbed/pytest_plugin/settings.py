"""What a run of tests is told: by option, else by environment, else by [test] of the bench file, else a default."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench

_T = TypeVar("_T")
IN_PROCESS = "in-process"
_HERE = Path("bench.toml")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class Options(Protocol):
    """Where the command line's options are, None for those that were not given."""

    def getoption(self, name: str) -> object: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What command line and environment say; None where they do not. bench: None for the packaged one; a hardware
    profile is the bench file of a box.

    allow_physical, allow_writes: only who starts the tests can say so, never a file.
    """

    bench: Path | None
    require_hardware: bool | None
    allow_physical: bool
    allow_writes: bool
    evidence_dir: Path | None
    seed: int | None
    time_scale: float | None
    lease_timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a run, the bench file heard. Times in s; by: how the PLC is reached, as [test] has it."""

    by: str
    require_hardware: bool
    allow_physical: bool
    allow_writes: bool
    evidence_dir: Path | None
    seed: int
    time_scale: float
    lease_timeout_s: float


def asked(options: Options, environment: Mapping[str, str] | None = None, here: Path = _HERE) -> Asked:
    """What was asked for. Raises UsageError that names the option or variable that is none."""
    said = os.environ if environment is None else environment

    def find(name: str, read: Callable[[str], _T]) -> _T | None:
        given, variable = options.getoption(name), f"TESTBED_{name.upper()}"
        source = f"--{name.replace('_', '-')}" if given is not None else variable
        text = str(given) if given is not None else said.get(variable)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            raise UsageError(f"{source} is {text!r}", str(error)) from None

    bench, profile = find("bench", Path), find("profile", Path)
    if bench is not None and profile is not None:
        raise UsageError(f"a bench {bench} and a profile {profile}", "name one of them: a profile is a bench file too")
    bench = bench or profile
    if bench is None and here.is_file():
        bench = here
    return Asked(
        bench=bench,
        require_hardware=find("require_hardware", _yes),
        allow_physical=bool(find("allow_physical", _yes)),
        allow_writes=bool(find("allow_writes", _yes)),
        evidence_dir=find("evidence_dir", Path),
        seed=find("seed", _seed),
        time_scale=find("time_scale", _scale),
        lease_timeout_s=find("lease_timeout", _seconds),
    )


def by_of(bench: Bench) -> str:
    """How tests reach the PLC."""
    return bench.test.by or ("device" if bench.plc.kind == "physical" else IN_PROCESS)


def is_physical(bench: Bench) -> bool:
    """Whether somebody could be hurt: the PLC is a box on a wire, and no emulated one stands in for it."""
    return bench.plc.kind == "physical" and not bench.test.stands_in


def settled(asked: Asked, bench: Bench) -> Settings:
    """What holds, the bench file heard."""
    test = bench.test
    kept = bench.folder / test.evidence_dir if test.evidence_dir else None
    return Settings(
        by=by_of(bench),
        require_hardware=_first(asked.require_hardware, test.require_hardware),
        allow_physical=asked.allow_physical,
        allow_writes=asked.allow_writes,
        evidence_dir=asked.evidence_dir or kept,
        seed=_first(asked.seed, bench.seed if test.seed is None else test.seed),
        time_scale=_first(asked.time_scale, test.time_scale),
        lease_timeout_s=_first(asked.lease_timeout_s, test.lease_timeout_s),
    )


def _first(asked: _T | None, otherwise: _T) -> _T:
    return otherwise if asked is None else asked


def _yes(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("write 1 or 0")


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**64:
        raise ValueError("write a whole number, 0 or more")
    return int(text)


def _scale(text: str) -> float:
    return _number(text, 0.1, 100.0)


def _seconds(text: str) -> float:
    return _number(text, 0.0, 86_400.0)


def _number(text: str, low: float, high: float) -> float:
    mend = f"write a number from {low:g} to {high:g}"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(mend) from None
    if not low <= value <= high:
        raise ValueError(mend)
    return value
