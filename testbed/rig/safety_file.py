"""[safety] of a bench file: the safe state, what ends a run, the watchdog, and where policy and lease stand."""

import math
from typing import Annotated

from pydantic import Field, PlainValidator

from testbed.core.tags import Value
from testbed.rig.bench_errors import Section, Several


def _scalar(value: object) -> Value:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError("no value of a tag")


Scalar = Annotated[Value, PlainValidator(_scalar)]
"""bool, int or float as it stands in the file."""
Number = Annotated[float, Field(description="a finite number")]
Path = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", description="a path in quotes")]


class SettingTable(Section):
    """One write of the safe state."""

    tag: str
    value: Scalar = Field(description="a number, true or false")


class ExpectationTable(Section):
    """What must be read after those writes: low <= value <= high in the tag's unit, after within_s seconds at most."""

    tag: str
    low: Number
    high: Number
    within_s: float = Field(default=10.0, gt=0, le=3600, description="a time, more than 0 and up to 3600 s")


class Safety(Section):
    """[safety]: safe_state is written in order, then `verify` must hold. stop_on: what ends a run at once.

    watchdog: the uint16 that a run changes again and again; watchdog_limit: the tag of the PLC's limit, ms, that a run
    sets to watchdog_ms; watchdog_tripped: the bool that the PLC sets when the beats stop. forced: tags that are forced
    outputs, whatever a write is for. policy: file of the write policy; lease: folder that the users of the bench share.
    Both are relative to the bench file.
    """

    safe_state: Several[SettingTable] = ()
    verify: Several[ExpectationTable] = ()
    stop_on: Several[str] = ()
    watchdog: str = ""
    watchdog_limit: str = ""
    watchdog_tripped: str = ""
    watchdog_ms: int = Field(default=2000, ge=100, le=3_600_000, description="a time, 100..3600000 ms")
    forced: Several[str] = ()
    policy: Path = ""
    lease: Path = ""
