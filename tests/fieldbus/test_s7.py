"""The S7 controller against python-snap7's own server in another process, and against servers that misbehave."""

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snap7.type import Area

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, Tag, Value
from testbed.fieldbus.registers import decode
from testbed.fieldbus.s7_client import GOOD_NO_DATA, S7Controller
from tests.fieldbus.processes import Served, served
from tests.fieldbus.s7_peers import LOCAL, Script, answer, frame, looked_at, put, rogue, tag

OUT_OF_RANGE, NO_NODE, NO_ACCESS = 0x803C0000, 0x80340000, 0x801F0000
TAGS = [
    tag("level", DataType.FLOAT32, "DB1.DBD0"),
    tag("speed", DataType.INT16, "DB1.DBW4"),
    tag("count", DataType.UINT32, "DB1.DBD8"),
    tag("energy", DataType.FLOAT64, "DB1.DBL16"),
    tag("step", DataType.UINT16, "DB1.DBB30"),
    tag("trim", DataType.INT16, "DB1.DBB31"),
    tag("far", DataType.INT32, "DB1.DBD396"),
    tag("tenths", DataType.UINT16, "DB2.DBW0", scale=0.1),
    tag("run", DataType.BOOL, "DB1.DBX6.2"),
    tag("start", DataType.BOOL, "M0.0"),
    tag("word", DataType.UINT16, "QW2"),
    tag("door", DataType.BOOL, "I0.7"),
]
VALUES: dict[str, Value] = {
    "level": 1.25,
    "speed": -7,
    "count": 4_000_000_000,
    "energy": math.pi,
    "step": 200,
    "trim": -3,
    "far": -100_000,
    "tenths": 12.5,
    "run": True,
    "start": True,
    "word": 0xABC,
}


@pytest.fixture(scope="module")
def still() -> Iterator[Served]:
    with served("serve_s7.py", "still") as server:
        yield server


@asynccontextmanager
async def connected(tags: list[Tag], port: int, **options: object) -> AsyncIterator[S7Controller]:
    """Without counters unless they are named."""
    named = {"scan_tag": None, "boot_tag": None, "timeout": 0.5, **options}
    controller = S7Controller(tags, LOCAL, port, **named)  # type: ignore[arg-type]  # names as they are
    await controller.connect()
    try:
        yield controller
    finally:
        await controller.close()


async def values_of(controller: S7Controller) -> dict[str, Value]:
    poll = await controller.poll()
    assert poll.statuses == (0,) * len(controller.tags)
    return {one.name: decode(one, raw) for one, raw in zip(controller.tags, poll.values, strict=True)}


async def test_what_is_written_is_read_again_in_every_area(still: Served) -> None:
    async with connected(TAGS, still.port) as controller:
        for one in TAGS:
            if one.name in VALUES:
                await controller.write(one, VALUES[one.name])
        await put(still.port, Area.PE, 0, 0, b"\x80")
        poll = await controller.poll()
        assert (poll.boot, poll.scan, poll.device_time_ns) == (0, None, None)
        assert await values_of(controller) == {**VALUES, "door": True}
    # And python-snap7's client sees the same bytes, in the order of the wire.
    assert await looked_at(still.port, Area.DB, 1, 0, 6) == struct.pack(">fh", 1.25, -7)
    assert await looked_at(still.port, Area.DB, 2, 0, 2) == (125).to_bytes(2, "big")
    assert await looked_at(still.port, Area.DB, 1, 16, 8) == struct.pack(">d", math.pi)
    assert await looked_at(still.port, Area.DB, 1, 30, 2) == bytes((200, 0x100 - 3))


async def test_the_tags_say_in_which_order_their_bytes_come(still: Served) -> None:
    async with connected(TAGS, still.port) as controller:
        assert {one.modbus.byte_order for one in TAGS} == {ByteOrder.CDAB}
        assert {one.modbus.byte_order for one in controller.tags} == {ByteOrder.ABCD}
        assert [one.name for one in controller.tags] == [one.name for one in TAGS]


