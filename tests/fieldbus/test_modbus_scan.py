"""A scan over real sockets and serial lines: our own server, one by another author, silent ones; and never a write."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import ModbusTable
from testbed.fieldbus.modbus_ranges import SILENCE, Answer, Ask
from testbed.fieldbus.modbus_scan import Wire, carry_out
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_survey import TABLES, UNITS_TCP, Plan, Question, Survey, survey
from testbed.fieldbus.modbus_transports import Tcp
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.judges.foreign import foreign, needs_modbus_serial

LOCAL = "127.0.0.1"
HOLDING = Ask(ModbusTable.HOLDING_REGISTER, 0, 1)
READS = {1, 2, 3, 4, 43}
Says = Callable[[int, bytes], bytes | str | None]


async def scanned(port: int, plan: Plan, patience: float = 1.0) -> Survey:
    wire = Wire(Tcp(LOCAL, port), patience, 0.0)
    try:
        return await carry_out(survey(plan), wire)
    finally:
        wire.close()


def ranges(survey: Survey, unit: int) -> dict[str, tuple[tuple[int, int], ...]]:
    (found,) = [one for one in survey.units if one.number == unit]
    return {table.table.value: table.ranges for table in found.tables}


@asynccontextmanager
async def answering(answer: Says) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each frame as `answer` says of unit and PDU: a PDU, None for silence, "" to hang up."""
    frames: list[bytes] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(7)
                pdu = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                frames.append(head[6:] + pdu)
                said = answer(head[6], pdu)
                if isinstance(said, str):
                    break
                if said is not None:
                    writer.write(head[:4] + (len(said) + 1).to_bytes(2, "big") + head[6:7] + said)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, LOCAL, 0)
    try:
        yield server.sockets[0].getsockname()[1], frames
    finally:
        server.close()
        await asyncio.gather(*serving)


