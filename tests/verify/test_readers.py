"""Two readers of one PLC: honest ones never disagree, whatever they miss and own up to; one lie is found, and where."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Body, Event, Genesis, Heartbeat, State
from testbed.core.entry import Entry
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.registers import as_read, encode
from testbed.keys.ed25519 import SigningKey
from testbed.record.bodies import kind_of
from testbed.verify.log import CheckedLog
from testbed.verify.readers import check_agreement, check_overload
from testbed.verify.records import Genuine
from testbed.verify.sides import side_of
from testbed.verify.trust import Agreement, LogRole, TrustedLog
from tests.verify.writing import checked, write

SECOND = 10**9
LIMITS = Agreement()
BAD = 0x80310000


def tag(name: str, type_: DataType, unit: str, order: ByteOrder = ByteOrder.ABCD) -> Tag:
    address = ModbusAddress(ModbusTable.HOLDING_REGISTER, 0, order)
    return Tag(name, type_, unit, 0.0, 100.0, True, address, name)


TAGS = (
    tag("level", DataType.FLOAT32, "m", ByteOrder.CDAB),
    tag("count", DataType.UINT32, ""),
    tag("running", DataType.BOOL, ""),
    tag("flow", DataType.FLOAT64, "m3/h"),
    tag("mode", DataType.INT16, ""),
)
SCHEMAS = (TAGS, as_read(TAGS))
KEYS = tuple(SigningKey.from_seed(name, name[-1:].encode() * 32) for name in ("bench/gateway", "bench/reader"))
Scan = tuple[int, int]


def values(scan: Scan) -> tuple[Value, ...]:
    """What the PLC holds in a scan."""
    boot, number = scan
    return (math.sin(number), number, number % 2 == 0, math.nan if number % 7 == 0 else boot / 3.0, -number % 100)


def state(scan: Scan, tags: Sequence[Tag], at: int = 0) -> State:
    raw = tuple(encode(one, value) for one, value in zip(tags, values(scan), strict=True))
    return State(scan[0], scan[1], None, at, raw, (0,) * len(raw))


def changed(body: State, place: int, tags: Sequence[Tag], value: Value) -> State:
    raw = (*body.values[:place], encode(tags[place], value), *body.values[place + 1 :])
    return replace(body, values=raw)


@dataclass
class Honest:
    """A reader that logs what it sees and owns up, at once, to what it did not."""

    tags: Sequence[Tag]
    bodies: list[Body] = field(default_factory=list)
    missed: int = 0
    last: Scan | None = None
    at: int = 0

    def see(self, scan: Scan) -> None:
        jump = 0
        if self.last is not None and self.last[0] == scan[0]:
            jump = (scan[1] - self.last[1]) % 2**32 - 1
        self.bodies.append(state(scan, self.tags, self.at))
        self.last = scan
        if jump:
            self.missed += jump
            self.beat()

    def beat(self) -> None:
        self.bodies.append(Heartbeat(self.at, "", (("missed", self.missed), ("retries", 0))))

    def lose(self) -> None:
        nothing = State(1, None, None, self.at, (None,) * len(self.tags), (BAD,) * len(self.tags))
        self.bodies += [Event(self.at, SOURCE_LOST, b""), nothing]
        self.last = None

    def find(self) -> None:
        self.bodies.append(Event(self.at, SOURCE_BACK, b""))

    def restart(self) -> None:
        self.bodies.append(Event(self.at, STARTED, b""))
        self.last, self.missed = None, 0


def log_of(which: int, bodies: Sequence[Body]) -> CheckedLog:
    key = KEYS[which]
    role = (LogRole.GATEWAY, LogRole.READER)[which]
    log = CheckedLog(TrustedLog(key.name, role, key.verifier(), bytes(32), reads="cell"))
    for index, body in enumerate(bodies):
        log.genuine[index] = Genuine(index, Entry(kind_of(body), "cell", index, bytes(32)), body, b"", bytes(16), b"")
    return log


def compared(one: Sequence[Body], other: Sequence[Body], limits: Agreement = LIMITS) -> list[Finding]:
    sides = [side_of(log_of(which, bodies), SCHEMAS[which]) for which, bodies in enumerate((one, other))]
    found = check_agreement(sides[0], sides[1], limits).findings
    assert all((f.what, f.layer, f.verdict) == (What.DISAGREED, Layer.WIRE, Verdict.INCONCLUSIVE) for f in found)
    assert all(f.detail.endswith("either reader or either wire") and not f.origin for f in found)
    return found


def both(scans: Sequence[Scan]) -> tuple[list[Body], list[Body]]:
    """What two readers log that see every scan; the index of a record is the place of its scan."""
    return [state(scan, TAGS) for scan in scans], [state(scan, SCHEMAS[1]) for scan in scans]


SCANS = [(1, number) for number in range(10)]


def test_readers_by_two_protocols_agree_on_every_scan() -> None:
    one, other = both(SCANS)
    sides = [side_of(log_of(which, bodies), SCHEMAS[which]) for which, bodies in enumerate((one, other))]
    result = check_agreement(sides[0], sides[1], LIMITS)
    assert (result.scans, result.findings) == (10, [])
    assert one[3] != other[3]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("place", "lie"),
    [(0, 99.5), (1, 7777), (2, True), (3, 0.25), (4, 5), (0, math.nan)],
    ids=["float32", "uint32", "bool", "float64", "int16", "nan"],
)
def test_one_value_that_was_not_so_is_named(which: int, place: int, lie: Value) -> None:
    logs = both(SCANS)
    body = logs[which][5]
    assert isinstance(body, State)
    logs[which][5] = changed(body, place, SCHEMAS[which], lie)
    (found,) = compared(*logs)
    assert found.where == "record 5 of bench/gateway and record 5 of bench/reader"
    assert f"of scan 5, boot 1, the one has {TAGS[place].name} = " in found.detail


def test_each_bit_of_each_value_counts() -> None:
    for which in (0, 1):
        for place in range(len(TAGS)):
            if TAGS[place].type is DataType.BOOL:
                continue
            logs = both(SCANS)
            body = logs[which][5]
            assert isinstance(body, State)
            raw = body.values[place]
            assert raw is not None
            for bit in range(8 * len(raw)):
                flipped = bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(raw))
                logs[which][5] = replace(body, values=(*body.values[:place], flipped, *body.values[place + 1 :]))
                (found,) = compared(*logs)
                assert f"the one has {TAGS[place].name} = " in found.detail


def test_units_are_told_and_lies_in_a_row_are_one_finding() -> None:
    one, other = both(SCANS)
    for place in (4, 5, 6):
        body = one[place]
        assert isinstance(body, State)
        one[place] = changed(body, 0, TAGS, 1.5)
    (found,) = compared(one, other)
    assert found.where.startswith("record 4 of")
    assert "level = 1.5 m, the other " in found.detail
    assert "so it is 2 more time(s)" in found.detail


def test_zeros_of_two_signs_are_two_values() -> None:
    plus, minus = (changed(state((1, 3), tags), 0, tags, zero) for tags, zero in zip(SCHEMAS, (0.0, -0.0), strict=True))
    assert len(compared([plus], [minus])) == 1


def test_a_scan_that_is_left_out_without_a_word_is_named() -> None:
    one, other = both(SCANS)
    del other[4]
    (found,) = compared(one, other)
    assert found.where == "between records 3 and 4 of bench/reader"
    assert "it lacks scan 4, boot 1" in found.detail
    assert "record 4 of bench/gateway has it" in found.detail


def test_a_scan_that_neither_has_is_nobodys_lie() -> None:
    one, other = both(SCANS)
    del one[4], other[4]
    assert compared(one, other) == []


@pytest.mark.parametrize("word", [Event(0, SOURCE_BACK, b""), Event(0, STARTED, b"")], ids=["back", "started"])
def test_a_gap_behind_an_event_is_explained(word: Event) -> None:
    one, other = both(SCANS)
    other[4] = word
    assert compared(one, other) == []
    other[4] = Event(0, "configuration", b"")
    assert len(compared(one, other)) == 1


@pytest.mark.parametrize(("told", "explained"), [(0, False), (1, False), (2, True)])
def test_a_gap_is_explained_by_as_many_missed_scans_as_it_has(told: int, explained: bool) -> None:
    one, other = both(SCANS)
    other[4:6] = []
    other.insert(5, Heartbeat(0, "", (("missed", told),)))
    assert (compared(one, other) == []) is explained


def test_missed_scans_pay_for_one_gap_only() -> None:
    one, other = both(SCANS)
    del other[6], other[3]
    other.insert(4, Heartbeat(0, "", (("missed", 1),)))
    other.append(Heartbeat(0, "", (("missed", 1),)))
    (found,) = compared(one, other)
    assert "it lacks scan 6, boot 1" in found.detail


def test_the_counter_begins_anew_when_the_reader_starts() -> None:
    one, other = both(SCANS)
    other[4:5] = [Heartbeat(0, "", (("missed", 5),)), Event(0, STARTED, b"")]
    del other[-2]
    other.append(Heartbeat(0, "", (("missed", 1),)))
    assert compared(one, other) == []
    other[-1] = Heartbeat(0, "", (("missed", 0),))
    assert len(compared(one, other)) == 1


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("old", [2, 5])
def test_an_old_scan_that_comes_again_is_named(which: int, old: int) -> None:
    logs = both(SCANS)
    logs[which].insert(6, logs[which][old])
    (found,) = compared(*logs)
    assert found.where == f"record 6 of {KEYS[which].name}"
    assert f"scan {old}, boot 1, comes again" in found.detail


def test_an_old_scan_under_a_later_ones_number_is_named() -> None:
    one, other = both(SCANS)
    old = other[2]
    assert isinstance(old, State)
    other[6] = replace(old, scan=6)
    (found,) = compared(one, other)
    assert "of scan 6, boot 1" in found.detail


def test_a_counter_that_wraps_around_does_not_go_back() -> None:
    scans = [(1, (2**32 - 5 + step) % 2**32) for step in range(10)]
    one, other = both(scans)
    assert compared(one, other) == []
    del other[5]
    (found,) = compared(one, other)
    assert "it lacks scan 0, boot 1" in found.detail


def test_what_one_has_beyond_the_end_of_the_other_is_not_judged() -> None:
    one, other = both(SCANS)
    assert compared(one, other[:6]) == []
    assert compared(one[3:], other) == []
    # Nor is a lie there, until the other has gone there as well.
    body = one[7]
    assert isinstance(body, State)
    one[7] = changed(body, 0, TAGS, 1.5)
    assert compared(one, other[:7]) == []
    assert len(compared(one, other)) == 1


def test_who_misses_more_than_is_allowed_by_his_own_word_is_named() -> None:
    for missed, due in ((20, 80), (25, 75)):
        reader = Honest(SCHEMAS[1])
        for number in range(due):
            reader.see((1, number))
        reader.see((1, due + missed - 1))
        side = side_of(log_of(1, reader.bodies), SCHEMAS[1])
        assert (side.missed, len(side.states)) == (missed - 1, due + 1)
        assert bool(check_overload(side, LIMITS)) is (missed > 20)
        assert check_overload(side, replace(LIMITS, missed=0.5)) == []


def test_few_scans_say_nothing_of_overload() -> None:
    reader = Honest(SCHEMAS[1])
    for number in (0, 30, 60):
        reader.see((1, number))
    assert check_overload(side_of(log_of(1, reader.bodies), SCHEMAS[1]), LIMITS) == []


def test_logs_on_disk_are_compared_as_those_in_memory(tmp_path: Path) -> None:
    logs = both(SCANS)
    body = logs[1][5]
    assert isinstance(body, State)
    logs[1][5] = changed(body, 4, SCHEMAS[1], 77)
    sides = []
    for which, role in enumerate((LogRole.GATEWAY, LogRole.READER)):
        folder, key = tmp_path / role.value, KEYS[which]
        genesis = Genesis(key.name, bytes(32), "test", True)
        write(folder, key, [(genesis,), *((one,) for one in logs[which])])
        sides.append(side_of(checked(folder, key, role, "cell"), SCHEMAS[which]))
    (found,) = check_agreement(sides[0], sides[1], LIMITS).findings
    assert found.where == "record 6 of bench/gateway and record 6 of bench/reader"
    assert "mode = 95, the other 77" in found.detail


# Without a scan counter.


def timed(at_ms: int, level: float, *, running: bool, which: int) -> State:
    held: tuple[Value, ...] = (level, 1, running, 1.0, 0)
    raw = tuple(encode(one, value) for one, value in zip(SCHEMAS[which], held, strict=True))
    return State(0, None, None, at_ms * 10**6, raw, (0,) * len(raw))


def ramp(which: int, phase_ms: int, lie: Callable[[int], float] = lambda _: 0.0) -> list[Body]:
    """A level that moves by 1 m a second, read every 200 ms."""
    times = range(phase_ms, 10_000, 200)
    return [timed(at, at / 1000 + lie(at), running=at < 5000, which=which) for at in times]


def test_a_value_that_moves_is_the_same_by_time() -> None:
    assert compared(ramp(0, 0), ramp(1, 90)) == []
    assert compared(ramp(0, 0), ramp(1, 90)[:20]) == []


def test_a_value_apart_from_all_around_it_is_named() -> None:
    found = compared(ramp(0, 0), ramp(1, 90, lambda at: 9.0 if at == 4090 else 0.0))
    assert [one.where.partition(" and ")[0] for one in found] == ["record 20 of bench/reader"]
    assert "level = 13.09" in found[0].detail


def test_a_state_without_a_scan_beside_one_with_is_named() -> None:
    one, other = both(SCANS)
    body = other[5]
    assert isinstance(body, State)
    other.insert(5, replace(body, scan=None))
    (found,) = compared(one, other)
    assert found.where == "record 5 of bench/reader"


# Random interleavings.

SEE, MISS, BEAT, LOSE, START = range(5)


@st.composite
def two_readers(draw: st.DrawFn) -> tuple[list[Body], list[Body]]:
    """A PLC that starts now and then, and two honest readers, each of which misses and loses what it does."""
    readers = tuple(Honest(tags) for tags in SCHEMAS)
    boot, number = 1, draw(st.sampled_from([0, 5, 2**32 - 4]))
    away = [False, False]
    for step in range(draw(st.integers(3, 40))):
        if draw(st.integers(0, 14)) == 0:
            boot, number = boot + 1, 0
        number = (number + 1) % 2**32
        for which, reader in enumerate(readers):
            reader.at = step * SECOND
            act = draw(st.sampled_from([SEE] * 8 + [MISS] * 3 + [BEAT, LOSE, START]))
            if act == START:
                reader.restart()
                away[which] = False
            elif act == LOSE and not away[which]:
                reader.lose()
                away[which] = True
            elif act == BEAT:
                reader.beat()
            elif act != MISS:
                if away[which]:
                    reader.find()
                away[which] = False
            if act in (SEE, BEAT) and not away[which]:
                reader.see((boot, number))
    for reader in readers:
        reader.see((boot, (number + 1) % 2**32))
        reader.see((boot, (number + 2) % 2**32))
    return readers[0].bodies, readers[1].bodies


@given(logs=two_readers())
def test_honest_readers_never_disagree(logs: tuple[list[Body], list[Body]]) -> None:
    assert compared(*logs) == []


def places_of_states(bodies: Sequence[Body]) -> dict[Scan, int]:
    return {
        (body.boot, body.scan): index
        for index, body in enumerate(bodies)
        if isinstance(body, State) and body.scan is not None
    }


@given(logs=two_readers(), data=st.data())
def test_one_false_value_is_found_and_its_scan_is_named(
    logs: tuple[list[Body], list[Body]], data: st.DataObject
) -> None:
    mine, theirs = places_of_states(logs[0]), places_of_states(logs[1])
    scan = data.draw(st.sampled_from(sorted(mine.keys() & theirs.keys())))
    which = data.draw(st.integers(0, 1))
    index = (mine, theirs)[which][scan]
    body = logs[which][index]
    assert isinstance(body, State)
    logs[which][index] = changed(body, 4, SCHEMAS[which], (values(scan)[4] + data.draw(st.integers(1, 99))) % 1000)
    (found,) = compared(*logs)
    assert found.where == f"record {mine[scan]} of bench/gateway and record {theirs[scan]} of bench/reader"
    assert f"of scan {scan[1]}, boot {scan[0]}, the one has mode = " in found.detail


@given(logs=two_readers(), data=st.data())
def test_one_scan_left_out_is_found_and_named(logs: tuple[list[Body], list[Body]], data: st.DataObject) -> None:
    mine, theirs = places_of_states(logs[0]), places_of_states(logs[1])
    which = data.draw(st.integers(0, 1))
    bodies, places = logs[which], (mine, theirs)[which]
    # One that stands between two others, with nothing that would explain its absence.
    fit = [
        scan
        for scan in sorted(mine.keys() & theirs.keys())
        if all(
            isinstance(body, State) and body.scan is not None and body.boot == scan[0]
            for body in bodies[max(0, places[scan] - 1) : places[scan] + 2]
        )
        and 0 < places[scan] < len(bodies) - 1
        and (bodies[places[scan] - 1].scan + 2 - bodies[places[scan] + 1].scan) % 2**32 == 0  # type: ignore[union-attr,operator]
    ]
    if not fit:
        return
    scan = data.draw(st.sampled_from(fit))
    del bodies[places[scan]]
    (found,) = compared(*logs)
    assert f"it lacks scan {scan[1]}, boot {scan[0]}" in found.detail


@given(logs=two_readers(), data=st.data())
def test_one_old_scan_that_comes_again_is_found_and_named(
    logs: tuple[list[Body], list[Body]], data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, 1))
    places = places_of_states(logs[which])
    scan = data.draw(st.sampled_from(sorted(places)))
    at = data.draw(st.integers(places[scan] + 1, len(logs[which])))
    logs[which].insert(at, logs[which][places[scan]])
    found = compared(*logs)
    assert [one.where for one in found if "comes again" in one.detail] == [f"record {at} of {KEYS[which].name}"]


def test_of_several_gaps_in_a_row_the_first_is_named() -> None:
    one, other = both(SCANS)
    del other[7], other[5], other[3]
    other.append(Heartbeat(0, "", (("missed", 0),)))
    (found,) = compared(one, other)
    assert "it lacks scan 3, boot 1" in found.detail
    assert "so it is 2 more time(s)" in found.detail
