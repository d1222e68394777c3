"""A bench that is left running: whichever role dies, however often, the others go on and it is tried again."""

import asyncio
import errno
import json
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.core.errors import TestbedError, UsageError
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.locks import SUPERVISOR, held_roles, is_held, role_lock, role_names
from testbed.rig.paths import Paths
from testbed.rig.status import read_status
from testbed.rig.supervision import down_of, read_supervision, restarts_of
from testbed.rig.supervisor import Patience, Supervisor

_PATIENCE_S = 60.0
QUICK = Patience(start=30, early=30, steady=60, first_pause=0.01, longest_pause=0.04, stop=20)

# A role that does as a file in its folder says, {"exit": 3, "say": "..."}, and without one runs until it is stopped.
ROLE = """
    import fcntl, json, os, pathlib, signal, sys
    folder = pathlib.Path(sys.argv[1], sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan"
    if plan.exists():
        told = json.loads(plan.read_text())
        sys.stderr.write(told["say"] + "\\n")
        sys.exit(told["exit"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    aside = folder / "aside"
    aside.write_text(json.dumps({"pid": os.getpid(), "state": "running"}))
    aside.replace(folder / "status.json")
    sys.stdin.read()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    return load_bench(tmp_path / "bench.toml")


class Running:
    """A supervisor at work, with what it said."""

    def __init__(self, bench: Bench, patience: Patience = QUICK) -> None:
        self.bench = bench
        self.said: list[str] = []
        self.stopping = asyncio.Event()
        self.watch: Callable[[], None] = lambda: None
        self.program = bench.folder / "role"
        self.write_program()
        self.supervisor = Supervisor(bench, [str(self.program), str(bench.data)], self.say, patience)

    def say(self, line: str) -> None:
        self.said.append(line)

    def write_program(self) -> None:
        aside = self.program.with_name("aside")
        aside.write_text(f"#!{sys.executable}\n{textwrap.dedent(ROLE)}", encoding="utf-8")
        aside.chmod(0o755)
        aside.replace(self.program)

    def plan(self, role: str, code: int, say: str) -> None:
        folder = Paths(self.bench.data).role_folder(role)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "aside").write_text(json.dumps({"exit": code, "say": say}), encoding="utf-8")
        (folder / "aside").replace(folder / "plan")

    def forget(self, role: str) -> None:
        (Paths(self.bench.data).role_folder(role) / "plan").unlink()

    async def run(self) -> None:
        await self.supervisor.run(self.stopping, lambda: self.watch(), 0.01)

    def pid(self, role: str) -> int:
        return int(read_status(self.bench, role).get("pid", 0))

    def pids(self) -> dict[str, int]:
        return {role: self.pid(role) for role in role_names(self.bench)}

    def kill(self, role: str) -> None:
        for child in self.supervisor._children:
            if child.role == role:
                assert child.process is not None
                child.process.kill()

    def down(self) -> dict[str, str]:
        return down_of(self.supervisor.supervised())

    def events(self) -> list[dict[str, Any]]:
        text = Paths(self.bench.data).output(SUPERVISOR).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "this did not come true"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(up: Running) -> AsyncIterator[asyncio.Task[None]]:
    """Meanwhile the bench is up."""
    task = asyncio.create_task(up.run())
    try:
        await until(lambda: up.supervisor._is_up or task.done())
        yield task
        up.stopping.set()
        await task
    finally:
        up.stopping.set()
        await asyncio.wait([task])
    assert held_roles(up.bench) == []
    assert not is_held(up.bench, SUPERVISOR)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (2, UsageError, "role twin cannot run: there is no key"),
        (3, TestbedError, "role twin ended 2 times soon after its start: there is no key"),
        (1, TestbedError, "role twin ended 4 times soon after its start: there is no key"),
    ],
)
async def test_at_the_start_a_role_that_cannot_run_ends_the_bench(
    bench: Bench, code: int, error: type[TestbedError], words: str
) -> None:
    up = Running(bench)
    up.plan("twin", code, "error: there is no key\n  mend: make one")
    with pytest.raises(error, match=words) as raised:
        await up.run()
    assert str(Paths(bench.data).output("twin")) in raised.value.mend
    assert held_roles(bench) == []


@pytest.mark.parametrize("code", [1, 2, 3])
async def test_later_a_role_that_cannot_be_kept_alive_is_down_and_the_others_go_on(bench: Bench, code: int) -> None:
    up = Running(bench)
    async with running(up) as task:
        before = up.pids()
        assert read_supervision(bench)["gateway"].restarts == 0
        up.plan("gateway", code, "error: the disk is full\n  mend: make room")
        up.kill("gateway")
        await until(lambda: up.down() == {"gateway": "the disk is full"})
        restarts = restarts_of(up.supervisor.supervised())
        await until(lambda: restarts_of(up.supervisor.supervised()) > restarts + 5)
        await until(lambda: read_supervision(bench)["gateway"].down)
        found = read_supervision(bench)["gateway"]
        assert (found.words, found.restarts > restarts) == ("the disk is full", True)
        assert not task.done()
        assert up.pids() == {**before, "gateway": 0}
        (fallen,) = [line for line in up.said if "down" in line]
        assert f"ended (exit {code}): the disk is full; it is down, and is tried again" in fallen
    assert list(up.down()) == ["gateway"], "so that it can be told after the bench was stopped"
    assert read_supervision(bench)["gateway"].down is False, "nobody says so any more"


async def test_what_was_mended_is_well_again(bench: Bench) -> None:
    up = Running(bench, Patience(early=0.3, steady=60, first_pause=0.01, longest_pause=0.04))
    async with running(up):
        up.plan("plc", 1, "Segmentation fault")
        up.kill("plc")
        await until(lambda: up.down() == {"plc": "Segmentation fault"})
        up.forget("plc")
        await until(lambda: not up.down())
        assert up.said[-1] == "role plc is well again"
        assert up.pid("plc")
        record = up.supervisor.supervised()["plc"]
        assert (record.words, record.restarts >= 3) == ("Segmentation fault", True), "what happened is still known"


async def test_every_role_may_die_at_once(bench: Bench) -> None:
    up = Running(bench)
    async with running(up):
        before = up.pids()
        for role in before:
            up.kill(role)
        await until(lambda: all(pid and pid != before[role] for role, pid in up.pids().items()))
        assert up.down() == {}
        assert {role.words for role in up.supervisor.supervised().values()} == {"signal 9"}
    assert up.down() == {}


async def test_the_pause_doubles_up_to_its_bound(bench: Bench) -> None:
    up = Running(bench)
    async with running(up):
        up.plan("anchor", 3, "error: no")
        up.kill("anchor")
        await until(lambda: up.supervisor.supervised()["anchor"].restarts > 5)
    ended = [line for line in up.events() if line["event"] == "role ended"]
    assert [line["pause_s"] for line in ended][:5] == [0.01, 0.02, 0.04, 0.04, 0.04]
    assert [line["down"] for line in ended][:3] == [False, True, True]
    assert {(line["bench"], line["role"], line["of"]) for line in ended} == {(bench.name, SUPERVISOR, "anchor")}
    default = Patience()
    assert (default.first_pause, default.longest_pause, default.steady) == (0.5, 30, 60)


async def test_a_life_that_was_long_enough_makes_up_for_the_short_ones(bench: Bench) -> None:
    up = Running(bench, Patience(early=0.0, steady=0.0, first_pause=0.01, longest_pause=10))
    async with running(up):
        for number in range(8):
            await until(lambda: up.pid("twin"))
            up.kill("twin")
            await until(lambda count=number: up.supervisor.supervised()["twin"].restarts > count)  # type: ignore[misc]
        assert up.down() == {}
    assert {line["pause_s"] for line in up.events() if line["event"] == "role ended"} == {0.01}


async def test_a_role_that_is_said_to_run_by_somebody_else_has_not_run(bench: Bench) -> None:
    up = Running(bench, Patience(start=60, first_pause=0.01))
    up.plan("twin", 1, "no")
    with role_lock(bench, "nobody"):
        task = asyncio.create_task(up.run())
        with pytest.raises(TestbedError, match="role twin ended 4 times"):
            await task
    assert not up.supervisor._is_up


async def test_a_start_that_takes_long_is_over_at_some_time(bench: Bench) -> None:
    up = Running(bench, Patience(start=0.0, early=30, first_pause=0.01, longest_pause=0.02))
    up.plan("twin", 3, "error: never")
    async with running(up):
        await until(lambda: up.down() == {"twin": "never"})


async def test_a_machine_that_can_start_nothing_is_waited_out(bench: Bench) -> None:
    up = Running(bench)
    async with running(up):
        up.program.unlink()
        up.kill("twin")
        await until(lambda: "cannot be started" in " ".join(up.said))
        await until(lambda: "twin" in up.down())
        up.write_program()
        await until(lambda: up.pid("twin"))


async def test_its_words_are_known_though_the_disk_takes_none(bench: Bench) -> None:
    up = Running(bench)
    async with running(up):
        output = Paths(bench.data).output("gateway")
        output.unlink(missing_ok=True)
        output.symlink_to("/dev/full")
        up.plan("gateway", 3, json.dumps({"level": "critical", "event": "no space left on device"}))
        up.kill("gateway")
        await until(lambda: up.down() == {"gateway": "no space left on device"})


async def test_a_bench_has_one_supervisor(bench: Bench) -> None:
    async with running(Running(bench)):
        with pytest.raises(UsageError, match="runs already: plc"):
            await Running(bench).run()
    with role_lock(bench, SUPERVISOR), pytest.raises(UsageError, match=r"role supervisor of bench .* runs already"):
        await Running(bench).run()


async def test_what_cannot_be_shown_ends_nothing(bench: Bench) -> None:
    up = Running(bench)
    looked = 0

    def watch() -> None:
        nonlocal looked
        looked += 1
        raise ZeroDivisionError

    def say(line: str) -> None:
        up.said.append(line)
        raise OSError(errno.ENOSPC, "No space left on device")

    up.watch = watch
    up.supervisor._say = say
    async with running(up) as task:
        await until(lambda: looked > 5)
        up.kill("twin")
        await until(lambda: up.supervisor.supervised()["twin"].restarts and up.pid("twin"))
        assert not task.done()
    assert up.said
    assert "ZeroDivisionError" in json.dumps(up.events())


async def test_a_display_that_takes_long_holds_nothing_up(bench: Bench) -> None:
    up = Running(bench)
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()
    up.watch = lambda: asyncio.run_coroutine_threadsafe(_wait(go_on), loop).result(_PATIENCE_S)
    async with running(up):
        up.kill("twin")
        await until(lambda: up.supervisor.supervised()["twin"].restarts and up.pid("twin"))
        go_on.set()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_reader_that_has_left_ends_the_bench_in_order(bench: Bench) -> None:
    up = Running(bench)

    def watch() -> None:
        if up.supervisor._is_up:
            raise BrokenPipeError

    up.watch = watch
    with pytest.raises(BrokenPipeError):
        await up.run()
    assert held_roles(bench) == []


async def test_the_roles_stop_in_the_order_in_which_they_write(bench: Bench) -> None:
    up = Running(bench)
    async with running(up):
        pass
    ended = [Paths(bench.data).role_folder(role) for role in ("gateway", "twin", "anchor", "chain", "plc")]
    assert all(folder.is_dir() for folder in ended)
    stopped = up.supervisor._stopping_order()
    assert stopped[-5:] == [bench.twin.name, "anchor", "witness", "chain", "plc"]
    assert sorted(stopped) == sorted(role_names(bench))
