"""Evidence of an evil twin: the record, the one before it and its inputs convict it; anything less convicts nobody."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from testbed.core.bodies import Body, Genesis, Heartbeat, LeafRef, Peer, State, TwinRecord
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Entry
from testbed.core.finding import Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.evidence_file import Claim, EvidenceFile, Fork, ProvedRecord, encode_evidence, parse_evidence
from testbed.keys.tlog_proof import TlogProof
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body, kind_of
from testbed.record.entry import commitment, encode_entry
from testbed.record.schema import encode_parameters, encode_tags
from testbed.verify.proved import Proved, check_evidence
from testbed.verify.replay import ApprovedModel, Floats
from testbed.verify.trust import LogRole, Trust, TrustedChain, TrustedLog, TrustedModel

SOURCE, TWIN = SigningKey.from_seed("bench/gateway", b"s" * 32), SigningKey.from_seed("bench/twin", b"t" * 32)
TAGS, PARAMETERS = encode_tags(()), encode_parameters({"start": 1.0, "gain": 2.0})
SCHEMA, MODEL = hashlib.sha256(TAGS).digest(), hashlib.sha256(b"counter").digest()
TRUST = Trust(
    bench="bench",
    simulated=True,
    logs=(
        TrustedLog(SOURCE.name, LogRole.GATEWAY, SOURCE.verifier(), SCHEMA, reads="cell"),
        TrustedLog(TWIN.name, LogRole.TWIN, TWIN.verifier(), SCHEMA, follows=SOURCE.name),
    ),
    chain=TrustedChain(1, bytes(32), "0x" + "00" * 20, bytes(32), "0x" + "00" * 20),
    models=(TrustedModel("counter", MODEL, hashlib.sha256(PARAMETERS).digest()),),
    heartbeat_ns=10**9,
    twin_lag=1,
)
LAST = 5
"""Index of the twin record that lies; an honest one and the peer of both stand before it."""


class Counter:
    """A model that adds up what it reads."""

    def initial(self, parameters: dict[str, float]) -> Floats:
        return (parameters["start"],)

    def step(
        self, parameters: dict[str, float], state: Floats, inputs: tuple[float | None, ...]
    ) -> tuple[Floats, Floats]:
        total = state[0] + (inputs[0] or 0.0)
        return (total,), (total * parameters["gain"],)


def make_model(model: bytes, parameters: bytes, _tags: Sequence[Tag]) -> ApprovedModel | None:
    if (model, parameters) != (MODEL, PARAMETERS):
        return None
    return ApprovedModel(Counter(), {"start": 1.0, "gain": 2.0}, lambda state: (float(state.receive_time_ns),))


def log_of(key: SigningKey, bodies: Sequence[Body]) -> list[ProvedRecord]:
    """Every record of a log, proved under the checkpoint of all of them."""
    opened = []
    for index, body in enumerate(bodies):
        data, salt = encode_body(body), index.to_bytes(16, "big")
        opened.append((encode_entry(Entry(kind_of(body), "device", index, commitment(salt, data))), salt, data))
    tree = Tree(leaf_hash(entry) for entry, _, _ in opened)
    note = sign_checkpoint(Checkpoint(key.name, tree.size, tree.root()), key)
    return [
        ProvedRecord(entry, salt, data, TlogProof(index, tuple(tree.inclusion_path(index)), note))
        for index, (entry, salt, data) in enumerate(opened)
    ]


def source_log(second: int = 4) -> list[ProvedRecord]:
    """Genesis, a state, a heartbeat, a state."""
    states = [State(1, number, None, time, (), ()) for number, time in enumerate((3, second))]
    return log_of(SOURCE, [Genesis(SOURCE.name, SCHEMA, "test", True), states[0], Heartbeat(1, "", ()), states[1]])


def twin_log(source: Sequence[ProvedRecord]) -> list[Body]:
    """What an honest twin logs about such a source: genesis, peer, record, peer, peer, record."""
    refs = [LeafRef(SOURCE.name, index, leaf_hash(one.entry)) for index, one in enumerate(source)]
    peer, parameters = Peer(SOURCE.name, source[0].proof.checkpoint), hashlib.sha256(PARAMETERS).digest()
    first = TwinRecord(tuple(refs[:2]), MODEL, parameters, (4.0,), (8.0,))
    second = TwinRecord(tuple(refs[2:]), MODEL, parameters, (8.0,), (16.0,))
    return [Genesis(TWIN.name, SCHEMA, "test", True), peer, first, peer, peer, second]


def file_of(source: Sequence[ProvedRecord], bodies: Sequence[Body], claim: Claim, index: int = LAST) -> EvidenceFile:
    records = sorted([*source, *log_of(TWIN, bodies)], key=lambda one: one.place)
    return EvidenceFile(claim, TWIN.name, index, tuple(records), tags=TAGS, parameters=PARAMETERS)


def check(file: EvidenceFile, trust: Trust = TRUST) -> Proved:
    return check_evidence(parse_evidence(encode_evidence(file)), trust, make_model)


def lying(bodies: Sequence[Body], **changed: object) -> list[Body]:
    """The same records, the last one changed and signed by its owner."""
    last = bodies[LAST]
    assert isinstance(last, TwinRecord)
    return [*bodies[:LAST], replace(last, **changed)]  # type: ignore[arg-type]


SOURCE_LOG = source_log()
HONEST = twin_log(SOURCE_LOG)
REFS = [LeafRef(SOURCE.name, index, leaf_hash(one.entry)) for index, one in enumerate(SOURCE_LOG)]
LIES: dict[Claim, dict[str, object]] = {
    Claim.DIVERGED: {"outputs": (16.5,)},
    Claim.UNAPPROVED: {"model": bytes(32)},
    Claim.SKIPPED: {"inputs": (REFS[3],)},
    Claim.INVENTED: {"inputs": (REFS[2], LeafRef(SOURCE.name, 3, bytes(32)))},
}


def test_an_honest_twin_is_run_again_and_never_convicted() -> None:
    for index in (2, LAST):
        found = check(file_of(SOURCE_LOG, HONEST, Claim.RECORD, index))
        assert found.replayed
        assert [one.what for one in found.findings] == [What.UNANCHORED]
        for claim in LIES:
            assert check(file_of(SOURCE_LOG, HONEST, claim, index)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("claim", LIES, ids=lambda claim: str(claim.value))
def test_a_lie_is_proved_with_or_without_the_claim(claim: Claim) -> None:
    bodies = lying(HONEST, **LIES[claim])
    found = check(file_of(SOURCE_LOG, bodies, claim))
    assert found.verdict is Verdict.FALSIFIED
    assert [(one.what, one.layer, one.origin, one.index) for one in found.findings] == [
        (What(claim.value), Layer.TWIN, TWIN.name, LAST)
    ]
    assert What(claim.value) in [one.what for one in check(file_of(SOURCE_LOG, bodies, Claim.RECORD)).findings]
    for other in set(LIES) - {claim}:
        assert check(file_of(SOURCE_LOG, bodies, other)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("order", [(2,), (3, 2), (1, 2, 3), (2, 2, 3), ()])
def test_any_other_order_of_inputs_is_found(order: Sequence[int]) -> None:
    bodies = lying(HONEST, inputs=tuple(REFS[place] for place in order))
    assert check(file_of(SOURCE_LOG, bodies, Claim.SKIPPED)).verdict is Verdict.FALSIFIED


@pytest.mark.parametrize("claim", LIES, ids=lambda claim: str(claim.value))
def test_a_conviction_stands_on_every_signature(claim: Claim) -> None:
    file = file_of(SOURCE_LOG, lying(HONEST, **LIES[claim]), claim)
    stranger = SigningKey.from_seed(TWIN.name, b"x" * 32)
    logs = tuple(replace(log, key=stranger.verifier()) if log.origin == TWIN.name else log for log in TRUST.logs)
    assert check(file, replace(TRUST, logs=logs)).verdict is Verdict.INCONCLUSIVE
    forged = tuple(replace(one, salt=b"\x01" * 16) if one.place == (TWIN.name, LAST) else one for one in file.records)
    assert check(replace(file, records=forged)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("missing", [2, 3, 4])
def test_the_record_before_is_the_one_before(missing: int) -> None:
    """Who leaves out what stands between could show another record as the one that it goes on from."""
    file = file_of(SOURCE_LOG, lying(HONEST, outputs=(16.5,)), Claim.DIVERGED)
    records = tuple(one for one in file.records if one.place != (TWIN.name, missing))
    assert check(replace(file, records=records)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("index", [2, 3])
def test_every_input_is_the_one_that_the_twin_named(index: int) -> None:
    file = file_of(SOURCE_LOG, lying(HONEST, outputs=(16.5,)), Claim.DIVERGED)
    gone = tuple(one for one in file.records if one.place != (SOURCE.name, index))
    assert check(replace(file, records=gone)).verdict is Verdict.INCONCLUSIVE
    other = file_of(source_log(second=5), lying(HONEST, outputs=(16.5,)), Claim.DIVERGED)
    assert check(other).verdict is Verdict.INCONCLUSIVE


def test_a_model_is_run_on_the_trusted_tags_and_parameters_alone() -> None:
    file = file_of(SOURCE_LOG, lying(HONEST, outputs=(16.5,)), Claim.DIVERGED)
    for changed in (
        replace(file, tags=None),
        replace(file, tags=TAGS + b"\x00"),
        replace(file, parameters=None),
        replace(file, parameters=encode_parameters({"start": 1.0, "gain": 3.0})),
    ):
        assert check(changed).verdict is Verdict.INCONCLUSIVE


# Two logs under one key.


def forked(smaller: tuple[int, bytes], larger: tuple[int, bytes], path: Sequence[bytes]) -> EvidenceFile:
    notes = [sign_checkpoint(Checkpoint(SOURCE.name, *one), SOURCE) for one in (smaller, larger)]
    notes = sorted(notes) if smaller[0] == larger[0] else notes
    return EvidenceFile(Claim.FORKED, SOURCE.name, None, fork=Fork((notes[0], notes[1]), tuple(path)))


ONE = Tree(leaf_hash(bytes([number])) for number in range(20))
OTHER = Tree(leaf_hash(bytes([number if number != 6 else 99])) for number in range(20))


@pytest.mark.parametrize(("old", "new"), [(7, 7), (7, 20), (8, 20), (16, 20), (19, 20)])
def test_a_fork_is_proved_by_its_owners_signatures(old: int, new: int) -> None:
    path = OTHER.fork_path(old, new)
    file = forked((old, ONE.root(old)), (new, OTHER.root(new)), path)
    found = check(file)
    assert found.verdict is Verdict.FALSIFIED
    assert [(one.what, one.layer) for one in found.findings] == [(What.FORKED, Layer.LOG)]
    honest = forked((old, OTHER.root(old)), (new, OTHER.root(new)), path) if old < new else None
    assert honest is None or check(honest).verdict is Verdict.INCONCLUSIVE
    stranger = SigningKey.from_seed(SOURCE.name, b"x" * 32)
    logs = (replace(TRUST.logs[0], key=stranger.verifier()), TRUST.logs[1])
    assert check(file, replace(TRUST, logs=logs)).verdict is Verdict.INCONCLUSIVE


def test_a_fork_without_its_path_or_with_one_bit_flipped_is_not_proved() -> None:
    path = OTHER.fork_path(7, 20)
    ends = (7, ONE.root(7)), (20, OTHER.root(20))
    assert check(forked(*ends, ())).verdict is Verdict.INCONCLUSIVE
    for place in range(len(path)):
        flipped = [bytes([node[0] ^ 1]) + node[1:] if place == at else node for at, node in enumerate(path)]
        assert check(forked(*ends, flipped)).verdict is Verdict.INCONCLUSIVE


def test_two_checkpoints_of_different_logs_are_no_fork() -> None:
    mine = sign_checkpoint(Checkpoint(SOURCE.name, 7, ONE.root(7)), SOURCE)
    theirs = sign_checkpoint(Checkpoint(TWIN.name, 7, OTHER.root(7)), TWIN)
    pair = sorted((mine, theirs))
    file = EvidenceFile(Claim.FORKED, SOURCE.name, None, fork=Fork((pair[0], pair[1]), ()))
    assert check(file).verdict is Verdict.INCONCLUSIVE
