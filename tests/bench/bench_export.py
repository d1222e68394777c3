"""Rows a second of `testbed export`, and of holding such a file against its log; and how much memory an export takes.

The log holds states of the water cell, all 27 tags. Memory is the most that a process had of the system, so that what
Python and pyarrow take by themselves is in it: what counts is that ten times the rows do not take more.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from testbed.core.bodies import CONFIGURATION, Event, Genesis, State
from testbed.core.entropy import SeededEntropy
from testbed.core.tags import DataType, Tag
from testbed.fieldbus.registers import encode
from testbed.keys.ed25519 import SigningKey
from testbed.outward.table_file import open_table
from testbed.record.schema import encode_tags, schema_hash
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.paths import Paths
from testbed.rig.reading import tags_of
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.verify.against import Row, check_file
from testbed.verify.gather import read_log
from testbed.verify.log import check_log
from testbed.verify.trust import LogRole, TrustedLog
from tests.bench.measure import table

SIZES = (20_000, 200_000)
_COMMIT = 8192
# Not getrusage: what it says of a process that was just started is its parent's.
_EXPORT = """
import pathlib, sys
from testbed.cli.main import main
code = main(sys.argv[1:])
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
sys.exit(code)
"""


def main() -> None:
    """Print the table."""
    rows: list[tuple[str, ...]] = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
            bench = load_bench(folder / "bench.toml")
            checked = _checked(bench, _write(bench, size))
            for form in ("csv", "parquet"):
                out = folder / f"states.{form}"
                seconds, memory = _export(bench, folder, out)
                started = time.perf_counter()
                with open_table(out) as found:
                    tags = tags_of(bench, bench.gateway)
                    result = check_file(checked, checked.logs[bench.origin("gateway")], tags, found, out.name, None)
                held = time.perf_counter() - started
                assert result.kinds[Row.GENUINE].count == size
                took = (f"{size / seconds:,.0f}/s", f"{memory / 1024:.0f} MiB", f"{size / held:,.0f}/s")
                rows.append((f"{size:,} states, {form}", f"{out.stat().st_size / size:.0f} bytes", *took))
    table(("", "a row", "exported", "most memory", "held against the log"), *rows)


def _write(bench: Bench, size: int) -> SigningKey:
    """A gateway's log of so many states."""
    key = SigningKey.from_seed(bench.origin("gateway"), bytes(32))
    tags = tags_of(bench, bench.gateway)
    paths = Paths(bench.data)
    with LogStore.create(paths.log("gateway"), synced=False) as store:
        log = Log(key, store, Publisher(paths.tlog("gateway")), SeededEntropy(1, "salts"))
        log.append([(bench.name, Genesis(log.origin, schema_hash(tags), "measured", True))])
        log.append([(bench.name, Event(0, CONFIGURATION, encode_tags(tags)))])
        for start in range(0, size, _COMMIT):
            log.append([("cell", _state(tags, number)) for number in range(start, min(size, start + _COMMIT))])
        log.publish()
    return key


def _state(tags: tuple[Tag, ...], number: int) -> State:
    values = tuple(encode(tag, _value(tag, number)) for tag in tags)
    return State(1, number, None, 1_767_225_600 * 10**9 + number * 10**8, values, (0,) * len(tags))


def _value(tag: Tag, number: int) -> float | int | bool:
    if tag.type is DataType.BOOL:
        return False
    if tag.type in (DataType.FLOAT32, DataType.FLOAT64):
        return number * 0.0001 + 0.3
    return number % 1000


def _checked(bench: Bench, key: SigningKey) -> Any:  # noqa: ANN401 - as much of a Checked as a file needs
    """The log, checked, as if an anchor covered all of it."""
    paths, origin = Paths(bench.data), bench.origin("gateway")
    schema = schema_hash(tags_of(bench, bench.gateway))
    trusted = TrustedLog(origin, LogRole.GATEWAY, key.verifier(), schema, reads="cell")
    log = check_log(trusted, True, read_log(origin, paths.log("gateway"), paths.tlog("gateway")), [], {})
    standing = SimpleNamespace(origin=origin, confirmed=log.size)
    return SimpleNamespace(report=SimpleNamespace(standings=(standing,), findings=()), logs={origin: log})


def _export(bench: Bench, folder: Path, out: Path) -> tuple[float, int]:
    """Seconds, and KiB at most."""
    arguments = ("export", "--bench", str(folder / bench.file), "--out", str(out), "--json")
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _EXPORT, *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, int(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
