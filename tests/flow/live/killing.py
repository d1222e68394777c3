"""Kills one process of a bench after another at random instants, and sees that nothing acknowledged is lost."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testbed.chain.rpc import Node
from testbed.core.bodies import CONFIRMED, INTENDED, Command
from testbed.record.commands import command_text
from testbed.rig.status import running_node
from tests.flow.live.conftest import until
from tests.flow.live.outside import Outsider
from tests.flow.live.quick import Quick, make_quick
from tests.flow.live.written import faults_of, records_of

ALONE = ("plc", "chain", "node", "gateway", "reader", "twin", "anchor")
SUPERVISOR = "supervisor"
"""Its roles live with it, and stop by themselves."""
EVERYTHING = "everything"
VICTIMS = (*ALONE, SUPERVISOR, EVERYTHING)
EXPLAINED = {"behind", "unreachable"}
"""What a check may not find out while the node is away or is built again."""
SETPOINT = "control.level_setpoint"


@dataclass(slots=True)
class Tally:
    """What was done, and what became of it. problems: whatever must not be, in words."""

    kills: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    checkpoints: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    rebuilt: int = 0
    pending: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, dict(Counter(mine) + Counter(value)) if isinstance(mine, dict) else mine + value)

    def table(self) -> str:
        """For a person."""
        kills = "   ".join(f"{victim} {self.kills.get(victim, 0)}" for victim in VICTIMS)
        verdicts = "   ".join(f"{verdict} {count}" for verdict, count in sorted(self.verdicts.items()))
        outcomes = "   ".join(f"{outcome} {count}" for outcome, count in sorted(self.outcomes.items()))
        lines = (
            ("kills", f"{sum(self.kills.values())}   in {self.seconds:.0f} s"),
            ("  by role", kills),
            ("records", f"{self.records}   lost {self.lost}   doubled {self.doubled}   reordered {self.reordered}"),
            ("acknowledged", f"{self.checkpoints} checkpoints that were seen; problems {self.problems}"),
            ("commands", outcomes),
            ("blocks", f"{self.blocks} in the journals, {self.rebuilt} compared with the node after a full kill"),
            ("verdicts", f"{verdicts}   pending after the last kill {self.pending}"),
        )
        return "\n".join(f"  {name:13} {what}" for name, what in lines)


class Killer:
    """Kills processes of one bench. The same seed draws the same victims and pauses."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.live = make_quick(folder)
        self.quick = Quick(self.live)
        self.outsider = Outsider(self.quick.bench)
        self.tally = Tally()
        self._chance = random.Random(seed)
        self._victims = self._deck()
        self._wrote = 0
        self._confirmed: list[tuple[str, str]] = []
        self._rounds = 0

    def run(self, kills: int, told: Callable[[int], None] = lambda _: None) -> Tally:
        """Kill so many; then the bench is stopped, started once more, stopped in order, and compared."""
        begun = time.monotonic()
        try:
            self.quick.start()
            self.outsider.start()
            self.quick.wait_until_well()
            while self._kills < kills - 1:
                self._round(min(self._chance.randrange(1, 5), kills - 1 - self._kills))
                told(self._kills)
            self._last_kill()
            told(self._kills)
        finally:
            self.quick.clean_up()
            if self.outsider.is_alive():
                self.outsider.stop()
        self._compare()
        self.tally.seconds = time.monotonic() - begun
        return self.tally

    @property
    def _kills(self) -> int:
        return sum(self.tally.kills.values())

    def _deck(self) -> Iterator[str]:
        """Every role as often as the others, all of them together as often as one, in an order of chance."""
        deck = (*ALONE, *ALONE, SUPERVISOR, EVERYTHING)
        while True:
            yield from self._chance.sample(deck, len(deck))

    def _round(self, kills: int) -> None:
        """Some kills in quick succession, a command and a check meanwhile now and then; then all is well again."""
        before = self._kills
        self._rounds += 1
        command = self._begin_command() if self._rounds % 3 == 0 else None
        check = self._begin_check() if self._rounds % 10 == 5 else None
        whole = False
        for _ in range(kills):
            time.sleep(self._chance.uniform(0, 0.6))
            victim = next(self._victims)
            self._kill(victim)
            whole = victim in (SUPERVISOR, EVERYTHING)
            if whole:
                break
        if command is not None:
            self._end_command(command)
        if check is not None:
            self._judge(check, "amid")
        if whole:
            self._again()
        else:
            self.quick.wait_until_well()
        if before // 10 != self._kills // 10:
            self._check_well()

    def _kill(self, victim: str) -> None:
        if victim in (SUPERVISOR, EVERYTHING):
            pids = self.quick.pids()
            others = [pid for role, pid in pids.items() if role != SUPERVISOR] if victim == EVERYTHING else []
            for pid in (pids[SUPERVISOR], *self._chance.sample(others, len(others))):
                with suppress(ProcessLookupError):  # the node goes with its role
                    os.kill(pid, signal.SIGKILL)
        else:
            # One that was killed just now is killed again as soon as it stands: while it starts.
            os.kill(until(lambda: self.quick.pids().get(victim)), signal.SIGKILL)
        self.tally.kills[victim] = self.tally.kills.get(victim, 0) + 1

    def _again(self) -> None:
        """Start the bench after a kill of all of it; the chain must be what it was."""
        self.quick.nothing_runs()
        blocks = self.live.blocks()
        self.quick.start()
        self.quick.wait_until_well()
        if self.live.blocks()[: len(blocks)] != blocks:
            self.tally.problems.append("the journal does not go on behind the blocks that it had")
        if asyncio.run(self._node_blocks(len(blocks))) != blocks:
            self.tally.problems.append("the node was built again with other blocks")
        self.tally.rebuilt += len(blocks)

    async def _node_blocks(self, count: int) -> list[str]:
        async with Node(running_node(self.quick.bench) or "") as node:
            blocks = [await node.block(number) for number in range(1, count + 1)]
        return [block.hash.hex() if block else "" for block in blocks]

    def _last_kill(self) -> None:
        """All is killed, looked at as it lies there, started, and stopped in order."""
        self._kill(EVERYTHING)
        self.quick.nothing_runs()
        report = self._judge(self._begin_check(), "killed")
        self.tally.pending += sum(max(0, log["pending"]) for log in report["logs"])
        self._again()
        if self.quick.stop() != 0:
            self.tally.problems.append(f"it did not stop well: {self.quick.said()[-1000:]}")
        self.outsider.stop()
        self.live.genuine()
        self._count_verdict("GENUINE at the end")

    def _begin_command(self) -> "tuple[str, str, subprocess.Popen[str]]":
        self._wrote += 1
        who, value = f"person {self._wrote}", f"{0.5 + self._wrote / 1024!r}"
        return who, value, self._typed("write", SETPOINT, value, "--who", who)

    def _end_command(self, begun: "tuple[str, str, subprocess.Popen[str]]") -> None:
        who, value, process = begun
        said, _ = process.communicate(timeout=60)
        outcome = said.partition(f" by {who}: ")[2].partition(":")[0].strip() or "not sent"
        self.tally.outcomes[outcome] = self.tally.outcomes.get(outcome, 0) + 1
        if outcome == CONFIRMED:
            self._confirmed.append((who, value))

    def _begin_check(self) -> "subprocess.Popen[str]":
        return self._typed("verify", "--json")

    def _typed(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "testbed.cli.main", *arguments, "--bench", str(self.live.file)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _judge(self, process: "subprocess.Popen[str]", when: str) -> dict[str, Any]:
        """A check that ran while processes died: nothing is falsified, and what it could not find out is explained."""
        said, _ = process.communicate(timeout=120)
        try:
            report: dict[str, Any] = json.loads(said)
        except ValueError:
            self.tally.problems.append(f"verify, {when}: {said}")
            return {"logs": []}
        self._count_verdict(f"{report['verdict']} {when}")
        wrong = [one for one in report["findings"] if one["what"] not in EXPLAINED]
        if wrong or report["verdict"] == "FALSIFIED":
            self.tally.problems.append(f"verify, {when}, after {self._kills} kills: {wrong}")
        return report

    def _check_well(self) -> None:
        """The bench is well, so it is genuine; at once, or when the check did not come between two blocks."""
        report = self._judge(self._begin_check(), "well")
        if report.get("verdict") == "INCONCLUSIVE":
            until(lambda: self.live.verify()["verdict"] == "GENUINE")

    def _count_verdict(self, verdict: str) -> None:
        self.tally.verdicts[verdict] = self.tally.verdicts.get(verdict, 0) + 1

    def _compare(self) -> None:
        """What stands on disk, against what was ever shown."""
        tally, found = self.tally, faults_of(self.quick.bench)
        tally.records, tally.lost, tally.doubled, tally.reordered = (
            found.records,
            found.lost,
            found.doubled,
            found.reordered,
        )
        tally.problems += [found.places] if found.places else []
        tally.problems += self.outsider.compare()
        tally.checkpoints, tally.blocks = self.outsider.checkpoints, len(self.live.blocks())
        logged = [one.body for one in records_of(self.quick.bench, "operator") if isinstance(one.body, Command)]
        for who, value in self._confirmed:
            text = command_text(SETPOINT, float(value))
            outcomes = [body.outcome for body in logged if (body.who, body.what) == (who, text)]
            if outcomes[:1] != [INTENDED] or [one[: len(CONFIRMED)] for one in outcomes[1:]] != [CONFIRMED]:
                tally.problems.append(f"{text} by {who} was confirmed, and its records say {outcomes}")
