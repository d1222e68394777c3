"""What a role makes of its surroundings: another bench's PLC, a clock that is set back, a source that is long."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testbed.core.bodies import CONFIRMED, Body, Event, Heartbeat, Peer, State
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import DeviceError, UsageError
from testbed.guard.operator import Operator
from testbed.keys.files import write_secret
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench, load_bench
from testbed.rig.bench_file import Modbus
from testbed.rig.boot import count_boot, read_boot
from testbed.rig.controllers import modbus_reader, opcua_reader
from testbed.rig.default import default_text
from testbed.rig.locks import role_lock
from testbed.rig.logs import Configuration, open_log
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.rig.roles.plc import PlcRole
from testbed.rig.roles.reader import ReaderRole
from testbed.rig.roles.role import Publishing
from testbed.rig.roles.twin import TwinRole
from testbed.store.sqlite import LogStore
from testbed.tlog.sequencer import Log

SECOND = 10**9


def bench_in(folder: Path) -> Bench:
    """A bench that was made ready, without its chain."""
    folder.mkdir()
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    for number, name in enumerate(bench.logs):
        write_secret(Paths(bench.data).key(name), bytes([number]) * 32)
    with operator_log(bench, VirtualClock(0), SeededEntropy(1, "operator"), simulated=False):
        pass
    return bench


def bodies(bench: Bench, role: str) -> list[Body]:
    with LogStore.read(Paths(bench.data).log(role)) as store:
        return [decode_body(decode_entry(row.entry).kind, row.body or b"") for row in store.rows()]


@contextmanager
def serving(bench: Bench, port: int) -> Iterator[None]:
    """As a running role plc shows itself."""
    with role_lock(bench, "plc"):
        Paths(bench.data).status("plc").write_text(json.dumps({"pid": 1, "modbus": port}), encoding="utf-8")
        yield


async def test_the_plc_of_another_bench_is_not_logged(tmp_path: Path) -> None:
    clock = VirtualClock(1000 * SECOND)
    other = PlcRole(bench_in(tmp_path / "other"), clock)
    await other.start()
    port = other.modbus.port
    bench = bench_in(tmp_path / "mine")
    bench = replace(bench, plc=bench.plc.model_copy(update={"modbus": Modbus(port=port)}))
    gateway = ReaderRole(bench, "gateway", clock, SeededEntropy(1, "salts"), lambda: None, simulated=False)

    async def step() -> str:
        """What the gateway's newest heartbeat says after its next step."""
        await other.step()
        for _ in range(2):
            clock.advance(10 * SECOND)
            await gateway.step()
        return [body.wrong for body in bodies(bench, "gateway") if isinstance(body, Heartbeat)][-1]

    try:
        assert await step() == "the PLC of this bench does not serve"
        count_boot(Paths(bench.data).plc_boot)
        count_boot(Paths(bench.data).plc_boot)
        with serving(bench, port):
            assert await step() == "another PLC answers in the place of cell: boot 1, not 2"
        assert not any(isinstance(body, State) for body in bodies(bench, "gateway"))
        # Its own: the same boot, served by its own role on this port.
        Paths(bench.data).plc_boot.write_text("1", encoding="ascii")
        with serving(bench, port + 1):
            assert await step() == "the PLC of this bench does not serve"
        with serving(bench, port):
            assert await step() == "the scan counter stands still"  # after one scan, which was logged
        assert sum(isinstance(body, State) for body in bodies(bench, "gateway")) == 1
    finally:
        await gateway.stop()
        await other.stop()


