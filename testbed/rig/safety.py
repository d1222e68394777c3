"""What a bench file says of safety, as `guard` and `acquire` take it."""

import getpass
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from testbed.acquire.watchdog import Place, WatchdogWatch
from testbed.core.clock import Clock
from testbed.core.errors import UsageError
from testbed.core.tags import Tag
from testbed.guard.lease import Person, refuse_reserved
from testbed.guard.policy import Policy, everything, nothing
from testbed.guard.quarantine import refuse_quarantined
from testbed.guard.safe_state import Expectation, SafeState, Setting
from testbed.guard.stop import StopRule, parse_stop_rule
from testbed.guard.watchdog import Watchdog, Writer
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.policy_file import read_policy
from testbed.rig.safety_file import Safety


def safe_state_of(bench: Bench) -> SafeState:
    """The safe state of the bench's machine; empty where the file names none: then it is never known to be reached."""
    safety = bench.safety
    return SafeState(
        tuple(Setting(one.tag, one.value) for one in safety.safe_state),
        tuple(Expectation(one.tag, one.low, one.high, one.within_s) for one in safety.verify),
        frozenset(bench.momentary),
    )


def stop_rules_of(bench: Bench) -> tuple[StopRule, ...]:
    """What ends a run at once."""
    return tuple(parse_stop_rule(text) for text in bench.safety.stop_on)


def policy_of(bench: Bench, rootdir: Path | None, named: Path | None = None) -> Policy:
    """The write policy: the file `named`, else that of the bench file.

    rootdir: pytest's, in or above which the policy must not lie. Without a file an emulated PLC may be written to
    within the ranges of its tags, and any other PLC not at all. Raises UsageError.
    """
    path = named or (bench.folder / bench.safety.policy if bench.safety.policy else None)
    if path is not None:
        return read_policy(path, bench.tags, rootdir, bench.safety.forced)
    kind: str = bench.plc.kind
    return everything(bench.tags) if kind == "emulated" else nothing()


def watchdog_of(
    bench: Bench, writer: Writer, tags: Sequence[Tag], pause: Callable[[float], Awaitable[None]]
) -> Watchdog | None:
    """The runner's side of the PLC's watchdog; None where the bench file names none. `tags`: those of `writer`."""
    safety = bench.safety
    if not safety.watchdog:
        return None
    by_name = {tag.name: tag for tag in tags}
    return Watchdog(writer, by_name[safety.watchdog], by_name[safety.watchdog_limit], safety.watchdog_ms, pause)


def watchdog_watch(safety: Safety, tags: Sequence[Tag]) -> WatchdogWatch:
    """What a reader's log says of the watchdog; tags: as this reader reads them."""
    places = {tag.name: Place(tag, at) for at, tag in enumerate(tags)}
    return WatchdogWatch(places.get(safety.watchdog_tripped), places.get(safety.watchdog_limit))


def lease_folder(bench: Bench) -> Path:
    """Where the users of a bench find its lease: the data folder, or the folder that the bench file names.

    There a subfolder by the name of the bench, as several benches may share it.
    """
    return (bench.folder / bench.safety.lease / bench.name).resolve() if bench.safety.lease else bench.data


def person() -> Person:
    """Who runs this process. Raises UsageError where the system does not know."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("nobody knows who you are", "set USER to your name") from None
    return Person(user, socket.gethostname(), os.getpid())


def refuse_command(bench: Bench, clock: Clock) -> None:
    """Before every command and every run: raises Quarantined, or LeaseError where somebody else holds the bench."""
    refuse_quarantined(Paths(bench.data).quarantine, bench.name)
    refuse_reserved(lease_folder(bench), person(), clock)
