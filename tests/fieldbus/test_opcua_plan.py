"""Which nodes are asked for in which poll: beside a plan of a few lines."""

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary
from hypothesis import given
from hypothesis import strategies as some

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.opcua_plan import ReadPlan, Round


def tags(count: int) -> list[Tag]:
    """Counters, and a few more."""
    at = ModbusAddress(ModbusTable.INPUT_REGISTER, 0)
    names = ["scan", "boot", *(f"t{number}" for number in range(count))]
    return [Tag(name, DataType.UINT32, "", 0, 1, False, at, name) for name in names]


def asked(round_: Round) -> list[list[str]]:
    """The nodes of each request."""
    parts = [struct_from_binary(ua.ReadParameters, Buffer(request.parameters)) for request in round_.requests]
    return [[str(one.NodeId.Identifier) for one in part.NodesToRead] for part in parts]


@given(
    some.lists(some.integers(1, 4), max_size=12),
    some.integers(0, 9),
    some.integers(0, 30),
    some.sampled_from([("scan", "boot"), ("scan", None), (None, "boot"), (None, None)]),
)
def test_every_tag_is_asked_for_in_its_turn_and_the_counters_stand_at_both_ends(
    periods: list[int], most: int, number: int, counters: tuple[str | None, str | None]
) -> None:
    scan, boot = counters
    row = tags(len(periods))
    every = {f"t{at}": period for at, period in enumerate(periods)}
    plan = ReadPlan(row, scan, boot, every)
    plan.bind([ua.NodeId(ua.String(tag.name), ua.Int16(1)) for tag in row], most)
    due = [tag.name for tag in row if number % every.get(tag.name, 1) == 0]
    ends = ([scan], [name for name in (scan, boot) if name]) if scan else ([], [])
    found = plan.round(number)
    parts = asked(found)
    assert [name for part in parts for name in part] == [*ends[0], *due, *ends[1]]
    assert all(0 < len(part) <= (most or 999) for part in parts)
    assert [len(part) for part in parts] == [len(request.types) for request in found.requests]
    places = range(len(row)) if found.places is None else found.places
    assert [row[place].name for place in places] == due
    assert found.count == len(due)


@pytest.mark.parametrize(
    ("every", "words"),
    [({"no": 2}, "no tag"), ({"t0": 0}, "0th poll"), ({"t0": True}, "Trueth"), ({"scan": 2}, "a counter")],
)
def test_scan_classes_that_make_no_sense_are_wrong_usage(every: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ReadPlan(tags(1), "scan", "boot", every)
