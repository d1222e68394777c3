"""One process a role: the lock that says so, and who holds which."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths

SUPERVISOR = "supervisor"
"""Who runs all roles of a bench holds a lock, keeps a status and logs lines under this name, as a role does."""
_TRIES = 20
_PAUSE_S = 0.01


def role_names(bench: Bench) -> tuple[str, ...]:
    """The roles of a bench in the order in which they start. A node or PLC that somebody else runs is none of them."""
    witnesses = (witness.name for witness in bench.witnesses)
    own_plc = ("plc",) if bench.serves else ()
    own_node = ("chain",) if bench.chain.kind == "anvil" else ()
    return (*own_plc, *own_node, *(reader.name for reader in bench.readers), bench.twin.name, "anchor", *witnesses)


def check_not_running(bench: Bench) -> None:
    """Raises UsageError while any role of the bench runs."""
    running = held_roles(bench)
    if running:
        raise UsageError(
            f"bench {bench.name} runs already: {', '.join(running)}", "stop it first, or take another folder"
        )


@contextmanager
def role_lock(bench: Bench, role: str) -> Iterator[None]:
    """Hold a role; the kernel lets go of it however the process ends. Raises UsageError where it is held."""
    path = Paths(bench.data).lock(role)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor):
            raise UsageError(
                f"role {role} of bench {bench.name} runs already", "stop it first, or name another data folder"
            )
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Whether the lock could be taken. Whoever only looks holds it for an instant, which is waited out."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_S)
    return False


def held_roles(bench: Bench) -> list[str]:
    """The roles that run now."""
    return [role for role in role_names(bench) if is_held(bench, role)]


def is_held(bench: Bench, role: str) -> bool:
    """Whether a process runs the role now."""
    # Who may not look at the lock runs no role of this bench. A shared lock needs no right to write.
    with suppress(FileNotFoundError, PermissionError):
        descriptor = os.open(Paths(bench.data).lock(role), os.O_RDONLY | os.O_CLOEXEC)
        try:
            # A shared lock: those who look do not take each other for the role.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
