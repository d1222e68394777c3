"""Whatever a person may set was set by a command that was logged before: nothing else explains a change."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, UNCONFIRMED, Body, Command, Genesis, Peer, State
from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.registers import encode
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.record.commands import command_text
from testbed.verify.commands import check_commands
from testbed.verify.trust import LogRole, TrustedCommands
from tests.verify.writing import checked, write

GATEWAY = SigningKey.from_seed("bench/gateway", b"g" * 32)
OPERATOR = SigningKey.from_seed("bench/operator", b"o" * 32)
STRANGER = SigningKey.from_seed("bench/operator", b"s" * 32)
SECOND = 10**9
START = 1_767_225_600 * SECOND
BAD = 0x80310000


def tag(name: str, type_: DataType, unit: str = "") -> Tag:
    table = ModbusTable.COIL if type_ is DataType.BOOL else ModbusTable.HOLDING_REGISTER
    return Tag(name, type_, unit, 0.0, 100.0, True, ModbusAddress(table, 0), name)


TAGS = (
    tag("plc.scan", DataType.UINT32),
    tag("setpoint", DataType.FLOAT32, "m"),
    tag("mode", DataType.UINT16),
    tag("reset", DataType.BOOL),
)
TRUSTED = TrustedCommands(("setpoint", "mode", "reset"), ("reset",))
Seen = tuple[int, float, int, bool]
"""Boot, set-point in m, mode, button."""


def state(second: int, boot: int = 1, setpoint: float = 1.0, mode: int = 0, *, reset: bool = False) -> State:
    values: tuple[Value, ...] = (second, setpoint, mode, reset)
    raw = tuple(encode(one, value) for one, value in zip(TAGS, values, strict=True))
    return State(boot, second, None, START + second * SECOND, raw, (0,) * len(raw))


def command(name: str, value: Value, outcome: str = INTENDED) -> Command:
    return Command("ann", command_text(name, value), None, "", outcome)


class Bench:
    """An operator's log and a gateway's, written side by side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.operator: list[Sequence[Body]] = [(Genesis(OPERATOR.name, bytes(32), "test", True),)]
        self.gateway: list[Body] = [Genesis(GATEWAY.name, bytes(32), "test", True)]
        self._asked: list[int] = []

    def command(self, name: str, value: Value, outcome: str = INTENDED) -> None:
        self.operator.append((command(name, value, outcome),))

    def know(self) -> None:
        """The gateway keeps the operator's newest checkpoint, which is made when all is written."""
        self.gateway.append(Peer(OPERATOR.name, b""))
        self._asked.append(len(self.operator))

    def see(self, *states: State) -> None:
        self.gateway += states

    def do(self, name: str, value: Value, outcome: str = INTENDED) -> None:
        self.command(name, value, outcome)
        self.know()

    def found(self, trusted: TrustedCommands = TRUSTED, *, cut: int | None = None) -> list[Finding]:
        """cut: how many commits of the operator's log are left, None for all."""
        whole = write(self._folder / "whole", OPERATOR, self.operator)
        asked = iter(self._asked)
        bodies = [
            Peer(body.origin, whole[next(asked) - 1]) if isinstance(body, Peer) and not body.checkpoint else body
            for body in self.gateway
        ]
        write(self._folder / "gateway", GATEWAY, [(body,) for body in bodies])
        left = self._folder / "left"
        write(left, OPERATOR, self.operator[:cut])
        gateway = checked(self._folder / "gateway", GATEWAY, LogRole.GATEWAY, "cell")
        return check_commands(gateway, checked(left, OPERATOR, LogRole.OPERATOR), TAGS, trusted).findings


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def assert_unexplained(found: Sequence[Finding], index: int, change: str) -> None:
    (one,) = found
    assert (one.what, one.layer, one.verdict) == (What.UNEXPLAINED, Layer.PLC, Verdict.INCONCLUSIVE)
    assert (one.origin, one.index, one.where) == (GATEWAY.name, index, f"record {index} of {GATEWAY.name}")
    assert one.detail.startswith(change)


