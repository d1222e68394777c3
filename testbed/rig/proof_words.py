"""The commentary of an evidence file: what it is about, for a person. It proves nothing, and says so."""

import hashlib
import time
from collections.abc import Sequence

from testbed.chain.proofs import header_fields
from testbed.core.bodies import Genesis
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.tags import Tag
from testbed.keys.evidence_file import Claim, EvidenceFile, ProvedRecord
from testbed.outward.record_words import body_lines
from testbed.outward.words import clean
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import decode_tags

_HEAD = (
    "Commentary. Nothing that checks this file reads the lines that begin with #, and they prove nothing.",
    "",
)
_TAIL = (
    "",
    "Check it offline, against a trust file of your own, which never comes with the evidence:",
    "    testbed verify FILE --trust trust.toml",
    "Formats: C2SP tlog-proof, tlog-checkpoint and signed-note; RFC 9162; EIP-1186; RFC 8949. The layout of this file",
    "stands in testbed/keys/evidence_file.py, what records say in testbed/record/bodies.py of Attestbed.",
)
_CLAIMS = {
    Claim.RECORD: "This file shows one record of a log, and that it was anchored.",
    Claim.FORKED: "This file shows that the owner of a log signed two logs in its name.",
    Claim.DIVERGED: "This file shows that a twin's record does not follow from the approved model and its inputs.",
    Claim.UNAPPROVED: "This file shows that a twin ran a model that the auditor does not approve.",
    Claim.SKIPPED: "This file shows that a twin left inputs out, took them twice, or out of order.",
    Claim.INVENTED: "This file shows that a twin names an input that its source never logged.",
}


def commentary(file: EvidenceFile) -> tuple[str, ...]:
    """Lines for a person about a file that has none yet."""
    lines = [_CLAIMS[file.claim]]
    for record in file.records:
        if record.place == (file.origin, file.index):
            lines += _record(record, _tags(file))
    if file.anchor is not None:
        header = header_fields(file.anchor.header)
        lines.append(f"Anchored in block {header.number}, 0x{header.hash.hex()}, {_utc(header.timestamp)}.")
    elif file.fork is None:
        lines.append("Pending: no anchor covers it yet.")
    if file.blocks:
        first = header_fields(file.blocks[0])
        lines.append(f"Logged after block {first.number}, {_utc(first.timestamp)}.")
    return tuple(clean(line) for line in (*_HEAD, *lines, *_TAIL))


def _record(record: ProvedRecord, tags: Sequence[Tag]) -> list[str]:
    origin, index = record.place
    entry = decode_entry(record.entry)
    kind = entry.kind.name.lower()
    head = f"Record {index} of {origin}: {kind} {entry.seq} of {entry.source}."
    if record.body is None:
        return [head, "Its body was erased."]
    shown = body_lines(decode_body(entry.kind, record.body), tags if entry.kind is Kind.STATE else ())
    return [head, *(f"    {line if len(line) <= 200 else line[:200] + '...'}" for line in shown)]


def _tags(file: EvidenceFile) -> Sequence[Tag]:
    """The tag list in the file, where it is the one that the log's first record names."""
    try:
        first = next(one for one in file.records if one.place == (file.origin, 0))
        genesis = decode_body(Kind.GENESIS, first.body or b"")
        if file.tags is not None and isinstance(genesis, Genesis):
            return decode_tags(file.tags) if hashlib.sha256(file.tags).digest() == genesis.schema else ()
    except (InvalidData, StopIteration):
        pass
    return ()


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds < 1 << 37 else f"{seconds} s since 1970"
