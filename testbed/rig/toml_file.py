"""A TOML file as a person sees it: its values, the lines that they stand on, and the names of its keys."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import UsageError

Loc = tuple[str | int, ...]
"""The way to a value: keys, and zero-based positions in arrays."""

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_ARRAY_HEADER = re.compile(rf"\s*\[\[\s*({_DOTTED})\s*\]\]")
_HEADER = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]\s*(?:#|$)")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_POSITION = re.compile(r"^(.*) \(at line (\d+), column (\d+)\)$", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """label: the file's name for messages; text: as it stands; data: what tomllib made of it; lines: line numbers from
    1, by Loc.
    """

    label: str
    text: str
    data: dict[str, object]
    lines: dict[Loc, int]

    def line(self, loc: Loc) -> int | None:
        """Line of the value at `loc`, or of the nearest table around it; None where only the file is known."""
        for length in range(len(loc), 0, -1):
            if (found := self.lines.get(loc[:length])) is not None:
                return found
        return None

    def key(self, loc: Loc) -> str:
        """The key as a person finds it: "plc.tag[3] (tank1.level).modbus.table".

        Positions count from 1 and are left out where an array has one element only.
        """
        text = ""
        node: object = self.data
        for step in loc:
            if isinstance(step, str):
                text += ("." if text else "") + (step if _BARE.fullmatch(step) else f'"{step}"')
                node = node.get(step) if isinstance(node, dict) else None
                continue
            siblings = node if isinstance(node, list) else []
            node = siblings[step] if step < len(siblings) else None
            if len(siblings) != 1:
                text += f"[{step + 1}]"
                if isinstance(node, dict) and isinstance(name := node.get("name"), str):
                    text += f" ({name})"
        return text


def read_toml(path: Path, kind: str, mend: str) -> TomlFile:
    """Read a file; `kind` names it in messages ("bench file"), `mend` says what to do where there is none.

    Raises UsageError with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such {kind}", mend) from None
    except UnicodeDecodeError as error:
        problem = f"{path}: not UTF-8 text (byte {error.start} of the file)"
        raise UsageError(problem, "save the file in UTF-8") from None
    except OSError as error:
        problem = f"{path}: the {kind} cannot be read: {error.strerror}"
        raise UsageError(problem, f"name a {kind} that you may read") from None
    return parse_toml(text, str(path))


def parse_toml(text: str, label: str) -> TomlFile:
    """Parse the text of a file; `label` is its name in messages. Raises UsageError with file, line and column."""
    try:
        data: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.match(str(error))
        if position:
            what, line, column = position.group(1), int(position.group(2)), int(position.group(3))
        else:
            what = str(error).removesuffix(" (at end of document)")
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        raise UsageError(
            f"{label}:{line}:{column}: not TOML: {what}", "correct this line; see https://toml.io"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, arrays a thousand deep
        raise UsageError(
            f"{label}: not to be read: {error}", "keep numbers and nesting to what the file needs"
        ) from None
    return TomlFile(label, text, data, _find_lines(text))


def _find_lines(text: str) -> dict[Loc, int]:
    """Lines of headers and keys. tomllib keeps none; values inside inline tables share the line of their key."""
    lines: dict[Loc, int] = {}
    counts: dict[Loc, int] = {}
    table: Loc = ()
    quote = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if quote:
            quote = "" if line.count(quote) % 2 else quote
            continue
        if header := _ARRAY_HEADER.match(line):
            parts = _split(header.group(1))
            array = (*_resolve(parts[:-1], counts), parts[-1])
            position = counts.get(array, 0)
            counts[array] = position + 1
            table = (*array, position)
            lines.setdefault(array, number)
            lines[table] = number
        elif header := _HEADER.match(line):
            table = _resolve(_split(header.group(1)), counts)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            parts = _split(key.group(1))
            for length in range(1, len(parts) + 1):
                lines.setdefault((*table, *parts[:length]), number)
            quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return lines


def _split(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, dotted)]


def _resolve(parts: list[str], counts: dict[Loc, int]) -> Loc:
    """The Loc of a header: below an array of tables it speaks of that array's last element."""
    loc: Loc = ()
    for part in parts:
        loc = (*loc, part)
        if loc in counts:
            loc = (*loc, counts[loc] - 1)
    return loc