def test_what_stays_as_it_was_needs_no_command(bench: Bench) -> None:
    bench.see(state(1), state(2), state(3))
    assert bench.found() == []


def test_a_logged_command_explains_its_change(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 1.1)
    bench.see(state(2), state(3, setpoint=1.1), state(4, setpoint=1.1))
    assert bench.found() == []


def test_a_change_without_a_command_is_named_with_its_time(bench: Bench) -> None:
    bench.see(state(1), state(2, setpoint=1.5), state(3, setpoint=1.5))
    assert_unexplained(
        bench.found(), 2, "setpoint went from 1 m to 1.5 m, read at 2026-01-01T00:00:02Z, and no logged command says so"
    )


def test_changes_in_a_row_are_one_finding(bench: Bench) -> None:
    bench.see(state(1), state(2, setpoint=1.5), state(3, setpoint=1.5, mode=2), state(4, mode=2))
    found = bench.found()
    assert_unexplained(found, 2, "setpoint went from 1 m to 1.5 m")
    assert "2 more such change(s): record 3: mode went from 0 to 2" in found[0].detail


def test_another_value_than_the_commanded_one_is_not_explained(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 1.25)
    bench.see(state(2, setpoint=1.2500001))
    assert_unexplained(bench.found(), 3, "setpoint went from 1 m to 1.25")


