"""The crash table: every step between capture and confirmation, ended by SIGKILL twice.

*before*: the step fails, nothing of it is on disk. *after*: it fails but persisted, and nobody was told. One bench goes
through the whole table: each role dies at its points, one start after the other, and the bench comes out of it whole.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.chain.reading import read_journal
from testbed.chain.rpc import Node
from testbed.chain.steps import Step
from testbed.core.bodies import CONFIRMED, INTENDED, STARTED, AnchorReceipt, Command, Event, State
from testbed.core.tags import Value
from testbed.fieldbus.registers import decode
from testbed.record.commands import parse_command
from testbed.rig.bench import RECEIPTS, Bench
from testbed.rig.failing import VARIABLE
from testbed.rig.paths import Paths
from testbed.rig.status import running_node
from testbed.store.sqlite import LogStore
from tests.flow.live.conftest import LiveBench, until
from tests.flow.live.outside import Outsider
from tests.flow.live.quick import Quick, make_quick
from tests.flow.live.written import Record, faults_of, records_of

pytestmark = pytest.mark.long

TAG = "control.level_setpoint"


@dataclass(frozen=True, slots=True)
class Fired:
    """A point at which a process was killed. number: the log's size, or the journal's step; turn: of the operator."""

    role: str
    number: int
    turn: int


@dataclass(frozen=True, slots=True)
class After:
    """What stands on disk and on the chain once the bench has come out of it. shown: set-points that the PLC showed."""

    logs: dict[str, list[Record]]
    sizes: dict[str, set[int]]
    steps: tuple[Step, ...]
    node: list[bytes]
    sent: int
    shown: set[Value]

    def is_start(self, log: str, index: int) -> bool:
        """Whether a record says that its writer started."""
        body = self.logs[log][index].body
        return isinstance(body, Event) and body.name == STARTED

    def outcomes(self, turn: int) -> list[str]:
        """What the operator's log has of a command, in order: INTENDED, and how its outcome begins."""
        bodies = [record.body for record in self.logs["operator"] if isinstance(record.body, Command)]
        return [body.outcome.partition(":")[0] for body in bodies if parse_command(body.what) == (TAG, setpoint(turn))]


Check = Callable[[After, Fired], bool]


def start_in_its_place(after: After, at: Fired) -> bool:
    return after.is_start(at.role, at.number) and not after.is_start(at.role, at.number - 1)


def start_behind(after: After, at: Fired) -> bool:
    return at.number in after.sizes[at.role] and after.is_start(at.role, at.number)


def start_behind_it(after: After, at: Fired) -> bool:
    return start_behind(after, at) and not after.is_start(at.role, at.number - 1)


def one_start(after: After, at: Fired) -> bool:
    return after.is_start(at.role, at.number) and at.number + 1 in after.sizes[at.role]


def two_starts(after: After, at: Fired) -> bool:
    return after.is_start(at.role, at.number - 1) and after.is_start(at.role, at.number)


def one_block(after: After, at: Fired) -> bool:
    """The step was sent once and mined once, in the block that the node still has."""
    found = [step for step in after.steps if step.intent.number == at.number]
    return len(found) == 1 and found[0].mined is not None and after.node[at.number] == found[0].mined.block_hash


def receipts_from_there(after: After, at: Fired) -> bool:
    return _is_receipt(after, at.number)


def receipts_up_to_there(after: After, at: Fired) -> bool:
    return _is_receipt(after, at.number - 1) and at.number in after.sizes[RECEIPTS]


def _is_receipt(after: After, index: int) -> bool:
    """A receipt stands there, and as many anchors stand in the journal before its own as receipts before it."""
    body = after.logs[RECEIPTS][index].body
    place = sum(isinstance(record.body, AnchorReceipt) for record in after.logs[RECEIPTS][:index])
    anchored = [step.intent.anchored for step in after.steps if step.anchors][place]
    return isinstance(body, AnchorReceipt) and anchored is not None and body.checkpoint == anchored.note


