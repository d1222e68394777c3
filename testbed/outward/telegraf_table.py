"""A table of Telegraf's configuration as its plugins read it: values of the right type, and the line of each table."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from testbed.outward.draft import NotTaken, Remark

Loc = tuple[str | int, ...]
"""The way to a value: keys, and zero-based positions in arrays."""
Lines = Callable[[Loc], int | None]
"""The line of the key or table header at a place, or of the nearest one around it."""

Kind = TypeVar("Kind", str, int, float, bool)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|s|m|h)")
_MS = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}
_LONGEST_WAIT_MS = 60_000
_SKIPPED = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. loc: where it stands in the file; lines and text: of the file."""

    values: Mapping[str, object]
    loc: Loc
    lines: Lines
    text: str

    @property
    def line(self) -> int:
        """From 1."""
        if not self.loc or isinstance(self.loc[-1], str):
            return self.lines(self.loc) or 1
        key = self.lines(self.loc[:-1]) or 1
        if self.text.split("\n")[key - 1].lstrip().startswith("[["):
            return self.lines(self.loc) or 1
        return element_line(self.text, key, self.loc[-1])

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self.values

    def word(self, key: str, default: str = "") -> str:
        """Text. Raises NotTaken where it is something else."""
        return self._of(key, default, str)

    def whole(self, key: str, default: int = 0) -> int:
        """A whole number."""
        value = self._of(key, default, int)
        if isinstance(value, bool):
            raise NotTaken(f"{key} = {value} is no whole number", "correct it in Telegraf's file")
        return value

    def number(self, key: str, default: float) -> float:
        """A number."""
        return float(self.whole(key)) if isinstance(self.values.get(key), int) else self._of(key, default, float)

    def flag(self, key: str) -> bool:
        """true or false; false where it is not there."""
        return self._of(key, False, bool)

    def duration_ms(self, key: str, default: int) -> int:
        """A time as Go writes it ("1m30s", "500ms"), or a number of seconds; ms."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return round(value * 1000)
        parts = _DURATION.findall(value) if isinstance(value, str) else []
        if not parts or "".join(f"{number}{unit}" for number, unit in parts) != value:
            raise NotTaken(f"{key} = {value!r} is no time", 'write it as "1s" or "500ms"')
        return round(sum(float(number) * _MS[unit] for number, unit in parts))

    def patience_ms(self, key: str, default: int) -> int:
        """A time to wait for an answer, within what a bench takes, ms."""
        return min(max(self.duration_ms(key, default), 1), _LONGEST_WAIT_MS)

    def tables(self, key: str) -> Iterator["Table"]:
        """The tables of an array, none where it is not there."""
        found = self.values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise NotTaken(f"{key} is no array of tables", "correct it in Telegraf's file")
        for at, one in enumerate(found):
            yield Table(one, (*self.loc, key, at), self.lines, self.text)

    def inner(self, key: str) -> "Table":
        """A table within; an empty one where it is not there."""
        found = self.values.get(key, {})
        if not isinstance(found, dict):
            raise NotTaken(f"{key} is no table", "correct it in Telegraf's file")
        return Table(found, (*self.loc, key), self.lines, self.text)

    def remark(self, what: str, mend: str) -> Remark:
        """Something about this table."""
        return Remark(self.line, what, mend)

    def _of(self, key: str, default: Kind, kind: type[Kind]) -> Kind:
        value = self.values.get(key, default)
        if not isinstance(value, kind):
            raise NotTaken(f"{key} = {value!r} is of the wrong type", "correct it in Telegraf's file")
        return value


def element_line(text: str, line: int, index: int) -> int:
    """Line of an inline table, the one at `index` in the array whose key stands in `line`; `line` where it is not."""
    start = sum(len(one) + 1 for one in text.split("\n")[: line - 1])
    # Texts and comments are blanked out, so that only brackets that count are left.
    rest = _SKIPPED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text[start:])
    brackets = braces = seen = 0
    for at, letter in enumerate(rest[rest.find("=") :], start=rest.find("=")):
        if letter == "{":
            if braces == 0 and brackets == 1:
                if seen == index:
                    return line + rest.count("\n", 0, at)
                seen += 1
            braces += 1
        elif letter == "}":
            braces -= 1
        elif braces == 0 and letter in "[]":
            brackets += 1 if letter == "[" else -1
            if brackets == 0:
                break
    return line
