"""The manifest of a test run: (name, SHA-256) of every file, and of every line of those that are text.

A file's name is the name; a line's is `<file>#<number> <about>`, such as

    measurements.jsonl#17 tests/test_tank.py::test_level tank2.level

Numbers count from 1; *about* says what the line is about and is left out where that is nothing in particular. A line is
what stands before a line feed. The manifest itself is `manifest.json`, which cannot hold its own hash: the record in
the operator's log holds it, as the first of its pairs.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from testbed.core.errors import InvalidData

MANIFEST = "manifest.json"
_FORMAT = "attestbed-evidence/1"
_HASH = 64
_LINE = re.compile(r"([^#]+)#([1-9][0-9]*)(?: (.+))?")

Pairs = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What manifest.json says. origin: the log in which the run is recorded under its name."""

    run: str
    bench: str
    origin: str
    pairs: Pairs


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a text file; what stands behind the last line feed is one as well unless it is empty."""
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def line_name(file: str, number: int, about: str) -> str:
    """Name of a line in a manifest."""
    said = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in about)
    return f"{file}#{number} {said}" if said else f"{file}#{number}"


def parse_name(name: str) -> tuple[str, int | None, str]:
    """File, number of the line and what it is about; None and "" where the name is a file's."""
    found = _LINE.fullmatch(name)
    return (name, None, "") if found is None else (found[1], int(found[2]), found[3] or "")


def pairs_of(files: Mapping[str, bytes], about: Mapping[str, Sequence[str]]) -> Pairs:
    """The pairs of `files` by name. about: of text files, what each line is about."""
    pairs = [(name, sha256(files[name])) for name in sorted(files)]
    for name in sorted(about):
        texts = lines_of(files[name])
        pairs += [
            (line_name(name, number, said), sha256(text))
            for number, (text, said) in enumerate(zip(texts, about[name], strict=True), 1)
        ]
    return tuple(pairs)


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def recorded_pairs(data: bytes, manifest: Manifest) -> Pairs:
    """What the operator's log is given: the hash of manifest.json, which has the bytes `data`, and its pairs."""
    return ((MANIFEST, sha256(data)), *manifest.pairs)


def encode_manifest(manifest: Manifest) -> bytes:
    """manifest.json, a pair a line."""
    head = {"format": _FORMAT, "run": manifest.run, "bench": manifest.bench, "log": manifest.origin}
    pairs = ",\n".join(f"{_text(name)}: {_text(digest.hex())}" for name, digest in manifest.pairs)
    lines = [f"{_text(key)}: {_text(value)}," for key, value in head.items()]
    return "\n".join(["{", *lines, '"sha256": {', pairs, "}", "}", ""]).encode()


def decode_manifest(data: bytes) -> Manifest:
    """Raises InvalidData unless `encode_manifest` gives back these very bytes."""
    try:
        found = json.loads(data)
    except ValueError as error:
        raise InvalidData(f"{MANIFEST}: not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise InvalidData(f"{MANIFEST}: not the manifest of a test run ({_FORMAT})")
    pairs = found.get("sha256")
    if not isinstance(pairs, dict):
        raise InvalidData(f"{MANIFEST}: it lists no files")
    manifest = Manifest(
        str(found.get("run")), str(found.get("bench")), str(found.get("log")), tuple(_pairs(pairs.items()))
    )
    if encode_manifest(manifest) != data:
        raise InvalidData(f"{MANIFEST}: not as a run writes it")
    return manifest


def _pairs(items: Iterable[tuple[str, object]]) -> Iterable[tuple[str, bytes]]:
    for name, value in items:
        if not isinstance(value, str) or re.fullmatch(rf"[0-9a-f]{{{_HASH}}}", value) is None:
            raise InvalidData(f"{MANIFEST}: {name} has no SHA-256")
        yield name, bytes.fromhex(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
