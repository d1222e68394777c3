"""Any row of commands to a PLC is explained, however it is read; one change that no log knows of is not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from testbed.acquire.beside import PeerWatch
from testbed.acquire.gateway import Gateway
from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, STARTED, UNCONFIRMED, Body, Command, Event, Genesis, State
from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.identity import Identity
from testbed.core.tags import DataType, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode, encode
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body
from testbed.record.commands import command_text
from testbed.verify.commands import CheckedCommands, check_commands
from testbed.verify.log import CheckedLog
from testbed.verify.trust import LogRole, TrustedCommands, TrustedLog
from tests.verify.readings import GATEWAY, TICK_NS, Records, checked, tag

OPERATOR = SigningKey.from_seed("bench/operator", b"o" * 32)
SETPOINT, MODE, RESET = (
    tag("setpoint", DataType.FLOAT32, 0.0, 2.0),
    tag("mode", DataType.INT16, 0, 3),
    tag("reset", DataType.BOOL, 0, 1),
)
TAGS = (SETPOINT, MODE, RESET, tag("level", DataType.FLOAT32, 0.0, 2.0))
FIRST: dict[str, Value] = {"setpoint": 1.0, "mode": 2, "reset": False}
VALUES: dict[str, list[Value]] = {"setpoint": [0.5, 1.0, 1.5], "mode": [0, 2, 3], "reset": [True]}
TRUSTED = TrustedCommands(("setpoint", "mode", "reset"), ("reset",))


@dataclass
class Plc:
    """Takes writes at its next scan; a button falls back in the scan after."""

    boot: int = 1
    scan: int = 0
    lost: bool = False
    shown: dict[str, Value] = field(default_factory=lambda: dict(FIRST))
    writes: list[tuple[str, Value]] = field(default_factory=list)

    def step(self) -> None:
        self.scan += 1
        self.shown = {**self.shown, "reset": False, **dict(self.writes)}
        self.writes.clear()

    def restart(self) -> None:
        self.boot, self.scan = self.boot + 1, 0
        self.shown = dict(FIRST)
        self.writes.clear()


@dataclass
class Wire:
    """The gateway's connection."""

    plc: Plc
    repeats: int = 0
    boot: int | None = None

    async def connect(self) -> None:
        if self.plc.lost:
            raise DeviceError("no connection")
        self.boot = self.plc.boot

    async def identify(self) -> Identity:
        return Identity()

    async def poll(self) -> Poll:
        if self.plc.lost or self.boot != self.plc.boot:
            raise DeviceError("no answer")
        values = {**self.plc.shown, "level": self.plc.scan % 20 / 10}
        return Poll(self.plc.boot, self.plc.scan, tuple(encode(one, values[one.name]) for one in TAGS))

    async def close(self) -> None:
        self.boot = None


@dataclass
class Run:
    """One bench: a PLC, an operator who commands it, a gateway that reads it."""

    plc: Plc = field(default_factory=Plc)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(10**18))
    log: Records = field(default_factory=Records)
    operator: list[Body] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log.append([("cell", Genesis(GATEWAY.name, bytes(32), "test", False))])
        self._record(Genesis(OPERATOR.name, bytes(32), "test", False))
        self.gateway = self._gateway()

    def _gateway(self) -> Gateway:
        logged = [(s.boot, s.scan) for s in self.log.bodies if isinstance(s, State) and s.scan is not None]
        watch = PeerWatch(OPERATOR.verifier(), lambda: (len(self.operator), self.notes[-1]))
        wire, newest = Wire(self.plc), logged[-1] if logged else None
        return Gateway("cell", wire, self.log, self.clock, 10**9, newest, beside=(watch,))

    def _record(self, body: Body) -> None:
        self.operator.append(body)
        root = Tree(map(leaf_hash, map(encode_body, self.operator))).root()
        self.notes.append(sign_checkpoint(Checkpoint(OPERATOR.name, len(self.operator), root), OPERATOR))

    def scan(self) -> None:
        self.clock.advance(TICK_NS)
        self.plc.step()

    def poll(self) -> None:
        self.clock.advance(TICK_NS)
        asyncio.run(self.gateway.step())

    def both(self) -> None:
        self.scan()
        self.poll()

    def kill(self) -> None:
        self.log.append([("cell", Event(self.clock.now_ns(), STARTED, b""))])
        self.gateway = self._gateway()

    def intend(self, name: str, value: Value) -> None:
        self._record(Command("eve", command_text(name, value), None, "", INTENDED))

    def end(self, name: str, value: Value, outcome: str) -> None:
        self._record(Command("eve", command_text(name, value), None, "", f"{outcome}: so"))

    def write(self, name: str, value: Value) -> None:
        """As the operator does: logged, sent, read back."""
        self.intend(name, value)
        self.plc.writes.append((name, value))
        if name != "reset":
            self.scan()
        self.end(name, value, CONFIRMED)

    def checked(self, left_out: Sequence[int] = (), lost: Sequence[int] = ()) -> CheckedCommands:
        """left_out: of the gateway's records; lost: of the operator's."""
        operator = CheckedLog(TrustedLog(OPERATOR.name, LogRole.OPERATOR, OPERATOR.verifier(), bytes(32)))
        operator.genuine = checked(OPERATOR, self.operator, lost).genuine
        operator.size = len(self.operator)
        operator.leaves = [leaf_hash(encode_body(body)) for body in self.operator]
        return check_commands(checked(GATEWAY, self.log.bodies, left_out), operator, TAGS, TRUSTED)


