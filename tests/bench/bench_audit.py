"""A log of 300-byte bodies audited from its bodies to the signed root, against a bare loop over the same rows.

The audit: each body opens its commitment, each entry hashes to its leaf and is the next one of its source, the leaves
give the signed root; whatever does not is located to its index. The bare loop selects the rows, hashes each body, entry
and node, and keeps the leaf hashes; it decodes, compares and locates nothing. Both read the file anew each time. Memory
is what each process had at most by the word of the kernel, interpreter and libraries included.
"""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from testbed.core.bodies import Event
from testbed.core.entropy import SystemEntropy
from testbed.core.finding import Finding
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.verify.copies import LeafCopy
from testbed.verify.crew import Crew
from testbed.verify.gather import read_log
from testbed.verify.location import true_leaves
from testbed.verify.log import check_log
from testbed.verify.records import check_records
from testbed.verify.segments import hash_log
from testbed.verify.trust import LogRole, TrustedLog
from testbed.verify.work import Work
from tests.bench.measure import Compared, Measure, compare, of, table

KEY = SigningKey.from_seed("bench.example/log", bytes(32))
BODY = Event(1_700_000_000 * 10**9, "measured", bytes(278))
BATCH = 1024
QUICK = 256 * BATCH
"""Records that are audited again and again; they stay in the memory of the operating system."""
MILLION = 1024 * BATCH
ROUNDS = 5


