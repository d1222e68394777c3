"""Bringing a bench into its safe state by hand: `testbed recover`."""

import asyncio
from contextlib import ExitStack

from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.guard.lease import refuse_reserved
from testbed.guard.logged import LoggedController
from testbed.guard.quarantine import lift, quarantined
from testbed.guard.safe_state import Reached, reach_safe_state
from testbed.rig.bench import Bench
from testbed.rig.operating import operator_log, own_device
from testbed.rig.paths import Paths
from testbed.rig.safety import lease_folder, person, safe_state_of


async def recover(bench: Bench, who: str) -> Reached | None:
    """Try the safe state of a bench in quarantine, as `who`; None where the bench is in none, and nothing was done.

    The quarantine is lifted once the safe state was read back, and stands otherwise. Where the bench has an operator's
    log, each write is logged. Raises LeaseError where somebody else holds the bench, StoreError.
    """
    paths, clock = Paths(bench.data), SystemClock()
    if quarantined(paths.quarantine) is None:
        return None
    refuse_reserved(lease_folder(bench), person(), clock)

    async def pause() -> None:
        await asyncio.sleep(bench.plc.scan_ms / 1000)

    with ExitStack() as stack:
        device = own_device(bench)
        if paths.log(bench.operator.name).is_file():
            log = stack.enter_context(operator_log(bench, clock, SystemEntropy(), simulated=False))
            logged = LoggedController(device, who, log, bench.momentary, lambda tag: tag.name in bench.heartbeats)
            stack.callback(logged.settle)
            device = logged
        try:
            reached = await reach_safe_state(device, safe_state_of(bench), clock, pause)
        finally:
            await device.close()
    if reached.reached:
        lift(paths.quarantine)
    return reached