def the_one(found: Sequence[Finding]) -> Finding:
    (one,) = found
    assert (one.what, one.layer, one.verdict) == (What.UNEXPLAINED, Layer.PLC, Verdict.INCONCLUSIVE)
    assert one.origin == GATEWAY.name
    return one


def begun() -> Run:
    run = Run()
    run.both()
    run.both()
    return run


def test_three_commands_between_two_states_and_the_middle_one_is_read() -> None:
    run = begun()
    run.write("setpoint", 1.5)
    run.poll()
    # The gateway sees the first one while the other two are on their way, and keeps a checkpoint over all three.
    run.intend("setpoint", 0.5)
    run.poll()
    run.plc.writes.append(("setpoint", 0.5))
    run.both()
    assert run.checked() == CheckedCommands(2, 2, [])


def test_of_two_equal_commands_the_earlier_one_explains() -> None:
    run = begun()
    run.intend("setpoint", 1.5)
    run.intend("setpoint", 0.5)
    run.intend("setpoint", 1.5)
    for value in (1.5, 0.5, 1.5):
        run.plc.writes.append(("setpoint", value))
        run.both()
    assert run.checked() == CheckedCommands(3, 3, [])
    # That was the last of them.
    run.plc.writes.append(("setpoint", 0.5))
    run.both()
    assert "setpoint went from 1.5 to 0.5" in the_one(run.checked().findings).detail


def test_a_command_that_was_confirmed_explains_nothing_later() -> None:
    run = begun()
    run.write("setpoint", 1.0)  # changes nothing
    for _ in range(4):
        run.both()
    run.write("setpoint", 1.5)
    for _ in range(4):
        run.both()
    assert run.checked().findings == []
    run.plc.writes.append(("setpoint", 1.0))
    run.both()
    assert "setpoint went from 1.5 to 1" in the_one(run.checked().findings).detail


@pytest.mark.parametrize("wait", [0, 1])
def test_a_button_is_seen_after_its_outcome_was_logged(wait: int) -> None:
    run = begun()
    run.write("reset", True)
    for _ in range(wait):
        run.poll()
    run.both()
    run.both()
    assert run.checked() == CheckedCommands(1, 1, [])
    for _ in range(3):
        run.both()
    run.plc.writes.append(("reset", True))
    run.both()
    assert "reset went from false to true" in the_one(run.checked().findings).detail


def test_an_operator_who_was_killed_before_the_outcome_is_explained_whenever_it_shows() -> None:
    run = begun()
    run.intend("setpoint", 1.5)
    for _ in range(9):
        run.both()
    run.plc.writes.append(("setpoint", 1.5))
    run.both()
    assert run.checked() == CheckedCommands(1, 1, [])