@dataclass(frozen=True, slots=True)
class Logged:
    """What the operator's log has of the command, and whether the PLC did it."""

    outcomes: tuple[str, ...]
    done: bool

    def __call__(self, after: After, at: Fired) -> bool:
        return after.outcomes(at.turn) == [*self.outcomes] and (setpoint(at.turn) in after.shown) == self.done


@dataclass(frozen=True, slots=True)
class Row:
    """plan: role, point, before or after, and at which time that it is come to; then: what must be so afterwards."""

    plan: str
    then: str
    check: Check


TABLE = (
    # A state is read from the PLC. It is acknowledged once it is on disk under a signed checkpoint.
    Row("gateway sequence before 4", "it is not there; the next start is in its place", start_in_its_place),
    Row("gateway sequence after 4", "it is there once; the next start is behind it", start_behind_it),
    Row("gateway publish before 3", "records are there; the next start publishes them", start_behind),
    Row("gateway publish after 3", "records are there, published once", start_behind),
    Row("gateway sequence before 1", "the start itself is not there, the one after it is", one_start),
    Row("gateway sequence after 1", "both starts are there", two_starts),
    Row("reader sequence before 4", "it is not there; the next start is in its place", start_in_its_place),
    Row("reader sequence after 4", "it is there once; the next start is behind it", start_behind_it),
    Row("reader publish before 3", "records are there; the next start publishes them", start_behind),
    Row("reader publish after 3", "records are there, published once", start_behind),
    # The twin consumes it.
    Row("twin sequence before 3", "its inputs are consumed by the next start", start_in_its_place),
    Row("twin sequence after 3", "its record is there once; the next start goes on behind it", start_behind_it),
    Row("twin publish before 3", "records are there; the next start publishes them", start_behind),
    Row("twin publish after 3", "records are there, published once", start_behind),
    # The anchor takes checkpoints to the contract, one transaction at a time.
    Row("anchor intent before 2", "nothing was sent; the next start writes a step in its place", one_block),
    Row("anchor intent after 2", "the next start sends it as it was written", one_block),
    Row("anchor send before 1", "killed again while it did so: sent once, as it was written", one_block),
    Row("anchor send before 2", "the next start sends it as it was written", one_block),
    Row("anchor send after 2", "it was mined: found on the chain, not sent again", one_block),
    Row("anchor mined before 2", "it was mined: found on the chain, not sent again", one_block),
    Row("anchor mined after 2", "nothing is sent again; its receipt is logged by the next start", one_block),
    # What the contract accepted is logged.
    Row("anchor sequence before 2", "the next start logs the receipts of that round", receipts_from_there),
    Row("anchor sequence after 2", "the receipts are there, once", receipts_up_to_there),
    Row("anchor publish before 2", "the receipts are there; the next start publishes them", receipts_up_to_there),
    Row("anchor publish after 2", "the receipts are there, once", receipts_up_to_there),
    # A person commands something: logged, sent, read back, logged.
    Row("operator sequence before 1", "it was never meant, and not done", Logged((), done=False)),
    Row("operator sequence after 1", "it was meant, and not sent", Logged((INTENDED,), done=False)),
    Row("operator command before 1", "it was meant, and not sent", Logged((INTENDED,), done=False)),
    Row("operator command after 1", "it was done; nobody knows", Logged((INTENDED,), done=True)),
    Row("operator sequence before 2", "it was done; nobody knows", Logged((INTENDED,), done=True)),
    Row("operator sequence after 2", "it was done, and is known", Logged((INTENDED, CONFIRMED), done=True)),
    Row("operator publish before 1", "it was done, and is known", Logged((INTENDED, CONFIRMED), done=True)),
    Row("operator publish after 1", "it was done, and is known", Logged((INTENDED, CONFIRMED), done=True)),
)
COMMANDS = [row.check for row in TABLE if isinstance(row.check, Logged)]
"""What the operator does, one turn after the other, and dies."""


def setpoint(turn: int) -> float:
    """What the operator commands at each turn; the PLC holds it exactly."""
    return 0.5 + turn / 16


