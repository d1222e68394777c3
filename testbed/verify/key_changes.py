"""Which key of a log counts at which size: the one of the trust file, then those that changes of keys name.

A change proves itself by its three signatures, so any copy of it will do: that in the log's own record, or the one that
is published beside the tiles.
"""

from collections.abc import Iterable, Iterator, Mapping

from testbed.core.bodies import KEY_CHANGED, Event
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import KeyChange, LogKeys, Revoked, open_key_change
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.store.stored_rows import StoredRows
from testbed.verify.evidence import LogEvidence
from testbed.verify.records import Genuine


def keys_of(begun: VerifierKey, root: VerifierKey | None, revoked: Iterable[Revoked], evidence: LogEvidence) -> LogKeys:
    """The keys of one log. begun: of the trust file, as are root and revoked; root: None where it names none.

    The stored records are looked through only where what is published does not explain the newest checkpoint.
    """
    keys = LogKeys(begun, revoked=tuple(revoked))
    if root is None:
        return keys
    keys = keys.followed_by(valid_changes(evidence.key_changes, root))
    if evidence.checkpoints and not _is_signed(evidence.checkpoints[-1][1], keys):
        logged = [*valid_changes(_stored(evidence), root), *valid_changes(evidence.key_changes, root)]
        keys = LogKeys(begun, revoked=keys.revoked).followed_by(logged)
    return keys


def check_changes(
    keys: LogKeys, root: VerifierKey | None, genuine: Mapping[int, Genuine], events: Iterable[Genuine]
) -> list[Finding]:
    """Each change that counts stands in the log, as the record that it says; and no other one stands there.

    events: those of the genuine records that are events.
    """
    due = {change.first - 1: change for change in keys.changes}
    wrong = {
        index: "the key changes behind it, by a note that all three keys signed, and it does not hold that note"
        for index, change in due.items()
        if index in genuine and _opened(genuine[index], root) != change
    }
    said = "its old key, its new key and the trust file's root key have not all signed it"
    for found in events:
        if isinstance(found.body, Event) and found.body.name == KEY_CHANGED and found.index not in due:
            wrong[found.index] = f"it says that the key changes, and does not count: {said if root else _NO_ROOT}"
    return [
        Finding(
            What.WRONG_KEY,
            Layer.IDENTITY,
            f"record {index} of {keys.name}",
            detail,
            origin=keys.name,
            index=index,
        )
        for index, detail in sorted(wrong.items())
    ]


_NO_ROOT = "the trust file names no root key"


def _is_signed(note: bytes, keys: LogKeys) -> bool:
    try:
        open_checkpoint(note, keys.unrevoked, keys.name)
    except InvalidData:
        return False
    return True


def valid_changes(notes: Iterable[bytes], root: VerifierKey) -> list[KeyChange]:
    """Those that all three keys signed, in the order of their index."""
    changes: list[KeyChange] = []
    for note in notes:
        try:
            changes.append(open_key_change(note, root))
        except InvalidData:
            continue
    return sorted(changes, key=lambda change: change.first)


def _stored(evidence: LogEvidence) -> Iterator[bytes]:
    """What stored records say of changes, genuine or not."""
    rows = evidence.rows
    for row in rows.of_kinds((Kind.EVENT,)) if isinstance(rows, StoredRows) else rows:
        try:
            if row.body is None or decode_entry(row.entry).kind is not Kind.EVENT:
                continue
            body = decode_body(Kind.EVENT, row.body)
        except InvalidData:
            continue
        if isinstance(body, Event) and body.name == KEY_CHANGED:
            yield body.detail


def _opened(found: Genuine, root: VerifierKey | None) -> KeyChange | None:
    body = found.body
    try:
        return open_key_change(body.detail, root) if isinstance(body, Event) and body.name == KEY_CHANGED else None
    except InvalidData:
        return None
