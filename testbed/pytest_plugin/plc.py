"""The fixture `plc`: the PLC as a test speaks to it.

plc["tank2.level"]                                      a value, as it is now
plc["control.level_setpoint"] = 1.2                     written, and read back
plc.wait_until("tank2.level").above(1.1, "m", limit=120)
"""

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import Value
from testbed.pytest_plugin.turn import Turn
from testbed.pytest_plugin.waiting import WaitUntil


class Plc:
    """One PLC. Times are in s of plant time. identity: as the device says itself.

    Raises DeviceError where it does not answer, UsageError for tags and values that cannot be, NotAllowed for a write
    that the policy denies.
    """

    def __init__(self, turn: Turn, identity: Identity) -> None:
        self._turn = turn
        self.identity = identity

    def __getitem__(self, tag: str) -> Value:
        __tracebackhide__ = True
        return self.read(tag)

    def __setitem__(self, tag: str, value: Value) -> None:
        __tracebackhide__ = True
        self.write(tag, value)

    def read(self, tag: str) -> Value:
        """The value of a tag now."""
        __tracebackhide__ = True
        line = self._turn.line
        place = line.places[line.tag(tag).name]
        sample = self._turn.run(line.fresh())
        value = sample.values[place]
        if value is None:
            status = sample.poll.statuses[place]
            raise DeviceError(f"{tag}: nothing was read (status {status:08X})", "look whether the device has the tag")
        return value

    def write(self, tag: str, value: Value) -> None:
        """Write, and wait until the PLC shows it; a button that springs back is given two scans."""
        __tracebackhide__ = True
        self._turn.run(self._turn.line.write(tag, value))

    def wait_until(self, tag: str) -> WaitUntil:
        """A condition to wait for: `.above(0.9, "m", limit=60)`. Raises NotInTime where it does not come true."""
        __tracebackhide__ = True
        return WaitUntil(self._turn, tag)

    def let_pass(self, seconds: float) -> None:
        """Let so much plant time pass. For what has no condition to wait for, as a PLC that is left alone."""
        __tracebackhide__ = True
        self._turn.run(self._turn.line.let_pass(seconds))

    @property
    def time(self) -> float:
        """Plant time since the test began, s, as of the newest scan that was seen."""
        last = self._turn.line.last
        return 0.0 if last is None else last.time_s - self._turn.begun_s

    def disconnect(self) -> None:
        """Close the line: what is read or written now is a DeviceError. The PLC goes on alone."""
        __tracebackhide__ = True
        self._turn.run(self._turn.line.disconnect())

    def reconnect(self) -> None:
        """Open the line again."""
        __tracebackhide__ = True
        self._turn.run(self._turn.line.connect())
