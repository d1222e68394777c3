"""A reader was there while the other one read, or says why not; no counter tells when it was not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Body, Event, Genesis, Heartbeat, State
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.ed25519 import SigningKey
from testbed.verify.presence import check_presence
from testbed.verify.trust import LogRole
from tests.verify.writing import checked, write

GATEWAY = SigningKey.from_seed("bench/gateway", b"g" * 32)
READER = SigningKey.from_seed("bench/reader", b"r" * 32)
SECOND = 10**9
LIMIT = 10 * SECOND


def state(second: int, boot: int = 1, *, scan: int | None = None) -> State:
    """The scan of that second; scan 0 of the PLC is in second 0."""
    return State(boot, second if scan is None else scan, None, second * SECOND, (b"\x01",), (0,))


def states(first: int, beyond: int, boot: int = 1) -> list[Body]:
    return [state(second, boot) for second in range(first, beyond)]


def lost(second: int, boot: int = 1) -> list[Body]:
    nothing = State(boot, None, None, second * SECOND, (None,), (0x80310000,))
    return [Event(second * SECOND, SOURCE_LOST, b"no answer"), nothing]


def beats(first: int, beyond: int, wrong: str = "the scan counter stands still") -> list[Body]:
    return [Heartbeat(second * SECOND, wrong, (("missed", 0),)) for second in range(first, beyond)]


def findings(folder: Path, one: Sequence[Body], other: Sequence[Body]) -> list[Finding]:
    logs = []
    for key, role, bodies in ((GATEWAY, LogRole.GATEWAY, one), (READER, LogRole.READER, other)):
        place = folder / role.value
        place.mkdir(parents=True)
        write(place, key, [(Genesis(key.name, bytes(32), "test", True),), *((body,) for body in bodies)])
        logs.append(checked(place, key, role, "cell"))
    swapped = check_presence(logs[1], logs[0], LIMIT)
    found = check_presence(logs[0], logs[1], LIMIT)
    # Who is asked first makes no difference to what is found.
    assert {(one.what, one.where) for one in found} == {(one.what, one.where) for one in swapped}
    return found


def seen(found: Sequence[Finding]) -> list[tuple[What, Layer, str]]:
    assert all(one.verdict is Verdict.INCONCLUSIVE for one in found)
    return [(one.what, one.layer, one.where) for one in found]


def test_two_readers_side_by_side_are_present(tmp_path: Path) -> None:
    assert findings(tmp_path, states(0, 40), states(0, 40)) == []


def test_a_log_that_ends_within_the_limit_is_only_behind(tmp_path: Path) -> None:
    assert findings(tmp_path, states(0, 20), states(0, 31)) == []


def test_a_log_that_ends_and_does_not_say_why_is_silent(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, states(0, 20), states(0, 32))
    assert seen([found]) == [(What.SILENT, Layer.GATEWAY, "behind record 20 of bench/gateway")]
    assert "bench/reader goes on for 11.0 s, from its record 21 on" in found.detail


def test_a_log_that_says_that_its_plc_was_lost_is_not_silent(tmp_path: Path) -> None:
    assert findings(tmp_path, [*states(0, 20), *lost(20)], states(0, 60)) == []


def test_a_plc_that_came_back_without_a_state_is_no_excuse(tmp_path: Path) -> None:
    back = Event(21 * SECOND, SOURCE_BACK, b"")
    assert seen(findings(tmp_path, [*states(0, 20), *lost(20), back], states(0, 60))) == [
        (What.SILENT, Layer.GATEWAY, "behind record 20 of bench/gateway")
    ]


def test_a_reader_whose_wire_shows_an_old_scan_for_ever_disagrees(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, [*states(0, 20), *beats(20, 40)], states(0, 40))
    assert seen([found]) == [(What.DISAGREED, Layer.WIRE, "behind record 20 of bench/gateway")]
    assert found.detail.endswith("either reader or either wire")


def test_a_plc_that_stands_still_for_both_is_no_disagreement(tmp_path: Path) -> None:
    one = [*states(0, 20), *beats(20, 60)]
    assert findings(tmp_path, one, one) == []


def test_a_reader_that_never_read_anything_is_silent_unless_it_says_why(tmp_path: Path) -> None:
    assert seen(findings(tmp_path / "silent", states(0, 20), beats(0, 20, ""))) == [
        (What.SILENT, Layer.GATEWAY, "bench/reader")
    ]
    assert findings(tmp_path / "why", states(0, 20), beats(0, 20, "no answer")) == []


def test_a_restarted_reader_that_cannot_reach_the_plc_says_so_by_its_heartbeats(tmp_path: Path) -> None:
    again: list[Body] = [Event(20 * SECOND, STARTED, b""), *beats(20, 40, "no answer")]
    assert findings(tmp_path, [*states(0, 20), *again], states(0, 40)) == []


def test_states_of_a_start_that_the_other_never_saw_are_named(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, states(0, 30, boot=7), states(0, 30))
    assert seen([found]) == [(What.DISAGREED, Layer.WIRE, "records 1 to 30 of bench/gateway")]
    assert "boot 7, which bench/reader never has: it reads boot 1 meanwhile" in found.detail


def test_a_start_that_the_other_was_away_from_is_believed(tmp_path: Path) -> None:
    # The one reads a second start of the PLC while the other has lost it, and is back for the third.
    one = [*states(0, 20), *states(20, 40, boot=2), *states(40, 60, boot=3)]
    other = [*states(0, 20), *lost(20), *states(40, 60, boot=3)]
    assert findings(tmp_path, one, other) == []


def test_scans_left_out_around_a_start_are_named(tmp_path: Path) -> None:
    whole = [*states(0, 40), *states(42, 60, boot=2)]
    gone = [body for body in whole if isinstance(body, State) and not 33 <= body.receive_time_ns // SECOND < 52]
    (found,) = findings(tmp_path, whole, gone)
    assert seen([found]) == [(What.DISAGREED, Layer.WIRE, "between records 33 and 34 of bench/reader")]
    assert "it lacks 7 scan(s) before the PLC started and 10 after that" in found.detail


@pytest.mark.parametrize("event", [[], [Event(41 * SECOND, SOURCE_BACK, b"")]], ids=["unseen", "seen"])
def test_a_scan_or_two_go_by_while_a_plc_starts(tmp_path: Path, event: list[Body]) -> None:
    whole = [*states(0, 40), *states(90, 110, boot=2)]
    gone = [*states(0, 39), *event, *states(92, 110, boot=2)]
    assert findings(tmp_path, whole, gone) == []


def test_a_counter_that_wraps_around_is_not_behind(tmp_path: Path) -> None:
    wrapping = [state(second, scan=(2**32 - 10 + second) % 2**32) for second in range(30)]
    assert findings(tmp_path, wrapping, wrapping[:-5]) == []
