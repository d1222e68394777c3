"""Evidence under what witnesses cosigned: the newest checkpoint of a quorum, and the newest of all where that ends."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.checkpoint import checkpoint_text
from testbed.keys.cosignature import WitnessKey, cosign
from testbed.keys.ed25519 import SigningKey
from testbed.keys.evidence_file import EvidenceFile, encode_evidence, parse_evidence
from testbed.keys.log_keys import LogKeys
from testbed.keys.note import add_lines, split_note
from testbed.rig.auditing import approved_model, auditor
from testbed.rig.bench import Bench, load_bench
from testbed.rig.cosigned import Witnesses
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.paths import Paths
from testbed.rig.proving import Prover
from testbed.rig.trust import load_trust
from testbed.store.sqlite import LogStore
from testbed.verify.proved import Proved, check_evidence
from testbed.verify.trust import TrustedWitness

KEYS = {name: SigningKey.from_seed(name, name.encode().ljust(32)) for name in ("one", "two", "three")}
PUBLIC = {name: WitnessKey.of(key) for name, key in KEYS.items()}
ORIGIN, TIME = "water-cell/gateway", 1_767_225_700


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("cosigned")
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 32"), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, 60, 6))
    return bench


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where witnesses keep what they cosigned."""
    return tmp_path


def notes_of(bench: Bench) -> dict[int, bytes]:
    with LogStore.read(Paths(bench.data).log("gateway")) as store:
        return dict(store.checkpoints())


def keep(folder: Path, name: str, note: bytes) -> None:
    """What a witness leaves when it has cosigned a checkpoint."""
    place = folder / name / hashlib.sha256(ORIGIN.encode()).hexdigest()
    place.mkdir(parents=True, exist_ok=True)
    (place / "checkpoint").write_bytes(add_lines(note, [cosign(split_note(note)[0], KEYS[name], TIME)]))


def witnesses(bench: Bench, folder: Path) -> Witnesses:
    trusted = auditor(load_trust(bench.trust_file))
    return Witnesses(folder, PUBLIC, {log.origin: LogKeys(log.key) for log in trusted.logs})


def proved(bench: Bench, folder: Path, index: int) -> EvidenceFile:
    with Prover(bench, witnesses(bench, folder)) as prover:
        return prover.prove(ORIGIN, index)


def check(bench: Bench, file: EvidenceFile) -> Proved:
    trusted = auditor(load_trust(bench.trust_file))
    again = parse_evidence(encode_evidence(file))
    named = tuple(TrustedWitness(name, key) for name, key in PUBLIC.items())
    return check_evidence(again, replace(trusted, witnesses=named), approved_model)


def test_a_record_is_shown_under_what_a_quorum_cosigned(bench: Bench, kept: Path) -> None:
    notes = notes_of(bench)
    older, newer = [size for size in notes if size > 30][:2]
    for name in ("one", "two"):
        keep(kept, name, notes[older])
    keep(kept, "three", notes[newer])
    found = check(bench, proved(bench, kept, 20))
    assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
    assert found.record is not None
    assert found.record.checkpoint.size == older
    assert {one.witness.name for one in found.record.cosignatures} == {"one", "two"}
    assert {one.time for one in found.record.cosignatures} == {TIME}
    # It may be smaller than what was anchored first, or larger: one tree holds both.
    assert found.anchored is not None


@pytest.mark.parametrize("size", [21, 25, 40, 60, 65])
def test_sizes_below_and_above_the_anchored_one_go_together(size: int, bench: Bench, kept: Path) -> None:
    notes = notes_of(bench)
    near = min(notes, key=lambda other: (other <= 20, abs(other - size)))
    for name in KEYS:
        keep(kept, name, notes[near])
    found = check(bench, proved(bench, kept, 20))
    assert found.verdict is Verdict.GENUINE
    assert found.record is not None
    assert (found.record.checkpoint.size, len(found.record.cosignatures)) == (near, 3)


def test_what_no_quorum_saw_is_shown_under_the_newest_checkpoint(bench: Bench, kept: Path) -> None:
    notes = notes_of(bench)
    newest = max(notes)
    assert witnesses(bench, kept).newest(ORIGIN) is None
    keep(kept, "one", notes[newest])
    small = min(size for size in notes if size > 10)
    for name in ("two", "three"):
        keep(kept, name, notes[small])
    for index in (small, small + 5):
        found = check(bench, proved(bench, kept, index))
        assert found.verdict is Verdict.GENUINE
        assert found.record is not None
        assert (found.record.checkpoint.size, found.record.cosignatures) == (newest, ())
        assert found.witnesses == len(KEYS)


def test_what_is_damaged_or_of_another_log_counts_for_nothing(bench: Bench, kept: Path) -> None:
    notes = notes_of(bench)
    other = Checkpoint(ORIGIN, 25, bytes(32))
    stranger = SigningKey.from_seed(ORIGIN, b"x" * 32)
    text = checkpoint_text(other)
    forged = add_lines(notes[max(notes)], [])
    keep(kept, "one", forged)
    place = kept / "one" / hashlib.sha256(ORIGIN.encode()).hexdigest() / "checkpoint"
    for junk in (b"", b"junk\n", place.read_bytes()[:-9], text.encode() + b"\n" + stranger.name.encode() + b"\n"):
        for name in KEYS:
            keep(kept, name, forged)
            (kept / name / hashlib.sha256(ORIGIN.encode()).hexdigest() / "checkpoint").write_bytes(junk)
        assert witnesses(bench, kept).newest(ORIGIN) is None
        assert check(bench, proved(bench, kept, 20)).verdict is Verdict.GENUINE


def test_a_flipped_cosignature_of_a_trusted_witness_is_refused(bench: Bench, kept: Path) -> None:
    notes = notes_of(bench)
    for name in KEYS:
        keep(kept, name, notes[max(notes)])
    file = proved(bench, kept, 20)
    (record,) = [one for one in file.records if one.place == (ORIGIN, 20)]
    note = record.proof.checkpoint
    # The last character before the padding of the last line belongs to the signature.
    flipped = note[:-12] + (b"A" if note[-12:-11] != b"A" else b"B") + note[-11:]
    changed = replace(record, proof=replace(record.proof, checkpoint=flipped))
    found = check(bench, replace(file, records=tuple(changed if one == record else one for one in file.records)))
    assert found.verdict is Verdict.FALSIFIED
    assert [(one.what, one.layer) for one in found.findings] == [(What.WRONG_KEY, Layer.IDENTITY)]
