"""An emulated PLC before the emulated cell: apply writes, read inputs, run the program, drive the plant, publish."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.source import float32
from testbed.plant.cell import Actuators, CellParameters, CellState, Measurements, initial, measure, step
from testbed.plc.image import ProcessImage
from testbed.plc.program import Flags, Inputs, Memory, scan

COUNTER_MASK = 0xFFFFFFFF
"""The scan counter is a uint32 and goes on at 0 after its last value."""

_COMMANDS: dict[str, Value] = {
    "control.mode": 2,
    "control.level_setpoint": 1.0,
    "control.temperature_setpoint": 40.0,
    "manual.pump_speed": 0.0,
    "manual.valve_position": 0.0,
    "manual.heater_power": 0.0,
    "estop.pressed": False,
    "control.reset": False,
    "watchdog.beat": 0,
    "watchdog.limit_ms": 0,
}


_SENSORS = {
    "tank1.level": "level1",
    "tank2.level": "level2",
    "pump.flow": "flow",
    "pump.pressure": "pressure",
    "tank2.temperature": "temperature",
}

SPARE = "spare."
"""Memory that no program uses: any tag whose name begins so. It holds what was last written to it, at first zero."""


class Signer(Protocol):
    """The device's key at work."""

    def signed(self, values: Mapping[str, Value], scan: int, boot: int) -> bytes:
        """The signed frame of a scan's values, by tag name."""
        ...


