"""Disturbances of the emulated plant, ordered by whoever started the emulator: JSON objects, one a line.

    {"disturb": {"leak": 0.5, "stuck_valve": null}}     parameters of the plant, from the next scan on
    {"sensor": {"tank2.level": NaN}}                    what a failed sensor shows; null mends it
    {"mend": {}}                                        no disturbance any more, from the next scan on
    {"renew": {"seed": 7, "volume1": 0.02}}             plant and program as at the start, but for these parameters;
                                                        seed: of the noise, may be left out

The answer is a line as well: {"scan": 17}, the scan before the one in which the order takes effect, or
{"error": "...", "mend": "..."}. NaN is written as Python's json module writes it.
"""

import json

from testbed.core.errors import UsageError
from testbed.plc.emulator import Emulator

_ORDERS = ("disturb", "sensor", "mend", "renew")
_MEND = 'send a line such as {"disturb": {"leak": 0.5}}'


def obey(emulator: Emulator, line: bytes) -> bytes:
    """Carry out one order; the answer, with its end of line."""
    try:
        _carry_out(emulator, line)
    except UsageError as error:
        return _line({"error": error.problem, "mend": error.mend})
    return _line({"scan": emulator.image.snapshot().get("plc.scan")})


def _carry_out(emulator: Emulator, line: bytes) -> None:
    try:
        order = json.loads(line)
    except ValueError as error:
        raise UsageError(f"no order: {error}", _MEND) from None
    if not isinstance(order, dict) or len(order) != 1:
        raise UsageError(f"no order: {line[:80]!r}", _MEND)
    ((what, values),) = order.items()
    if what not in _ORDERS or not isinstance(values, dict) or not all(map(_is_value, values.values())):
        raise UsageError(f"no order: {line[:80]!r}", _MEND)
    if what == "sensor":
        for tag, shows in values.items():
            emulator.fail_sensor(tag, None if shows is None else float(shows))
    elif what == "disturb":
        emulator.disturb(**values)
    elif what == "mend":
        if values:
            raise UsageError(f"no order: {line[:80]!r}", 'send {"mend": {}}')
        emulator.mend()
    else:
        seed = values.pop("seed", None)
        if seed is not None and not isinstance(seed, int):
            raise UsageError(f"seed {seed!r}", "give a whole number")
        emulator.renew(seed, **values)


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
