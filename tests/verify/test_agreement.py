"""What real gateways log of one PLC, whatever happens to it and to them, never disagrees; one lie in it always does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Body, Event, Genesis, Heartbeat, State
from testbed.core.clock import VirtualClock
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode, encode
from testbed.verify.presence import check_presence
from testbed.verify.readers import CheckedAgreement, check_agreement
from testbed.verify.sides import side_of
from testbed.verify.trust import Agreement
from tests.verify.readings import BY_OPCUA, GATEWAY, READER, TAGS, TICK_NS, Plc, Reading, checked, values_of

LIMITS = Agreement()
LOST = (Event(0, SOURCE_LOST, b"gone"), State(1, None, None, 0, (None,) * 4, (0x80310000,) * 4))
BACK = Event(0, SOURCE_BACK, b"")
RESTART = Event(0, STARTED, b"")


def state(scan: int, boot: int = 1, tags: Sequence[Tag] = TAGS) -> State:
    return State(boot, scan, None, scan * 2 * TICK_NS, values_of(tags, boot, scan), (0,) * len(tags))


def missed(count: int) -> Heartbeat:
    return Heartbeat(0, "", (("missed", count), ("retries", 0)))


def gateway(*scans: int | Body) -> list[Body]:
    return [Genesis(GATEWAY.name, bytes(32), "test", False), *(state(s) if isinstance(s, int) else s for s in scans)]


def reader(*scans: int | Body) -> list[Body]:
    bodies = (state(s, tags=BY_OPCUA) if isinstance(s, int) else s for s in scans)
    return [Genesis(READER.name, bytes(32), "test", False), *bodies]


def compared(
    one: Sequence[Body], other: Sequence[Body], left_out: Sequence[int] = (), limits: Agreement = LIMITS
) -> CheckedAgreement:
    a = side_of(checked(GATEWAY, one, left_out), TAGS)
    b = side_of(checked(READER, other), BY_OPCUA)
    result, turned = check_agreement(a, b, limits), check_agreement(b, a, limits)
    # Who is asked first makes no difference to how much is found.
    assert (len(turned.findings), turned.scans) == (len(result.findings), result.scans)
    return result


def the_one(found: Sequence[Finding]) -> str:
    """What the one finding says; it blames neither reader alone."""
    (one,) = found
    assert (one.what, one.layer, one.verdict) == (What.DISAGREED, Layer.WIRE, Verdict.INCONCLUSIVE)
    assert (one.origin, one.index) == ("", None)
    assert GATEWAY.name in str(one)
    assert READER.name in str(one)
    assert one.detail.endswith("either reader or either wire")
    return str(one)


def changed(body: Body, place: int, at: int) -> State:
    assert isinstance(body, State)
    raw = body.values[place]
    assert raw is not None
    values = list(body.values)
    values[place] = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    return replace(body, values=tuple(values))


def with_level(body: Body, raw: bytes | None, status: int = 0) -> State:
    assert isinstance(body, State)
    return replace(body, values=(raw, *body.values[1:]), statuses=(status, *body.statuses[1:]))


def test_the_readers_have_other_bytes_for_the_same_values() -> None:
    for tag, opcua, raw, theirs in zip(TAGS, BY_OPCUA, values_of(TAGS, 1, 5), values_of(BY_OPCUA, 1, 5), strict=True):
        assert decode(tag, raw) == decode(opcua, theirs)
        assert tag.type.size == 1 or raw != theirs


# Values that are none.

NAN, OTHER_NAN = encode(TAGS[0], float("nan")), bytes.fromhex("00017fc0")
NAN_BY_OPCUA = encode(BY_OPCUA[0], float("nan"))
BAD, UNCERTAIN = 0x80000000, 0x40000000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((NAN, 0), (NAN_BY_OPCUA, 0)),
        ((OTHER_NAN, 0), (NAN_BY_OPCUA, 0)),
        ((NAN, 0), (None, BAD)),
        ((None, BAD), (None, BAD)),
        ((encode(TAGS[0], 1.5), UNCERTAIN), (encode(BY_OPCUA[0], 1.5), 0)),
    ],
    ids=["failed sensor", "another no-number", "failed on one protocol", "bad for both", "uncertain"],
)
def test_a_sensor_that_failed_is_no_disagreement(one: tuple[bytes, int], other: tuple[bytes, int]) -> None:
    a, b = gateway(1, 2, 3), reader(1, 2, 3)
    a[2], b[2] = with_level(a[2], *one), with_level(b[2], *other)
    assert compared(a, b).findings == []


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ((encode(TAGS[0], 1.5), BAD), "nothing usable"),
        ((None, 0), "nothing usable"),
        ((NAN, 0), "nan"),
        ((b"\x00", 0), "nothing usable"),
        ((encode(TAGS[0], -0.0), 0), "-0"),
    ],
    ids=["called bad", "left out", "no number", "other bytes", "another sign"],
)
def test_a_value_cannot_be_hidden(one: tuple[bytes | None, int], said: str) -> None:
    a, b = gateway(1, 2, 3), reader(1, 2, 3)
    a[2], b[2] = with_level(a[2], *one), with_level(b[2], encode(BY_OPCUA[0], 0.0))
    assert f"the one has level = {said}, the other 0:" in the_one(compared(a, b).findings)


def test_a_state_of_fewer_values_hides_them() -> None:
    a, b = gateway(1, 2, 3), reader(1, 2, 3)
    assert isinstance(a[2], State)
    a[2] = replace(a[2], values=a[2].values[:3], statuses=a[2].statuses[:3])
    assert "the one has count = nothing usable, the other 2" in the_one(compared(a, b).findings)


def test_only_tags_that_both_read_are_compared() -> None:
    few = TAGS[1:3]
    bodies: list[Body] = [
        replace(state(scan), values=values_of(TAGS, 1, scan)[1:3], statuses=(0, 0)) for scan in (1, 2, 3)
    ]
    other = side_of(checked(READER, reader(1, 2, 3)), BY_OPCUA)
    assert check_agreement(side_of(checked(GATEWAY, bodies), few), other, LIMITS) == CheckedAgreement(3, [])
    bodies[1] = changed(bodies[1], 1, 0)
    result = check_agreement(side_of(checked(GATEWAY, bodies), few), other, LIMITS)
    assert "the one has on = false, the other true" in the_one(result.findings)


# Scans that are missing.


@pytest.mark.parametrize(
    "one",
    [
        gateway(1, 2, 3, 5, missed(1), 6),
        gateway(1, 2, 6, missed(3), 7, missed(3)),
        gateway(1, 3, missed(1), 5, missed(2), 6),
        gateway(1, 2, RESTART, 6),
        gateway(1, 2, *LOST, BACK, 6),
        gateway(1, 2, *LOST, 6),
        gateway(4, 5, 6),
        gateway(1, 2),
        gateway(1, 3, missed(1), RESTART, 4, 6, missed(1)),
    ],
    ids=["late", "later", "twice", "restart", "lost", "not said to be back", "began late", "behind", "counts anew"],
)
def test_scans_that_a_reader_owns_up_to_are_believed(one: list[Body]) -> None:
    assert compared(one, reader(*range(1, 8))).findings == []


@pytest.mark.parametrize(
    "one",
    [
        gateway(1, 2, 3, 5, 6),
        gateway(1, 2, 3, 5, missed(0), 6),
        gateway(1, 2, 5, missed(1), 6),
        gateway(1, 3, missed(1), 5, missed(1), 6),
        gateway(1, missed(1), 2, 3, 5, 6, missed(1)),
        gateway(1, 2, 3, missed(5), RESTART, 4, 6, missed(0)),
        gateway(1, 2, 3, 5, RESTART, 6, missed(1)),
    ],
    ids=["no word", "none", "too few", "one of two", "before", "before the restart", "after the restart"],
)
def test_a_count_covers_no_more_than_it_says(one: list[Body]) -> None:
    assert "does not own up" in the_one(compared(one, reader(*range(1, 8))).findings)


def test_gaps_over_the_wrap_around_are_as_long_as_they_are() -> None:
    scans = [(2**32 - 2 + step) % 2**32 for step in range(6)]
    assert compared(gateway(scans[0], scans[5], missed(4)), reader(*scans)).findings == []
    assert compared(gateway(scans[0], scans[5], missed(3)), reader(*scans)).findings != []
    assert "lacks scan 0" in the_one(compared(gateway(scans[0], scans[5]), reader(0, scans[5])).findings)
    assert compared(gateway(scans[0], scans[5]), reader(scans[5], 77)).findings == []


def test_what_is_not_genuine_is_a_finding_elsewhere() -> None:
    one = gateway(1, 2, 3, 4, 6, missed(1), 7)
    for index in range(1, len(one)):
        assert compared(one, reader(*range(1, 8)), [index]).findings == [], index
    # A start that is not to be had begins the count anew.
    assert compared(gateway(1, 3, missed(1), RESTART, 4, 6, missed(1)), reader(*range(1, 8)), [4]).findings == []


# Scans that come again.


@pytest.mark.parametrize(
    ("one", "record", "scan"),
    [
        (gateway(1, 2, 3, 3, 5, 6), 4, 3),
        (gateway(1, 2, 3, 2, 5, 6), 4, 2),
        (gateway(1, 3, missed(1), 4, 2, 6, 7), 5, 2),
        (gateway(1, 2, 3, 1003, 5, 6), 5, 5),
        (gateway(1, 2, 3, 1003, missed(999), 5, 6), 6, 5),
        (gateway(1, 2, 3, state(3, 2), 5, 6), 5, 5),
        (gateway(1, 2, RESTART, 2, 3), 4, 2),
    ],
    ids=["twice", "back", "back to a missed one", "ahead", "ahead, owned up", "another boot", "at a restart"],
)
def test_a_counter_never_goes_back(one: list[Body], record: int, scan: int) -> None:
    said = the_one(compared(one, reader(*range(1, 8))).findings)
    assert f"record {record} of {GATEWAY.name}: scan {scan}, boot 1, comes again or goes back behind scan" in said


def test_a_start_of_the_plc_counts_anew() -> None:
    one = gateway(1, 2, 3, *LOST, BACK, state(1, 2), state(2, 2))
    other = reader(1, 2, 3, *LOST, BACK, state(1, 2, BY_OPCUA), state(2, 2, BY_OPCUA))
    assert compared(one, other) == CheckedAgreement(5, [])


def test_a_counter_that_goes_back_for_both_is_the_plcs() -> None:
    assert compared(gateway(7, 8, 2, 3), reader(7, 8, 2, 3)).findings == []


def test_a_state_that_hides_its_counter_is_found() -> None:
    one = gateway(1, 2, 3, 4, 5)
    one.insert(4, replace(state(3), scan=None))
    said = the_one(compared(one, reader(*range(1, 6))).findings)
    assert f"record 4 of {GATEWAY.name}: it has values and no scan" in said


# Without a scan counter.


def ramp(at: int, tags: Sequence[Tag], shift: float = 0.0, *, on: bool = True) -> State:
    """A state at 10 per second; the level rises by 0.1 a second of its 2."""
    values = (0.01 * (at + 10 * shift), 5.0, on, 7)
    raw = tuple(encode(tag, value) for tag, value in zip(tags, values, strict=True))
    return State(1, None, None, 10**9 + at * 2 * TICK_NS + int(shift * 1e9), raw, (0,) * 4)


@pytest.mark.parametrize("shift", [0.0, 0.03, -0.07, 0.4])
def test_states_without_a_counter_belong_together_by_time(shift: float) -> None:
    one = gateway(*(ramp(at, TAGS) for at in range(40)))
    other = reader(*(ramp(at, BY_OPCUA, shift) for at in range(40)))
    assert compared(one, other).findings == []
    for place, false in enumerate((1.9, 9.0, False, 2000)):
        body = one[21]
        assert isinstance(body, State)
        values = (*body.values[:place], encode(TAGS[place], false), *body.values[place + 1 :])
        lie = [*one[:21], replace(body, values=values), *one[22:]]
        found = compared(lie, other).findings
        assert any(f"record 21 of {GATEWAY.name} and records " in f.where and READER.name in f.where for f in found)
        assert all((f.what, f.origin) == (What.DISAGREED, "") for f in found)


def test_the_deadband_is_the_trust_files() -> None:
    # The level of the one is always 0.3 ahead of the other's, of which a window of half a second spans 0.05.
    one = gateway(*(replace(ramp(at, TAGS, 3.0), receive_time_ns=10**9 + at * 2 * TICK_NS) for at in range(40)))
    other = reader(*(ramp(at, BY_OPCUA) for at in range(40)))
    assert compared(one, other, limits=Agreement(deadband=0.16)).findings == []
    assert compared(one, other, limits=Agreement(deadband=0.1)).findings != []


def test_a_state_beyond_the_end_of_the_other_log_is_not_judged_by_time() -> None:
    one, other = gateway(*(ramp(at, TAGS) for at in range(40))), reader(*(ramp(at, BY_OPCUA) for at in range(20)))
    one[22] = replace(ramp(21, TAGS), values=ramp(100, TAGS, on=False).values)
    assert compared(one, other).findings == []


# Whatever happens on a bench.

KINDS = ("value", "replay", "omission", "rewind")
_HAPPENS = ["scan", "a", "b", "scan", "a", "b", "both"] * 8 + [
    *("restart", "lost", "back", "kill a", "kill b", "cut a", "cut b", "mend"),
    *("scan a", "scan b", "scans"),
]
Logs = tuple[list[Body], list[Body]]


@st.composite
def benches(draw: st.DrawFn) -> Logs:
    """Logs of two honest readers of one PLC: they poll when they come to it, and are killed, cut off and started."""
    plc, clock = Plc(scan=draw(st.sampled_from([0, 1, 1000, 2**32 - 5, 2**32 - 30]))), VirtualClock(10**18)
    commits = draw(st.sampled_from([0, TICK_NS, 6 * TICK_NS])), draw(st.sampled_from([0, TICK_NS]))
    a = Reading(plc, TAGS, clock, GATEWAY, commits[0])
    b = Reading(plc, BY_OPCUA, clock, READER, commits[1])
    for happens in draw(st.lists(st.sampled_from(_HAPPENS), min_size=10, max_size=150)):
        clock.advance(TICK_NS)
        if happens.startswith("scan"):
            for _ in range(4 if happens == "scans" else 1):
                plc.step()
        if happens in ("a", "both", "scan a"):
            a.poll()
        if happens in ("b", "both", "scan b"):
            b.poll()
        if happens == "restart":
            plc.restart(draw(st.sampled_from([0, 2**32 - 3])))
        elif happens in ("lost", "back"):
            plc.lost = happens == "lost"
        elif happens.startswith("kill"):
            (a if happens == "kill a" else b).kill()
        elif happens.startswith("cut"):
            (a if happens == "cut a" else b).wire.cut = True
        elif happens == "mend":
            a.wire.cut = b.wire.cut = False
    # Logs are read one after another.
    return a.end(draw(st.integers(0, 3))), b.end(draw(st.integers(0, 1)))


def _scans(bodies: Sequence[Body]) -> set[tuple[int, int]]:
    return {(one.boot, one.scan) for one in bodies if isinstance(one, State) and one.scan is not None}


@given(logs=benches())
@settings(max_examples=100, deadline=None)
def test_honest_readers_never_disagree(logs: Logs) -> None:
    one, other = logs
    assert compared(one, other) == CheckedAgreement(len(_scans(one) & _scans(other)), [])
    assert check_presence(checked(GATEWAY, one), checked(READER, other), 10 * 10**9) == []


def _lied(kind: str, bodies: list[Body], at: int, theirs: set[tuple[int, int]]) -> list[Body]:
    """The log with one lie at that record; [] where there is nothing to lie about, or the other log could not tell."""
    body = bodies[at]
    if not isinstance(body, State) or body.scan is None:
        return []
    before = [s for s in bodies[:at] if isinstance(s, State) and s.boot == body.boot and s.scan is not None]
    if kind != "rewind" and (body.boot, body.scan) not in theirs:
        return []
    if kind == "value":
        return [*bodies[:at], changed(body, at % 4, 0), *bodies[at + 1 :]]
    if not before:
        return []
    if kind == "omission":
        # What is left out at the edge of a reading is not a gap.
        told = [i for i, other in enumerate(bodies) if isinstance(other, State | Event) and i != at]
        ends = [max(i for i in told if i < at), min((i for i in told if i > at), default=0)]
        around = [bodies[i] for i in ends]
        if not all(isinstance(s, State) and s.boot == body.boot and s.scan is not None for s in around):
            return []
        return [*bodies[:at], *bodies[at + 1 :]]
    false = replace(body, values=before[-1].values)
    if kind == "rewind":
        false = replace(before[-1], receive_time_ns=body.receive_time_ns)
    return [*bodies[:at], false, *bodies[at + 1 :]]


@given(logs=benches(), kind=st.sampled_from(KINDS), swapped=st.booleans(), place=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_one_lie_is_one_disagreement(logs: Logs, kind: str, swapped: bool, place: int) -> None:
    liar, honest = logs[::-1] if swapped else logs
    able = [false for at in range(len(liar)) if (false := _lied(kind, liar, at, _scans(honest)))]
    assume(able)
    false = able[place % len(able)]
    result = compared(honest, false) if swapped else compared(false, honest)
    said = the_one(result.findings)
    assert "more time" not in said
    expected = {"value": " = ", "replay": " = ", "omission": "it lacks scan", "rewind": "comes again or goes back"}
    assert expected[kind] in said
