"""The operator's log of a bench: begun with its keys, then open for as long as a person commands something.

No process holds it: whoever commands takes the role's lock, logs and lets go.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.core.bodies import APPROVED, CONFIGURATION
from testbed.core.clock import Clock, SystemClock
from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.errors import UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.guard.controller import GuardedController
from testbed.guard.operator import Operator
from testbed.model import registry
from testbed.record.schema import parameters_hash
from testbed.rig.bench import Bench
from testbed.rig.controllers import modbus_reader
from testbed.rig.devices import device_of
from testbed.rig.failing import arm_failpoints
from testbed.rig.locks import role_lock
from testbed.rig.logs import Configuration, check_real, open_log
from testbed.rig.paths import Paths
from testbed.rig.reading import OwnPlc
from testbed.rig.recipe import parameters_of
from testbed.rig.safety import policy_of, refuse_command
from testbed.tlog.sequencer import Log


@contextmanager
def operator_log(bench: Bench, clock: Clock, entropy: Entropy, *, simulated: bool) -> Iterator[Log]:
    """The operator's log, open for writing; it says which bench file and which model hold from here on.

    Raises UsageError while somebody else commands, StoreError when the log is not what it was left as.
    """
    with role_lock(bench, bench.operator.name):
        approved = registry.model_hash(bench.twin.model) + parameters_hash(parameters_of(bench))
        configuration = Configuration(says=((CONFIGURATION, bench.text.encode()), (APPROVED, approved)))
        log, store = open_log(
            bench, bench.operator.name, configuration, clock, entropy, simulated=simulated, follows_time=False
        )
        try:
            yield log
            log.publish()
        finally:
            store.close()


def record_configuration(bench: Bench) -> None:
    """Log the bench file and the model where they are not those that the operator's log says, before a bench starts."""
    with operator_log(bench, SystemClock(), SystemEntropy(), simulated=False):
        pass  # opening it says what it has to say


async def command(bench: Bench, who: str, tag: str, value: Value) -> str:
    """Command the running PLC as `who`; the outcome as it was logged.

    Raises as `Operator.write` does, Quarantined, and LeaseError where somebody else holds the bench.
    """
    if not Paths(bench.data).log(bench.operator.name).is_file():
        raise UsageError(f"{bench.data}: this bench was not made ready yet", "run `testbed init` once")
    check_real(bench)
    refuse_command(bench, SystemClock())
    arm_failpoints(bench.operator.name)
    own = own_device(bench)
    device = own if bench.serves else GuardedController(own, policy_of(bench, None), SystemClock())

    async def pause() -> None:
        await asyncio.sleep(bench.plc.scan_ms / 1000)

    with operator_log(bench, SystemClock(), SystemEntropy(), simulated=False) as log:
        return await Operator(who, log, device, own.tags, bench.momentary, pause).write(tag, value)


def own_device(bench: Bench) -> Controller:
    """The PLC, to be commanded: by the bench's own Modbus server, or the physical one itself where it is on none.

    An emulated PLC takes what its tags can hold, and a bridge what the write policy allows; who writes to a physical
    one past both looks at the policy first.
    """
    return _OwnDevice(bench) if bench.serves else device_of(bench)


class _OwnDevice(OwnPlc):
    """The PLC on the bench's own server."""

    def __init__(self, bench: Bench) -> None:
        self._modbus = modbus_reader(bench)
        self.tags = self._modbus.tags  # a bridge shows a tag of several units at another address than the box
        super().__init__(bench, self._modbus)

    async def poll(self) -> Poll:
        poll = await super().poll()
        return Poll(poll.boot, poll.scan, poll.values, poll.statuses, poll.device_time_ns)

    async def connect(self) -> None:
        await super().connect()
        await self.poll()  # it is ours, or nothing is written to it

    async def write(self, tag: Tag, value: Value) -> None:
        await self._modbus.write(tag, value)
