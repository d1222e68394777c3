"""From a bench to the line that tests use: what runs the PLC, how it is reached, and how its time passes."""

from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import UsageError
from testbed.fieldbus.controller import Controller
from testbed.pytest_plugin.pace import Pace, VirtualPace, WallPace
from testbed.pytest_plugin.settings import IN_PROCESS, Settings
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import controller_of
from testbed.rig.emulation import Child, Emulation, InProcess
from testbed.rig.locks import is_held
from testbed.rig.lockstep import START_NS


@dataclass(frozen=True, slots=True)
class Reach:
    """A PLC within reach. owned: what of it this process started, the first to be disturbed, None where nothing is;
    children: all that must be ended, in this order.
    """

    controller: Controller
    pace: Pace
    owned: Emulation | None
    children: tuple[Emulation, ...]


def reach(bench: Bench, path: Path | None, settings: Settings) -> Reach:
    """Start what must run, and make a connection that is not open yet.

    A PLC that `testbed up` runs is used as it runs: nobody here may disturb its plant, and it has its own time scale.
    Raises UsageError, DeviceError.
    """
    scan_s = bench.plc.scan_ms / 1000
    if settings.by == IN_PROCESS:
        local = InProcess(bench, settings.seed)
        return Reach(local.controller, VirtualPace(local.controller.scan, scan_s, START_NS), local, ())
    starts_own = settings.by != "device" and not is_held(bench, "plc")
    scale = settings.time_scale
    if not (bench.test.stands_in or (starts_own and bench.plc.kind == "emulated")) and scale != 1.0:
        what = f"{bench.file}: time scale {scale:g} for a PLC that this run does not start"
        raise UsageError(what, "leave --time-scale out")
    children: list[Emulation] = []
    try:
        if bench.test.stands_in:
            other = bench.folder / bench.test.stands_in
            children.append(Child(load_bench(other), other, scale))
        if starts_own:
            children.append(Child(bench, path, scale))
        controller = controller_of(bench, settings.by)  # by certificates that a first start may have made
    except BaseException:
        for child in reversed(children):
            child.close()
        raise
    # The first is the one with a plant; a second one is a bridge to it.
    owned = children[0] if children and (bench.test.stands_in or bench.plc.kind == "emulated") else None
    return Reach(controller, WallPace(scan_s, scale), owned, tuple(reversed(children)))
