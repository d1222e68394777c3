"""The process image: what the rest of the world sees of a PLC, and the only way into it.

One immutable mapping, exchanged by reference once per scan: a reader holds either the whole of one scan or the whole
of another. Writes wait in a queue and take effect together at the start of the next scan.
"""

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.source import held

MOST_PENDING = 1024
"""Values that may wait for a scan; beyond that the PLC does not keep up and says so."""


class ProcessImage:
    """The values of a PLC by tag name. Readers and writers may be in any thread; one thread scans.

    whole: each snapshot has a value for every tag; else those are left out that nobody could read. signed: of these
    values, by the device.
    """

    def __init__(
        self, tags: Sequence[Tag], values: Mapping[str, Value], *, whole: bool = True, signed: bytes = b""
    ) -> None:
        self._whole = whole
        self._tags = {tag.name: tag for tag in tags}
        if len(self._tags) != len(tags):
            raise UsageError("two tags have the same name", "give every tag a name of its own")
        self._lock = threading.Lock()
        self._pending: dict[str, Value] = {}
        self._waiting = 0
        self._taken_in: dict[str, Value] = {}
        self._latched: tuple[Mapping[str, Value], bytes] = (MappingProxyType({}), b"")
        self.publish(values, signed)

    def snapshot(self) -> Mapping[str, Value]:
        """All values of the last scan. Never changes; the next scan brings another mapping."""
        return self._latched[0]

    def latched(self) -> tuple[Mapping[str, Value], bytes]:
        """The snapshot and the signed frame of the same scan; b"" where the PLC does not sign."""
        return self._latched

    def latest(self, name: str) -> Value:
        """What was last written to the tag, until a scan publishes it, else what the snapshot shows."""
        with self._lock:
            for values in (self._pending, self._taken_in):
                if name in values:
                    return values[name]
            return self._latched[0][name]

    def write(self, name: str, value: Value) -> None:
        """Hand `value` over for the next scan; the last writer before the scan wins.

        Raises UsageError for an unknown or read-only tag, a wrong type or a value out of range; DeviceError when
        too many values wait, as they do when no scan runs.
        """
        self.write_all({name: value})

    def write_all(self, values: Mapping[str, Value]) -> None:
        """As `write`: all of the values take effect in one scan, or none is taken."""
        taken = {name: self._taken(name, value) for name, value in values.items()}
        with self._lock:
            if self._waiting + len(taken) > MOST_PENDING:
                raise DeviceError(f"{self._waiting} values wait for a scan", "wait for the PLC, or start its scan")
            self._waiting += len(taken)
            for name, value in taken.items():
                self._pending.pop(name, None)  # what was written last comes last: a bridge sends it in this order
                self._pending[name] = value

    def take_writes(self) -> dict[str, Value]:
        """What was written since the last call; for the scan alone."""
        with self._lock:
            self._taken_in, self._pending, self._waiting = self._pending, {}, 0
            return dict(self._taken_in)

    def publish(self, values: Mapping[str, Value], signed: bytes = b"") -> None:
        """Exchange the snapshot and its signed frame; for the scan alone. UsageError where a whole one lacks a tag."""
        if self._whole and (missing := self._tags.keys() - values.keys()):
            raise UsageError(f"no value for {', '.join(sorted(missing))}", "publish a value for every tag")
        snapshot = MappingProxyType({name: values[name] for name in self._tags if name in values})
        with self._lock:
            self._latched, self._taken_in = (snapshot, signed), {}

    def _taken(self, name: str, value: Value) -> Value:
        tag = self._tags.get(name)
        if tag is None:
            raise UsageError(f"no tag {name!r}", f"the tags are {', '.join(self._tags)}")
        if not tag.writable:
            raise UsageError(f"{name} cannot be written", "write a set-point, a manual value or the mode instead")
        return held(tag, value)
