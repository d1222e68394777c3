"""An emulated PLC that this process owns: in itself, or as a child. Who owns it may disturb its plant."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from testbed import __version__
from testbed.core.errors import DeviceError, UsageError
from testbed.core.identity import Identity
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.plc.local import LocalController
from testbed.plc.orders import obey
from testbed.rig.bench import Bench
from testbed.rig.output import last_words
from testbed.rig.paths import Paths
from testbed.rig.status import read_status

_START_S = 30.0
_ANSWER_S = 10.0
_END_S = 10.0
_LOOK_S = 0.02

Values = Mapping[str, float | None]


class Emulation(Protocol):
    """What only the owner of an emulated PLC can do."""

    def order(self, what: str, values: Values) -> None:
        """Carry out an order of plc/orders.py. Raises UsageError for what is none."""
        ...

    def restart(self) -> None:
        """Switch the PLC off and on: its restart counter goes on, its scan counter and its plant begin anew."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class InProcess:
    """In this process, in virtual time: `controller.scan()` brings the next scan. seed: of the sensors' noise."""

    def __init__(self, bench: Bench, seed: int) -> None:
        if bench.plc.kind != "emulated":
            mend = 'take [test] by = "device", or name the bench file of an emulated PLC'
            raise UsageError(f"{bench.file}: {bench.plc.name} is physical, it cannot run in this process", mend)
        self._bench = bench
        self._seed = seed
        self._boot = 1
        identity = Identity("Attestbed", "emulated PLC", __version__)
        self._emulator = self._started()
        self.controller = LocalController(bench.tags, self._emulator, identity, bench.scan_tag, bench.boot_tag)

    def order(self, what: str, values: Values) -> None:
        _must_be_done(obey(self._emulator, json.dumps({what: dict(values)}).encode()))

    def restart(self) -> None:
        self._boot += 1
        self._emulator = self._started()
        self.controller.restarted(self._emulator)

    def close(self) -> None:
        pass

    def _started(self) -> Emulator:
        bench = self._bench
        parameters = CellParameters(**bench.plant.parameters)
        return Emulator(bench.tags, parameters, self._seed, self._boot, bench.plc.scan_ms / 1000)


class Child:
    """The bench's own role `plc` as a child of this process, which serves when this returns.

    It keeps the bench's data folder and ports, so there is one a bench: UsageError where it runs already. path: of the
    bench file, None for the packaged one; time_scale: seconds of the plant in a second of the wall; port_shift: the one
    that the bench was loaded with.
    """

    def __init__(self, bench: Bench, path: Path | None, time_scale: float, port_shift: int = 0) -> None:
        self._bench = bench
        self._command = [sys.executable, "-m", "testbed.cli.main", "run", "--with-parent", f"--time-scale={time_scale}"]
        self._command += [f"--port-shift={port_shift}", *([] if path is None else ["--bench", str(path)]), "plc"]
        self._output = Paths(bench.data).role_folder("plc") / "run.log"
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def order(self, what: str, values: Values) -> None:
        pipe = self._process.stdin
        try:
            if pipe is None:
                raise BrokenPipeError
            pipe.write(json.dumps({what: dict(values)}).encode() + b"\n")
        except OSError:
            raise self._dead() from None
        _must_be_done(self._answer())

    def restart(self) -> None:
        self.close()
        self._process = self._start()

    def close(self) -> None:
        """End it in order; by force where it does not end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._output.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._output.open("wb") as output:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                # Ctrl-C is for the tests: the PLC must live until the safe state was reached.
                start_new_session=True,
            )
        self._process = process
        try:
            self._wait_until_it_serves(process)
        except BaseException:
            self.close()
            raise
        return process

    def _wait_until_it_serves(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_S
        while True:
            status = read_status(self._bench, "plc")
            if status.get("pid") == process.pid and status.get("state") == "running":
                return
            if process.poll() is not None:
                raise self._dead()
            if time.monotonic() > deadline:
                raise DeviceError(f"the emulated PLC does not serve after {_START_S:g} s", f"look at {self._output}")
            time.sleep(_LOOK_S)

    def _answer(self) -> bytes:
        pipe = self._process.stdout
        answer = b""
        while pipe is not None and not answer.endswith(b"\n"):
            if not select.select([pipe], [], [], _ANSWER_S)[0]:
                raise DeviceError(f"the emulated PLC gave no answer in {_ANSWER_S:g} s", f"look at {self._output}")
            if not (part := os.read(pipe.fileno(), 65536)):
                raise self._dead()
            answer += part
        return answer

    def _dead(self) -> DeviceError:
        words = last_words(self._output.read_bytes()) if self._output.exists() else ""
        return DeviceError(f"the emulated PLC ended: {words}", f"look at {self._output}")


def _must_be_done(answer: bytes) -> None:
    said = json.loads(answer)
    if "error" in said:
        raise UsageError(str(said["error"]), str(said["mend"]))