@pytest.mark.parametrize("bit", range(8))
async def test_a_bit_is_written_and_the_others_of_its_byte_stay(still: Served, bit: int) -> None:
    one = tag("bit", DataType.BOOL, f"M8.{bit}")
    async with connected([one], still.port) as controller:
        for around in (0xFF, 0x00, 0xA5):
            for value in (True, False):
                await put(still.port, Area.MK, 0, 7, bytes((around, around, around)))
                await controller.write(one, value)
                expected = around | 1 << bit if value else around & ~(1 << bit)
                assert await looked_at(still.port, Area.MK, 0, 7, 3) == bytes((around, expected, around))
                assert await values_of(controller) == {"bit": value}


@given(raw=st.binary(min_size=400, max_size=400))
@settings(max_examples=15, deadline=None)
def test_any_bytes_are_read_as_a_bare_client_reads_them(still: Served, raw: bytes) -> None:
    tags = [tag(f"n{at}", DataType.UINT32, f"DB1.DBD{at}") for at in range(0, 400, 4)]
    tags += [tag(f"b{at}", DataType.BOOL, f"DB1.DBX{at}.{at % 8}") for at in range(0, 400, 37)]

    async def run() -> None:
        await put(still.port, Area.DB, 1, 0, raw)
        async with connected(tags, still.port) as controller:
            seen = await values_of(controller)
        assert [seen[f"n{at}"] for at in range(0, 400, 4)] == list(struct.unpack(">100I", raw))
        assert [seen[f"b{at}"] for at in range(0, 400, 37)] == [bool(raw[at] >> at % 8 & 1) for at in range(0, 400, 37)]

    asyncio.run(run())


async def test_the_device_says_what_it_is(still: Served) -> None:
    async with connected(TAGS, still.port) as controller:
        assert await controller.identify() == Identity(
            "Original Siemens Equipment", "CPU 315-2 PN/DP 6ES7 315-2EH14-0AB0", "V3.3.0", "S C-C2UR28922012"
        )
        assert len((await controller.poll()).values) == len(TAGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", 256),
        ("trim", -129),
        ("trim", 128),
        ("speed", 40_000),
        ("speed", 1.5),
        ("level", math.nan),
        ("tenths", 7000.0),
        ("run", 1),
        ("door", True),
    ],
)
async def test_what_a_tag_cannot_hold_is_not_sent(still: Served, name: str, value: Value) -> None:
    async with connected(TAGS, still.port) as controller:
        before = await controller.poll()
        with pytest.raises(UsageError, match=name):
            await controller.write(next(one for one in TAGS if one.name == name), value)
        assert await controller.poll() == before


async def test_a_tag_of_another_controller_is_not_written(still: Served) -> None:
    fixed = tag("fixed", DataType.UINT16, "MW4", writable=False)
    async with connected([TAGS[-1], fixed], still.port) as controller:
        with pytest.raises(UsageError, match="no tag of this controller"):
            await controller.write(TAGS[1], 1)
        with pytest.raises(UsageError, match="door cannot be written"):
            await controller.write(TAGS[-1], True)
        with pytest.raises(UsageError, match="fixed cannot be written"):
            await controller.write(fixed, 1)


GONE = [
    tag("beyond", DataType.UINT16, "DB2.DBW10"),
    tag("half", DataType.FLOAT32, "DB2.DBD8"),
    tag("missing", DataType.UINT16, "DB77.DBW0"),
]


async def test_what_is_not_there_is_none_and_the_others_are_read(still: Served) -> None:
    good = [tag("good", DataType.UINT16, "DB2.DBW6"), tag("near", DataType.UINT16, "DB2.DBW8"), *TAGS[:3]]
    async with connected([good[0], *GONE, *good[1:]], still.port) as controller:
        await put(still.port, Area.DB, 2, 6, struct.pack(">HH", 66, 88))
        for _ in range(3):
            poll = await controller.poll()
            assert poll.values[0] == (66).to_bytes(2, "big")
            assert poll.values[4] == (88).to_bytes(2, "big")
            assert poll.statuses == (0, OUT_OF_RANGE, OUT_OF_RANGE, NO_NODE, 0, 0, 0, 0)
            assert [raw is None for raw in poll.values] == [False, True, True, True, False, False, False, False]


async def test_a_write_to_what_is_not_there_is_refused_and_the_connection_lives(still: Served) -> None:
    async with connected([*GONE, TAGS[0]], still.port) as controller:
        with pytest.raises(DeviceRefused, match=r"DB77.DBW0 \(missing\)"):
            await controller.write(GONE[2], 1)
        assert (await controller.poll()).values[3] is not None


