"""The manifest of a run: every file, and every line of those that are text, under names that can be taken apart."""

import hashlib
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import TestManifest
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.record.bodies import decode_body, encode_body
from testbed.record.manifest import (
    MANIFEST,
    Manifest,
    decode_manifest,
    encode_manifest,
    line_name,
    lines_of,
    pairs_of,
    parse_name,
    recorded_pairs,
)

names = st.from_regex(r"[a-z][a-z0-9./-]{0,12}", fullmatch=True)
texts = st.lists(
    st.tuples(st.text(max_size=8).map(lambda text: text.replace("\n", "")), st.text(max_size=12)), max_size=5
)


@given(names, st.integers(1, 10**6), st.text())
def test_the_name_of_a_line_can_be_taken_apart(file: str, number: int, about: str) -> None:
    found = parse_name(line_name(file, number, about))
    assert found[:2] == (file, number)
    assert found[2] == "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in about)
    assert parse_name(file) == (file, None, "")


@given(st.dictionaries(names, texts, max_size=4), st.dictionaries(names, st.binary(max_size=20), max_size=3))
def test_a_manifest_lists_each_file_and_each_line(
    written: dict[str, list[tuple[str, str]]], raw: dict[str, bytes]
) -> None:
    files = {name: "".join(f"{text}\n" for text, _ in lines).encode() for name, lines in written.items()}
    abouts = {name: [said for _, said in lines] for name, lines in written.items()}
    pairs = pairs_of(raw | files, abouts)
    assert len({name for name, _ in pairs}) == len(pairs) == len(raw | files) + sum(map(len, written.values()))
    for name, digest in pairs:
        file, number, _ = parse_name(name)
        data = (raw | files)[file] if number is None else lines_of(files[file])[number - 1]
        assert hashlib.sha256(data).digest() == digest
    manifest = Manifest("run-1", "bench", "bench/operator", pairs)
    data = encode_manifest(manifest)
    assert decode_manifest(data) == manifest
    body = TestManifest(recorded_pairs(data, manifest))
    assert decode_body(Kind.TEST, encode_body(body)) == body
    assert body.files[0] == (MANIFEST, hashlib.sha256(data).digest())


def test_a_manifest_is_json_for_other_tools() -> None:
    manifest = Manifest("run-1", "bench", "bench/operator", pairs_of({"a.txt": b"one\n"}, {"a.txt": ["first"]}))
    said = json.loads(encode_manifest(manifest))
    digest = hashlib.sha256(b"one").hexdigest()
    assert said["sha256"] == {"a.txt": hashlib.sha256(b"one\n").hexdigest(), "a.txt#1 first": digest}


@given(st.data())
def test_a_manifest_with_one_changed_bit_is_another_or_none(data: st.DataObject) -> None:
    manifest = Manifest("run-1", "bench", "bench/operator", pairs_of({"a.txt": b"one\n"}, {"a.txt": ["first"]}))
    changed = bytearray(encode_manifest(manifest))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(InvalidData):
        assert decode_manifest(bytes(changed)) != manifest


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "attestbed-evidence/1", "sha256": {"a": "00"}}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match=MANIFEST):
        decode_manifest(data)
