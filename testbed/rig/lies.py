"""Lies for a lock-step bench: who tells which, in which scan, and where it sits for that."""

from collections.abc import Callable, Container, Sequence
from functools import partial

from testbed.acquire.gateway import Poll, Reader, Sink
from testbed.attacks.kinds import LIES
from testbed.attacks.lying import Changed, Forged, LyingReader, OmittingSink, Replayed, Stripped
from testbed.attacks.relay import HOST, Relay
from testbed.attacks.values import another, another_value
from testbed.attacks.wire import ModbusInTheMiddle, OpcUaInTheMiddle
from testbed.core.errors import UsageError
from testbed.core.tags import DataType, Tag
from testbed.fieldbus.registers import decode
from testbed.rig.bench import Bench
from testbed.rig.bench_errors import unknown
from testbed.rig.controllers import PATIENT_S, modbus_reader
from testbed.rig.meddler import Meddler, Ports
from testbed.rig.reading import tags_of

BACK = 2
"""How many scans before the lie the replayed one is."""

_FLOATS = (DataType.FLOAT32, DataType.FLOAT64)


def meddler_of(bench: Bench, kind: str, scan: int, by: str | None = None, tag: str | None = None) -> Meddler:
    """Somebody who tells one of the lies of `attacks.kinds.LIES` in the scan of that number, and no other one.

    by: the reader that lies or is lied to, None for the one that the twin follows; a command is nobody's, so it has
    none. tag: what the lie is about; None: the first float that cannot be written, for a command the first that can.
    Raises UsageError for a kind, reader or tag that is not there, or a scan before which nothing true was told yet.
    """
    if kind not in LIES:
        raise UsageError(f"there is no lie {kind!r}", unknown(kind, list(LIES)))
    if scan <= BACK:
        raise UsageError(
            f"a lie in scan {scan}", f"lie in scan {BACK + 1} or later: something true must come before it"
        )
    if kind == "command":
        if by is not None:
            raise UsageError(f"a command that no log knows is not by {by!r}", "leave the reader out")
        return _Stranger(bench, _tag(bench.tags, tag, writable=True), scan)
    at, names = by or bench.gateway.name, [reader.name for reader in bench.readers]
    if at not in names:
        raise UsageError(f"there is no reader {at!r}", unknown(at, names))
    tags, scans = tags_of(bench, bench.reader(at)), range(scan, scan + 1)
    if kind == "omission":
        return _Omission(at, scans)
    if kind == "replay":
        counters = (bench.scan_tag, bench.boot_tag)
        return _Liar(at, Replayed(BACK, scans, {place for place, one in enumerate(tags) if one.name in counters}))
    if kind == "rewind":
        return _Liar(at, Replayed(BACK, scans, None))
    if kind in ("forge", "strip") and not bench.plc.signs:
        raise UsageError(f"{bench.plc.name} does not sign", f"write signs = true under [[plc]] of {bench.file}")
    if kind == "strip":
        return _Liar(at, Stripped(scans))
    lied = _tag(tags, tag, writable=False)
    if kind == "wire":
        return _OnTheWire(at, bench.reader(at).protocol, lied, scans)
    changed = Changed(tags.index(lied), partial(another, lied), scans)
    if kind == "forge":
        return _Liar(at, Forged(changed, tags))
    return _Liar(at, changed)


def _tag(tags: Sequence[Tag], name: str | None, *, writable: bool) -> Tag:
    """The tag of that name; None: the first float of that kind. What can be written can be lied about as well."""
    able = [tag for tag in tags if tag.writable or not writable]
    for tag in able:
        if tag.name == name or (name is None and tag.type in _FLOATS and tag.writable is writable):
            return tag
    names = [tag.name for tag in able]
    if name is None:
        raise UsageError("this PLC has no float for this lie", f"name one of {', '.join(names)}")
    raise UsageError(f"there is no tag {name!r} for this lie", unknown(name, names))


class _Liar(Meddler):
    """A reader that lies in its own name."""

    def __init__(self, at: str, lie: Callable[[Poll], Poll]) -> None:
        self.at = at
        self._lie = lie

    def reader(self, reader: Reader) -> Reader:
        return LyingReader(reader, self._lie)


class _Omission(Meddler):
    """A reader that leaves scans out of its log."""

    def __init__(self, at: str, scans: Container[int]) -> None:
        self.at = at
        self._scans = scans

    def sink(self, sink: Sink) -> Sink:
        return OmittingSink(sink, self._scans)


class _OnTheWire(Meddler):
    """A man in the middle between the PLC and one reader."""

    def __init__(self, at: str, protocol: str, tag: Tag, scans: Container[int]) -> None:
        self.at = at
        self._protocol = protocol
        self._tag = tag
        self._scans = scans
        self._scan = 0
        self._relay: Relay | None = None

    async def reader_port(self, port: int) -> int:
        if self._protocol == "modbus":
            self._relay = ModbusInTheMiddle(HOST, port, self._tag, answers=self._change)
        else:
            self._relay = OpcUaInTheMiddle(HOST, port, self._tag, self._change)
        await self._relay.start()
        return self._relay.port

    async def before(self, scan: int) -> None:
        self._scan = scan

    async def close(self) -> None:
        if self._relay is not None:
            await self._relay.close()

    def _change(self, raw: bytes) -> bytes:
        return another(self._tag, raw) if self._scan in self._scans else raw


class _Stranger(Meddler):
    """Somebody with a Modbus client, who writes a tag before one scan. No log says so."""

    def __init__(self, bench: Bench, tag: Tag, scan: int) -> None:
        self._bench = bench
        self._tag = tag
        self._scan = scan
        self._port = 0

    async def begin(self, ports: Ports) -> None:
        self._port = ports.modbus

    async def before(self, scan: int) -> None:
        if scan != self._scan:
            return
        client = modbus_reader(self._bench, HOST, self._port, PATIENT_S)
        await client.connect()
        try:
            raw = (await client.poll()).values[self._bench.tags.index(self._tag)]
            await client.write(self._tag, another_value(self._tag, decode(self._tag, raw)))
        finally:
            await client.close()


class AlteredCommands(Meddler):
    """A man in the middle between operator and PLC: what is written to `tag` arrives changed.

    The operator reads it back as it was sent.
    """

    def __init__(self, tag: Tag) -> None:
        self._tag = tag
        self._sent: bytes | None = None
        self._relay: Relay | None = None

    async def operator_port(self, port: int) -> int:
        if self._relay is None:
            self._relay = ModbusInTheMiddle(HOST, port, self._tag, answers=self._hide, commands=self._alter)
            await self._relay.start()
        return self._relay.port

    async def close(self) -> None:
        if self._relay is not None:
            await self._relay.close()

    def _alter(self, raw: bytes) -> bytes:
        self._sent = raw
        return another(self._tag, raw)

    def _hide(self, raw: bytes) -> bytes:
        return raw if self._sent is None else self._sent
