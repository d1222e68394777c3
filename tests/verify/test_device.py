"""What a PLC signed: each way to be false is found at its record, in one finding a run, and the rest is let be."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import State
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode, encode
from testbed.record.device_frame import MOST_IMAGE, Form, decode_frame
from testbed.verify.crew import Crew
from testbed.verify.device import CheckedDevice, DeviceView, Mark, check_device
from testbed.verify.dropped import take_dropped
from testbed.verify.sides import side_of
from tests.verify.readings import BY_OPCUA, GATEWAY, TAGS, checked
from tests.verify.signing import DEVICE, STRANGER, signed, state

ORIGIN = GATEWAY.name
VIEW = DeviceView("cell", DEVICE.verifier(), TAGS)


def check(states: Sequence[State]) -> CheckedDevice:
    """A log that holds these and nothing else."""
    return check_device(ORIGIN, enumerate(states), VIEW)


def changed(one: State, by: float = 0.5) -> State:
    """Another level than the device signed."""
    level, *others = one.values
    value = decode(TAGS[0], level)
    return replace(one, values=(encode(TAGS[0], float(value) + by), *others))


def only(result: CheckedDevice) -> Finding:
    (found,) = result.findings
    assert found.origin == ORIGIN
    return found


def test_states_as_the_device_signed_them_are_counted() -> None:
    result = check([state(scan) for scan in range(1, 6)])
    assert (result.findings, len(result.states), result.signed_below(5), result.signed_below(3)) == ([], 5, 5, 3)


def test_both_readers_are_held_against_one_signature() -> None:
    """The bytes that OPC UA brings are in another order; the device signed them once."""
    by_opcua = DeviceView("cell", DEVICE.verifier(), BY_OPCUA)
    mine = state(7)
    raws = tuple(encode(tag, decode(one, raw)) for one, tag, raw in zip(TAGS, BY_OPCUA, mine.values, strict=True))
    assert by_opcua.examine(replace(mine, values=raws)).mark is Mark.SIGNED
    assert by_opcua.examine(mine).mark is Mark.ALTERED


def test_another_value_than_was_signed_is_altered_by_whoever_logged_it() -> None:
    result = check([state(1), changed(state(2)), state(3)])
    found = only(result)
    assert (found.what, found.layer, found.verdict) == (What.ALTERED, Layer.GATEWAY, Verdict.FALSIFIED)
    assert (found.where, found.index) == (f"record 1 of {ORIGIN}", 1)
    assert found.detail == "cell signed level = 0.0149999997 in scan 2, boot 1; it has 0.514999986"
    assert (result.signed_below(3), 1 in result.bad, 0 in result.bad) == (2, True, False)


def test_another_scan_than_was_signed_is_altered() -> None:
    found = only(check([replace(state(4), scan=5)]))
    assert found.what is What.ALTERED
    assert found.detail == "its frame is of scan 4, boot 1, and it says that it is scan 5, boot 1"


@given(st.data())
def test_no_bit_of_frame_signature_or_value_can_be_another(data: st.DataObject) -> None:
    one = state(3)
    assert one.frame is not None
    assert one.signature is not None
    parts = [one.frame, one.signature, *one.values]
    place = data.draw(st.integers(0, len(parts) - 1))
    part = bytearray(parts[place] or b"")
    bit = data.draw(st.integers(0, 8 * len(part) - 1))
    part[bit // 8] ^= 1 << bit % 8
    if place == 0:
        other, mark = replace(one, frame=bytes(part)), Mark.FORGED
    elif place == 1:
        other, mark = replace(one, signature=bytes(part)), Mark.FORGED
    else:
        values = list(one.values)
        values[place - 2] = bytes(part)
        other, mark = replace(one, values=tuple(values)), Mark.ALTERED
    assert VIEW.examine(other).mark is mark
    assert VIEW.examine(one).mark is Mark.SIGNED


def test_a_frame_by_another_key_is_forged() -> None:
    found = only(check([state(1), signed(changed(state(2)), key=STRANGER)]))
    assert (found.what, found.layer, found.verdict, found.index) == (What.FORGED, Layer.WIRE, Verdict.FALSIFIED, 1)


def test_a_frame_is_not_taken_for_one_of_other_tags() -> None:
    renamed = tuple(replace(tag, name=f"other.{tag.name}") for tag in TAGS)
    assert VIEW.examine(state(1, tags=renamed)).mark is Mark.FORGED


def test_a_counter_that_goes_back_is_replayed_and_what_follows_it_is_not() -> None:
    states = [state(1), state(2), state(3), state(1), state(4), state(4), state(5)]
    again, twice = check(states).findings
    assert [(one.what, one.layer, one.index) for one in (again, twice)] == [
        (What.REPLAYED, Layer.WIRE, 3),
        (What.REPLAYED, Layer.WIRE, 5),
    ]
    assert again.detail == "its frame is of scan 1, boot 1, behind one of scan 3, boot 1"
    assert twice.detail == "scan 4, boot 1 stands there a second time"


def test_a_start_of_the_plc_that_comes_again_is_replayed() -> None:
    assert check([state(8), state(1, boot=2), state(2, boot=2)]).findings == []
    found = only(check([state(8), state(1, boot=2), state(9), state(2, boot=2)]))
    assert (found.what, found.index) == (What.REPLAYED, 2)


def test_one_counter_with_two_images_is_replayed() -> None:
    found = only(check([state(1), signed(changed(state(1)))]))
    assert (found.what, found.detail) == (
        What.REPLAYED,
        "scan 1, boot 1 stands there a second time, with other values",
    )


def test_a_counter_goes_on_at_0_after_its_last_value() -> None:
    assert check([state(2**32 - 1), state(0), state(1)]).findings == []


def test_states_without_a_frame_are_one_finding_that_counts_them() -> None:
    states = [replace(state(scan), frame=None, signature=None) if scan > 2 else state(scan) for scan in range(500)]
    result = check(states)
    found = only(result)
    assert (found.what, found.layer, found.verdict) == (What.STRIPPED, Layer.GATEWAY, Verdict.INCONCLUSIVE)
    assert (found.where, found.index) == (f"record 3 of {ORIGIN}", 3)
    assert found.detail == "cell signs its scans: it has no signed frame; so are 496 more, up to record 499"
    # They may be true: others are compared with them.
    assert (result.signed_below(500), len(result.bad), len(result.states)) == (3, 0, 500)


def test_a_run_of_false_states_is_one_finding_with_its_range() -> None:
    states = [changed(state(scan)) if 10 <= scan < 20 or scan == 30 else state(scan) for scan in range(40)]
    run, single = check(states).findings
    assert (run.where, run.index) == (f"records 10 to 19 of {ORIGIN}", 10)
    assert run.detail.startswith("10 states; of the first: cell signed level = ")
    assert (single.where, single.index) == (f"record 30 of {ORIGIN}", 30)


def test_many_runs_do_not_fill_a_report() -> None:
    states = [changed(state(scan)) if scan % 2 else state(scan) for scan in range(100)]
    findings = check(states).findings
    assert [one.index for one in findings] == list(range(1, 40, 2))
    assert findings[-1].detail.endswith("; so are 30 more, up to record 99")


def test_a_state_that_says_that_the_plc_was_lost_is_nobodys_to_sign() -> None:
    lost = State(1, None, None, 0, (None,) * len(TAGS), (0,) * len(TAGS))
    result = check([state(1), lost, state(2)])
    assert (result.findings, len(result.states)) == ([], 2)


def test_a_value_that_was_not_read_leaves_the_others_to_their_signature() -> None:
    one = state(6)
    part = replace(one, values=(None, *one.values[1:]))
    assert VIEW.examine(part).mark is Mark.SIGNED
    assert VIEW.examine(replace(changed(one), values=(*changed(one).values[:3], None))).mark is Mark.ALTERED


def wide(count: int) -> tuple[Tag, ...]:
    return tuple(replace(TAGS[1], name=f"flow{place}") for place in range(count))


@pytest.mark.parametrize("count", [MOST_IMAGE // 8, MOST_IMAGE // 8 + 1])
def test_an_image_that_is_too_long_is_checked_by_its_digest(count: int) -> None:
    tags = wide(count)
    view = DeviceView("cell", DEVICE.verifier(), tags)
    values = tuple(encode(tag, place / 7) for place, tag in enumerate(tags))
    one = signed(State(1, 1, None, 0, values, (0,) * count), tags)
    assert one.frame is not None
    whole = decode_frame(one.frame).form is Form.WHOLE
    assert whole is (8 * count <= MOST_IMAGE)
    assert view.examine(one).mark is Mark.SIGNED
    last = encode(tags[-1], 9.5)
    assert view.examine(replace(one, values=(*values[:-1], last))).mark is Mark.ALTERED
    # What was not read cannot be put back where only a digest speaks for it.
    part = replace(one, values=(*values[:-1], None))
    assert view.examine(part).mark is (Mark.SIGNED if whole else Mark.STRIPPED)


def test_a_gap_between_two_signed_scans_is_dropped_unless_the_reader_owns_up() -> None:
    states = [state(1), state(2), state(5), state(6), state(8)]
    side = side_of(checked(GATEWAY, states), TAGS)
    (found,) = take_dropped(side, "cell", check(states).unsigned)
    assert (found.what, found.layer, found.verdict) == (What.DROPPED, Layer.WIRE, Verdict.INCONCLUSIVE)
    assert (found.where, found.index) == (f"between records 1 and 2 of {ORIGIN}", 2)
    assert found.detail == (
        "by the counter that cell signs it lacks 2 scans from 3 on, boot 1, and it does not own up to that;"
        " so it is 1 more time(s), 1 scan(s)"
    )
    assert side.gaps == []


def test_a_gap_beside_a_state_without_a_frame_is_left_to_other_readers() -> None:
    states = [state(1), replace(state(4), frame=None, signature=None), state(5)]
    side = side_of(checked(GATEWAY, states), TAGS)
    assert take_dropped(side, "cell", check(states).unsigned) == []
    assert len(side.gaps) == 1


def test_a_false_state_makes_no_gap() -> None:
    states = [state(1), state(2), changed(state(3)), state(4)]
    result = check(states)
    side = side_of(checked(GATEWAY, states), TAGS, result.bad)
    assert (side.gaps, list(side.states)) == ([], [(1, 1), (1, 2), (1, 4)])


def test_several_processes_find_what_one_finds() -> None:
    states = [changed(state(scan)) if scan % 999 == 5 else state(scan) for scan in range(3000)]
    with Crew(2) as crew:
        helped = check_device(ORIGIN, enumerate(states), VIEW, crew)
        assert len(crew.pids) == 2
    alone = check(states)
    assert helped.findings == alone.findings
    assert [one.index for one in helped.findings] == [5, 1004, 2003]
    assert helped.signed_below(3000) == alone.signed_below(3000) == 2997


def test_a_later_frame_in_a_states_place_makes_no_other_state_false() -> None:
    states = [state(scan) for scan in range(1, 8)]
    later = states[5]
    states[2] = replace(states[2], frame=later.frame, signature=later.signature)
    found = only(check(states))
    assert (found.what, found.layer, found.index) == (What.ALTERED, Layer.GATEWAY, 2)