def test_a_gateway_that_began_late_does_not_know_what_the_plc_starts_with() -> None:
    run = Run()
    run.write("setpoint", 1.5)
    run.both()
    run.plc.restart()
    run.both()
    run.both()
    assert run.checked().findings == []
    run.plc.restart()
    run.plc.writes.append(("setpoint", 0.5))
    run.both()
    run.both()
    assert "setpoint went from 1 to 0.5" in the_one(run.checked().findings).detail


def test_records_that_are_not_to_be_had_accuse_nobody() -> None:
    run = begun()
    run.write("setpoint", 1.5)
    run.both()
    run.both()
    run.write("mode", 3)
    for _ in range(4):
        run.both()
    for index in range(1, len(run.log.bodies)):
        assert run.checked(left_out=[index]).findings == [], index
    for number in range(1, len(run.operator)):
        assert run.checked(lost=[number]).findings == [], number
    # A record that is not to be had is one command at most.
    for value in (0.5, 1.0):
        run.plc.writes.append(("setpoint", value))
        run.both()
        run.both()
    assert len(run.checked(lost=[1]).findings) == 1


def test_a_size_that_no_log_can_have_takes_no_time() -> None:
    run = begun()
    beyond = sign_checkpoint(Checkpoint(OPERATOR.name, 2**63 - 1, bytes(32)), OPERATOR)
    run.notes[-1] = beyond
    run.kill()
    run.both()
    assert [one.what for one in run.checked().findings] == [What.ROLLED_BACK]


def test_what_stands_in_the_wire_of_the_gateway_is_named_as_it_was_read() -> None:
    run = begun()
    assert isinstance(run.log.bodies[-1], State)
    assert decode(SETPOINT, run.log.bodies[-1].values[0]) == 1.0
    run.plc.writes.append(("setpoint", 0.5))
    run.both()
    found = the_one(run.checked().findings)
    assert found.index == len(run.log.bodies) - 1
    assert found.where == f"record {found.index} of {GATEWAY.name}"


_HAPPENS = ["both", "scan", "poll"] * 6 + [
    *("write", "intend", "sent", "refused", "unconfirmed", "unsent"),
    *("write", "confirmed", "restart", "kill", "lost", "back"),
]


def _happen(run: Run, happens: str, name: str, value: Value) -> None:
    """One thing that may happen at any time; an operator that is killed leaves its command without an outcome."""
    if happens in ("both", "scan", "poll", "kill"):
        getattr(run, happens)()
    elif happens == "restart":
        run.plc.restart()
    elif happens in ("lost", "back"):
        run.plc.lost = happens == "lost"
    elif happens == "write":
        run.write(name, value)
    else:
        run.intend(name, value)
        if happens == "intend":
            run.poll()
        if happens not in ("refused", "unsent"):
            run.plc.writes.append((name, value))
        if happens == "confirmed":
            run.both()
            run.end(name, value, CONFIRMED if run.plc.shown[name] == value or name == "reset" else UNCONFIRMED)
        elif happens in ("refused", "unconfirmed"):
            run.end(name, value, REFUSED if happens == "refused" else UNCONFIRMED)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_commands_explain_whatever_they_did_and_nothing_else(data: st.DataObject) -> None:
    run = begun()
    for happens in data.draw(st.lists(st.sampled_from(_HAPPENS), max_size=80)):
        name = data.draw(st.sampled_from(sorted(VALUES)))
        _happen(run, happens, name, data.draw(st.sampled_from(VALUES[name])))
    assert run.checked().findings == []
    run.plc.lost = False
    for _ in range(60):
        run.both()  # until the gateway has found the PLC again, and the last outcome has shown
    name = data.draw(st.sampled_from(["setpoint", "mode"]))
    false: Value = 1.75 if name == "setpoint" else 1
    before = len(run.log.bodies)
    assert run.checked().findings == []
    run.plc.writes.append((name, false))
    run.both()
    found = the_one(run.checked().findings)
    assert f"{name} went from" in found.detail
    assert found.index is not None
    assert found.index >= before
    body = run.log.bodies[found.index]
    assert isinstance(body, State)
    assume(body.scan is not None)
    assert decode(TAGS[0 if name == "setpoint" else 1], body.values[0 if name == "setpoint" else 1]) == false
