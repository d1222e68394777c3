"""Checks stored records against the true leaves: missing, extra, moved, altered."""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.bodies import Body
from testbed.core.entry import Entry, Row
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.record.bodies import decode_body
from testbed.record.entry import commitment, decode_entry
from testbed.verify.alignment import Edit, align

_DETAIL = {
    What.ALTERED: "its entry does not hash to the leaf that was signed",
    What.DELETED: "the log holds this record and the store does not",
    What.INSERTED: "the store holds a record here that the log never had",
    What.REORDERED: "another record of the log stands in its place",
}


@dataclass(frozen=True, slots=True)
class Genuine:
    """A stored record that is what the log's root says, wherever it stands in the store. data: the body's bytes."""

    index: int
    entry: Entry
    body: Body
    data: bytes
    salt: bytes
    entry_data: bytes


def check_records(
    origin: str, leaves: Sequence[bytes | None], rows: Sequence[Row], stored: Sequence[bytes], claimed: int
) -> tuple[dict[int, Genuine], list[Finding]]:
    """Match rows (with their leaf hashes `stored`) to the true `leaves`.

    claimed: the largest size that any checkpoint speaks of, valid or not; rows between the true leaves and that size
    are under a checkpoint that could not be checked, which is a finding of its own.
    """
    # A claim may be any number; more rows than there are need no place.
    uncovered = [None] * (min(claimed, len(leaves) + len(rows)) - len(leaves))
    edits = align([*leaves, *uncovered], stored)
    findings = [_finding(origin, edit) for edit in edits]
    index_of = {leaf: index for index, leaf in enumerate(leaves) if leaf is not None}
    genuine: dict[int, Genuine] = {}
    seen: set[int] = set()
    for position, (row, digest) in enumerate(zip(rows, stored, strict=True)):
        index = index_of.get(digest)
        if index is None or index in seen:
            continue
        seen.add(index)
        result = _open(origin, index, row)
        if isinstance(result, Genuine):
            genuine[index] = result
        else:
            findings.append(result)
        if not edits and row.index != position:
            findings += _misnumbered(origin, index, rows, position)
    return genuine, findings


def _open(origin: str, index: int, row: Row) -> Genuine | Finding:
    where = f"record {index} of {origin}"
    try:
        entry = decode_entry(row.entry)
        if row.body is None:
            detail = "its body is gone, and no tombstone says why"
            return Finding(What.MISSING, Layer.STORE, where, detail, Verdict.INCONCLUSIVE, origin, index)
        if commitment(row.salt, row.body) != entry.commitment:
            return Finding(
                What.ALTERED, Layer.STORE, where, "its body does not open its commitment", origin=origin, index=index
            )
        return Genuine(index, entry, decode_body(entry.kind, row.body), row.body, row.salt, row.entry)
    except InvalidData as error:
        return Finding(What.ALTERED, Layer.STORE, where, f"it cannot be read: {error}", origin=origin, index=index)


def _misnumbered(origin: str, index: int, rows: Sequence[Row], position: int) -> list[Finding]:
    """A gap in the numbers of the store that no missing or extra record explains; only its first row is named."""
    if position and rows[position - 1].index != position - 1:
        return []
    detail = f"the store numbers it {rows[position].index}"
    return [Finding(What.REORDERED, Layer.STORE, f"record {index} of {origin}", detail, origin=origin, index=index)]


def _finding(origin: str, edit: Edit) -> Finding:
    where = f"record {edit.index} of {origin}"
    return Finding(edit.what, Layer.STORE, where, _DETAIL[edit.what], origin=origin, index=edit.index)