async def test_refused_ranges_are_not_asked_for_again_at_once_but_later() -> None:
    asked: list[bytes] = []
    there = False

    async def block(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await frame(reader)
            asked.append(request)
            items = b""
            for at in range(15, len(request), 12):
                size, db = struct.unpack_from(">HH", request, at + 4)
                if db == 1 or there:
                    items += b"\xff\x04" + (8 * size).to_bytes(2, "big") + bytes(size)
                else:
                    items += b"\x03\x00\x00\x00"
            writer.write(answer(request, items, count=request[14]))

    tags = [tag("here", DataType.UINT16, "DB1.DBW0"), tag("shut", DataType.UINT16, "DB2.DBW0")]
    async with rogue(block) as port:
        async with connected(tags, port) as controller:
            assert (await controller.poll()).statuses == (0, NO_ACCESS)
            asked.clear()
            for _ in range(50):
                assert (await controller.poll()).statuses == (0, NO_ACCESS)
            assert {request[14] for request in asked} == {1}
            there = True
            assert (await controller.poll()).statuses == (0, NO_ACCESS)
            await controller.connect()
            assert (await controller.poll()).statuses == (0, 0)
        there = False
        async with connected(tags, port, again=0.0) as controller:
            assert (await controller.poll()).statuses == (0, NO_ACCESS)
            there = True
            assert (await controller.poll()).statuses == (0, 0)


async def test_where_put_get_is_not_permitted_the_mend_says_what_to_tick() -> None:
    with served("serve_s7.py", "closed") as server:
        async with connected(TAGS, server.port) as controller:
            with pytest.raises(DeviceRefused, match="8104") as caught:
                await controller.poll()
            assert "PUT/GET" in caught.value.mend
            assert "Optimized block access" in caught.value.mend
            with pytest.raises(DeviceRefused, match=r"DB1.DBD0 \(level\).*8104"):
                await controller.write(TAGS[0], 1.0)
            assert (await controller.identify()).serial == "S C-C2UR28922012"


async def test_where_no_tag_can_be_read_the_mend_names_optimized_blocks(still: Served) -> None:
    async with connected(GONE, still.port) as controller:
        for _ in range(2):
            with pytest.raises(DeviceRefused, match="all other tags") as caught:
                await controller.poll()
            assert "Optimized block access" in caught.value.mend
    async with connected([*TAGS, GONE[2]], still.port, scan_tag="missing") as controller:
        with pytest.raises(DeviceRefused, match=r"DB77.DBW0 \(missing\)"):
            await controller.poll()


async def test_tags_of_a_slow_class_are_read_in_their_turn(still: Served) -> None:
    async with connected(TAGS[:3], still.port, every={"speed": 3}, scan_tag="count") as controller:
        missing = []
        for _ in range(7):
            poll = await controller.poll()
            assert [raw is None for raw in poll.values] == [code != 0 for code in poll.statuses]
            assert set(poll.statuses) <= {0, GOOD_NO_DATA}
            missing.append([one.name for one, raw in zip(TAGS, poll.values, strict=False) if raw is None])
        assert missing == [[], ["speed"], ["speed"], [], ["speed"], ["speed"], []]


async def test_a_poll_in_which_nothing_is_due_still_needs_a_connection(still: Served) -> None:
    async with connected(TAGS[:1], still.port, every={"level": 2}) as controller:
        assert (await controller.poll()).statuses == (0,)
        assert (await controller.poll()).statuses == (GOOD_NO_DATA,)
        await controller.poll()
        await controller.close()
        with pytest.raises(DeviceError, match="not connected"):
            await controller.poll()


async def test_all_values_are_of_one_scan() -> None:
    tags = [tag("plc.scan", DataType.UINT32, "DB1.DBD0")]
    tags += [tag(f"n{at}", DataType.UINT32, f"DB1.DBD{4 * at}") for at in range(1, 301)]
    with served("serve_s7.py", "counting") as server:
        async with connected(tags, server.port, scan_tag="plc.scan") as controller:
            scans = set()
            while controller.repeats < 3:
                poll = await controller.poll()
                assert {int.from_bytes(raw or b"", "big") for raw in poll.values} == {poll.scan}
                scans.add(poll.scan)
            assert len(scans) > 1
        # Without counters nobody can tell, and nothing is said of a scan.
        async with connected(tags, server.port) as controller:
            poll = await controller.poll()
            while len(set(poll.values)) == 1:
                poll = await controller.poll()
            assert poll.scan is None


async def test_a_controller_that_never_stands_still_is_named() -> None:
    async def restless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scan = 0
        while True:
            items = b""
            request = await frame(reader)
            for at in range(15, len(request), 12):
                scan += 1
                (size,) = struct.unpack_from(">H", request, at + 4)
                items += b"\xff\x04" + (8 * size).to_bytes(2, "big") + scan.to_bytes(4, "big") * (size // 4)
            writer.write(answer(request, items, count=request[14]))

    tags = [tag("plc.scan", DataType.UINT32, "DB1.DBD0"), tag("other", DataType.UINT32, "DB1.DBD4")]
    async with rogue(restless) as port, connected(tags, port, scan_tag="plc.scan") as controller:
        with pytest.raises(DeviceError, match="a scan ended within each of 5 polls"):
            await controller.poll()
        assert controller.repeats == 5


async def test_a_restart_is_an_error_and_a_new_connection_finds_the_new_one() -> None:
    with served("serve_s7.py", "still") as server:
        port = server.port
        controller = S7Controller([*TAGS, *GONE], LOCAL, port, None, None, timeout=0.5)
        await controller.connect()
        await controller.write(TAGS[1], 5)
        assert (await controller.poll()).values[1] == b"\x00\x05"
    with pytest.raises(DeviceError, match=f"{LOCAL}:{port}"):
        await controller.poll()
    with pytest.raises(DeviceError, match="not connected"):
        await controller.poll()
    with pytest.raises(DeviceError, match="no connection"):
        await controller.connect()
    with served("serve_s7.py", "still", str(port)):
        await controller.connect()
        assert (await controller.poll()).values[1] == b"\x00\x00"
        await controller.close()
        await controller.close()
        with pytest.raises(DeviceError, match="not connected"):
            await controller.write(TAGS[1], 5)


GOOD_WORD = b"\xff\x04\x00\x10\x00\x07"
WORD = tag("word", DataType.UINT16, "DB1.DBW0")


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Half open: it takes requests and never answers."""
    while True:
        await frame(reader)


async def leaves(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """It goes away instead of answering."""
    await frame(reader)


async def halves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half an answer, and no more."""
    writer.write(answer(await frame(reader), GOOD_WORD)[:-3])


def saying(what: bytes) -> Script:
    """It says this, whatever it is asked."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await frame(reader)
        writer.write(what)
        await reader.read()

    return script


def answering(items: bytes, **how: int) -> Script:
    """It answers each read with these items."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(answer(await frame(reader), items, **how))

    return script


@pytest.mark.parametrize(
    "script",
    [
        silent,
        leaves,
        halves,
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        saying(b"\x03\x00\x00\x04"),
        saying(b"\x03\x00\xff\xff"),
        saying(bytes(range(3, 250))),
        saying(b"\x03\x00\x00\x0a\x02\xf0\x80\x32\x03\x00"),
        answering(GOOD_WORD, later=1),
        answering(GOOD_WORD, function=5),
        answering(GOOD_WORD * 2, count=2),
        answering(GOOD_WORD[:-1]),
        answering(GOOD_WORD + b"\x00\x00"),
        answering(b"\xff\x04\x00\x08\x07"),
        answering(b"\xff\x04\x00\x20\x00\x00\x00\x07"),
        answering(b"\xff\x04"),
        answering(b""),
    ],
)
async def test_what_is_no_answer_ends_the_connection_and_the_next_one_works(script: Script) -> None:
    wrong = True

    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (script if wrong else answering(GOOD_WORD))(reader, writer)

    async with rogue(first) as port, connected([WORD], port, timeout=0.2) as controller:
        with pytest.raises(DeviceError, match=f"{LOCAL}:{port}"):
            await controller.poll()
        with pytest.raises(DeviceError, match="not connected"):
            await controller.poll()
        wrong = False
        await controller.connect()
        assert (await controller.poll()).values == (b"\x00\x07",)


@given(what=st.binary(max_size=60), framed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_bytes_bring_anything_but_a_poll_or_a_device_error(what: bytes, framed: bool) -> None:
    async def run() -> None:
        script = answering(what) if framed else saying(what)
        async with rogue(script) as port, connected([WORD], port, timeout=0.05) as controller:
            try:
                poll = await controller.poll()
            except DeviceError:
                return
            assert len(poll.values) == 1

    asyncio.run(run())


async def test_a_server_that_is_none_is_not_connected_to() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    for serve in (http, mute):
        async with await asyncio.start_server(serve, LOCAL, 0) as server:
            controller = S7Controller([WORD], LOCAL, server.sockets[0].getsockname()[1], None, None, timeout=0.2)
            with pytest.raises(DeviceError, match="no connection") as caught:
                await controller.connect()
            assert "slot 1" in caught.value.mend


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await frame(reader)
        second = await frame(reader)
        writer.write(answer(first, b"\xff\x04\x00\x10\x00\x01") + answer(second, b"\xff\x04\x00\x10\x00\x02"))

    async with rogue(late) as port, connected([WORD], port, timeout=0.1) as controller:
        with pytest.raises(DeviceError, match=r"no answer within 0.1 s"):
            await controller.poll()
        await controller.connect()
        with pytest.raises(DeviceError, match=r"no answer within 0.1 s"):
            await controller.poll()


async def test_a_poll_that_is_cancelled_leaves_nothing_behind() -> None:
    async with rogue(silent) as port, connected([WORD], port, timeout=30.0) as controller:
        polling = asyncio.ensure_future(controller.poll())
        await asyncio.sleep(0)
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
        with pytest.raises(DeviceError, match="not connected"):
            await controller.poll()


async def test_polls_and_writes_of_several_tasks_come_one_at_a_time(still: Served) -> None:
    async with connected(TAGS, still.port, pause=0.001) as controller:
        polls = asyncio.gather(*(controller.poll() for _ in range(20)))
        await asyncio.gather(*(controller.write(TAGS[1], at) for at in range(20)))
        assert {len(poll.values) for poll in await polls} == {len(TAGS)}


@pytest.mark.parametrize("pdu", [64, 240, 960])
async def test_the_length_that_the_controller_names_is_kept_to(pdu: int) -> None:
    longest = 0

    async def measured(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal longest
        while True:
            request = await frame(reader)
            items = b""
            count = (len(request) - 15) // 12
            for at in range(15, len(request), 12):
                (size,) = struct.unpack_from(">H", request, at + 4)
                items += b"\xff\x04" + (8 * size).to_bytes(2, "big") + bytes(size + size % 2)
            said = answer(request, items, count=count)
            longest = max(longest, len(said) - 7, len(request) - 3)
            writer.write(said)

    tags = [tag(f"n{at}", DataType.FLOAT32, f"DB1.DBD{4 * at}") for at in range(500)]
    async with rogue(measured, pdu) as port, connected(tags, port) as controller:
        assert set((await controller.poll()).values) == {bytes(4)}
        assert 0.8 * pdu <= longest <= pdu


async def test_a_length_that_no_controller_has_is_refused() -> None:
    async with rogue(silent, pdu=65535) as port:
        controller = S7Controller([WORD], LOCAL, port, None, None, timeout=0.5)
        with pytest.raises(DeviceError, match="requests of 65535 bytes"):
            await controller.connect()


@pytest.mark.parametrize(
    ("tags", "options", "said"),
    [
        ([tag("a", DataType.UINT16, "")], {}, "tag a: no S7 address"),
        ([WORD], {"scan_tag": "other"}, "no integer tag 'other'"),
        ([TAGS[0]], {"scan_tag": "level"}, "no integer tag 'level'"),
        ([WORD], {"every": {"other": 2}}, "other"),
        ([WORD], {"every": {"word": 0}}, "word"),
        ([WORD], {"scan_tag": "word", "every": {"word": 2}}, "word"),
    ],
)
def test_a_wrong_tag_list_is_told_before_anything_is_sent(
    tags: list[Tag], options: dict[str, object], said: str
) -> None:
    named = {"scan_tag": None, "boot_tag": None, **options}
    with pytest.raises(UsageError, match=said):
        S7Controller(tags, LOCAL, 1, **named)  # type: ignore[arg-type]  # names as they are
