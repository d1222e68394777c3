"""A whole bench in one process, in lock-step under a virtual clock: the same seed gives the same bytes.

Sockets, node and files are the real ones; only time and chance are handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.attacks.lying import LyingDynamics
from testbed.core.bodies import Beacon
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import UsageError
from testbed.core.tags import Value
from testbed.guard.operator import Operator
from testbed.rig.bench import Bench
from testbed.rig.controllers import PATIENT_S, modbus_reader
from testbed.rig.initialize import initialize
from testbed.rig.meddler import HONEST, Meddler, Ports
from testbed.rig.operating import operator_log
from testbed.rig.recipe import recipe_of
from testbed.rig.roles.anchor import AnchorRole
from testbed.rig.roles.chain import ChainRole
from testbed.rig.roles.plc import PlcRole
from testbed.rig.roles.reader import ReaderRole
from testbed.rig.roles.role import Role
from testbed.rig.roles.twin import TwinRole
from testbed.rig.roles.witness import WitnessRole

START_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z: where every virtual clock starts."""

Commands = Mapping[int, tuple[str, Value]]
"""What an operator writes after so many scans: tag and value."""


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
    commands: Commands | None = None,
    meddler: Meddler = HONEST,
    progress: Callable[[int], None] | None = None,
) -> Simulated:
    """Make the bench ready with seeded keys and run `scans` scans; every record is anchored at the end.

    lying_twin: the twin runs another model under the approved one's name; commands: of the operator; meddler: who else
    has a hand in it; progress: called with each scan's number.
    Raises UsageError where the data folder holds a bench already.
    """
    if bench.plc.kind == "physical":
        raise UsageError(f"{bench.file}: {bench.plc.name} is a physical PLC", "a virtual clock needs an emulated one")
    clock = VirtualClock(START_NS)
    await initialize(bench, bench.trust_file, clock, SeededEntropy(seed, "keys"), simulated=True)
    return await _run(
        bench, scans, seed, clock, lying_twin=lying_twin, commands=commands, meddler=meddler, progress=progress
    )


async def go_on(bench: Bench, scans: int, seed: int, since_ns: int) -> Simulated:
    """Start a simulated bench again that has ended, at `since_ns` by its clock; as `simulate`.

    seed: another one than before, or salts come again.
    """
    return await _run(bench, scans, seed, VirtualClock(since_ns))


async def _run(
    bench: Bench,
    scans: int,
    seed: int,
    clock: VirtualClock,
    *,
    lying_twin: bool = False,
    commands: Commands | None = None,
    meddler: Meddler = HONEST,
    progress: Callable[[int], None] | None = None,
) -> Simulated:
    plc = PlcRole(replace(bench, seed=seed), clock)
    chain = ChainRole(bench, port=0) if bench.chain.kind == "anvil" else None
    started: list[Role] = []
    anchor: AnchorRole | None = None

    def newest() -> Beacon | None:
        return None if anchor is None else anchor.newest

    try:
        await _start(plc, started)
        if chain is not None:
            await _start(chain, started)
        await meddler.begin(Ports(plc.modbus.port, plc.opcua.port))
        for reader in bench.readers:
            port = plc.opcua.port if reader.protocol == "opcua" else plc.modbus.port
            whoever = meddler if reader.name == meddler.at else HONEST
            port = await whoever.reader_port(port)
            entropy = SeededEntropy(seed, reader.name)
            reading = ReaderRole(bench, reader.name, clock, entropy, newest, port=port, simulated=True, meddler=whoever)
            await _start(reading, started)
        recipe = recipe_of(bench)
        if lying_twin:
            recipe = replace(recipe, model=LyingDynamics(recipe.model))
        await _start(TwinRole(bench, clock, SeededEntropy(seed, "twin"), simulated=True, recipe=recipe), started)
        url = bench.chain.url if chain is None else chain.url
        anchor = AnchorRole(bench, clock, SeededEntropy(seed, "receipts"), url, simulated=True)
        await _start(anchor, started)
        for witness in bench.witnesses:
            await _start(WitnessRole(bench, witness.name, clock, simulated=True), started)
        stepped = [role for role in started if role is not chain]
        done = 0

        async def scan() -> None:
            nonlocal done
            clock.advance(bench.plc.scan_ms * 1_000_000)
            await meddler.before(done + 1)
            for role in stepped:
                await role.step()
            done += 1
            if progress is not None:
                progress(done)

        entropy = SeededEntropy(seed, "operator")
        for before, (tag, value) in sorted((commands or {}).items()):
            while done < before:
                await scan()
            device = modbus_reader(bench, port=await meddler.operator_port(plc.modbus.port), timeout=PATIENT_S)
            with operator_log(bench, clock, entropy, simulated=True) as log:
                # Reading it back takes a scan, as it does a person.
                await Operator("operator", log, device, device.tags, bench.momentary, scan).write(tag, value)
        while done < scans:
            await scan()
    finally:
        # As a running bench ends: who writes first stops first, so that the anchor and the node see everything.
        for role in _in_stop_order(started):
            await role.stop()
        await meddler.close()
    facts = anchor.facts()
    return Simulated(done, int(facts["anchors"]), int(facts["gas"]))


async def _start(role: Role, started: list[Role]) -> None:
    await role.start()
    started.append(role)


def _in_stop_order(started: Sequence[Role]) -> list[Role]:
    """Readers, twin, anchor, witnesses, chain, PLC; those of them that run."""
    order = (ReaderRole, TwinRole, AnchorRole, WitnessRole, ChainRole, PlcRole)
    return sorted(started, key=lambda role: order.index(type(role)))
