"""What an export says of itself, as JSON: in the metadata of a Parquet file, and in the file beside a CSV file."""

import json
from collections.abc import Mapping
from typing import Any

from testbed.core.errors import InvalidData
from testbed.core.exported import About, Bound, Range

_VERSION = 1


def about_fields(about: About) -> dict[str, Any]:
    """The fields; hashes in hexadecimal, as people compare them."""
    ends = (about.range.first, about.range.last)
    first, last = (None if end is None else str(end) for end in ends)
    return {
        "export": _VERSION,
        "bench": about.bench,
        "log": about.origin,
        "schema": about.schema.hex(),
        "size": about.size,
        "root": about.root.hex(),
        "checkpoint": about.note.decode(),
        "from": first,
        "to": last,
        "tags": list(about.tags),
        "software": about.software,
    }


def read_about(found: object) -> About:
    """The value of such fields; raises InvalidData for anything else."""
    if not isinstance(found, Mapping) or found.get("export") != _VERSION:
        raise InvalidData("it does not say that it is an export")
    try:
        tags = found["tags"]
        if not isinstance(tags, list) or type(found["size"]) is not int:
            raise InvalidData("its tags or its size are none")
        return About(
            bench=_text(found, "bench"),
            origin=_text(found, "log"),
            schema=bytes.fromhex(_text(found, "schema")),
            size=found["size"],
            root=bytes.fromhex(_text(found, "root")),
            note=_text(found, "checkpoint").encode(),
            range=Range(_bound(found, "from"), _bound(found, "to")),
            tags=tuple(map(str, tags)),
            software=_text(found, "software"),
        )
    except KeyError as error:
        raise InvalidData(f"it lacks {error.args[0]}") from None
    except ValueError as error:
        raise InvalidData(str(error)) from None


def encode_about(about: About) -> bytes:
    """As one text."""
    return json.dumps(about_fields(about)).encode()


def decode_about(data: bytes) -> About:
    """The value of `encode_about`; raises InvalidData for anything else."""
    try:
        return read_about(json.loads(data))
    except ValueError as error:
        raise InvalidData(str(error)) from None


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found[key]
    if not isinstance(value, str):
        raise InvalidData(f"its {key} is no text")
    return value


def _bound(found: Mapping[str, Any], key: str) -> Bound | None:
    return None if found[key] is None else Bound.parse(_text(found, key))
