"""Clients by other authors at a running bench: both protocols show one PLC, and what one writes the other shows."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.core.tags import DataType, ModbusTable, Tag
from testbed.rig.bench import load_bench
from testbed.rig.paths import Paths
from tests.judges.node import needs, script

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench, Status

PACKAGES = ("modbus-serial", "jsmodbus", "node-opcua-client")
POLICIES = ("None", "Basic256Sha256")
ATTEMPTS = 10
"""To read by both protocols in one scan, on a machine that may be busy."""

pytestmark = needs(*PACKAGES)


class Judges:
    """The clients, and where the bench's PLC listens."""

    def __init__(self, bench: LiveBench, folder: Path) -> None:
        loaded = load_bench(bench.file)
        self.tags = loaded.tags
        self._modbus = str(loaded.plc.modbus.port)
        self._url = f"opc.tcp://127.0.0.1:{loaded.plc.opcua.port}/attestbed"
        self._folder = folder
        self._certificate = str(Paths(bench.data).plc_certificate)

    def modbus(self, judge: str, what: str) -> dict[str, Any]:
        """A run of modbus-serial or jsmodbus."""
        return self._run(judge, self._modbus, what)

    def opcua(self, policy: str) -> dict[str, Any]:
        """A run of node-opcua."""
        return self._run("node-opcua", self._url, policy, str(self._folder), self._certificate)

    def both(self, policy: str) -> dict[str, Any]:
        """modbus-serial and node-opcua, in one process."""
        return self._run("both", self._modbus, self._url, policy, str(self._folder), self._certificate)

    @contextmanager
    def watching(self) -> Iterator[dict[int, list[int]]]:
        """What modbus-serial sees meanwhile: input registers by scan, there at the end."""
        scans: dict[int, list[int]] = {}
        pipe = subprocess.PIPE
        command = self._command("modbus-serial", self._modbus, "watch")
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=self._environment()) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "watching\n"
                yield scans
                output, _ = process.communicate(timeout=30)
            finally:
                process.kill()
        assert process.returncode == 0
        scans.update({int(scan): registers for scan, registers in json.loads(output).items()})

    def _run(self, judge: str, *arguments: str) -> dict[str, Any]:
        command = self._command(judge, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=self._environment())
        assert done.returncode == 0, done.stderr
        # Beside what we asked for, some tell what they think of the version of Node.
        seen: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
        return seen

    def _command(self, judge: str, *arguments: str) -> list[str]:
        return [*script(f"{judge}.js"), *arguments]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self._folder)}  # where one of them would keep lists of its own


def decoded(tag: Tag, registers: Sequence[int]) -> float:
    """The value of a tag in a table of registers."""
    at = tag.modbus.address
    if tag.type is DataType.UINT16:
        return registers[at]
    raw = struct.pack(">HH", *registers[at : at + 2])
    return float(struct.unpack(">f" if tag.type is DataType.FLOAT32 else ">I", raw)[0])


def shown(tags: Sequence[Tag], table: ModbusTable, registers: Sequence[int]) -> dict[str, float]:
    return {tag.name: decoded(tag, registers) for tag in tags if tag.modbus.table is table}


def values_of(seen: dict[str, Any]) -> dict[str, Any]:
    """What node-opcua read, by tag; each with a good status and a source timestamp."""
    assert {(status, stamped) for status, _, _, stamped in seen["values"].values()} == {("Good", True)}
    return {name: value for name, (_, _, value, _) in seen["values"].items()}


def test_foreign_clients_find_one_plc_behind_both_protocols(make_bench: MakeBench, tmp_path: Path) -> None:
    bench = make_bench("bench")
    up = bench.up()
    up.wait_for(lambda status: status["states"] >= 1 and status["roles"]["plc"].get("state") == "running")
    folder = tmp_path / "trusting"
    folder.mkdir()
    judges = Judges(bench, folder)

    # A Modbus client writes, the other one and an OPC UA client read it; then the same with another pair.
    for writer, reader, policy in (
        ("modbus-serial", "jsmodbus", "None"),
        ("jsmodbus", "modbus-serial", "Basic256Sha256"),
    ):
        written = judges.modbus(writer, "write")
        assert written["registers"] == {"address": 2, "length": 4}
        mode = 2 if writer == "modbus-serial" else 1  # which has function 22
        up.wait_for(partial(_reads, judges, reader, mode))
        read = judges.modbus(reader, "read")
        assert read["coils"][0] is False
        assert read["held"] == [read["holding"][at : at + 3] for at in range(10)]
        assert [len(registers) for registers in read["ten"]] == [10] * 10
        holding = shown(judges.tags, ModbusTable.HOLDING_REGISTER, read["holding"])
        assert (holding["control.level_setpoint"], holding["control.temperature_setpoint"]) == (1.5, 50.0)
        if writer == "modbus-serial":
            assert holding["manual.pump_speed"] == 33.0

        seen = _in_one_scan(judges, policy, holding)
        assert set(values_of(seen)) == {tag.name for tag in judges.tags} | {"device.frame"}
        assert seen["endpoints"] == [["None", "None"], ["SignAndEncrypt", "Basic256Sha256"]]
        assert {tag.name for tag in judges.tags} <= set(seen["nodes"])
        assert seen["written"] == {
            "good": "Good",
            "range": "BadOutOfRange",
            "type": "BadTypeMismatch",
            "fixed": "BadNotWritable",
        }
        assert seen["called"] == "Good"
        counts = seen["heard"]["counts"]
        assert counts == sorted(set(counts))
        assert seen["heard"]["alarm"] == ["estop.active", 900, "estop.active active"]

    for policy in POLICIES:
        crossed = judges.both(policy)
        assert crossed["opcuaWrote"]["status"] == "Good"
        for wrote, value in (("opcuaWrote", 0.75), ("modbusWrote", 1.25)):
            acknowledged, looks = crossed[wrote]["acknowledged"], crossed[wrote]["seen"]
            assert looks[-1][1] == value
            # A write that was acknowledged in one scan is taken in by the next, or by the one after it where the
            # next had begun; whoever looks from then on, sees it.
            assert {seen for scan, seen in looks if scan >= acknowledged + 2} == {value}, (wrote, acknowledged, looks)
    assert up.process.poll() is None
    assert up.end() == 0, up.said()


def _reads(judges: Judges, reader: str, mode: int, _: Status) -> bool:
    return bool(judges.modbus(reader, "read")["holding"][0] == mode)


def _in_one_scan(judges: Judges, policy: str, holding: dict[str, float]) -> dict[str, Any]:
    """A run of node-opcua that read in a scan that modbus-serial saw as well: all inputs are the same, to the bit.

    Set-points stand, so they are the same in any scan; each run ends with an emergency stop, which changes none.
    """
    for attempt in range(ATTEMPTS):
        with judges.watching() as scans:
            seen = judges.opcua(policy)
        values = values_of(seen)
        if attempt == 0:
            assert {name: values[name] for name in holding} == holding
        if (scan := values["plc.scan"]) in scans:
            inputs = shown(judges.tags, ModbusTable.INPUT_REGISTER, scans[scan])
            assert {name: values[name] for name in inputs} == inputs
            return seen
        judges.modbus("jsmodbus", "write")  # ends the emergency stop, for the next attempt to hear of one
    pytest.fail(f"no scan was read by both protocols in {ATTEMPTS} attempts")