def test_a_command_explains_its_own_tag_only(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("mode", 2)
    bench.see(state(2, setpoint=2.0, mode=2))
    assert_unexplained(bench.found(), 3, "setpoint went from 1 m to 2 m")


def test_a_command_that_the_gateway_did_not_know_of_yet_explains_nothing(bench: Bench) -> None:
    bench.see(state(1), state(2, setpoint=1.5))
    bench.do("setpoint", 1.5)
    bench.see(state(3, setpoint=1.5))
    assert_unexplained(bench.found(), 2, "setpoint went from 1 m to 1.5 m")


def test_a_command_explains_one_change_and_those_before_it_are_used_up(bench: Bench) -> None:
    bench.see(state(1))
    bench.command("setpoint", 2.0)
    bench.do("setpoint", 3.0)
    bench.see(state(2, setpoint=3.0), state(3, setpoint=2.0))
    assert_unexplained(bench.found(), 4, "setpoint went from 3 m to 2 m")


def test_two_commands_explain_two_changes_in_their_order(bench: Bench) -> None:
    bench.see(state(1))
    bench.command("setpoint", 2.0)
    bench.do("setpoint", 3.0)
    bench.see(state(2, setpoint=2.0), state(3, setpoint=3.0))
    assert bench.found() == []


def test_the_same_change_twice_needs_two_commands(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 2.0)
    bench.see(state(2, setpoint=2.0))
    bench.do("setpoint", 1.0)
    bench.see(state(3), state(4, setpoint=2.0))
    assert_unexplained(bench.found(), 6, "setpoint went from 1 m to 2 m")


@pytest.mark.parametrize(("outcome", "explained"), [(CONFIRMED, True), (UNCONFIRMED, True), (REFUSED, False)])
def test_what_the_plc_refused_explains_nothing(bench: Bench, outcome: str, explained: bool) -> None:
    bench.see(state(1))
    bench.do("setpoint", 2.0)
    bench.do("setpoint", 2.0, f"{outcome}: why")
    bench.see(state(2, setpoint=2.0))
    assert (bench.found() == []) is explained


def test_a_button_comes_back_by_itself_and_is_pressed_by_command_only(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("reset", True)
    bench.see(state(2, reset=True), state(3), state(4, reset=True))
    assert_unexplained(bench.found(), 5, "reset went from false to true")


def test_a_mode_does_not_fall_back_by_itself(bench: Bench) -> None:
    bench.see(state(1, mode=1), state(2, mode=0))
    assert_unexplained(bench.found(), 2, "mode went from 1 to 0")


def test_a_plc_that_starts_may_hold_what_it_held_first(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 2.0)
    bench.see(state(2, setpoint=2.0), state(3, 2, setpoint=1.0), state(4, 2, setpoint=1.0))
    assert bench.found() == []


@pytest.mark.parametrize("boot", [1, 2])
def test_a_start_explains_no_other_value(bench: Bench, boot: int) -> None:
    bench.see(state(1), state(2, boot, setpoint=2.0))
    assert_unexplained(bench.found(), 2, "setpoint went from 1 m to 2 m")


def test_without_a_start_nothing_goes_back_to_what_it_was_first(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 2.0)
    bench.see(state(2, setpoint=2.0), state(3, setpoint=1.0))
    assert_unexplained(bench.found(), 4, "setpoint went from 2 m to 1 m")


def test_a_plc_that_was_lost_is_compared_when_it_is_back(bench: Bench) -> None:
    nothing = State(1, None, None, START, (None,) * 4, (BAD,) * 4)
    bench.see(state(1), nothing, state(2), nothing, state(3, setpoint=1.5))
    assert_unexplained(bench.found(), 5, "setpoint went from 1 m to 1.5 m")


def test_a_value_of_bad_status_is_no_change(bench: Bench) -> None:
    bad = replace(state(2, setpoint=9.0), statuses=(0, BAD, 0, 0))
    bench.see(state(1), bad, state(3))
    assert bench.found() == []


def test_tags_that_the_trust_file_does_not_name_may_change(bench: Bench) -> None:
    bench.see(state(1), state(2, setpoint=1.5))
    assert bench.found(TrustedCommands(("mode",))) == []


# The checkpoints that the gateway keeps.


def test_a_checkpoint_that_the_operator_never_signed_was_invented_by_the_gateway(bench: Bench) -> None:
    bench.gateway.append(Peer(OPERATOR.name, sign_checkpoint(Checkpoint(OPERATOR.name, 1, b"r" * 32), STRANGER)))
    bench.see(state(1))
    (one,) = bench.found()
    assert (one.what, one.layer, one.verdict) == (What.INVENTED, Layer.GATEWAY, Verdict.FALSIFIED)
    assert (one.origin, one.index) == (GATEWAY.name, 1)


def test_a_checkpoint_off_the_operators_tree_shows_a_fork(bench: Bench) -> None:
    bench.command("setpoint", 2.0)
    bench.gateway.append(Peer(OPERATOR.name, sign_checkpoint(Checkpoint(OPERATOR.name, 2, b"r" * 32), OPERATOR)))
    (one,) = bench.found()
    assert (one.what, one.layer, one.verdict) == (What.FORKED, Layer.LOG, Verdict.FALSIFIED)
    assert one.where == "checkpoint of bench/operator, size 2"
    assert "record 1 of bench/gateway" in one.detail


def test_commands_that_were_made_anew_explain_nothing_and_accuse_nobody_else(bench: Bench) -> None:
    bench.see(state(1))
    bench.command("setpoint", 3.0)
    # The gateway has seen another command in its place.
    bench.gateway.append(Peer(OPERATOR.name, sign_checkpoint(Checkpoint(OPERATOR.name, 2, b"r" * 32), OPERATOR)))
    bench.see(state(2, setpoint=2.0))
    (one,) = bench.found()
    assert (one.what, one.origin) == (What.FORKED, OPERATOR.name)


def test_an_operators_log_that_was_cut_back_is_named_and_accuses_nobody_else(bench: Bench) -> None:
    bench.see(state(1))
    bench.do("setpoint", 2.0)
    bench.see(state(2, setpoint=2.0))
    (one,) = bench.found(cut=1)
    assert (one.what, one.layer, one.verdict) == (What.ROLLED_BACK, Layer.LOG, Verdict.FALSIFIED)
    assert (one.origin, one.index) == (OPERATOR.name, 1)
    assert "record 2 of bench/gateway" in one.detail
