"""A real bench whose gateway reads through a man in the middle, and whose PLC others write to as well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from testbed.attacks.relay import HOST
from testbed.attacks.values import another
from testbed.attacks.wire import ModbusInTheMiddle
from testbed.rig.bench import load_bench
from tests.flow.live.conftest import until

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench, Up


@pytest.mark.long
async def test_a_lie_on_the_wire_and_a_stranger_are_seen_and_the_operator_is_not(make_bench: MakeBench) -> None:
    bench = await asyncio.to_thread(make_bench, "bench")
    bench.edit(within_s="1.0")
    port = load_bench(bench.file).plc.modbus.port
    tags = {tag.name: tag for tag in load_bench(bench.file).tags}
    level, setpoint = tags["tank1.level"], tags["control.level_setpoint"]
    lying = False
    wire = ModbusInTheMiddle(HOST, port, level, answers=lambda raw: another(level, raw) if lying else raw)
    await wire.start()
    text = bench.file.read_text(encoding="utf-8")
    gateway = '[[reader]]\nname = "gateway"\n'
    assert gateway in text
    bench.file.write_text(text.replace(gateway, f"{gateway}port = {wire.port}\n"), encoding="utf-8")
    up = await asyncio.to_thread(bench.up)
    try:
        await asyncio.to_thread(states, up, 10)
        said = await asyncio.to_thread(bench.run, "write", setpoint.name, "1.25", "--who", "ada")
        assert said == f"{setpoint.name} = 1.25 by ada: confirmed: read back\n"
        # Every answer came through the man in the middle, who did not lie yet; the bench runs on meanwhile.
        await asyncio.to_thread(states, up, 10)
        await asyncio.to_thread(until, lambda: genuine_with_command(bench))

        lying = True
        await asyncio.to_thread(states, up, 10)
        lying = False
        await asyncio.to_thread(states, up, 5)
        stranger = AsyncModbusTcpClient(HOST, port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await stranger.connect()
        registers = stranger.convert_to_registers(0.75, stranger.DATATYPE.FLOAT32)
        assert not (await stranger.write_registers(setpoint.modbus.address, registers, device_id=1)).isError()
        stranger.close()
        await asyncio.to_thread(states, up, 10)
        assert await asyncio.to_thread(up.end) == 0
        report = await asyncio.to_thread(bench.verify)
    finally:
        await asyncio.to_thread(up.clean_up)
        await wire.close()
    assert report["verdict"] == "FALSIFIED"
    found = {one["what"]: f"{one['where']}: {one['detail']}" for one in report["findings"]}
    assert len(found) == len(report["findings"])
    # The PLC signs its scans: the gateway's log shows by itself what was changed on the way to it.
    assert sorted(found) == ["altered", "unexplained"], found
    assert "of water-cell/gateway: " in found["altered"]
    assert "states; of the first: cell signed tank1.level = " in found["altered"]
    assert "control.level_setpoint went from 1.25 m to 0.75 m" in found["unexplained"]
    assert "more such change" not in found["unexplained"]


def states(up: Up, more: int) -> None:
    """Wait until both readers have logged so many more states."""

    def counts(status: dict[str, Any]) -> list[int]:
        return [status["roles"].get(name, {}).get("states", 0) for name in ("gateway", "reader")]

    before = counts(up.wait_for(lambda status: min(counts(status)) > 0))
    up.wait_for(lambda status: all(now >= then + more for now, then in zip(counts(status), before, strict=True)))


def genuine_with_command(bench: LiveBench) -> bool:
    """Whether all is genuine, and an anchor covers the operator's command, behind genesis and what runs."""
    report = bench.verify()
    # What it says of a bench that has just begun. None of it is a lie.
    assert {one["what"] for one in report["findings"]} <= {"unanchored"}, report["findings"]
    (proved,) = [int(log["genuine"]) for log in report["logs"] if log["role"] == "operator"]
    return report["verdict"] == "GENUINE" and proved >= 5
