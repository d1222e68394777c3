"""Each beacon names a block that stands where it says; what was logged after it cannot have been logged before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.bodies import Beacon, Body, Genesis, Heartbeat
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.ed25519 import SigningKey
from testbed.rig.auditing import approved_model
from testbed.verify.beacons import beacons_of, check_beacons
from testbed.verify.evidence import Evidence
from testbed.verify.trace import trace
from testbed.verify.trust import LogRole, Trust
from testbed.verify.verdict import Checked, check
from tests.verify.writing import checked, write

KEY = SigningKey.from_seed("bench/gateway", b"g" * 32)
KNOWN = {number: {bytes([number]) * 32} for number in range(1, 10)}


def block(number: int, chain_id: int = 31337) -> Beacon:
    return Beacon(chain_id, number, bytes([number]) * 32)


def findings(folder: Path, trust: Trust, bodies: Sequence[Body], height: int | None = 9) -> list[Finding]:
    write(folder, KEY, [(Genesis(KEY.name, bytes(32), "test", True), *bodies)])
    chain = replace(trust.chain, chain_id=31337)
    return check_beacons(checked(folder, KEY, LogRole.GATEWAY), chain, KNOWN, height)


def seen(found: Sequence[Finding]) -> list[tuple[What, Layer, Verdict, int | None]]:
    return [(one.what, one.layer, one.verdict, one.index) for one in found]


FALSE = (What.REWRITTEN, Layer.CHAIN, Verdict.FALSIFIED)


def test_beacons_of_blocks_that_stand_are_borne_out(tmp_path: Path, trust: Trust) -> None:
    assert findings(tmp_path, trust, [block(1), Heartbeat(1, "", ()), block(3), block(3), block(9)]) == []


@pytest.mark.parametrize(
    "lie",
    [
        replace(block(3), block_hash=b"x" * 32),
        block(3, chain_id=1),
        block(10),
        replace(block(3), number=2**64 - 1),
        block(1),
    ],
    ids=["hash", "chain", "beyond the end", "far beyond", "backwards"],
)
def test_a_false_beacon_is_named_once(tmp_path: Path, trust: Trust, lie: Beacon) -> None:
    (found,) = findings(tmp_path, trust, [block(2), lie, lie])
    assert seen([found]) == [(*FALSE, 2)]
    assert found.detail.endswith("so do 1 more: the chain was rewritten, or the beacon is false")


def test_without_the_chain_an_unknown_block_says_nothing_and_another_hash_does(tmp_path: Path, trust: Trust) -> None:
    assert findings(tmp_path / "unknown", trust, [block(50), block(2)], height=None) == []
    lie = replace(block(3), block_hash=b"x" * 32)
    assert seen(findings(tmp_path / "other", trust, [lie], height=None)) == [(*FALSE, 1)]


def gateway_with(audited: Checked, evidence: Evidence, trust: Trust, place: int, lie: Beacon) -> list[Finding]:
    """The gateway's own beacon number `place`, exchanged, against the bench's chain."""
    log = audited.logs["water-cell/gateway"]
    index = [index for index, _ in beacons_of(log)][place]
    forged = replace(log, genuine={**log.genuine, index: replace(log.genuine[index], body=lie)})
    assert evidence.chain is not None
    known = {number: {header.hash} for number, header in evidence.chain.blocks.items()}
    return check_beacons(forged, trust.chain, known, evidence.chain.height)


def test_a_bench_logs_beacons_of_its_own_chain(trust: Trust, evidence: Evidence) -> None:
    audited = check(trust, evidence, approved_model)
    for origin in ("water-cell/gateway", "water-cell/reader"):
        numbers = [beacon.number for _, beacon in beacons_of(audited.logs[origin])]
        assert len(numbers) > 1
        assert numbers == sorted(set(numbers))
    index, true = list(beacons_of(audited.logs["water-cell/gateway"]))[1]
    assert gateway_with(audited, evidence, trust, 1, true) == []
    lie = replace(true, block_hash=bytes([true.block_hash[0] ^ 1]) + true.block_hash[1:])
    assert seen(gateway_with(audited, evidence, trust, 1, lie)) == [(*FALSE, index)]


def test_a_record_was_logged_between_its_beacon_and_its_anchor(trust: Trust, evidence: Evidence) -> None:
    audited = check(trust, evidence, approved_model)
    log = audited.logs["water-cell/gateway"]
    (first, one), (second, _) = list(beacons_of(log))[:2]
    between = next(log.genuine[index].entry for index in range(first + 1, second) if log.genuine[index].entry.seq > 0)
    found = trace(audited, between.source, between.seq)
    assert found.after is not None
    assert found.anchor is not None
    assert found.after.block == one.number < found.anchor.block
    assert evidence.chain is not None
    assert found.after.time == evidence.chain.blocks[one.number].timestamp
    assert found.after.time <= found.anchor.time
    # Before the first beacon nothing is known.
    assert trace(audited, log.genuine[1].entry.source, log.genuine[1].entry.seq).after is None
