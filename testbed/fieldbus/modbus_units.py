"""Units behind one connection or serial line, and what becomes of the others when one of them does not answer.

On one line one unit is asked after the other. Who does not answer costs the others one wait, no longer than a poll
period where that is known; it then rests, longer each time, and of those in trouble one is tried in a poll. So a
faulty unit never delays another by more than one scan.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.errors import DeviceError, TornPoll
from testbed.core.tags import ModbusTable, Tag
from testbed.fieldbus.modbus_answers import REQUESTS, RawRead
from testbed.fieldbus.modbus_link import Link, NoAnswer, Refused
from testbed.fieldbus.modbus_plan import Plan, Read
from testbed.fieldbus.registers import decode
from testbed.fieldbus.signed_frames import FRAME_AT, SIGNATURE_SIZE, SignedFrames

BAD_NO_COMMUNICATION = 0x80310000
"""No value for want of an answer (OPC 10000-8, section 6.3.2)."""
BAD_CONFIGURATION_ERROR = 0x80890000
"""The device knows no such address: the tag list does not fit it. OPC 10000-8, section 6.3.2, has this code for a
problem with the configuration that affects the value; BadNodeIdUnknown speaks of an OPC UA server's own nodes.
"""
BAD_DEVICE_FAILURE = 0x808B0000
"""The device answered that it cannot just now (OPC 10000-8, section 6.3.2)."""
GOOD_NO_DATA = 0x00A50000
"""Not due in this poll."""

_TABLE, _ADDRESS, _VALUE = 1, 2, 3
"""Exceptions by which devices refuse a stretch of addresses: some say 03 where the specification asks for 02."""
_NO_UNIT = (0x0A, 0x0B)
"""A gateway has no way to the unit, or it does not answer (Modbus Application Protocol V1.1b3, section 7)."""
_RESTS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""How long a unit is left alone after its first, second ... silence; a single lost answer costs one poll."""


class _Unreachable(NoAnswer):
    """The gateway says that the unit does not answer it."""


@dataclass(slots=True)
class Row:
    """Raw values and OPC UA StatusCodes by a unit's tags; signed: the signed frame that came with them."""

    values: list[bytes | None]
    statuses: list[int]
    signed: bytes | None = None


class Unit:
    """The tags of one unit identifier, and how it has been answering.

    counters: tags that must read the same before and after all others, else the values may be of two scans; frames: of
    a PLC that signs. A signed frame is read behind the tags and names the counters, which are not read again then.
    """

    def __init__(self, plan: Plan, counters: Sequence[Tag] = (), frames: SignedFrames | None = None) -> None:
        self.plan = plan
        self._counters = [(tag, plan.tags.index(tag)) for tag in counters]
        self._again = plan.reads_of(counters) if counters else []
        self._frames = frames
        self._has_answered = False
        self._failures = 0
        self._rests_until = 0.0
        self.repeats = 0

    @property
    def number(self) -> int:
        return self.plan.unit

    @property
    def in_trouble(self) -> bool:
        """It did not answer when it was last asked."""
        return self._failures > 0

    def rests(self, now: float) -> bool:
        return now < self._rests_until

    def forget(self) -> None:
        """All that was learned about it."""
        self.plan.forget()
        self._has_answered = False
        self.recovered()

    def recovered(self) -> None:
        self._failures, self._rests_until = 0, 0.0

    def failed(self, now: float) -> None:
        self._rests_until = now + _RESTS_S[min(self._failures, len(_RESTS_S) - 1)]
        self._failures += 1

    def nothing(self, status: int) -> Row:
        """A row without values."""
        count = len(self.plan.tags)
        return Row([None] * count, [status] * count)

    async def read(self, link: Link, poll: int, attempts: int, patience: float | None) -> Row | None:
        """The tags that are due in this poll; None where a scan ended within each of `attempts`.

        A signed frame that stays at odds with the tags is passed on as it came: that is for others to judge.
        Raises NoAnswer where the unit is silent, Refused where it refused everything.
        """
        for left in reversed(range(attempts)):
            row, asked = await self._read_once(link, poll, patience)
            if self._frames is not None:
                row.signed = await self._read_frame(link, self._frames, patience)
                if row.signed is not None and self._frames.fits(row.signed[SIGNATURE_SIZE:], *self._counted(row)):
                    return row
            alone = asked == 1 and row.signed is None
            if (alone or await self._is_of_one_scan(link, row, patience)) and (row.signed is None or not left):
                return row
            self.repeats += 1
        return None

    async def answers(self, link: Link) -> bool:
        """Whether it answers a read, if only by a refusal."""
        for read in self.plan.due(0, asyncio.get_running_loop().time())[:1]:
            try:
                await ask(link, read, None)
            except Refused:
                return True
            except NoAnswer:
                return False
            return True
        return False

    async def _read_once(self, link: Link, poll: int, patience: float | None) -> tuple[Row, int]:
        """A row, and how many requests it took."""
        plan, row = self.plan, self.nothing(0)
        for place in plan.idle(poll):
            row.statuses[place] = GOOD_NO_DATA
        for place in plan.shunned():
            row.statuses[place] = row.statuses[place] or BAD_CONFIGURATION_ERROR
        now = asyncio.get_running_loop().time()
        waiting = plan.due(poll, now)[::-1]
        asked, wrong, found, failing = 0, None, False, False
        while waiting:
            read = waiting.pop()
            asked += 1
            try:
                raws = await ask(link, read, patience)
            except Refused as refused:
                wrong = refused
                if refused.code in _NO_UNIT:
                    mend = "check its number, and the wire behind the gateway"
                    raise _Unreachable(refused.problem, mend) from refused
                unknown = refused.code in (_TABLE, _ADDRESS, _VALUE)
                failing = failing or not unknown
                if unknown:
                    waiting += plan.refused(read, now, whole=refused.code == _TABLE)[::-1]
                for place in read.at:
                    row.statuses[place] = BAD_CONFIGURATION_ERROR if unknown else BAD_DEVICE_FAILURE
                continue
            found = True
            plan.answered(read)
            for place, raw in zip(read.at, raws, strict=True):
                row.values[place] = raw
                row.statuses[place] = 0
        self._has_answered = self._has_answered or found
        if not found and (failing or not self._has_answered):
            raise wrong or DeviceError(
                f"unit {self.number}: it refused every address", "compare unit, table and address of the tags with it"
            )
        return row, asked

    async def _read_frame(self, link: Link, frames: SignedFrames, patience: float | None) -> bytes | None:
        """None where the unit has none, or another one."""
        table, count = ModbusTable.INPUT_REGISTER, frames.size // 2
        request = REQUESTS[table](address=FRAME_AT, count=count, dev_id=self.number)
        try:
            answer = await link.ask(request, f"{table.value} {FRAME_AT}..{FRAME_AT + count - 1}", frames.size, patience)
        except Refused:
            return None
        raw = answer.raw if isinstance(answer, RawRead) else b""
        return raw if len(raw) == frames.size else None

    def _counted(self, row: Row) -> tuple[int, int | None]:
        """Boot and scan that the row shows, as a poll says them."""
        scan, *boot = [
            None if (raw := row.values[place]) is None else int(decode(tag, raw)) for tag, place in self._counters
        ] or [None]
        return (boot[0] or 0) if boot else 0, scan

    async def _is_of_one_scan(self, link: Link, row: Row, patience: float | None) -> bool:
        for read in self._again:
            raws = await ask(link, read, patience)
            if any(raw != row.values[place] for place, raw in zip(read.at, raws, strict=True)):
                return False
        return True


