"""The keys of a bench's logs as its folders have them: the one that signs, and those that signed before it."""

from pathlib import Path

from testbed.core.bodies import KEY_CHANGED, Event
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import promote, read_secret
from testbed.keys.log_keys import KeyChange, LogKeys, open_key_change
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.files import write_atomic
from testbed.store.sqlite import LogStore


def signing_key(bench: Bench, role: str) -> SigningKey:
    """The key of a role's log; its name is the log's origin. Raises UsageError where `init` was not run."""
    return SigningKey.from_seed(bench.origin(role), read_secret(Paths(bench.data).key(role)))


def next_key(bench: Bench, role: str) -> SigningKey | None:
    """The key that is to follow, None where no change of keys is under way."""
    path = Paths(bench.data).next_key(role)
    return SigningKey.from_seed(bench.origin(role), read_secret(path)) if path.exists() else None


def log_keys(bench: Bench, role: str) -> LogKeys:
    """All keys of a role's log over its life. Raises StoreError where the notes of its changes do not fit together."""
    folder = Paths(bench.data).key_changes(role)
    changes = sorted((_read(path) for path in folder.glob("[0-9]*")), key=lambda change: change.first)
    try:
        return LogKeys(changes[0].old if changes else signing_key(bench, role).verifier(), tuple(changes))
    except InvalidData as error:
        raise _unfit(folder, error) from error


def change_notes(bench: Bench, role: str) -> list[bytes]:
    """The notes by which the keys of a role's log changed, in their order."""
    folder = Paths(bench.data).key_changes(role)
    found = sorted((_read(path).first, path) for path in folder.glob("[0-9]*"))
    return [path.read_bytes() for _, path in found]


def settle_keys(bench: Bench, role: str, store: LogStore) -> None:
    """For a log's writer, before it opens the log: end a change of keys that a kill may have left halfway.

    Once the change is logged, as the newest record, the new key is the only one that signs; before, nothing happened.
    """
    paths, new = Paths(bench.data), next_key(bench, role)
    change = None if new is None else newest_change(store)
    if new is None or change is None or change[0].new != new.verifier():
        return
    write_atomic(paths.key_changes(role) / str(change[0].first), change[1], durable=True)
    reached("key", BEFORE, new.name)
    promote(paths.next_key(role), paths.key(role))
    reached("key", AFTER, new.name)


def newest_change(store: LogStore) -> tuple[KeyChange, bytes] | None:
    """The change of keys that the newest record of a log is, with its note; None where that is another record."""
    newest = store.latest_checkpoint()
    row = None if newest is None else next(store.rows(newest[0] - 1), None)
    try:
        if row is None or row.body is None or decode_entry(row.entry).kind is not Kind.EVENT:
            return None
        body = decode_body(Kind.EVENT, row.body)
        if not isinstance(body, Event) or body.name != KEY_CHANGED:
            return None
        return open_key_change(body.detail, None), body.detail
    except InvalidData:
        return None  # what cannot be read is no change; opening the log says what it is


def _read(path: Path) -> KeyChange:
    try:
        return open_key_change(path.read_bytes(), None)
    except InvalidData as error:
        raise _unfit(path, error) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}", "look at its permissions") from error


def _unfit(path: Path, error: InvalidData) -> StoreError:
    return StoreError(f"{path}: {error}", "run `testbed verify` to see what was changed; put the file back")