def test_each_step_fails_and_fails_but_persisted(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text("".join(f"{row.plan}\n" for row in TABLE), encoding="utf-8")
    environment = {VARIABLE: str(plan)}
    live = make_quick(tmp_path / "bench")
    quick = Quick(live, environment)
    outsider = Outsider(quick.bench)
    quick.start()
    outsider.start()
    try:
        until(lambda: quick.size(quick.bench.gateway.name) and _shows(quick.bench))
        for turn in range(len(COMMANDS)):
            assert _command(live, turn, environment) == (-signal.SIGKILL, "")
            if COMMANDS[turn].done:
                # The gateway dies meanwhile, and is to see it before the next one.
                until(lambda: setpoint(turn) in _shows(quick.bench))  # noqa: B023 - it is called at once
        last = len(COMMANDS)
        told = f"{TAG} = {setpoint(last)} by eve: confirmed: read back\n"
        assert _command(live, last, environment) == (0, told)
        until(lambda: len(_fired(plan)) == len(TABLE))
        quick.wait_until_well()
        node, sent = asyncio.run(_chain(quick.bench))
        outsider.stop()
        assert quick.stop() == 0, quick.said()[-2000:]
    finally:
        quick.clean_up()
        if outsider.is_alive():
            outsider.stop()
    live.genuine()
    assert outsider.compare() == []
    assert outsider.checkpoints > 0
    assert faults_of(quick.bench).places == ""
    after = _after(quick.bench, node, sent)
    assert len(after.node) == after.sent, "one transaction a block, and each of them once"
    assert after.outcomes(last) == [INTENDED, CONFIRMED]
    fired = _fired(plan)
    assert [
        f"{row.plan}: {row.then}; {fired[row.plan]}" for row in TABLE if not row.check(after, fired[row.plan])
    ] == []


def _command(bench: LiveBench, turn: int, environment: dict[str, str]) -> tuple[int, str]:
    """`testbed write`: its exit code, negative for a signal, and what it told."""
    command = [sys.executable, "-m", "testbed.cli.main", "write", TAG, str(setpoint(turn))]
    done = subprocess.run(
        [*command, "--who", "eve", "--bench", str(bench.file)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, done.stdout


def _fired(plan: Path) -> dict[str, Fired]:
    """What fired, by its line in the plan."""
    file = plan.with_name(f"{plan.name}.fired")
    fired: dict[str, Fired] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        row, _, detail = line.rpartition(" ")
        role = row.split()[0]
        turn = sum(one.role == role for one in fired.values())
        fired[row] = Fired(role, int(detail) if detail.isdecimal() else -1, turn)
    return fired


def _shows(bench: Bench) -> set[Value]:
    """The set-points that the gateway has read from the PLC."""
    place, tag = next((place, tag) for place, tag in enumerate(bench.tags) if tag.name == TAG)
    bodies = [record.body for record in records_of(bench, bench.gateway.name)]
    raws = {body.values[place] for body in bodies if isinstance(body, State)}
    return {decode(tag, raw) for raw in raws if raw is not None}


async def _chain(bench: Bench) -> tuple[list[bytes], int]:
    """Hashes of the node's blocks above genesis, and how many transactions the submitter has sent by then."""
    submitter = read_journal(Paths(bench.data).journal).head.submitter
    async with Node(running_node(bench) or "") as node:
        sent, height = await node.nonce(submitter), -1
        while height != sent:  # unless another one is mined between two questions
            height, sent = await node.height(), await node.nonce(submitter)
        blocks = [await node.block(number) for number in range(1, height + 1)]
    return [block.hash for block in blocks if block is not None], sent


def _after(bench: Bench, node: list[bytes], sent: int) -> After:
    sizes = {}
    for name in bench.logs:
        with LogStore.read(Paths(bench.data).log(name)) as store:
            sizes[name] = {size for size, _ in store.checkpoints()}
    logs = {name: records_of(bench, name) for name in bench.logs}
    return After(logs, sizes, read_journal(Paths(bench.data).journal).steps, node, sent, _shows(bench))