async def test_a_command_stands_before_what_it_did(tmp_path: Path) -> None:
    clock = VirtualClock(1000 * SECOND)
    bench = bench_in(tmp_path / "bench")
    plc = PlcRole(bench, clock)
    await plc.start()
    port = plc.modbus.port
    gateway = ReaderRole(bench, "gateway", clock, SeededEntropy(1, "salts"), lambda: None, port=port, simulated=True)

    async def scan() -> None:
        clock.advance(SECOND // 10)
        await plc.step()
        await gateway.step()

    try:
        await scan()
        with operator_log(bench, clock, SeededEntropy(2, "operator"), simulated=True) as log:
            operator = Operator("eve", log, modbus_reader(bench, port=port), bench.tags, bench.momentary, scan)
            assert (await operator.write("control.mode", 1)).startswith(CONFIRMED)
        await scan()
    finally:
        await gateway.stop()
        await plc.stop()
    place = [tag.name for tag in bench.tags].index("control.mode")
    shown: list[object] = []
    for body in bodies(bench, "gateway"):
        if isinstance(body, Peer):
            shown.append(int(body.checkpoint.split(b"\n")[1]))
        elif isinstance(body, State):
            shown.append(body.values[place])
    # Genesis and two events; then the command, and its outcome.
    assert shown == [3, b"\0\2", 4, b"\0\1", 5, b"\0\1"]


def test_a_restart_counter_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plc" / "boot"
    assert (read_boot(path), count_boot(path), count_boot(path), read_boot(path)) == (0, 1, 2, 2)
    for data in (b"", b"two", b"-1", b"1 2", b"4294967296", b"9" * 5000, b"\xff"):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="boot: not a restart counter") as raised:
            count_boot(path)
        assert "write the last plc.boot" in raised.value.mend
        assert path.read_bytes() == data
    path.write_bytes(b"7\n")
    assert count_boot(path) == 8
    path.write_bytes(b"4294967295")
    assert count_boot(path) == 0


@dataclass
class AnyClock:
    """A clock that somebody may set."""

    now: int

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return 0


class Counting(Log):
    """Counts how often it is published."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self) -> None:
        self.published += 1


def test_a_clock_that_was_set_back_does_not_end_publishing() -> None:
    clock, log = AnyClock(1000 * SECOND), Counting()
    publishing = Publishing(log, clock, 10 * SECOND)
    counts = []
    for now in (1000, 1005, 1010, 400, 405, 410):
        clock.now = now * SECOND
        publishing.step()
        counts.append(log.published)
    assert counts == [1, 1, 2, 3, 3, 4]


async def test_a_twin_that_stops_consumes_what_stands_behind_a_batch_without_a_state(tmp_path: Path) -> None:
    bench = bench_in(tmp_path / "bench")
    clock, entropy = VirtualClock(1000 * SECOND), SeededEntropy(1, "salts")
    log, store = open_log(bench, "gateway", Configuration(says=(("test", b""),)), clock, entropy, simulated=False)
    log.append([("cell", Event(n, "noise", b"")) for n in range(1100)])
    nothing = State(1, 1, None, 0, (None,) * len(bench.tags), (0x8000_0000,) * len(bench.tags))
    log.append([("cell", nothing)])
    store.close()
    twin = TwinRole(bench, clock, entropy, simulated=False)
    await twin.stop()
    assert twin.facts()["consumed"] == log.size == 1103
    assert twin.facts()["records"] == 1


def listening(bench: Bench, opcua_port: int) -> Bench:
    """The bench, its Modbus server on a port that the system chooses."""
    plc = bench.plc
    modbus, opcua = plc.modbus.model_copy(update={"port": 0}), plc.opcua.model_copy(update={"port": opcua_port})
    return replace(bench, plc=plc.model_copy(update={"modbus": modbus, "opcua": opcua}))


async def test_modbus_is_served_before_opcua(tmp_path: Path) -> None:
    bench = listening(bench_in(tmp_path / "bench"), 0)
    plc = PlcRole(bench)
    await plc.start()
    try:
        with pytest.raises(DeviceError):
            await opcua_reader(bench, port=plc.opcua.port or 1).connect()
        modbus = modbus_reader(bench, port=plc.modbus.port)
        await modbus.connect()
        first = (await modbus.poll()).scan
        await modbus.close()
        while plc.opcua.port == 0:
            await plc.step()
            await asyncio.sleep(0)
        opcua = opcua_reader(bench, port=plc.opcua.port)
        await opcua.connect()
        assert first is not None
        assert ((await opcua.poll()).scan or 0) >= first
        await opcua.close()
    finally:
        await plc.stop()


async def test_a_plc_that_cannot_serve_one_protocol_serves_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plc = PlcRole(listening(bench_in(tmp_path / "bench"), taken.getsockname()[1]))
        with pytest.raises(UsageError, match=r"plc\.opcua"):
            await plc.start()
        assert plc.modbus.port == 0
        await plc.stop()
