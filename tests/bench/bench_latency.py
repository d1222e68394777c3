"""From a change on the PLC to the twin's record of it, and what the whole bench costs, on a live bench.

A set-point is written over Modbus into a PLC of SCAN_MS; the time runs until the twin's log holds a record whose input
shows it. Most of it is waiting: for the scan that takes the write in, for the gateway's poll, for its commit, for the
twin's look; *the periods* are the mean and the worst of these waits, with no work between. They run beside each other
at periods that divide each other, so in one run each waits for the next for the same time again and again, and another
run may have other figures. *missed* are scans that the gateway did not see; it cannot see all that are shorter than its
poll. The processor time is that of every process of the bench, the development node and the supervisor among them; the
PLC has 50 tags, which both readers read, by Modbus and, at 50 ms, by OPC UA. LATENCY_S says how long each row takes.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from testbed.core.bodies import State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.errors import StoreError
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.registers import encode
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.locks import role_names
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from tests.bench.measure import percentile, processor_s, table

SECONDS = float(os.environ.get("LATENCY_S", "20"))
SCAN_MS = 10
POLLS_MS = ((10, 50), (10, 10), (50, 50), (100, 50))
"""Poll period, and the least time between two commits. The default of a bench file is a commit each 50 ms."""
TAGS = 50
PATIENCE_S = 60.0
LOOK_S = 0.002
TAG = "control.level_setpoint"


Times = tuple[float, float, float]


def main() -> None:
    """Print the tables."""
    rows, loads = [], []
    for poll_ms, commit_ms in POLLS_MS:
        taken, shares, facts = run(poll_ms, commit_ms)
        name, look = f"{poll_ms} ms, commit {commit_ms} ms", min(50, poll_ms)
        cells = [
            " ".join(f"{1000 * percentile(column, share):.0f}" for share in (50, 99))
            for column in zip(*taken, strict=True)
        ]
        # A state waits for no commit where the poll is slower than those are.
        worst = SCAN_MS + poll_ms + (commit_ms if commit_ms > poll_ms else 0) + look
        states, missed = (int(facts[key]) for key in ("states", "missed"))
        rows.append((name, str(len(taken)), *cells, f"{worst / 2:.0f} {worst}", f"{missed} of {states + missed}"))
        loads.append((name, *(f"{100 * share:.0f} %" for share in (*shares.values(), sum(shares.values())))))
    parts = ("change to state received", "to twin record", "change to twin record", "the periods: mean worst")
    table((f"scan {SCAN_MS} ms; p50 p99, ms; poll each", "writes", *parts, "scans missed"), *rows)
    table((f"share of a core, {TAGS} tags", *shares, "all"), *loads)


def run(poll_ms: int, commit_ms: int) -> tuple[list[Times], dict[str, float], dict[str, Any]]:
    """The times of each write, shares of a core by process, and what the gateway says of itself at the end."""
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder), poll_ms, commit_ms) as bench:
        with up(bench) as supervisor:
            wait_for_a_state(bench)
            pids = {"supervisor": supervisor, **wait_until_it_runs(bench)}
            used, started = {name: processor_s(pid) for name, pid in pids.items()}, time.perf_counter()
            taken = asyncio.run(measure(bench))
            seconds = time.perf_counter() - started
            shares = {name: (processor_s(pid) - used[name]) / seconds for name, pid in pids.items()}
            facts = _status(bench.data / bench.gateway.name / "status.json")
        return taken, shares, facts


async def measure(bench: Bench) -> list[Times]:
    """Write, wait for the twin, write again, at random instants; the three times of each, s."""
    tag = next(tag for tag in bench.tags if tag.name == TAG)
    place = bench.tags.index(tag)
    modbus, paths = bench.plc.modbus, Paths(bench.data)
    chance = random.Random(1)
    found: list[Times] = []
    client = ModbusController(bench.tags, Tcp(modbus.host, modbus.port), modbus.unit)
    await client.connect()
    with (
        LogStore.read(paths.log(bench.twin.name)) as twin,
        LogStore.read(paths.log(bench.gateway.name)) as source,
    ):
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            value = 0.5 + 0.001 * (len(found) % 1000)
            seen = twin.count()
            written_ns = time.time_ns()
            await client.write(tag, value)
            received_ns, recorded_ns = await shown(twin, source, seen, (place, encode(tag, value)))
            parts = (received_ns - written_ns, recorded_ns - received_ns, recorded_ns - written_ns)
            found.append((parts[0] / 1e9, parts[1] / 1e9, parts[2] / 1e9))
            await asyncio.sleep(chance.uniform(0.0, bench.plc.scan_ms / 1000))
    await client.close()
    return found


async def shown(twin: LogStore, source: LogStore, seen: int, wanted: tuple[int, bytes]) -> tuple[int, int]:
    """When the first state with the wanted value was received, and when the twin's record of it was found; UTC ns."""
    place, raw = wanted
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        rows = list(twin.rows(seen))
        now = time.time_ns()
        for row in rows:
            seen = row.index + 1
            record = decode_body(decode_entry(row.entry).kind, row.body or b"")
            if isinstance(record, TwinRecord):
                state = _state(source, record.inputs[-1].index)
                if state.values[place] == raw:
                    return state.receive_time_ns, now
        await asyncio.sleep(LOOK_S)
    raise TimeoutError("the twin never showed what was written")


