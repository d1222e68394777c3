"""One process a role: the lock that says so, and who holds which."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths


def role_names(bench: Bench) -> tuple[str, ...]:
    """The roles of a bench in the order in which they start. A node that somebody else runs is none of them."""
    own_node = ("chain",) if bench.chain.kind == "anvil" else ()
    return ("plc", *own_node, bench.reader.name, bench.twin.name, "anchor")


@contextmanager
def role_lock(bench: Bench, role: str) -> Iterator[None]:
    """Hold a role; the kernel lets go of it however the process ends. Raises UsageError where it is held."""
    path = Paths(bench.data).lock(role)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"role {role} of bench {bench.name} runs already", "stop it first, or name another data folder"
            ) from None
        yield
    finally:
        os.close(descriptor)


def held_roles(bench: Bench) -> list[str]:
    """The roles that run now."""
    return [role for role in role_names(bench) if _is_held(bench, role)]


def _is_held(bench: Bench, role: str) -> bool:
    with suppress(FileNotFoundError):
        descriptor = os.open(Paths(bench.data).lock(role), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
