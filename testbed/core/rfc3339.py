"""Times as text: RFC 3339 in UTC, to the nanosecond."""

import re
from datetime import UTC, datetime

from testbed.core.errors import InvalidData

_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = 253_402_300_800 * _SECOND
"""The year 10000, ns since 1970: RFC 3339 has four digits for a year."""
_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d)(?::(\d\d))?)?", re.ASCII
)


def time_text(time_ns: int) -> str:
    """`time_ns` since 1970 as "2026-01-01T00:00:00.000000000Z", always with nine decimals.

    Raises InvalidData for a time that four digits of a year cannot hold.
    """
    if not 0 <= time_ns < _END:
        raise InvalidData(f"{time_ns} ns since 1970 is no time that RFC 3339 can write")
    seconds, rest = divmod(time_ns, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_time(text: str, *, strict: bool = True) -> int:
    """The time of `text`, ns since 1970. A space may stand for the T (RFC 3339, section 5.6).

    strict: else it may lack its offset and is taken as UTC, or the minutes of it, as in "+00": so databases write it.
    Raises InvalidData for anything else.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidData(f"{text!r} is no time such as 2026-01-01T00:00:00Z")
    *fields, fraction, utc, sign, hours, minutes = match.groups()
    if strict and utc is None and minutes is None:
        raise InvalidData(f"{text!r} does not say its zone: write Z behind it where it is UTC")
    try:
        moment = datetime(*map(int, fields), tzinfo=UTC)  # type: ignore[misc,arg-type]  # six whole numbers
    except ValueError as error:
        raise InvalidData(f"{text!r} is no time: {error}") from None
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes or 0) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * _SECOND + int((fraction or "").ljust(9, "0"))