def _state(source: LogStore, index: int) -> State:
    row = next(source.rows(index, index + 1))
    body = decode_body(Kind.STATE, row.body or b"")
    assert isinstance(body, State)  # its kind says so
    return body


@contextmanager
def ready(folder: Path, poll_ms: int, commit_ms: int) -> Iterator[Bench]:
    """The water cell with spare memory, on free ports, at these periods, made ready."""
    text = default_text()
    spare = "".join(map(spare_tag, range(TAGS - text.count("[[plc.tag]]"))))
    text = text.replace("[[reader]]", f"{spare}[[reader]]", 1)
    # The first reader is the gateway.
    for key, number in (("scan_ms", SCAN_MS), ("period_ms", poll_ms), ("commit_ms", commit_ms)):
        text = re.sub(rf"^{key} = \d+", f"{key} = {number}", text, count=1, flags=re.MULTILINE)
    port = re.compile(r"^port = \d+", re.MULTILINE)
    ports = iter(free_ports(len(port.findall(text))))
    file = folder / "bench.toml"
    file.write_text(port.sub(lambda _: f"port = {next(ports)}", text), encoding="utf-8")
    subprocess.run(testbed("init", file), check=True, stdout=subprocess.DEVNULL)
    yield load_bench(file)


def spare_tag(number: int) -> str:
    """A float in the PLC's memory, in a bench file: behind the water cell's own holding registers."""
    place = f'{{ table = "holding_register", address = {100 + 2 * number} }}'
    said = f'name = "spare.n{number}"\ntype = "float32"\nrange = [0.0, 100.0]\nwritable = true\nmodbus = {place}'
    return f"[[plc.tag]]\n{said}\n\n"


@contextmanager
def up(bench: Bench) -> Iterator[int]:
    """The running bench; the process id of its supervisor."""
    command = testbed("up", bench.folder / "bench.toml")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()  # its roles end with it


def testbed(command: str, file: Path) -> list[str]:
    """`testbed COMMAND --bench FILE`."""
    return [sys.executable, "-m", "testbed.cli.main", command, "--bench", str(file)]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel gives to clients."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 32_000)))
                found.append(probe.getsockname()[1])
        return found


def wait_for_a_state(bench: Bench) -> None:
    """Until the gateway has logged its first state."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(StoreError), LogStore.read(Paths(bench.data).log(bench.gateway.name)) as log:
            if any(decode_entry(row.entry).kind is Kind.STATE for row in log.rows()):
                return
        time.sleep(0.02)
    raise TimeoutError("the gateway logged no state")


def wait_until_it_runs(bench: Bench) -> dict[str, int]:
    """Process ids by role, once every role runs and the first anchor is mined."""
    roles = set(role_names(bench))
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = {path.parent.name: _status(path) for path in bench.data.glob("*/status.json")}
        running = {role for role, status in found.items() if status.get("state") == "running"}
        if running >= roles and found["anchor"].get("anchors"):
            return {**{role: found[role]["pid"] for role in sorted(roles)}, "node": found["chain"]["node"]}
        time.sleep(0.1)
    raise TimeoutError("the bench did not come up")


def _status(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    main()
