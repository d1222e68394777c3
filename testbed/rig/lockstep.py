"""A whole bench in one process, in lock-step under a virtual clock: the same seed gives the same bytes.

Sockets, node and files are the real ones; only time and chance are handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from testbed.attacks.lying import LyingDynamics
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.rig.bench import Bench
from testbed.rig.initialize import initialize
from testbed.rig.recipe import recipe_of
from testbed.rig.roles.anchor import AnchorRole
from testbed.rig.roles.chain import ChainRole
from testbed.rig.roles.gateway import GatewayRole
from testbed.rig.roles.plc import PlcRole
from testbed.rig.roles.role import Role
from testbed.rig.roles.twin import TwinRole

START_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z: where every virtual clock starts."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a lock-step run did."""

    scans: int
    anchors: int
    gas: int


async def simulate(
    bench: Bench,
    scans: int,
    seed: int,
    *,
    lying_twin: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Simulated:
    """Make the bench ready with seeded keys and run `scans` scans; every record is anchored at the end.

    lying_twin: the twin runs another model under the approved one's name; progress: called with each scan's number.
    Raises UsageError where the data folder holds a bench already.
    """
    clock = VirtualClock(START_NS)
    await initialize(bench, bench.trust_file, clock, SeededEntropy(seed, "keys"), simulated=True)
    scan_ns = bench.plc.scan_ms * 1_000_000
    plc = PlcRole(replace(bench, seed=seed), real_time=False, modbus_port=0)
    started: list[Role] = []
    try:
        await _start(plc, started)
        chain = ChainRole(bench, port=0)
        await _start(chain, started)
        gateway = GatewayRole(bench, clock, SeededEntropy(seed, "gateway"), modbus_port=plc.modbus.port, simulated=True)
        await _start(gateway, started)
        recipe = recipe_of(bench)
        if lying_twin:
            recipe = replace(recipe, model=LyingDynamics(recipe.model))
        twin = TwinRole(bench, clock, SeededEntropy(seed, "twin"), simulated=True, recipe=recipe)
        await _start(twin, started)
        anchor = AnchorRole(bench, clock, chain.url)
        await _start(anchor, started)
        stepped: tuple[Role, ...] = (plc, gateway, twin, anchor)
        for scan in range(scans):
            clock.advance(scan_ns)
            for role in stepped:
                await role.step()
            if progress is not None:
                progress(scan + 1)
    finally:
        # As a running bench ends: who writes first stops first, so that the anchor and the node see everything.
        for role in _in_stop_order(started):
            await role.stop()
    facts = anchor.facts()
    return Simulated(scans, int(facts["anchors"]), int(facts["gas"]))


async def _start(role: Role, started: list[Role]) -> None:
    await role.start()
    started.append(role)


def _in_stop_order(started: Sequence[Role]) -> list[Role]:
    """Gateway, twin, anchor, chain, PLC; those of them that run."""
    order = (GatewayRole, TwinRole, AnchorRole, ChainRole, PlcRole)
    return sorted(started, key=lambda role: order.index(type(role)))
