"""A machine in this process: the emulated cell behind the Controller seam, with faults to order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError, DeviceRefused
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
BY_NAME = {tag.name: tag for tag in TAGS}
SCAN_NS = 100_000_000


@dataclass
class Machine:
    """refuses: tags whose writes it refuses; silent: requests from now on that get no answer; unread: tags that are
    read with a StatusCode and no value.
    """

    emulator: Emulator = field(default_factory=lambda: Emulator(TAGS, seed=1))
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(1_000 * 10**9))
    refuses: set[str] = field(default_factory=set)
    silent: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    forgets: int = 0
    """Writes from now on that are taken and come to nothing, as behind a bridge that loses its PLC."""
    written: list[tuple[str, Value]] = field(default_factory=list)
    tags_written: list[Tag] = field(default_factory=list)
    polls: int = 0
    connects: int = 0
    connected: bool = False
    repeats: int = 0

    @property
    def tags(self) -> Sequence[Tag]:
        return TAGS

    async def connect(self) -> None:
        self.connects += 1
        self.connected = False
        self._answer("no connection")
        self.connected = True

    async def identify(self) -> Identity:
        return Identity("Attestbed", "water cell")

    async def poll(self) -> Poll:
        self.polls += 1
        self._answer("no answer")
        shown = self.emulator.image.snapshot()
        values = tuple(None if tag.name in self.unread else encode(tag, shown[tag.name]) for tag in TAGS)
        statuses = tuple(self.unread.get(tag.name, 0) for tag in TAGS)
        return Poll(int(shown["plc.boot"]), int(shown["plc.scan"]), values, statuses)

    async def write(self, tag: Tag, value: Value) -> None:
        self._answer("no answer")
        if tag.name in self.refuses:
            raise DeviceRefused(f"{tag.name}: exception 04")
        if self.forgets:
            self.forgets -= 1
        else:
            self.emulator.image.write(tag.name, value)
        self.written.append((tag.name, value))
        self.tags_written.append(tag)

    async def close(self) -> None:
        self.connected = False

    async def scan(self) -> None:
        """One scan, and the time that it takes: what waits between two looks."""
        self.emulator.scan()
        self.clock.advance(SCAN_NS)

    async def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            await self.scan()

    def value(self, name: str) -> Value:
        return self.emulator.image.snapshot()[name]

    def _answer(self, what: str) -> None:
        if self.silent > 0:
            self.silent -= 1
            self.connected = False
            raise DeviceError(f"cell: {what}")


def is_controller(machine: Machine) -> Controller:
    """mypy agrees that it is one."""
    return machine
