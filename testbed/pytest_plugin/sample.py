"""One scan of a PLC as a test sees it."""

from dataclasses import dataclass

from testbed.core.errors import InvalidData
from testbed.core.tags import Tag, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode

_SEVERITY = 0xC000_0000  # Good, Uncertain or Bad (OPC 10000-4, section 7.39.1)
_GOOD_NO_DATA = 0x00A5_0000


@dataclass(frozen=True, slots=True)
class Sample:
    """poll: as it came; values: decoded, by tag, None where nothing good was read.

    time_s: plant time since the bench was opened, s; time_ns: UTC, of the clock that the bench runs by.
    """

    poll: Poll
    values: tuple[Value | None, ...]
    time_s: float
    time_ns: int


def decoded(
    tags: tuple[Tag, ...], poll: Poll, before: tuple[Value | None, ...] | None = None
) -> tuple[Value | None, ...]:
    """The value of each tag, None where there is none or its status is not Good.

    before: the values of the poll before, which hold for tags that were not due in this one.
    """
    values = []
    for place, (tag, raw, status) in enumerate(zip(tags, poll.values, poll.statuses, strict=True)):
        not_due = raw is None and status == _GOOD_NO_DATA and before is not None
        values.append(before[place] if before is not None and not_due else _value(tag, raw, status))
    return tuple(values)


def _value(tag: Tag, raw: bytes | None, status: int) -> Value | None:
    if raw is None or status & _SEVERITY:
        return None
    try:
        return decode(tag, raw)
    except InvalidData:
        return None
