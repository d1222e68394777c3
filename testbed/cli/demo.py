"""`testbed demo`: the story in about a minute, told with the very commands that a user has."""

import argparse
import contextlib
import math
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from testbed.cli.options import make_folder
from testbed.core.errors import TestbedError, UsageError
from testbed.rig.bench import load_bench
from testbed.rig.locks import held_roles
from testbed.rig.ports import listeners

_SHIFTS = range(1000, 20000, 100)
_MARK = ".made-by-testbed-demo"
_TO_BE_FOUND = "to be found "


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if not 0 < options.seconds < math.inf:
        raise UsageError(f"--seconds {options.seconds:g}", "give a number of seconds above 0")
    story = _Story(options.folder)
    story.begin()
    story.say("1. A bench: plant, PLC, gateway, twin, anchor and chain, each a process. It runs for a while.")
    story.run(0, "init", "--in", str(options.folder), bench=False)
    story.run(0, "init")
    story.run(0, "up", "--duration", f"{options.seconds:g}", "--port-shift", str(_free_shift()))
    story.say("2. Nobody touched anything. Is what the twin says what the machine did?")
    story.run(0, "verify")
    story.say("3. One state, from its raw registers to the block that holds its anchor:")
    story.run(0, "verify", "--record", "cell", "5")
    story.say("4. Somebody with access to the gateway's disk changes a level in one logged state.")
    story.falsify("value", "--tag", "tank2.level", "--to", "1.5")
    story.say("5. The twin's owner rewrites what it concluded, and signs everything anew with the twin's own key.")
    story.falsify("twin-record")
    story.say(
        "6. Whoever runs the node puts another transaction into an anchored block and rebuilds the chain above it."
    )
    story.falsify("chain")
    print(f"\nThe bench as it was is in {story.bench.parent}, each falsified copy beside it in falsified-*.")
    print("Try your own: testbed falsify --help")
    return 0


class _Story:
    """Runs commands as a user would, shows them, and stops when one does not end as it must."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bench = folder / "bench.toml"

    def begin(self) -> None:
        """A folder of its own; an older demo's is cleared, anything else is left alone."""
        if self._folder.exists():
            if not (self._folder / _MARK).is_file():
                raise UsageError(f"{self._folder}: this folder is not an older demo's", "name another one with --in")
            if self.bench.is_file() and held_roles(load_bench(self.bench)):
                raise UsageError(
                    f"{self._folder}: a demo runs here already", "wait for it, or name another folder with --in"
                )
            shutil.rmtree(self._folder)
        make_folder(self._folder)
        (self._folder / _MARK).touch()

    def say(self, line: str) -> None:
        print(f"\n\N{EM DASH}\N{EM DASH} {line}", flush=True)

    def run(self, must: int, *arguments: str, bench: bool = True, file: Path | None = None) -> str:
        """Run `testbed ARGUMENTS`, show it; raises TestbedError unless it ends with exit code `must`."""
        command = [*arguments, *(["--bench", str(file or self.bench)] if bench else [])]
        print(f"$ testbed {' '.join(command)}", flush=True)
        output = []
        with subprocess.Popen(
            [sys.executable, "-m", "testbed.cli.main", *command], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                print(f"  {line}", end="", flush=True)
                output.append(line)
        if process.returncode != must:
            raise TestbedError(
                f"testbed {arguments[0]} ended with {process.returncode}, not {must}", "run `testbed doctor`"
            )
        return "".join(output)

    def falsify(self, kind: str, *more: str) -> None:
        """Falsify a copy of the bench, verify it, and see that what was found is what was done."""
        copy = self._folder / f"falsified-{kind}"
        shutil.copytree(self._folder, copy, ignore=shutil.ignore_patterns("falsified-*"))
        file = copy / "bench.toml"
        done = self.run(0, "falsify", kind, *more, file=file)
        report = self.run(1, "verify", file=file)
        for line in done.splitlines():
            if line.startswith(_TO_BE_FOUND) and line.removeprefix(_TO_BE_FOUND) not in report:
                raise TestbedError(
                    f"verify did not find {line.removeprefix(_TO_BE_FOUND)}", "this is a defect: report it"
                )


def _free_shift() -> int:
    """A port shift under which this bench's ports are free, so that a demo never meets a running bench."""
    for shift in _SHIFTS:
        bench = load_bench(None, shift)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for place in listeners(bench):
                probe = stack.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((place.host, place.port))
            return shift
    raise UsageError("no free ports for a demo", "end programs that listen on ports 6020 and above")
