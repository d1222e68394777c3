"""Which reads a driver makes, and what it learns from refusals."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import DataType, ModbusTable
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_plan import Limits, Plan, Read
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.modbus_units import BAD_CONFIGURATION_ERROR, BAD_DEVICE_FAILURE, GOOD_NO_DATA
from tests.fieldbus.modbus_device import LOCAL, Device, device, holding, words

AGAIN_S = 60.0


def plan_of(addresses: Sequence[int], limits: Limits | None = None, every: dict[str, int] | None = None) -> Plan:
    return Plan(tuple(words(addresses)), 1, None, limits or Limits(), every or {}, AGAIN_S)


def polled(plan: Plan, legal: set[int], poll: int = 0, now: float = 0.0) -> tuple[set[int], int]:
    """Addresses that one poll brings from a device with these addresses alone, and how often it was refused."""
    found, refusals, waiting = set(), 0, plan.due(poll, now)[::-1]
    while waiting:
        read = waiting.pop()
        if touched(read) <= legal:
            plan.answered(read)
            found |= {tag.modbus.address for tag in read.block.tags}
        else:
            refusals += 1
            waiting += plan.refused(read, now, whole=False)[::-1]
    return found, refusals


def touched(read: Read) -> set[int]:
    return set(range(read.block.address, read.block.address + read.block.count))


ADDRESSES = st.lists(st.integers(0, 120), min_size=1, max_size=30, unique=True)


@given(addresses=ADDRESSES, illegal=st.sets(st.integers(0, 120)), gap=st.integers(0, 40), most=st.integers(1, 125))
def test_each_tag_that_the_device_has_is_read_at_once_and_holes_cost_their_errors_once(
    addresses: list[int], illegal: set[int], gap: int, most: int
) -> None:
    plan = plan_of(addresses, Limits(gap, most))
    legal = set(range(200)) - illegal
    readable = set(addresses) & legal
    found, refusals = polled(plan, legal)
    assert found == readable
    assert refusals <= 2 * len(addresses)
    for poll in range(1, 4):
        assert polled(plan, legal, poll, float(poll)) == (readable, 0)
    assert {plan.tags[place].modbus.address for place in plan.shunned()} == set(addresses) - legal
    # Later it asks again for each of them, once; and what has come to be is read from then on.
    assert polled(plan, legal, 4, AGAIN_S)[1] == len(set(addresses) - legal)
    assert polled(plan, legal, 5, AGAIN_S + 1) == (readable, 0)
    assert polled(plan, set(range(200)), 6, 3 * AGAIN_S) == (set(addresses), 0)
    assert polled(plan, set(range(200)), 7, 3 * AGAIN_S) == (set(addresses), 0)
    assert list(plan.shunned()) == []


@given(addresses=ADDRESSES, gap=st.integers(0, 40), most=st.integers(1, 125))
def test_no_read_takes_in_more_than_it_may(addresses: list[int], gap: int, most: int) -> None:
    reads = plan_of(addresses, Limits(gap, most)).due(0, 0.0)
    assert all(read.block.count <= most for read in reads)
    assert sorted(tag.modbus.address for read in reads for tag in read.block.tags) == sorted(addresses)
    assert all(
        after.modbus.address - one.modbus.address - 1 <= gap
        for read in reads
        for one, after in pairwise(read.block.tags)
    )


@given(
    classes=st.dictionaries(st.integers(0, 60), st.integers(1, 7), min_size=1),
    polls=st.integers(1, 30),
    gap=st.integers(0, 20),
)
def test_a_tag_is_read_in_each_nth_poll_and_in_no_other(classes: dict[int, int], polls: int, gap: int) -> None:
    names = {tag.modbus.address: tag.name for tag in words(classes)}
    plan = plan_of(list(classes), Limits(gap), {names[at]: n for at, n in classes.items()})
    for poll in range(polls):
        due = {tag.modbus.address for read in plan.due(poll, 0.0) for tag in read.block.tags}
        assert due == {at for at, n in classes.items() if poll % n == 0}
        assert {plan.tags[place].modbus.address for place in plan.idle(poll)} == set(classes) - due


@pytest.mark.parametrize("limits", [(-1, 125, 2000), (0, 0, 2000), (0, 126, 2000), (0, 125, 0), (0, 125, 2001)])
def test_limits_beyond_the_protocol_are_wrong_usage(limits: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="125 registers"):
        Limits(*limits)


@pytest.mark.parametrize("every", [{"uNone.r0": 0}, {"no.such": 2}])
def test_scan_classes_name_tags_and_polls(every: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="scan classes"):
        ModbusController(words([0]), Tcp(LOCAL, 1), scan_tag=None, boot_tag=None, every=every)


def test_a_counter_is_read_in_each_poll() -> None:
    with pytest.raises(UsageError, match=r"uNone\.r0"):
        ModbusController(words([0]), Tcp(LOCAL, 1), scan_tag="uNone.r0", boot_tag=None, every={"uNone.r0": 2})


def controller(served: Device, addresses: Sequence[int], **more: float) -> ModbusController:
    return ModbusController(
        words(addresses),
        Tcp(LOCAL, served.port),
        scan_tag=None,
        boot_tag=None,
        timeout=5.0,
        again=more.get("again", 60.0),
    )


async def test_a_device_with_holes_is_read_and_says_no_only_once() -> None:
    registers = {at: at + 1000 for at in (0, 1, 2, 10, 11, 14)}
    async with device({1: holding(registers)}) as served:
        reader = controller(served, [0, 2, 10, 11, 14])
        await reader.connect()
        poll = await reader.poll()
        assert [int.from_bytes(raw or b"", "big") for raw in poll.values] == [1000, 1002, 1010, 1011, 1014]
        assert set(poll.statuses) == {0}
        first = len(served.asked)
        assert (await reader.poll()) == poll
        # The same again without a refusal: 0..2, 10..11 and 14.
        assert [pdu.hex() for _, pdu in served.asked[first:]] == ["0300000003", "03000a0002", "03000e0001"]
        await reader.close()


@pytest.mark.parametrize("code", [2, 3])
async def test_a_refused_address_costs_its_own_tag_alone_and_is_asked_again(code: int) -> None:
    unit = {at: at for at in range(20) if at != 7}
    async with device({1: holding(unit, code)}) as served:
        reader = controller(served, range(20), again=0.0)
        await reader.connect()
        poll = await reader.poll()
        assert [place for place, raw in enumerate(poll.values) if raw is None] == [7]
        assert poll.statuses[7] == BAD_CONFIGURATION_ERROR
        served.units[1] = holding(dict.fromkeys(range(20), 5))
        poll = await reader.poll()
        assert poll.values == (b"\x00\x05",) * 20
        assert set(poll.statuses) == {0}
        await reader.close()


async def test_a_table_that_the_device_does_not_have_is_asked_for_once() -> None:
    tags = words([0, 1])
    bits = [
        tag.__class__(f"b{at}", DataType.BOOL, "", 0, 1, True, tag.modbus.__class__(ModbusTable.COIL, at), f"b{at}")
        for at, tag in enumerate(tags * 3)
    ]
    async with device({1: holding({0: 1, 1: 2})}) as served:
        reader = ModbusController([*tags, *bits], Tcp(LOCAL, served.port), scan_tag=None, boot_tag=None, timeout=5.0)
        await reader.connect()
        for requests in (2, 3, 4):
            poll = await reader.poll()
            assert poll.values == (b"\x00\x01", b"\x00\x02", *[None] * 6)
            assert poll.statuses == (0, 0, *[BAD_CONFIGURATION_ERROR] * 6)
            assert len(served.asked) == requests
        await reader.close()


async def test_where_every_address_is_refused_the_poll_is_an_error_each_time() -> None:
    async with device({1: holding({})}) as served:
        reader = controller(served, range(4))
        await reader.connect()
        for _ in range(2):
            with pytest.raises(DeviceError, match=r"refuse|exception 02"):
                await reader.poll()
        served.units[1] = holding(dict.fromkeys(range(4), 1))
        await reader.connect()  # what was learned is forgotten: a program was loaded
        assert (await reader.poll()).values == (b"\x00\x01",) * 4
        await reader.close()


async def test_a_device_that_cannot_just_now_is_asked_again_in_the_next_poll() -> None:
    good = holding(dict.fromkeys((0, 100), 1))

    async def busy(pdu: bytes) -> bytes | None:
        return b"\x83\x06" if pdu[1:3] == b"\x00\x64" else await good(pdu)

    async with device({1: busy}) as served:
        reader = controller(served, (0, 100))
        await reader.connect()
        for _ in range(2):
            poll = await reader.poll()
            assert (poll.values, poll.statuses) == ((b"\x00\x01", None), (0, BAD_DEVICE_FAILURE))
        served.units[1] = good
        assert (await reader.poll()).statuses == (0, 0)
        await reader.close()


async def test_what_is_not_due_has_no_data_and_costs_no_request() -> None:
    async with device({1: holding(dict.fromkeys(range(2), 7))}) as served:
        reader = ModbusController(
            words([0, 1]), Tcp(LOCAL, served.port), scan_tag=None, boot_tag=None, timeout=5.0, every={"uNone.r1": 3}
        )
        await reader.connect()
        for poll in range(7):
            asked = len(served.asked)
            found = await reader.poll()
            due = poll % 3 == 0
            assert found.values == (b"\x00\x07", b"\x00\x07" if due else None)
            assert found.statuses == (0, 0 if due else GOOD_NO_DATA)
            assert len(served.asked) - asked == 1 + due
        await reader.close()


async def test_requests_keep_the_pause_between_them() -> None:
    times: list[float] = []
    good = holding({0: 1, 100: 2, 200: 3})

    async def timed(pdu: bytes) -> bytes | None:
        times.append(asyncio.get_running_loop().time())
        return await good(pdu)

    async with device({1: timed}) as served:
        reader = ModbusController(
            words([0, 100, 200]), Tcp(LOCAL, served.port), scan_tag=None, boot_tag=None, timeout=5.0, pause=0.05
        )
        await reader.connect()
        await reader.poll()
        await reader.poll()
        await reader.close()
    assert len(times) == 6
    assert all(after - one >= 0.05 for one, after in pairwise(times))