def main() -> None:
    """Print the tables."""
    if sys.argv[1:]:
        print(json.dumps(memory(Path(sys.argv[1]), int(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "quick", QUICK)
        write(folder / "million", MILLION)
        located(folder)
        speed(folder / "quick")
        by_size(folder / "million")


def write(folder: Path, size: int) -> None:
    """A log of that many records, 1,024 in a commit."""
    with LogStore.create(folder / "log.sqlite", synced=False) as store:
        log = Log(KEY, store, Publisher(folder / "tlog"), SystemEntropy())
        while log.size < size:
            log.append([("measured", BODY)] * BATCH)
        log.publish()


def speed(folder: Path) -> None:
    """Rates, and what the time of one process goes into."""
    measures: list[Measure] = [partial(rate, partial(audit, folder, jobs), QUICK) for jobs in (1, 2)]
    measures.append(partial(rate, partial(whole, folder, 1), QUICK))
    peer: Measure = partial(rate, partial(bare, folder), QUICK)
    taken = [[measure() for measure in (peer, *measures)] for _ in range(ROUNDS + 1)][1:]
    floor, one, two, full = (list(column) for column in zip(*taken, strict=True))
    rows: list[tuple[str, Compared]] = [
        ("bodies to root, one process", of(floor, one)),
        ("bodies to root, two processes", of(floor, two)),
        ("with bodies decoded, tiles, signatures", of(floor, full)),
        ("two processes / one", of(one, two)),
    ]
    table(
        (f"audit of {QUICK:,} records", "against", "ours", "ours / against"),
        *((what, *compared.cells()) for what, compared in rows),
    )
    (selected,) = compare(partial(rate, partial(select, folder), QUICK), peer, rounds=ROUNDS)
    reading, hashing, ours = 1 / selected.peer, 1 / selected.ours - 1 / selected.peer, 1 / rows[0][1].ours
    parts = (("SQLite", reading), ("SHA-256", hashing), ("checks and location", ours - reading - hashing))
    shares = ", ".join(f"{what} {100 * seconds / ours:.0f} %" for what, seconds in parts)
    print(f"where the time of one process goes: {shares}; nothing waits for the disk once it was read")


def rate(work: Callable[[], object], records: int) -> float:
    """Records a second."""
    started = time.perf_counter()
    work()
    return records / (time.perf_counter() - started)


def select(folder: Path) -> int:
    """Only the rows."""
    with closing(sqlite3.connect(f"file:{folder / 'log.sqlite'}?immutable=1", uri=True)) as connection:
        return sum(1 for _ in connection.execute("SELECT idx, entry, salt, body FROM records ORDER BY idx"))


def bare(folder: Path) -> bytes:
    """The floor: rows and hashes."""
    sha256 = hashlib.sha256
    with closing(sqlite3.connect(f"file:{folder / 'log.sqlite'}?immutable=1", uri=True)) as connection:
        level = []
        for _, entry, salt, body in connection.execute("SELECT idx, entry, salt, body FROM records ORDER BY idx"):
            sha256(salt + body).digest()
            level.append(sha256(b"\x00" + entry).digest())
    while len(level) > 1:
        level = [sha256(b"\x01" + one + other).digest() for one, other in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def audit(folder: Path, jobs: int) -> list[Finding]:
    """From the bodies to the signed root; what is wrong, by index."""
    evidence = read_log(KEY.name, folder / "log.sqlite", folder / "tlog", at_once=0)
    head = open_checkpoint(evidence.checkpoints[-1][1], KEY.verifier(), KEY.name)
    with Crew(jobs) as crew:
        hashed = hash_log(KEY.name, evidence.rows, Work(crew), decode=False)
    leaves = true_leaves(head.size, head.root, [LeafCopy(hashed.packed())])
    return check_records(KEY.name, leaves, evidence.rows, hashed, head.size)[1]


def whole(folder: Path, jobs: int) -> list[Finding]:
    """All that is checked of one log by itself."""
    trusted = TrustedLog(KEY.name, LogRole.GATEWAY, KEY.verifier(), bytes(32))
    with Crew(jobs) as crew:
        evidence = read_log(KEY.name, folder / "log.sqlite", folder / "tlog", at_once=0)
        log = check_log(trusted, True, evidence, [], {}, Work(crew))
    # It is not a bench's, so it has no genesis record.
    return [one for one in log.findings if one.index != 0]


def located(folder: Path) -> None:
    """See to it that what is measured finds what is wrong."""
    if audit(folder / "quick", 1) or audit(folder / "quick", 2) or whole(folder / "quick", 2):
        raise RuntimeError("an honest log has findings")
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(folder / "quick" / "log.sqlite", copy)
    wrong = QUICK * 2 // 3
    with closing(sqlite3.connect(copy / "log.sqlite")) as connection, connection:
        (body,) = connection.execute("SELECT body FROM records WHERE idx = ?", (wrong,)).fetchone()
        changed = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        connection.execute("UPDATE records SET body = ? WHERE idx = ?", (changed, wrong))
    for jobs in (1, 2):
        if [one.index for one in audit(copy, jobs)] != [wrong]:
            raise RuntimeError(f"the audit does not find record {wrong}")
    print(f"one bit of one body of {QUICK:,}: found at its index {wrong}, by one process and by two")


def by_size(folder: Path) -> None:
    """Memory and time for a million records, each in a fresh process."""
    rows = []
    for jobs in (1, 2):
        command = (sys.executable, __file__, str(folder), str(jobs))
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        each = " + ".join(f"{mib:.0f}" for mib in found["mib"])
        rows.append(
            (
                f"{MILLION:,} records, {'one process' if jobs == 1 else 'two beside the one that asks'}",
                f"{found['seconds']:.1f} s",
                f"{each} MiB" if jobs > 1 else "",
                f"{sum(found['mib']):.0f} MiB",
            )
        )
    table(("all that is checked of one log", "time", "each", "memory at most, all together"), *rows)


def memory(folder: Path, jobs: int) -> dict[str, object]:
    """Check the log in this process with those that help; seconds, and the most that each had in memory, MiB."""
    trusted = TrustedLog(KEY.name, LogRole.GATEWAY, KEY.verifier(), bytes(32))
    started = time.perf_counter()
    with Crew(jobs) as crew:
        evidence = read_log(KEY.name, folder / "log.sqlite", folder / "tlog")
        check_log(trusted, True, evidence, [], {}, Work(crew))
        seconds = time.perf_counter() - started
        # The kernel's figure for children counts what this process had when it started them.
        return {"seconds": seconds, "mib": [most_mib(pid) for pid in ("self", *crew.pids)]}


def most_mib(pid: object) -> float:
    """The most that a process had in memory, MiB (proc(5), VmHWM of status)."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
