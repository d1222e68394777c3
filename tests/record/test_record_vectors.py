"""The bytes on disk do not change: committed bodies, entries and commitments, both ways.

In the vectors a byte string is {"hex": ...}, a float {"binary64": its 8 bytes in hex}, a LeafRef {"ref": [...]}.
"""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from testbed.core import bodies
from testbed.core.bodies import LeafRef
from testbed.core.entry import Entry, Kind
from testbed.core.errors import InvalidData
from testbed.record.bodies import decode_body, encode_body, kind_of
from testbed.record.entry import commitment, decode_entry, encode_entry

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "record_v1.json").read_text())[
    "cases"
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["about"]))


def value_of(item: Any) -> Any:  # noqa: ANN401  # what JSON holds
    """The value that a description stands for."""
    match item:
        case {"hex": text}:
            return bytes.fromhex(text)
        case {"binary64": text}:
            return struct.unpack(">d", bytes.fromhex(text))[0]
        case {"ref": [origin, index, leaf_hash]}:
            return LeafRef(origin, index, value_of(leaf_hash))
        case list():
            return tuple(map(value_of, item))
        case _:
            return item


def body_of(case: dict[str, Any]) -> bodies.Body:
    body: bodies.Body = getattr(bodies, case["type"])(**{name: value_of(item) for name, item in case["body"].items()})
    return body


def test_every_kind_has_a_vector() -> None:
    assert {Kind(case["kind"]) for case in CASES} == set(Kind)


@each_case
def test_a_body_has_its_bytes(case: dict[str, Any]) -> None:
    body = body_of(case)
    assert kind_of(body) == case["kind"]
    assert encode_body(body).hex() == case["bytes"]


@each_case
def test_the_bytes_have_their_body(case: dict[str, Any]) -> None:
    body = decode_body(Kind(case["kind"]), bytes.fromhex(case["bytes"]))
    # By repr, since a NaN is not equal to itself.
    assert repr(body) == repr(body_of(case))
    assert encode_body(body).hex() == case["bytes"]


@each_case
def test_the_entry_commits_to_the_bytes(case: dict[str, Any]) -> None:
    salt, data = bytes.fromhex(case["salt"]), bytes.fromhex(case["bytes"])
    entry = Entry(Kind(case["kind"]), case["source"], case["seq"], commitment(salt, data))
    assert entry.commitment == hashlib.sha256(salt + data).digest() == bytes.fromhex(case["commitment"])
    assert encode_entry(entry).hex() == case["entry"]
    assert decode_entry(bytes.fromhex(case["entry"])) == entry


@each_case
def test_every_flipped_bit_is_refused_or_shows(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        try:
            body = decode_body(Kind(case["kind"]), bytes(flipped))
        except InvalidData:
            continue
        assert encode_body(body) == bytes(flipped)
        assert repr(body) != repr(body_of(case)) or "nan" in repr(body)


@each_case
def test_every_prefix_is_refused(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    for end in range(len(data)):
        with pytest.raises(InvalidData):
            decode_body(Kind(case["kind"]), data[:end])


def test_a_beacon_by_hand() -> None:
    case = next(case for case in CASES if case["about"] == "beacon")
    # An array of 3: 31337 as uint16, 7, 32 bytes.
    assert case["bytes"] == "83" + "197a69" + "07" + "5820" + "bb" * 32
