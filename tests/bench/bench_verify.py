"""Records a second that the check of a whole bench takes, against a bare loop of the same hashes and signatures.

The bench is simulated. The check is that of `testbed verify` once everything is read: records, checkpoints, tiles,
anchors with their proofs, and every twin record run again. The bare loop hashes each commitment, leaf and node, and
verifies each checkpoint's signature; nothing is decoded, compared or run. Memory is what Python's own allocators gave.
"""

import asyncio
import base64
import cProfile
import hashlib
import pstats
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from testbed.core.finding import Verdict
from testbed.rig.auditing import approved_model, auditor, evidence_of
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.trust import load_trust
from testbed.verify.evidence import Evidence
from testbed.verify.trust import Trust
from testbed.verify.verdict import check
from tests.bench.measure import compare, table

SCANS = 2000
STEPS = {
    "chain: journal, blocks, proofs": ("check_chain",),
    "signatures of checkpoints": ("valid_checkpoints",),
    "true leaves, from copies": ("true_leaves", "leaves_by_roots"),
    "records: open, hash, decode": ("hash_log",),
    "records: match": ("check_records",),
    "roots of all checkpoints": ("check_growth",),
    "published tiles": ("check_tiles",),
    "twin run again": ("replay",),
    "readers against each other, commands": ("check_readers",),
}
"""What a check is made of, by its functions."""


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "bench.toml"
        file.write_text(default_text(), encoding="utf-8")
        bench = load_bench(file)
        started = time.perf_counter()
        asyncio.run(simulate(bench, SCANS, seed=1))
        seconds = time.perf_counter() - started
        trust = auditor(load_trust(bench.trust_file))
        tracemalloc.start()
        evidence = asyncio.run(evidence_of(bench, trust))
    read, _ = tracemalloc.get_traced_memory()
    verdict = check(trust, evidence, approved_model).report.verdict
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if verdict is not Verdict.GENUINE:
        raise RuntimeError(f"the bench was found {verdict.value}")
    records = sum(len(log.rows) for log in evidence.logs.values())
    signatures = sum(len(log.checkpoints) for log in evidence.logs.values())
    (one,) = compare(lambda: records / bare(trust, evidence), lambda: records / checked(trust, evidence))
    kinds = f"{records:,} records, {signatures:,} signatures, {len(evidence.journal):,} blocks"
    table((kinds, "bare loop", "check", "check / bare"), ("records a second", *one.cells()))
    table(("share of the check", ""), *shares(trust, evidence))
    print(f"memory for each record: {read / records:,.0f} bytes once read, {most / records:,.0f} at most in the check")
    print(f"({SCANS:,} scans recorded in {seconds:.0f} s)")


def checked(trust: Trust, evidence: Evidence) -> float:
    """Seconds of one check."""
    started = time.perf_counter()
    check(trust, evidence, approved_model)
    return time.perf_counter() - started


def bare(trust: Trust, evidence: Evidence) -> float:
    """Seconds of the same hashes and signatures."""
    started = time.perf_counter()
    sha256 = hashlib.sha256
    for trusted in trust.logs:
        log = evidence.logs[trusted.origin]
        level = []
        for row in log.rows:
            sha256(row.salt + (row.body or b"")).digest()
            level.append(sha256(b"\x00" + row.entry).digest())
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        key = Ed25519PublicKey.from_public_bytes(trusted.key.public)
        for _, note in log.checkpoints:
            text, _, signature = note.partition(b"\n\n")
            key.verify(_decoded(signature), text + b"\n")
    return time.perf_counter() - started


def _decoded(line: bytes) -> bytes:
    """The signature of a note's only signature line, behind the key's id."""
    return base64.b64decode(line.rsplit(b" ", 1)[1])[4:]


def shares(trust: Trust, evidence: Evidence) -> list[Sequence[str]]:
    """Shares of the steps in one check under the profiler, the greatest first."""
    profile = cProfile.Profile()
    profile.runcall(check, trust, evidence, approved_model)
    found = pstats.Stats(profile).get_stats_profile()
    spent = {
        step: sum(found.func_profiles[name].cumtime for name in names if name in found.func_profiles)
        for step, names in STEPS.items()
    }
    spent["the rest"] = found.total_tt - sum(spent.values())
    by_share = sorted(spent.items(), key=lambda item: -item[1])
    return [(step, f"{100 * seconds / found.total_tt:.0f} %") for step, seconds in by_share]


if __name__ == "__main__":
    main()
