"""Runs the measurements of this folder: each bench_<name>.py has a `main` that measures and prints one table.

`python tests/bench/run.py` runs all of them, `... run.py gas` only those named.
"""

import platform
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def benches() -> dict[str, Path]:
    """The files with measurements, by name."""
    return {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}


def main(names: Sequence[str]) -> int:
    """Run the named measurements, or all. The exit code: 2 for a name that is not there."""
    found = benches()
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"no measurement {', '.join(unknown)}; there are: {' '.join(found)}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {platform.machine()}, {_processor()}")
    for name in names or found:
        started = time.monotonic()
        print(f"\n{name}", flush=True)
        runpy.run_path(str(found[name]))["main"]()
        print(f"({name} took {time.monotonic() - started:.1f} s)", flush=True)
    return 0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "processor unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
