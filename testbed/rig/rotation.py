"""Changes the key of a log: a request under the old and the new key, the root key's signature, then the change itself.

The root key is kept offline, so these are steps of their own: `request` here, `sign_request` wherever the root key is,
`apply` here again. A change names the index from which on the new key holds, so the log must not grow between the first
step and the last. Killed at any instant, the log goes on under exactly one key: the old one until the change is on
disk, the new one from then on (rig/log_keys.py).
"""

from pathlib import Path

from testbed.core.bodies import KEY_CHANGED, Event
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.errors import InvalidData, UsageError
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.files import read_secret, write_secret
from testbed.keys.log_keys import ROOT, KeyChange, endorse, open_key_change, open_request, request_key_change
from testbed.rig.bench import Bench
from testbed.rig.failing import arm_failpoints
from testbed.rig.locks import check_not_running, role_lock
from testbed.rig.log_keys import log_keys, next_key, settle_keys, signing_key
from testbed.rig.logs import continue_log
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from testbed.store.sqlite import LogStore


def request(bench: Bench, role: str, entropy: Entropy) -> bytes:
    """Make the key that is to follow, where none waits yet, and ask for the change from the log's next record on.

    Raises UsageError while the bench runs, and where there is no such log.
    """
    _check_log(bench, role)
    check_not_running(bench)
    paths = Paths(bench.data)
    with role_lock(bench, bench.writer(role)):
        with LogStore.create(paths.log(role)) as store:
            settle_keys(bench, role, store)
            newest = store.latest_checkpoint()
        if newest is None:
            raise UsageError(f"{paths.log(role)}: this log has no record yet", "run the bench once with `testbed up`")
        new = next_key(bench, role)
        if new is None:
            write_secret(paths.next_key(role), entropy.take(32))
            new = next_key(bench, role)
            assert new is not None  # noqa: S101 - it was written just now
        return request_key_change(signing_key(bench, role), new, newest[0] + 1)


def sign_request(note: bytes, root: Path) -> tuple[KeyChange, bytes]:
    """What the root key in that file signs, and the request with its signature. Raises UsageError for what is none."""
    try:
        change = open_request(note)
    except InvalidData as error:
        mend = "name a request that `testbed rotate-key --request` wrote, and that is not signed yet"
        raise UsageError(f"this is no request: {error}", mend) from error
    return change, endorse(note, root_key(change.origin, root))


def root_key(origin: str, path: Path) -> SigningKey:
    """The root key of the bench that a log belongs to."""
    return SigningKey.from_seed(root_name(origin), read_secret(path))


def root_name(origin: str) -> str:
    """ "<bench>/root" for the origin "<bench>/<role>"."""
    return f"{origin.rpartition('/')[0]}/{ROOT}"


def trusted_root(bench: Bench, trust: Path) -> VerifierKey:
    """The root key as the trust file names it. Raises UsageError where it names none."""
    root = load_trust(trust).root
    if root is None:
        mend = "make one with `testbed root make`, and let the auditor put it into the trust file"
        raise UsageError(f"{trust} names no root key, so nobody would take the new key of {bench.name}", mend)
    return VerifierKey.parse(root.key)


def apply(bench: Bench, role: str, note: bytes, root: VerifierKey, clock: Clock, entropy: Entropy) -> KeyChange:
    """Log the change under the old key, then go on under the new one. What was applied before is done already.

    Raises UsageError while the bench runs, for a request that is not signed by `root` or is about something else, and
    where the log has grown since.
    """
    _check_log(bench, role)
    check_not_running(bench)
    try:
        change = open_key_change(note, root)
    except InvalidData as error:
        mend = f"sign the request with `testbed root sign`, by the key {root.encode()} of the trust file"
        raise UsageError(f"this change of keys does not count: {error}", mend) from error
    if change.origin != bench.origin(role):
        raise UsageError(f"this is a change of keys of {change.origin}", f"name a request of {bench.origin(role)}")
    arm_failpoints(role)
    with role_lock(bench, bench.writer(role)):
        log, store = continue_log(bench, role, entropy)
        with store:
            if change in log_keys(bench, role).changes:
                return change
            new = next_key(bench, role)
            if change.old != signing_key(bench, role).verifier() or new is None or new.verifier() != change.new:
                mend = "make a new request with `testbed rotate-key`, and let the root key sign that one"
                raise UsageError(f"{change.origin} does not have these two keys any more", mend)
            if change.first != log.size + 1:
                mend = "leave the bench stopped, and make a new request"
                raise UsageError(
                    f"{change.origin} has grown to {log.size} records since this change was asked for", mend
                )
            log.append([(bench.name, Event(clock.now_ns(), KEY_CHANGED, note))])
            log.publish()
            settle_keys(bench, role, store)
    return change


def _check_log(bench: Bench, role: str) -> None:
    if role not in bench.logs:
        raise UsageError(f"there is no log {role!r}", f"name one of {', '.join(bench.logs)}")
