"""Lies of a reader: what they change in which scan, and that everything else is told as it was."""

import pytest

from testbed.attacks.lying import Changed, LyingReader, OmittingSink, Replayed
from testbed.attacks.values import another, another_value
from testbed.core.bodies import Body, Heartbeat, State
from testbed.core.identity import Identity
from testbed.core.tags import Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode, encode
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags


def scan(number: int) -> Poll:
    """A poll of two tags, of which the first is the counter."""
    return Poll(7, number, (bytes((number,)), bytes((100 + number,))), (0, number), 1000 * number)


class Plc:
    """Goes through scans 1 to 9, and then there is no more."""

    def __init__(self) -> None:
        self.repeats = 3
        self.said: list[str] = []
        self._number = 0

    async def connect(self) -> None:
        self.said.append("connect")

    async def identify(self) -> Identity:
        return Identity()

    async def poll(self) -> Poll:
        self._number += 1
        return scan(self._number)

    async def close(self) -> None:
        self.said.append("close")


class Log:
    def __init__(self) -> None:
        self.appended: list[list[tuple[str, Body]]] = []

    def append(self, records: object) -> None:
        self.appended.append(list(records))  # type: ignore[call-overload]


async def told(lie: object) -> dict[int, Poll]:
    """What becomes of each of nine scans, where it is not what was so."""
    reader = LyingReader(Plc(), lie)  # type: ignore[arg-type]
    polls = {number: await reader.poll() for number in range(1, 10)}
    return {number: poll for number, poll in polls.items() if poll != scan(number)}  # type: ignore[misc]


async def test_a_value_is_changed_in_its_scan() -> None:
    assert await told(Changed(1, lambda raw: bytes((raw[0] + 50,)), range(5, 6))) == {
        5: Poll(7, 5, (b"\x05", bytes((155,))), (0, 5), 5000)
    }
    assert list(await told(Changed(1, lambda _: b"?", {2, 8}))) == [2, 8]


async def test_old_values_come_under_the_present_counter() -> None:
    assert await told(Replayed(2, range(5, 6), {0})) == {5: Poll(7, 5, (b"\x05", bytes((103,))), (0, 5), 5000)}


async def test_an_old_scan_comes_with_its_counter() -> None:
    assert await told(Replayed(2, range(5, 7), None)) == {5: scan(3), 6: scan(4)}


async def test_before_there_is_an_old_scan_the_truth_is_told() -> None:
    assert list(await told(Replayed(3, range(1, 6), None))) == [4, 5]


async def test_a_lying_reader_connects_counts_and_closes_as_the_one_behind_it() -> None:
    plc = Plc()
    reader = LyingReader(plc, lambda poll: poll)
    await reader.connect()
    await reader.close()
    assert (plc.said, reader.repeats) == (["connect", "close"], 3)


def test_a_scan_is_left_out_and_the_rest_is_logged_as_it_came() -> None:
    log = Log()
    states: list[tuple[str, Body]] = [
        ("cell", State(1, number, None, number, (b"x",), (0,))) for number in (3, 4, 5, 4)
    ]
    beat: tuple[str, Body] = ("cell", Heartbeat(1, "", ()))
    sink = OmittingSink(log, range(4, 5))
    sink.append([states[0], states[1], beat, states[2]])
    sink.append([states[3]])
    sink.append([beat])
    assert log.appended == [[states[0], beat, states[2]], [beat]]


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.name)
def test_another_value_is_another_one_within_the_range(tag: object) -> None:
    assert isinstance(tag, type(TAGS[0]))
    low: Value = False if tag.type.value == "bool" else type(decode(tag, bytes(tag.type.size)))(tag.low)
    high: Value = True if tag.type.value == "bool" else type(low)(tag.high)
    for value in (low, high):
        other = another_value(tag, value)
        assert other != value
        assert tag.low <= other <= tag.high
        assert decode(tag, another(tag, encode(tag, value))) == other
