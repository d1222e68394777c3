"""A PLC in memory, and real gateways that read it: what their logs say, record by record."""

import asyncio
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from testbed.acquire.gateway import Gateway
from testbed.core.bodies import STARTED, Body, Event, Genesis, State
from testbed.core.clock import VirtualClock
from testbed.core.entry import Entry
from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import as_read, encode
from testbed.keys.ed25519 import SigningKey
from testbed.record.bodies import encode_body, kind_of
from testbed.verify.log import CheckedLog
from testbed.verify.records import Genuine
from testbed.verify.trust import LogRole, TrustedLog

GATEWAY = SigningKey.from_seed("bench/gateway", b"g" * 32)
READER = SigningKey.from_seed("bench/reader", b"r" * 32)
TICK_NS = 50_000_000


def tag(name: str, kind: DataType, low: float, high: float, order: ByteOrder = ByteOrder.ABCD) -> Tag:
    return Tag(name, kind, "", low, high, True, ModbusAddress(ModbusTable.HOLDING_REGISTER, 0, order), name)


TAGS = (
    tag("level", DataType.FLOAT32, 0.0, 2.0, ByteOrder.CDAB),
    tag("flow", DataType.FLOAT64, 0.0, 10.0, ByteOrder.BADC),
    tag("on", DataType.BOOL, 0.0, 1.0),
    tag("count", DataType.INT16, -32768, 32767),
)
BY_OPCUA = as_read(TAGS)


def values_of(tags: Sequence[Tag], boot: int, scan: int) -> tuple[bytes, ...]:
    """What the PLC shows in that scan: other numbers in each."""
    level = struct.unpack(">f", struct.pack(">f", (scan * 7 + boot) % 1999 / 1000))[0]
    return tuple(
        encode(tag, value)
        for tag, value in zip(tags, (level, scan % 977 / 97.7, scan % 2 == 0, scan % 30_000), strict=True)
    )


@dataclass
class Plc:
    """A scan counter, a restart counter, and values that follow from the two."""

    boot: int = 1
    scan: int = 0
    lost: bool = False

    def restart(self, scan: int = 0) -> None:
        self.boot, self.scan = self.boot + 1, scan

    def step(self) -> None:
        self.scan = (self.scan + 1) % 2**32


@dataclass
class Wire:
    """A connection to the PLC that breaks when the PLC is lost, starts again, or the wire is cut."""

    plc: Plc
    tags: Sequence[Tag]
    cut: bool = False
    repeats: int = 0
    _boot: int | None = None

    async def connect(self) -> None:
        if self.plc.lost or self.cut:
            raise DeviceError("no connection")
        self._boot = self.plc.boot

    async def identify(self) -> Identity:
        return Identity()

    async def poll(self) -> Poll:
        if self.plc.lost or self.cut or self._boot != self.plc.boot:
            raise DeviceError("no answer")
        values = values_of(self.tags, self.plc.boot, self.plc.scan)
        return Poll(self.plc.boot, self.plc.scan, values)

    async def close(self) -> None:
        self._boot = None


@dataclass
class Records:
    """A log in memory. ends: its size after each commit."""

    bodies: list[Body] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        self.bodies += [body for _, body in records]
        self.ends.append(len(self.bodies))
        return None


class Reading:
    """A role that reads: killed, it loses what it has not committed; started again, it says so."""

    def __init__(self, plc: Plc, tags: Sequence[Tag], clock: VirtualClock, key: SigningKey, commit_ns: int) -> None:
        self.tags = tags
        self.wire = Wire(plc, tags)
        self.log = Records()
        self.log.append([("cell", Genesis(key.name, bytes(32), "test", False))])
        self._clock = clock
        self._commit_ns = commit_ns
        self._gateway = self._new()

    def poll(self) -> None:
        asyncio.run(self._gateway.step())

    def kill(self) -> None:
        self.log.append([("cell", Event(self._clock.now_ns(), STARTED, b""))])
        self._gateway = self._new()

    def end(self, before: int = 0) -> list[Body]:
        """What the log holds; before: as many commits ago."""
        self._gateway.commit()
        return self.log.bodies[: self.log.ends[max(-1 - before, -len(self.log.ends))]]

    def _new(self) -> Gateway:
        logged = [(one.boot, one.scan) for one in self.log.bodies if isinstance(one, State) and one.scan is not None]
        newest = logged[-1] if logged else None
        return Gateway(
            "cell", self.wire, self.log, self._clock, 1_000_000_000, newest, commit_ns=self._commit_ns, beside=()
        )


def checked(key: SigningKey, bodies: Sequence[Body], left_out: Iterable[int] = ()) -> CheckedLog:
    """A log of these records as far as its check has come. left_out: indices that are not genuine."""
    role = LogRole.GATEWAY if key is GATEWAY else LogRole.READER
    log = CheckedLog(TrustedLog(key.name, role, key.verifier(), bytes(32), reads="cell"), len(bodies))
    for index in sorted(set(range(len(bodies))) - set(left_out)):
        entry = Entry(kind_of(bodies[index]), "cell", index, bytes(32))
        log.genuine[index] = Genuine(index, entry, bodies[index], encode_body(bodies[index]), bytes(16), b"")
    return log
