"""What all our Parquet files have in common: the key of their metadata, and a column for a tag with its unit."""

from collections.abc import Collection, Iterable
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types

from testbed.core.tags import Value

KEY = b"attestbed"
"""Of the file's key-value metadata: JSON that says what the file is."""

_UNIT, _TAG = b"unit", b"tag"
_SIGNED = 2**63


def tag_field(tag: str, unit: str, kind: Any, taken: Collection[str]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The column of a tag, under its name unless that is `taken`."""
    name = f"tag.{tag}" if tag in taken else tag
    return pa.field(name, kind, metadata={_UNIT: unit.encode(), _TAG: tag.encode()})


def tag_of(field: Any) -> str:  # noqa: ANN401 - pyarrow has no types
    """The tag of a column that `tag_field` made; raises KeyError for any other."""
    return str(field.metadata[_TAG].decode())


def unit_of(field: Any) -> str | None:  # noqa: ANN401 - pyarrow has no types
    """The unit of a column, None where it says none."""
    found = (field.metadata or {}).get(_UNIT)
    return None if found is None else str(found.decode(errors="replace"))


def whole(values: Iterable[Value | None]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The type that holds whole numbers: int64, or uint64 where one of them needs it."""
    large = any(value is not None and value >= _SIGNED for value in values)
    return pa.uint64() if large else pa.int64()
