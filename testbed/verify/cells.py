"""Whether a cell of somebody's file says what the log says, however the program that saved it writes numbers.

`1.50`, `+1.5` and `15e-1` are 1.5; `TRUE` and `1` are true; `300.0` is 300; a time may lack its zone (UTC) or end in
zeros. -0.0 is 0. No number (NaN) and an empty cell are the same: programs turn one into the other, and the column
`status` says which it was.
"""

import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal

from testbed.core.errors import InvalidData
from testbed.core.exported import Cell
from testbed.core.rfc3339 import parse_time
from testbed.core.tags import DataType, Tag, Value

Same = Callable[[Cell, Value | None], bool]
"""Whether a cell says a value of the log."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_INFINITE = {"inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "infinity": math.inf, "-infinity": -math.inf}
_NO_NUMBER = ("", "nan", "-nan", "null", "none", "<na>", "na", "n/a", "#n/a")
_BOOLS = {"true": True, "false": False}
_MOST = 400
"""Characters of a number; a double needs fewer in its longest usual form."""
_SINGLE = struct.Struct(">f")
_DIGITS = 15
"""Excel keeps no more of a number."""


def is_empty(cell: Cell) -> bool:
    """Whether a cell holds nothing, or no number."""
    if isinstance(cell, str):
        return cell.strip().lower() in _NO_NUMBER
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def whole(cell: Cell) -> int | None:
    """The whole number that a cell says, None where it says none."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.isdecimal() and text.isascii() and len(text) < _MOST:
            return int(text)
        if len(text) >= _MOST or not _NUMBER.fullmatch(text):
            return None
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else None
    return None if isinstance(cell, bool) else cell


def number(cell: Cell) -> float | None:
    """The number that a cell says, None where it says none."""
    if not isinstance(cell, str):
        return None if cell is None or isinstance(cell, bool) else _float(cell)
    text = cell.strip()
    if len(text) >= _MOST or not _NUMBER.fullmatch(text):
        return _INFINITE.get(text.lower())
    found = float(text)
    return None if math.isinf(found) else found


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def moment(cell: Cell) -> int | None:
    """The time that a cell says, ns since 1970; None where it says none."""
    if isinstance(cell, str):
        try:
            return parse_time(cell.strip(), strict=False)
        except InvalidData:
            pass  # then it may be a number
    return whole(cell)


def says_time(cell: Cell, time_ns: int) -> bool:
    """Whether a cell says a time, ns since 1970."""
    return moment(cell) == time_ns


def cut(cell: Cell, time_ns: int) -> str:
    """What a program cut a time to, in words, where that explains the difference; else ""."""
    found = moment(cell)
    for words, step in (("microseconds", 10**3), ("milliseconds", 10**6), ("seconds", 10**9)):
        if found is not None and found == time_ns // step * step != time_ns:
            return words
    return ""


def says_whole(cell: Cell, value: Value | None) -> bool:
    """Whether a cell says a whole number; nothing for None."""
    return is_empty(cell) if value is None else whole(cell) == value


def says_text(cell: Cell, text: str) -> bool:
    """Whether a cell says a text."""
    return isinstance(cell, str) and cell.strip() == text


def comparison_of(tag: Tag) -> Same:
    """How the cells of a tag are compared."""
    if tag.scaled or tag.type is DataType.FLOAT64:
        return _says_double
    if tag.type is DataType.FLOAT32:
        return _says_single
    return _says_bool if tag.type is DataType.BOOL else says_whole


def rounded(cell: Cell, value: Value | None) -> bool:
    """Whether a cell has the log's number to 15 digits and no further, as spreadsheets save it."""
    found = number(cell)
    return found is not None and isinstance(value, float) and found == float(f"{value:.{_DIGITS}g}") != value


def _says_double(cell: Cell, value: Value | None) -> bool:
    if value is None or math.isnan(value):
        return is_empty(cell)
    return number(cell) == value


def _says_single(cell: Cell, value: Value | None) -> bool:
    """Of a 32-bit float: any text that is rounded to it, such as its own 64-bit form."""
    if value is None or math.isnan(value):
        return is_empty(cell)
    found = number(cell)
    if found is None or found == value:
        return found is not None
    try:
        return bool(_SINGLE.unpack(_SINGLE.pack(found))[0] == value)
    except OverflowError:
        return False


def _says_bool(cell: Cell, value: Value | None) -> bool:
    if value is None:
        return is_empty(cell)
    if isinstance(cell, bool):
        return cell is value
    said = _BOOLS.get(cell.strip().lower()) if isinstance(cell, str) else None
    return said is value if said is not None else whole(cell) == int(value)