async def test_our_own_server_is_found_as_it_is() -> None:
    tags = load_bench(None).tags
    plc = Emulator(tags, seed=1, boot=3)
    plc.scan()
    server = ModbusServer(tags, plc.image)
    await server.start()
    try:
        found = await scanned(server.port, Plan((1, 9, 255)))
    finally:
        await server.stop()
    assert [(unit.number, unit.same_as) for unit in found.units] == [(1, None), (255, 1)]
    assert found.silent == (9,)
    assert found.units[0].identity == Identity("Attestbed", "emulated-plc", "1.0")
    held = {table: [tag for tag in tags if tag.modbus.table is table] for table in TABLES}
    last = {
        table.value: max(tag.modbus.address + (1 if table.is_bit else tag.type.size // 2) for tag in here) - 1
        for table, here in held.items()
    }
    assert ranges(found, 1) == {table: ((0, end),) for table, end in last.items()}


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 30])
async def test_bits_and_registers_come_as_the_device_holds_them(bits: int) -> None:
    def answer(_unit: int, pdu: bytes) -> bytes:
        count = int.from_bytes(pdu[3:5], "big")
        if pdu[0] in (1, 2):
            packed = sum((at % 3 == 0) << at for at in range(count)).to_bytes((count + 7) // 8, "little")
        else:
            packed = b"".join((1000 + at).to_bytes(2, "big") for at in range(count))
        return pdu[:1] + len(packed).to_bytes(1, "big") + packed

    async with answering(answer) as (port, _):
        wire = Wire(Tcp(LOCAL, port), 1.0, 0.0)
        coils = await wire.read(1, Ask(ModbusTable.COIL, 0, bits))
        inputs = await wire.read(1, Ask(ModbusTable.INPUT_REGISTER, 0, bits))
        wire.close()
    assert coils.values == tuple(int(at % 3 == 0) for at in range(bits))
    assert inputs.values == tuple(range(1000, 1000 + bits))


async def test_a_device_that_answers_to_every_unit_is_looked_at_once() -> None:
    def answer(_unit: int, pdu: bytes) -> bytes:
        if pdu[0] == 43:
            return bytes([0xAB, 1])
        return bytes([pdu[0], 2, 0, 7]) if pdu[1:5] == bytes([0, 0, 0, 1]) else bytes([pdu[0] | 0x80, 2])

    async with answering(answer) as (port, frames):
        found = await scanned(port, Plan(UNITS_TCP, {ModbusTable.HOLDING_REGISTER: ((0, 3),)}))
    assert (found.any_unit, [unit.number for unit in found.units]) == (True, [1])
    assert {frame[1] for frame in frames} <= READS


async def test_a_device_that_answers_as_two_units_is_one() -> None:
    def answer(unit: int, pdu: bytes) -> bytes | None:
        if unit not in (1, 255):
            return None
        return bytes([pdu[0], 2, 0, 7]) if pdu[1:5] == bytes([0, 0, 0, 1]) else bytes([pdu[0] | 0x80, 2])

    async with answering(answer) as (port, _):
        found = await scanned(port, Plan((1, 255), {ModbusTable.HOLDING_REGISTER: ((0, 3),)}), patience=0.2)
    assert [(unit.number, unit.same_as) for unit in found.units] == [(1, None), (255, 1)]


async def test_a_device_that_answers_for_its_inputs_alone_is_found() -> None:
    def answer(_unit: int, pdu: bytes) -> bytes | None:
        if pdu[0] != 4:
            return None
        return bytes([4, 2, 0, 7]) if pdu[1:5] == bytes([0, 0, 0, 1]) else bytes([0x84, 2])

    async with answering(answer) as (port, _):
        found = await scanned(port, Plan((5,), {ModbusTable.INPUT_REGISTER: ((0, 3),)}), patience=0.1)
    assert ranges(found, 5) == {"input_register": ((0, 0),)}


async def test_busy_is_asked_again_and_a_broken_connection_is_made_again() -> None:
    answers: list[bytes | str] = [
        bytes([0x83, 6]),
        bytes([0x83, 5]),
        bytes([3, 2, 0, 7]),
        "",
        bytes([3, 2, 0, 8]),
        b"\x03\x01",
    ]
    said = iter(answers)

    async with answering(lambda _unit, _pdu: next(said)) as (port, _):
        wire = Wire(Tcp(LOCAL, port), 1.0, 0.0)
        assert await wire.read(1, HOLDING) == Answer((7,))
        assert await wire.read(1, HOLDING) == Answer(None, SILENCE)
        assert await wire.read(1, HOLDING) == Answer((8,))
        assert await wire.read(1, HOLDING) == Answer(None, SILENCE), "garbage is no answer"
        wire.close()


async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    async with answering(lambda unit, _pdu: None if unit == 1 else bytes([3, 2, 0, 9])) as (port, _):
        wire = Wire(Tcp(LOCAL, port), 0.1, 0.0)
        assert await wire.read(1, HOLDING) == Answer(None, SILENCE)
        assert await wire.read(2, HOLDING) == Answer((9,))
        wire.close()


async def test_nobody_there_is_an_error_with_a_mend(unused_tcp_port: int) -> None:
    with pytest.raises(DeviceError, match="no connection") as caught:
        await Wire(Tcp(LOCAL, unused_tcp_port), 1.0, 0.0).open()
    assert caught.value.mend


class TestForeign:
    """A server by another author."""

    pytestmark = needs_modbus_serial

    async def test_units_identities_ranges_and_limits_are_found_and_nothing_is_written(self, tmp_path: Path) -> None:
        units: Mapping[str, Mapping[str, Any]] = {
            "1": {
                "holding": {**dict.fromkeys(range(300), 5), 1000: 1},
                "input": {at: at for at in range(7, 19)},
                "coil": dict.fromkeys(range(8), 0),
                "identity": {0: "Maker", 1: "P-1", 2: "1.2"},
                "most": 60,
            },
            "4": {"discrete": dict.fromkeys(range(8192, 8200), 1)},
        }
        asked: list[Question] = []
        with foreign(units, tmp_path) as device:
            wire = Wire(Tcp(LOCAL, device.port), 1.0, 0.0)
            found = await carry_out(survey(Plan(UNITS_TCP)), wire, lambda question, _: asked.append(question))
            wire.close()
        assert device.said == {"writes": 0}
        assert ranges(found, 1) == {
            "holding_register": ((0, 299), (1000, 1000)),
            "input_register": ((7, 18),),
            "coil": ((0, 7),),
            "discrete_input": (),
        }
        assert ranges(found, 4)["discrete_input"] == ((8192, 8199),)
        one, four = found.units
        assert (one.identity, four.identity) == (Identity("Maker", "P-1", "1.2"), Identity())
        assert one.tables[0].most == 60
        assert found.silent == (2, 3, 5, 255, 0)
        assert len(asked) == found.asked < 800

    async def test_a_scan_stops_at_its_number_of_requests(self, tmp_path: Path) -> None:
        with foreign({"1": {"holding": dict.fromkeys(range(300), 5)}}, tmp_path) as device:
            found = await scanned(device.port, Plan((1,), requests=20))
        assert found.asked <= 21
        assert any("there may be more" in note for table in found.units[0].tables for note in table.notes)
