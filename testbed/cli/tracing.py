"""How a trace is shown: one record from its body to its block."""

import time
from collections.abc import Sequence

from testbed.core.bodies import State
from testbed.core.tags import Tag
from testbed.outward.record_words import body_lines
from testbed.verify.trace import After, Trace

_END = 253_402_300_800
"""The year 10000, s since 1970: a node may give a block any time, and no calendar goes on for ever."""


def trace_as_text(found: Trace, tags: Sequence[Tag]) -> str:
    """For a person."""
    record = found.record
    kind = record.entry.kind.name.lower()
    lines = [
        f"record      {record.index} of {found.origin}: {kind} {record.entry.seq} of {record.entry.source}",
        f"body        {len(record.data)} bytes: {record.data.hex()}",
        *(f"              {line}" for line in body_lines(record.body, tags)),
        *_signed(found),
        f"salt        {record.salt.hex()}",
        f"commitment  {record.entry.commitment.hex()}   SHA-256(salt || body)",
        f"entry       {record.entry_data.hex()}",
        f"leaf        {found.leaf.hex()}   SHA-256(00 || entry)",
    ]
    lines += [f"path        {digest.hex()}" for digest in found.path]
    if found.checkpoint is not None and not found.path:
        lines.append("path        empty: the only leaf")
    return "\n".join([*lines, *anchored(found)])


def _signed(found: Trace) -> list[str]:
    if not isinstance(found.record.body, State):
        return []
    if found.signed_by:
        return [f"signed      at the source by {found.signed_by}"]
    return [f"signed      by the key of {found.origin} alone: it is gateway-signed"]


def anchored(found: Trace) -> list[str]:
    """What stands above a record: checkpoint, transaction, block, and between which blocks it was logged."""
    if found.checkpoint is None:
        return ["checkpoint  pending: no confirmed anchor covers this record yet", f"logged      {logged(found.after)}"]
    size, anchor = found.checkpoint.size, found.anchor
    lines = [f"checkpoint  {found.checkpoint.origin}, size {size}, root {found.checkpoint.root.hex()}"]
    if anchor is None:
        lines.append("block       not seen: the chain could not be read, or holds another one; see the findings")
    else:
        lines += [
            f"transaction 0x{anchor.transaction.hex()}   {anchor.gas} gas for {anchor.records} records",
            f"block       {anchor.block}, 0x{anchor.block_hash.hex()}, {utc(anchor.time)}",
        ]
    return [*lines, f"logged      {logged(found.after, None if anchor is None else (anchor.block, anchor.time))}"]


def logged(known: After | None, anchored: tuple[int, int] | None = None) -> str:
    """Between which two blocks a record was logged, as far as beacons and anchors tell. anchored: block and time, s."""
    after = before = ""
    if known is not None:
        time_ = "" if known.time is None else f" ({utc(known.time)})"
        after = f"block {known.block}{time_}"
    if anchored is not None:
        before = f"block {anchored[0]} ({utc(anchored[1])})"
    if after and before:
        return f"between {after} and {before}"
    if after:
        return f"after {after}"
    said = f"before {before}; " if before else ""
    return f"{said}after no block that is known: no beacon stands before it"


def utc(seconds: int) -> str:
    """ISO 8601, to the second."""
    if seconds >= _END:
        return f"{seconds} s since 1970"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def trace_as_json(found: Trace) -> dict[str, object]:
    """For a machine; byte strings in hex."""
    record, checkpoint, anchor = found.record, found.checkpoint, found.anchor
    return {
        "origin": found.origin,
        "index": record.index,
        "kind": record.entry.kind.name.lower(),
        "source": record.entry.source,
        "seq": record.entry.seq,
        "signed_by": found.signed_by or None,
        "body": record.data.hex(),
        "salt": record.salt.hex(),
        "commitment": record.entry.commitment.hex(),
        "entry": record.entry_data.hex(),
        "leaf": found.leaf.hex(),
        "path": [digest.hex() for digest in found.path],
        "checkpoint": None if checkpoint is None else {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "transaction": None if anchor is None else anchor.transaction.hex(),
        "block": None
        if anchor is None
        else {"number": anchor.block, "hash": anchor.block_hash.hex(), "time": anchor.time},
        "logged_after": None if found.after is None else {"number": found.after.block, "time": found.after.time},
        "gas": None if anchor is None else anchor.gas,
    }
