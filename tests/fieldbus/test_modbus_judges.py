"""Modbus clients that are not ours, from npm: they read and write every table and understand refusals."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from testbed.core.tags import ModbusTable, Value
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.registers import encode, registers_of
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.judges.node import needs, script

JUDGES = ("modbus-serial", "jsmodbus")
TAGS = load_bench(None).tags

pytestmark = needs(*JUDGES)


class Bench:
    """A PLC that is scanned by hand, behind its server."""

    def __init__(self, plc: Emulator, server: ModbusServer) -> None:
        self.plc = plc
        self.server = server

    async def judged(self, judge: str, what: str) -> dict[str, Any]:
        """What the judge says it saw."""
        program = (*script(f"{judge}.js"), str(self.server.port), what)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*program, stdout=pipe, stderr=pipe)
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert (process.returncode, errors.decode()) == (0, "")
        seen: dict[str, Any] = json.loads(output)
        return seen

    def shown(self, table: ModbusTable) -> list[Value]:
        """Bits or registers of the table as the snapshot has them, address by address from 0 on."""
        snapshot = self.plc.image.snapshot()
        values: dict[int, Value] = {}
        for tag in (tag for tag in TAGS if tag.modbus.table is table):
            raw = encode(tag, snapshot[tag.name])
            parts = [raw == b"\x01"] if table.is_bit else registers_of(raw)
            values.update(enumerate(parts, tag.modbus.address))
        return [values.get(address, 0) for address in range(max(values) + 1)]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    plc = Emulator(TAGS, seed=1, boot=3)
    plc.scan()
    server = ModbusServer(TAGS, plc.image)
    await server.start()
    yield Bench(plc, server)
    await server.stop()


@pytest.mark.parametrize("judge", JUDGES)
async def test_a_judge_reads_every_table_and_asks_ten_things_at_once(bench: Bench, judge: str) -> None:
    for name, value in (("control.mode", 1), ("manual.heater_power", 7.5), ("estop.pressed", True)):
        bench.plc.image.write(name, value)
    for _ in range(3):
        bench.plc.scan()
    seen = await bench.judged(judge, "read")
    inputs = bench.shown(ModbusTable.INPUT_REGISTER)
    assert seen["input"] == inputs
    assert seen["holding"] == bench.shown(ModbusTable.HOLDING_REGISTER)
    assert seen["coils"] == bench.shown(ModbusTable.COIL) == [True, False]
    assert seen["discrete"] == bench.shown(ModbusTable.DISCRETE_INPUT)
    assert seen["discrete"][5] is True
    assert seen["ten"] == [inputs[at : at + 10] for at in range(10)]
    assert seen["held"] == [seen["holding"][at : at + 3] for at in range(10)]
    assert seen.get("identity", ["Attestbed"])[0] == "Attestbed"


@pytest.mark.parametrize("judge", JUDGES)
async def test_a_judge_writes_every_table_that_can_be_written(bench: Bench, judge: str) -> None:
    seen = await bench.judged(judge, "write")
    assert seen["coil"]["address"] == 0
    assert seen["coils"] == {"address": 0, "length": 2}
    assert seen["register"] == {"address": 0, "value": 1}
    assert seen["registers"] == {"address": 2, "length": 4}
    bench.plc.scan()
    snapshot = bench.plc.image.snapshot()
    assert (snapshot["estop.pressed"], snapshot["control.reset"]) == (False, True)
    assert (snapshot["control.level_setpoint"], snapshot["control.temperature_setpoint"]) == (1.5, 50.0)
    if judge == "modbus-serial":  # the other one has no functions 22 and 23
        assert seen["mask"] == {"address": 0, "andMask": 0xFFFC, "orMask": 2}
        assert seen["exchanged"] == [0x4204, 0]
        assert snapshot["manual.pump_speed"] == struct.unpack(">f", bytes.fromhex("42040000"))[0]
        assert snapshot["control.mode"] == 2
    else:
        assert snapshot["control.mode"] == 1


@pytest.mark.parametrize("judge", JUDGES)
async def test_a_judge_understands_every_refusal(bench: Bench, judge: str) -> None:
    seen = await bench.judged(judge, "refused")
    assert seen.pop("function", 1) == 1
    assert seen == {"address": 2, "none": 3, "many": 3, "value": 3, "unit": 11}
    assert bench.plc.image.take_writes() == {}
