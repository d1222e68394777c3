"""Every bit of evidence files flipped, under a digest that was made anew: nothing that counts is left unbound.

`make deep PART=evidence`; about twenty minutes. The digest finds idle damage by itself, so it is repaired each time.
"""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.errors import InvalidData
from testbed.core.finding import Verdict
from testbed.keys.evidence_file import EvidenceFile, encode_evidence, parse_evidence
from testbed.rig.auditing import approved_model, audit, auditor
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.proof_of_finding import prove_finding
from testbed.rig.proving import Prover
from testbed.rig.trust import load_trust
from testbed.verify.proved import check_evidence

pytestmark = pytest.mark.deep

SCANS = 120


def made(folder: Path, *, lying_twin: bool) -> Bench:
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 32"), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, SCANS, 5, lying_twin=lying_twin))
    return bench


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return made(tmp_path_factory.mktemp("honest"), lying_twin=False)


def survivors(file: EvidenceFile, bench: Bench, verdict: Verdict) -> list[tuple[int, int]]:
    """(byte, bit) of every flip outside the commentary that leaves the verdict as it is."""
    trust = auditor(load_trust(bench.trust_file))
    data = encode_evidence(file)
    assert check_evidence(parse_evidence(data), trust, approved_model).verdict is verdict
    found = []
    # Behind the last line feed but one stands the digest.
    for place in range(data.index(b"\nclaim") + 1, data.rindex(b"\n", 0, -1)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            lines = bytes(flipped).split(b"\n")[:-2]
            counted = [line for line in lines if not line.startswith(b"#")]
            digest = hashlib.sha256(b"".join(line + b"\n" for line in counted)).hexdigest().encode()
            try:
                changed = parse_evidence(b"\n".join([*lines, b"digest " + digest, b""]))
            except InvalidData:
                continue
            # A claim about another record that the file proves as well is true of that one, and says that it is.
            about_another = changed.index != file.index and replace(changed, index=file.index) == file
            if not about_another and check_evidence(changed, trust, approved_model).verdict is verdict:
                found.append((place, bit))
    return found


@pytest.mark.parametrize(("log", "index"), [("gateway", 60), ("twin", 101), ("operator", 1), ("receipts", 3)])
def test_no_flipped_bit_leaves_a_record_genuine(log: str, index: int, honest: Bench) -> None:
    with Prover(honest) as prover:
        file = prover.prove(log, index)
    assert survivors(file, honest, Verdict.GENUINE) == []


def test_no_flipped_bit_leaves_an_evil_twin_convicted(tmp_path: Path) -> None:
    bench = made(tmp_path, lying_twin=True)
    file = prove_finding(bench, asyncio.run(audit(bench, bench.trust_file)), 1)
    assert survivors(file, bench, Verdict.FALSIFIED) == []
