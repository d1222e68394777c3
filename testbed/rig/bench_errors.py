"""What is wrong with a bench file or trust file, in words that name file, line, key, fault and mend.

All problems of a file are told at once. pydantic's own messages are for programmers; here they become a person's.
"""

import copy
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from testbed.core.errors import UsageError
from testbed.rig.toml_file import Loc, TomlFile


class Section(BaseModel):
    """A table of a file. Unknown keys, numbers in quotes, infinities and NaN are refused; values are frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Element = TypeVar("Element")
Several = Annotated[tuple[Element, ...], Field(strict=False)]  # TOML gives lists; their elements stay strict
Model = TypeVar("Model", bound=Section)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault at one place of a file."""

    loc: Loc
    what: str
    mend: str


def check_file(file: TomlFile, model: type[Model], cross: Callable[[Model], Iterable[Problem]]) -> Model:
    """The file's content as `model`, after `cross` found no fault in it either.

    Where single keys are wrong, what remains is still cross-checked if it can stand without them, so that one run
    tells everything. Raises UsageError with all problems, in the order of lines.
    """
    try:
        content = model.model_validate(file.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = _form_problems(details, model)
        touched = {_table(detail["loc"]) for detail in details}
        try:
            rest = model.model_validate(_without(file.data, [detail["loc"] for detail in details]))
        except ValidationError:
            pass
        else:
            # A key that was dropped may be what the second problem asks for: keep to tables without a first one.
            problems += [problem for problem in cross(rest) if _table(problem.loc) not in touched]
        raise _usage_error(file, problems) from None
    found = list(cross(content))
    if found:
        raise _usage_error(file, found)
    return content


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The valid name that `word` was probably meant to be."""
    found = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def unknown(word: str, names: Sequence[str]) -> str:
    """The mend for a name that nothing has: its nearest neighbour, or all valid names."""
    near = nearest(word, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"valid here: {', '.join(names)}" if names else "remove it: nothing is valid here"


def shown(value: object) -> str:
    """A value as TOML would write it, cut to a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array of tables" if value and all(isinstance(item, dict) for item in value) else f"{value}"[:60]
    return f'"{value}"'[:60] if isinstance(value, str) else str(value)[:60]


def _usage_error(file: TomlFile, problems: Sequence[Problem]) -> UsageError:
    def place(problem: Problem) -> str:
        line = file.line(problem.loc)
        return ": ".join(
            part for part in (f"{file.label}:{line}" if line else file.label, file.key(problem.loc)) if part
        )

    ordered = sorted(problems, key=lambda problem: file.line(problem.loc) or 0)
    *others, last = ordered
    if not others:
        return UsageError(f"{place(last)}: {last.what}", last.mend)
    lines = [f"{file.label}: {len(ordered)} problems"]
    for problem in others:
        lines += [f"{place(problem)}: {problem.what}", f"  mend: {problem.mend}"]
    return UsageError("\n".join([*lines, f"{place(last)}: {last.what}"]), last.mend)


def _table(loc: Loc) -> Loc:
    """The table that holds the key at `loc`; an element of an array of numbers belongs to its array's table."""
    return loc[:-2] if loc and isinstance(loc[-1], int) and len(loc) > 1 else loc[:-1]


def _without(data: dict[str, object], locs: Iterable[Loc]) -> dict[str, object]:
    """A copy of `data` in which the keys at `locs` are left out."""
    rest = copy.deepcopy(data)
    for loc in locs:
        while loc and isinstance(loc[-1], int):
            loc = loc[:-1]
        node: object = rest
        for step in loc[:-1]:
            if isinstance(node, dict):
                node = node.get(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
        if isinstance(node, dict) and loc:
            node.pop(loc[-1], None)
    return rest


def _form_problems(details: Sequence[ErrorDetails], model: type[BaseModel]) -> list[Problem]:
    missing = {detail["loc"] for detail in details if detail["type"] == "missing"}
    meant: set[Loc] = set()
    problems = []
    for detail in details:
        loc = detail["loc"]
        if detail["type"] != "extra_forbidden":
            continue
        word, names = str(loc[-1]), _names_at(model, loc[:-1])
        # A key that is missing beside an unknown one is probably that one: one mend, not two.
        absent = nearest(word, [name for name in names if (*loc[:-1], name) in missing])
        if absent is not None:
            meant.add((*loc[:-1], absent))
        problems.append(Problem(loc, "unknown key", unknown(word, [absent] if absent else names)))
    rest = [detail for detail in details if detail["type"] != "extra_forbidden" and detail["loc"] not in meant]
    return problems + [_form_problem(detail, model) for detail in rest]


def _form_problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    loc, value = detail["loc"], detail["input"]
    field = _field_at(model, loc)
    if detail["type"] == "missing" and isinstance(loc[-1], str):
        if field is not None and _model_in(field.annotation) is not None:
            header = ".".join(str(step) for step in loc if isinstance(step, str))
            several = get_origin(field.annotation) is tuple
            return Problem(loc, "is missing", f"add tables [[{header}]]" if several else f"add a table [{header}]")
        return Problem(loc, "is missing", f"add {loc[-1]} = ... ({_wanted(detail, field)})")
    if detail["type"] in ("missing", "too_long"):
        loc = loc[:-1] if detail["type"] == "missing" else loc
        return Problem(loc, f"{shown(value)} does not fit here", f"give {_described(field) or detail['msg']}")
    if detail["type"] == "literal_error":
        names = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
        what = f"{shown(value)} is none of: {', '.join(names)}"
        near = nearest(value, names) if isinstance(value, str) else None
        return Problem(loc, what, f'did you mean "{near}"?' if near else f"take one of: {', '.join(names)}")
    if detail["type"] == "float_type" and isinstance(value, dict) and value:
        mend = f'a name with a dot needs quotes: write "{loc[-1]}.{next(iter(value))}" = ...'
        return Problem(loc, "a table does not fit here", mend)
    unquoted = value.strip() if isinstance(value, str) else ""
    if detail["type"] in ("int_type", "float_type") and re.fullmatch(r"[+-]?\d+(\.\d+)?", unquoted):
        return Problem(loc, f"{shown(value)} is text, not a number", f"write {unquoted} without quotes")
    return Problem(loc, f"{shown(value)} does not fit here", f"give {_wanted(detail, field)}")


def _wanted(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """What a key takes, in words: its description, else what its type or its limit says."""
    kind, context, name = detail["type"], detail.get("ctx", {}), detail["loc"][-1]
    header = ".".join(str(step) for step in detail["loc"] if isinstance(step, str))
    limits = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if described := _described(field):
        return described
    if kind in limits:
        words = {"gt": "more than {}", "ge": "{} or more", "lt": "less than {}", "le": "{} or less"}[limits[kind]]
        return words.format(context[limits[kind]])
    if kind == "missing" and field is not None:
        return _type_words(field.annotation)
    words_by_kind = {
        "string_type": "text in quotes",
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "finite_number": "a finite number",
        "tuple_type": f"an array of tables: write [[{header}]] with double brackets",
        "model_type": f"a table: write [{header}] with single brackets, or {name} = {{ ... }}",
        "dict_type": f"a table: write [{header}] with single brackets, or {name} = {{ ... }}",
    }
    return words_by_kind.get(kind, detail["msg"])


def _described(field: FieldInfo | None) -> str:
    return field.description or "" if field else ""


def _type_words(annotation: object) -> str:
    simple: dict[object, str] = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
    if annotation in simple:
        return simple[annotation]
    choices = [choice for choice in get_args(annotation) if isinstance(choice, str)]
    return f"one of {', '.join(choices)}" if choices else "a value"


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The table type inside an annotation such as `Part`, `Part | None` or `tuple[Part, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for step in loc:
        if current is None:
            return None
        if isinstance(step, str):
            field = _fields(current).get(step)
            current = _model_in(field.annotation) if field else None
    return current


def _names_at(model: type[BaseModel], loc: Loc) -> list[str]:
    found = _model_at(model, loc)
    return list(_fields(found)) if found else []


def _field_at(model: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field that the last key of `loc` names, None for an element of an array."""
    if not loc or isinstance(loc[-1], int):
        return _field_at(model, loc[:-1]) if loc and not _model_in_array(model, loc) else None
    found = _model_at(model, loc[:-1])
    return _fields(found).get(loc[-1]) if found else None


def _model_in_array(model: type[BaseModel], loc: Loc) -> bool:
    field = _field_at(model, loc[:-1])
    return field is not None and _model_in(field.annotation) is not None