class Line:
    """Units that share a link. period: s from one poll to the next, None where nobody knows.

    reopens: a connection is opened again where it was lost or a unit did not answer, since others depend on it.
    """

    def __init__(self, link: Link, units: Sequence[Unit], period: float | None, *, reopens: bool) -> None:
        self.link = link
        self.units = tuple(units)
        self._reopens = reopens
        # Where there is nobody to be delayed, a unit may take its time.
        self._patience = period if reopens or len(units) > 1 else None

    async def ready(self) -> None:
        """Open the link where that is allowed and needed. Raises DeviceError."""
        if self._reopens and not self.link.connected:
            await self.link.open(self._patience)

    async def poll(self, poll: int, attempts: int) -> list[Row | DeviceError]:
        """A row of each unit, in order, or why there is none."""
        clock = asyncio.get_running_loop().time
        rows: list[Row | DeviceError] = []
        tried = False
        for unit in self.units:
            if unit.rests(clock()) or (unit.in_trouble and tried):
                rows.append(NoAnswer(f"unit {unit.number} did not answer, and is left alone for a while"))
                continue
            tried = tried or unit.in_trouble
            try:
                await self.ready()
                row = await unit.read(self.link, poll, attempts, self._patience)
            except NoAnswer as silent:
                unit.failed(clock())
                rows.append(silent)
                if self._reopens and not isinstance(silent, _Unreachable):
                    # A gateway answers a connection's requests in order: on this one the others would wait as well.
                    self.link.close()
            except DeviceError as error:
                unit.recovered()
                rows.append(error)
            else:
                unit.recovered()
                rows.append(row or _torn(unit, attempts))
        return rows


async def ask(link: Link, read: Read, patience: float | None) -> Sequence[bytes]:
    """The raw values of a read's tags. Raises NoAnswer, Refused."""
    answer = await link.ask(read.request, read.where, read.size, patience)
    if not isinstance(answer, RawRead) or len(answer.raw) != read.size:
        came = len(getattr(answer, "raw", b""))
        raise NoAnswer(
            f"unit {read.request.dev_id}: {read.where}: {came} bytes came, not {read.size}",
            "compare unit, table, address and type of the tags with the PLC's",
        )
    return read.cut(answer.raw)


def _torn(unit: Unit, attempts: int) -> DeviceError:
    return TornPoll(
        f"unit {unit.number}: a scan ended within each of {attempts} polls",
        "place the tags closer together so that fewer requests read them, or scan more slowly",
    )
