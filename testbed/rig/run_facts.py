"""What is known of a bench and its tests as a run begins, and how large its logs are as it ends."""

import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from testbed import __version__
from testbed.chain.reading import read_tail
from testbed.core.bodies import Beacon
from testbed.core.clock import Clock, SystemClock
from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.errors import InvalidData, StoreError
from testbed.core.identity import Identity
from testbed.core.run import LogSize, RunFacts
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.status import newest_block
from testbed.store.sqlite import LogStore

_GIT_S = 10.0


def facts_of(
    bench: Bench,
    transport: str,
    device: Identity,
    *,
    seed: int | None,
    tests: Path,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> RunFacts:
    """What is known as a run begins. tests: a folder or file of the test tree, whose commit is looked up."""
    now = (clock or SystemClock()).now_ns()
    chance = (entropy or SystemEntropy()).take(4).hex()
    stamp = datetime.fromtimestamp(now // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    return RunFacts(
        run=f"run-{stamp}-{chance}",
        bench=bench.name,
        transport=transport,
        device=device,
        commit=commit_of(tests),
        software=f"attestbed {__version__}",
        seed=seed,
        begun_ns=now,
        logs=log_sizes(bench),
        block=newest_block(bench) or _last_block(bench),
    )


def log_sizes(bench: Bench) -> tuple[LogSize, ...]:
    """How many records each log of the bench has under its newest checkpoint, without those that cannot be read."""
    sizes = []
    for name in bench.logs:
        with suppress(StoreError), LogStore.read(Paths(bench.data).log(name)) as store:
            latest = store.latest_checkpoint()
            sizes.append(LogSize(bench.origin(name), 0 if latest is None else latest[0]))
    return tuple(sizes)


def commit_of(tests: Path) -> str:
    """The git commit of the tree that `tests` stands in, with "+changed" where files differ; "" where there is none."""
    folder = tests if tests.is_dir() else tests.parent
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ""
    return f"{commit}+changed" if _git(folder, "status", "--porcelain") else commit


def _git(folder: Path, *arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        answer = subprocess.run(
            [program, "-C", str(folder), *arguments], capture_output=True, timeout=_GIT_S, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _last_block(bench: Bench) -> Beacon | None:
    """Of a bench that does not run: the last block of its journal that the chain does not take back any more."""
    with suppress(StoreError, InvalidData):
        last = read_tail(Paths(bench.data).journal).settled
        if last is not None:
            return Beacon(bench.chain.chain_id, last.height, last.block_hash)
    return None
