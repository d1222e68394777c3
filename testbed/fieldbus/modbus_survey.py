"""A whole Modbus scan: which units answer, who they are, what of them can be read. No socket is touched here.

The survey is a generator: it yields a Question, is sent what came of it, and returns a Survey. It never writes: its
questions are functions 1 to 4, and 43/14.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from testbed.core.identity import Identity
from testbed.core.tags import ModbusTable
from testbed.fieldbus.modbus_ranges import SILENCE, Answer, Ask, Found, search

TABLES = (
    ModbusTable.HOLDING_REGISTER,
    ModbusTable.INPUT_REGISTER,
    ModbusTable.COIL,
    ModbusTable.DISCRETE_INPUT,
)
UNITS_TCP = (1, 2, 3, 4, 5, 255, 0)
"""Over TCP: a device of its own mostly takes 1, 255 or 0, and any; behind a gateway they count from 1 on."""
UNITS_SERIAL = tuple(range(1, 11))
"""On a serial line 0 would be a broadcast (Modbus over Serial Line V1.02, section 2.2)."""

_ABSENT = (SILENCE, 0x0A, 0x0B)
"""No answer, or a gateway's word that nobody stands there (Modbus Application Protocol V1.1b3, section 7)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """units: identifiers to ask; within: addresses by table, each looked at (none: likely places of all tables);
    requests: how many may be asked in all.
    """

    units: tuple[int, ...]
    within: dict[ModbusTable, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    requests: int = 2000


@dataclass(frozen=True, slots=True)
class Question:
    """ask: a read, None for "who are you?" (43/14), which is answered with an Identity."""

    unit: int
    ask: Ask | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that answers. same_as: the unit that answered everything in the same way before it, None for none."""

    number: int
    identity: Identity
    tables: tuple[Found, ...]
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """units: those that answer; silent: those that do not; any_unit: the device answers to every identifier, and only
    the first was looked at; asked: requests.
    """

    units: tuple[Unit, ...]
    silent: tuple[int, ...]
    any_unit: bool
    asked: int


def survey(plan: Plan) -> Generator[Question, Answer | Identity, Survey]:
    """Ask within the plan's number of requests, and return what was learnt."""
    asked = 0
    present: list[int] = []
    # A device with inputs alone may keep silent about holding registers, where it should refuse them.
    for table in (ModbusTable.HOLDING_REGISTER, ModbusTable.INPUT_REGISTER):
        for number in () if present else plan.units:
            asked += 1
            if (yield from _answers(number, table)):
                present.append(number)
    silent = tuple(number for number in plan.units if number not in present)
    any_unit = False
    if len(present) > 1 and (stranger := _stranger(plan.units)) is not None:
        asked += 1
        any_unit = yield from _answers(stranger, ModbusTable.HOLDING_REGISTER)
    units: list[Unit] = []
    for number in present[:1] if any_unit else present:
        asked += 1
        answer = yield Question(number, None)
        identity = answer if isinstance(answer, Identity) else Identity()
        tables: list[Found] = []
        for table in plan.within or TABLES:
            found = yield from _table(number, table, plan.requests - asked, plan.within.get(table, ()))
            asked += found.asked
            tables.append(found)
        units.append(Unit(number, identity, tuple(tables), _same(units, identity, tables)))
    return Survey(tuple(units), silent, any_unit, asked)


def _answers(unit: int, table: ModbusTable) -> Generator[Question, Answer | Identity, bool]:
    answer = yield Question(unit, Ask(table, 0, 1))
    return not isinstance(answer, Answer) or answer.values is not None or answer.exception not in _ABSENT


def _stranger(units: Sequence[int]) -> int | None:
    """An identifier that nobody would have chosen."""
    return next((number for number in range(247, 0, -1) if number not in units), None)


def _table(
    unit: int, table: ModbusTable, limit: int, within: Sequence[tuple[int, int]]
) -> Generator[Question, Answer | Identity, Found]:
    looking = search(table, max(limit, 0), within)
    try:
        ask = next(looking)
        while True:
            answer = yield Question(unit, ask)
            ask = looking.send(answer if isinstance(answer, Answer) else Answer(None))
    except StopIteration as done:
        found: Found = done.value
        return found


def _same(units: Sequence[Unit], identity: Identity, tables: Sequence[Found]) -> int | None:
    """The unit before that is the same device by all that it shows: its name, and what can be read."""
    readable = [found.ranges for found in tables]
    for unit in units:
        if unit.identity == identity and [found.ranges for found in unit.tables] == readable and any(readable):
            return unit.number
    return None
