"""One role as a process: takes its lock, waits for what it reads, steps until it is told to stop, says how it goes."""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from testbed.core.clock import Clock, SystemClock
from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.errors import ChainError, DeviceError, NodeUnreachable, StoreError, UsageError
from testbed.rig.bench import Bench
from testbed.rig.failing import arm_failpoints
from testbed.rig.locks import role_lock, role_names
from testbed.rig.logs import check_real
from testbed.rig.parent import Parent
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Obeys, Role
from testbed.rig.status import Status, newest_block, running_node
from testbed.store.sqlite import LogStore

_LOG = logging.getLogger("testbed")
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_WAIT_S = 0.05


async def run_role(bench: Bench, role: str, *, with_parent: bool = False, time_scale: float = 1.0) -> None:
    """Run `role` until SIGTERM or SIGINT, or until standard input ends where the process lives with its parent.

    time_scale: seconds of the emulated plant in a second of the wall. With its parent it also takes orders, where the
    role has any: rig/parent.py.
    Raises UsageError for an unknown role, one that runs already, or a simulated bench; StoreError when its log is not
    what it left.
    """
    if role not in role_names(bench):
        raise UsageError(f"there is no role {role!r}", f"choose one of {', '.join(role_names(bench))}")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    parent = Parent(stopping) if with_parent else None
    check_real(bench)
    arm_failpoints(role)
    with role_lock(bench, role):
        status = Status(bench, role)
        try:
            built = await _build(bench, role, stopping, status, time_scale)
            if built is not None:
                if parent is not None and isinstance(built, Obeys):
                    parent.obey = built.obey
                await _drive(built, stopping, status)
        finally:
            status.clear()


async def _drive(role: Role, stopping: asyncio.Event, status: Status) -> None:
    """Start, step by step, stop. Trouble with a device or a node is waited out; trouble with a log is not."""
    loop = asyncio.get_running_loop()
    await _patiently(role.start, stopping, status)
    deadline, retries = loop.time(), 0
    while not stopping.is_set():
        try:
            await role.step()
            retries = 0
            status.write("running", "", role.facts())
        except (DeviceError, ChainError) as error:
            status.write("waiting", error.problem, {})
            _LOG.warning("%s", error.problem)
            await _pause(stopping, _RETRY_S[min(retries, len(_RETRY_S) - 1)])
            retries += 1
        # What could not be done in time is left out, not made up for.
        deadline = max(deadline + role.period_s, loop.time())
        await _pause(stopping, deadline - loop.time())
    with suppress(NodeUnreachable):
        await role.stop()


async def _build(bench: Bench, role: str, stopping: asyncio.Event, status: Status, time_scale: float) -> Role | None:
    """The role, once the logs and the node that it reads are there; None when told to stop before."""
    clock, entropy, paths = SystemClock(), SystemEntropy(), Paths(bench.data)
    needs = {bench.twin.name: [bench.twin.follows], "anchor": [*bench.logs[:-1]]}.get(role, [])
    while not all(_is_log(paths, name) for name in needs):
        status.write("waiting", f"for the log of {' and '.join(needs)}", {})
        await _pause(stopping, _WAIT_S)
        if stopping.is_set():
            return None
    if role == "anchor" and bench.chain.kind == "anvil":
        while running_node(bench) is None:
            status.write("waiting", "for the chain", {})
            await _pause(stopping, _WAIT_S)
            if stopping.is_set():
                return None
    return _make(bench, role, clock, entropy, time_scale)


def _make(bench: Bench, role: str, clock: Clock, entropy: Entropy, time_scale: float) -> Role:
    """The role itself. Imported here: a gateway that loads no chain client starts in a fraction of the time."""
    if role == "plc" and bench.plc.kind == "physical":
        from testbed.rig.roles.bridge import BridgeRole

        return BridgeRole(bench, time_scale=time_scale)
    if role == "plc":
        from testbed.rig.roles.plc import PlcRole

        return PlcRole(bench, time_scale=time_scale)
    if role == "chain":
        from testbed.rig.roles.chain import ChainRole

        return ChainRole(bench, bench.chain.port)
    if role == "anchor":
        from testbed.rig.roles.anchor import AnchorRole

        def ready() -> bool:
            return bench.chain.kind != "anvil" or running_node(bench) is not None

        return AnchorRole(bench, clock, entropy, running_node(bench) or bench.chain.url, simulated=False, ready=ready)
    if role == bench.twin.name:
        from testbed.rig.roles.twin import TwinRole

        return TwinRole(bench, clock, entropy, simulated=False)
    if role in (witness.name for witness in bench.witnesses):
        from testbed.rig.roles.witness import WitnessRole

        return WitnessRole(bench, role, clock, simulated=False)
    from testbed.rig.roles.reader import ReaderRole

    return ReaderRole(bench, role, clock, entropy, partial(newest_block, bench), simulated=False)


def _is_log(paths: Paths, role: str) -> bool:
    """Whether a role's log is there and has its first records."""
    try:
        with LogStore.read(paths.log(role)) as store:
            return store.latest_checkpoint() is not None
    except StoreError:
        return False


async def _patiently(action: Callable[[], object], stopping: asyncio.Event, status: Status) -> None:
    """Do `action`, again and again while the node does not answer."""
    for attempt in range(10**9):
        try:
            result = action()
            if asyncio.iscoroutine(result):
                await result
            return
        except NodeUnreachable as error:
            status.write("waiting", error.problem, {})
            await _pause(stopping, _RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            if stopping.is_set():
                return


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until the stop."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