class Emulator:
    """PLC and plant in one; the same seed and the same writes at the same scans give the same values.

    tags: of the water cell, any part of them, and spare ones; seed: of the sensors' noise; boot: restart counter,
    uint32; scan_s: period of the scan in plant time, s; signer: signs each scan, where the PLC has a key. `image` is
    what servers read and write.
    Raises UsageError for a tag that the program does not have, or has with another type.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        parameters: CellParameters | None = None,
        seed: int = 0,
        boot: int = 0,
        scan_s: float = 0.1,
        signer: Signer | None = None,
    ) -> None:
        if not 0.0 < scan_s <= 60.0:
            raise UsageError(f"scan period {scan_s!r} s", "give a period above 0 and up to 60 seconds")
        if not 0 <= boot <= COUNTER_MASK:
            raise UsageError(f"boot counter {boot!r}", "give a number from 0 to 4294967295")
        self.parameters = self._as_built = parameters or CellParameters()
        self.scan_s = scan_s
        self._seed = seed
        self._failed: Mapping[str, float] = {}
        self._renewed: CellParameters | None = None
        self._boot = boot
        self._signer = signer
        self._count = 0
        self._state = initial(self.parameters, seed)
        self._memory = Memory()
        self._commands = {**_COMMANDS, **{tag.name: _zero(tag) for tag in tags if tag.name.startswith(SPARE)}}
        self._float32: frozenset[str] = frozenset()
        values = self._values(measure(self.parameters, self._state), Flags())
        for tag in tags:
            _must_fit(tag, values)
        self._float32 = frozenset(tag.name for tag in tags if tag.type is DataType.FLOAT32)
        values = self._values(measure(self.parameters, self._state), Flags())
        self.image = ProcessImage(tags, values, signed=self._signed(values))

    @property
    def plant(self) -> CellState:
        """Where the plant is, as no sensor can know it."""
        return self._state

    def scan(self) -> None:
        """One cycle. It publishes the inputs as read in this scan, and the flags as judged from them."""
        self._commands["control.reset"] = False  # a push button: true in the scan in which it was written
        self._commands.update(self.image.take_writes())
        if self._renewed is not None:
            self._state, self._memory, self._renewed = initial(self._renewed, self._seed), Memory(), None
        measured = replace(measure(self.parameters, self._state), **self._failed)
        self._memory, outputs, flags = scan(self._memory, self._inputs(measured), self.scan_s)
        self._state = step(self.parameters, self._state, outputs, self.scan_s)
        self._count = (self._count + 1) & COUNTER_MASK
        values = self._values(measured, flags)
        self.image.publish(values, self._signed(values))

    def disturb(self, **changes: float | None) -> None:
        """Change parameters of the plant from the next scan on, such as leak=0.1; UsageError for an unknown name."""
        try:
            self.parameters = replace(self.parameters, **changes)  # type: ignore[arg-type]  # checked by the class
        except TypeError as error:
            raise UsageError(f"water cell: {error}", "name a parameter of the cell, such as leak") from error

    def fail_sensor(self, tag: str, shows: float | None) -> None:
        """From the next scan on a sensor shows one value, NaN for a broken wire; None mends it.

        Raises UsageError for a tag that is no sensor.
        """
        if tag not in _SENSORS:
            raise UsageError(f"{tag} is no sensor of the water cell", f"the sensors are {', '.join(_SENSORS)}")
        others = {field: value for field, value in self._failed.items() if field != _SENSORS[tag]}
        self._failed = others if shows is None else {**others, _SENSORS[tag]: shows}

    def mend(self) -> None:
        """From the next scan on the plant is as it was built, and its sensors show what is. It stays where it is."""
        self.parameters, self._failed = self._as_built, {}

    def renew(self, seed: int | None = None, **changes: float | None) -> None:
        """At the next scan plant and program are as at the start, undisturbed, but for `changes` of the parameters.

        seed: of the sensors' noise from then on, the one before unless given. Counters and commands stay as they are.
        Raises UsageError as `disturb` does.
        """
        self.mend()
        self._seed = self._seed if seed is None else seed
        self.disturb(**changes)
        self._renewed = self.parameters

    def _signed(self, values: Mapping[str, Value]) -> bytes:
        return b"" if self._signer is None else self._signer.signed(values, self._count, self._boot)

    def _inputs(self, measured: Measurements) -> Inputs:
        c = self._commands
        return Inputs(
            measured,
            int(c["control.mode"]),
            float(c["control.level_setpoint"]),
            float(c["control.temperature_setpoint"]),
            Actuators(
                float(c["manual.pump_speed"]), float(c["manual.valve_position"]), float(c["manual.heater_power"])
            ),
            bool(c["estop.pressed"]),
            bool(c["control.reset"]),
            int(c["watchdog.beat"]),
            int(c["watchdog.limit_ms"]),
        )

    def _values(self, m: Measurements, flags: Flags) -> Mapping[str, Value]:
        values: dict[str, Value] = {
            "plc.scan": self._count,
            "plc.boot": self._boot,
            "tank1.level": m.level1,
            "tank2.level": m.level2,
            "pump.flow": m.flow,
            "pump.pressure": m.pressure,
            "tank2.temperature": m.temperature,
            "pump.speed": m.pump_speed,
            "valve.position": m.valve_position,
            "heater.power": m.heater_power,
            **self._commands,
            "alarm.high_level": flags.high_level,
            "alarm.low_level": flags.low_level,
            "alarm.high_temperature": flags.high_temperature,
            "interlock.pump": flags.pump_interlock,
            "interlock.heater": flags.heater_interlock,
            "estop.active": flags.estop,
            "watchdog.tripped": flags.watchdog,
        }
        # Both protocols must show the same number, so it is rounded here and not by a codec.
        for name in self._float32:
            values[name] = float32(values[name])
        return values


def _zero(tag: Tag) -> Value:
    """Zero, or what is nearest to it in the tag's range."""
    if tag.type is DataType.BOOL:
        return False
    zero = min(max(0.0, tag.low), tag.high)
    return zero if tag.type in (DataType.FLOAT32, DataType.FLOAT64) else int(zero)


def _must_fit(tag: Tag, values: Mapping[str, Value]) -> None:
    if tag.name not in values:
        raise UsageError(
            f"tag {tag.name}: the program has no such value", f"take it out, or name one of {', '.join(values)}"
        )
    kind = {DataType.BOOL: bool, DataType.FLOAT32: float, DataType.FLOAT64: float}.get(tag.type, int)
    value = values[tag.name]
    if type(value) is not kind:
        raise UsageError(
            f"tag {tag.name}: {tag.type.value} cannot hold the program's {type(value).__name__}",
            "give the tag the type of its value",
        )
