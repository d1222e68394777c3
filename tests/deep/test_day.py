"""A bench that is left running for a day: 86,400 states, one a second, all roles, under the virtual clock.

Memory must not grow, what a state costs on disk is said, and the bench is genuine at the end. With DAY=DIR in the
environment the bench is kept there; where one of this very code and seed stands complete, it is only verified again.
"""

import asyncio
import gc
import hashlib
import json
import multiprocessing
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import testbed
from testbed.core.finding import Verdict
from testbed.core.tags import Value
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.paths import Paths

pytestmark = pytest.mark.deep

SEED = 1
HOUR = 3600
SCANS = 24 * HOUR
SAMPLE = 600
"""Scans between two looks at the memory: ten minutes' worth."""
MOST_MIB = 20.0
WITHIN_S = 75 * 60

A_SECOND_EACH = {
    "scan_ms = 100 ": "scan_ms = 1000 ",
    "period_ms = 50\n": "period_ms = 1000\n",
    "commit_ms = 50 ": "commit_ms = 0 ",  # one state a step: nothing waits for another
    "publish_ms = 1000 ": "publish_ms = 60000 ",  # sixty states are a quarter of a tile
    "heartbeat_s = 1.0 ": "heartbeat_s = 60.0 ",  # each state says by itself that the reader lives
    "within_s = 5.0 ": "within_s = 60.0 ",  # a round of anchors a minute, 1,440 in the day
}
"""The default bench, at a tenth of its pace and with a minute where it has seconds."""

Commands = dict[int, tuple[str, Value]]


def commands() -> Commands:
    """A day of an operator: another level each hour, another temperature each shift, and the E-stop once."""
    given: Commands = {hour * HOUR: ("control.level_setpoint", 0.8 + 0.1 * (hour % 5)) for hour in range(1, 24)}
    given |= {shift * 8 * HOUR + 900: ("control.temperature_setpoint", 35.0 + 5.0 * shift) for shift in range(3)}
    stopped = 13 * HOUR + 700
    given |= {stopped: ("estop.pressed", True), stopped + 300: ("estop.pressed", False)}
    given |= {stopped + 320: ("control.reset", True)}
    return given


def memory_mib(field: str, pid: int | str = "self") -> float:
    """A line of /proc/PID/status in MiB: VmRSS is resident now, VmHWM the most that ever was; 0 where it ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


def record(folder: Path) -> dict[str, object]:
    """Simulate the day; memory of this process and of the node at each sample in MiB, and what it took in s."""
    text = default_text()
    for default, ours in A_SECOND_EACH.items():
        assert default in text, default
        text = text.replace(default, ours)
    folder.mkdir(parents=True)
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    samples: list[float] = []
    node: list[float] = []

    def look(scan: int) -> None:
        if scan % SAMPLE == 0:
            gc.collect()
            samples.append(memory_mib("VmRSS"))
            node.append(sum(memory_mib("VmRSS", pid) for pid in children()))

    begun, used = time.monotonic(), time.process_time()
    done = asyncio.run(
        simulate(load_bench(folder / "bench.toml"), SCANS, SEED, commands=commands(), progress=look),
    )
    seconds, used = time.monotonic() - begun, time.process_time() - used
    return {"anchors": done.anchors, "seconds": seconds, "processor_s": used, "samples": samples, "node": node}


def children() -> list[int]:
    """Processes that this one started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(stat.parent.name))
    return found


def verified(folder: Path) -> tuple[Verdict, tuple[str, ...], int, float, float, float]:
    """Verdict, findings, records run again; how long it took in s, and the memory before and at most in MiB."""
    bench = load_bench(folder / "bench.toml")
    before, begun = memory_mib("VmRSS"), time.monotonic()
    report = asyncio.run(audit(bench, bench.trust_file)).report
    found = tuple(f"{one.what.value}: {one.where}: {one.detail}" for one in report.findings)
    return report.verdict, found, report.replayed, time.monotonic() - begun, before, memory_mib("VmHWM")


def bytes_by_part(bench: Bench) -> dict[str, int]:
    """What the bench has on disk, by part: bytes of the files, as long as they are."""
    paths = Paths(bench.data)
    parts: dict[str, int] = {}
    for name in bench.logs:
        parts[f"{name}: records, checkpoints"] = paths.log(name).stat().st_size
        published = paths.tlog(name)
        parts[f"{name}: entries published"] = size_below(published / "tile" / "entries")
        parts[f"{name}: tiles of hashes"] = size_below(published) - parts[f"{name}: entries published"]
    parts["journal of the chain"] = paths.journal.stat().st_size
    parts["all the rest"] = size_below(bench.data) - sum(parts.values())
    return parts


def size_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def allocated_below(folder: Path) -> int:
    """Bytes that the files take on this disk, in whole blocks."""
    return sum(512 * file.stat().st_blocks for file in folder.rglob("*") if file.is_file())


def code() -> str:
    """Digest of what the bytes of a simulated bench depend on: the package, and how this part uses it."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    root = Path(testbed.__file__).parent
    for file in sorted(root.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def test_a_day_in_bounded_memory_is_genuine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("DAY", tmp_path))
    day, told = folder / "day", folder / "done.json"
    begun = time.monotonic()
    # Each in a process of its own, so that its memory is that of the thing itself.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        done = json.loads(told.read_text()) if told.exists() else {}
        if done.get("code") != code():
            told.unlink(missing_ok=True)
            shutil.rmtree(day, ignore_errors=True)
            done = {**pool.submit(record, day).result(), "code": code()}
            told.write_text(json.dumps(done))
        bench = load_bench(day / "bench.toml")
        verdict, findings, replayed, checked, before, most = pool.submit(verified, day).result()
    samples, parts = done["samples"], bytes_by_part(bench)
    grown = max(samples[1:]) - samples[0]
    whole = sum(parts.values())
    with capsys.disabled():
        print(f"\n  {SCANS} scans, one a second       {done['seconds']:8.1f} s, {done['processor_s']:.1f} s of a core")
        print(f"  anchors                         {done['anchors']:8d}")
        print(f"  memory after ten minutes' worth {samples[0]:8.1f} MiB; its node {done['node'][0]:.1f} MiB")
        print(f"  at most after that, at the end  {max(samples[1:]):8.1f} MiB, {samples[-1]:.1f} MiB")
        print(f"  node at most, at the end        {max(done['node']):8.1f} MiB, {done['node'][-1]:.1f} MiB")
        print(f"  verified in                     {checked:8.1f} s: {verdict.value}, {replayed} records run again")
        print(f"  memory of it at most            {most:8.1f} MiB, {before:.1f} MiB before")
        print("  bytes for each state")
        for part, size in parts.items():
            print(f"    {part:32}{size / SCANS:9.1f}")
        print(f"    {'all files':32}{whole / SCANS:9.1f}   {whole / 2**20:.0f} MiB", end="")
        print(f", {allocated_below(bench.data) / 2**20:.0f} MiB of the disk in whole blocks")
    assert findings == ()
    assert verdict is Verdict.GENUINE
    assert replayed == SCANS
    assert len(samples) == SCANS // SAMPLE
    assert grown < MOST_MIB, samples
    assert time.monotonic() - begun < WITHIN_S
