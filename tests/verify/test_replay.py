"""Replay: whatever a twin may lie about, the first record that says so is named, and no other.

Two small logs are forged with keys of their own, so that every signature and every hash is right: only the twin's
model, run again, can tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from testbed.core.bodies import Body, Event, Genesis, Heartbeat, LeafRef, Peer, State, TwinRecord
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Entry, Row
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body, kind_of
from testbed.record.entry import commitment, encode_entry
from testbed.verify.evidence import LogEvidence
from testbed.verify.log import CheckedLog, check_log
from testbed.verify.replay import ApprovedModel, Floats, check_lag, replay
from testbed.verify.trust import LogRole, TrustedLog

SOURCE, TWIN = SigningKey.from_seed("bench/gateway", b"s" * 32), SigningKey.from_seed("bench/twin", b"t" * 32)
MODEL, PARAMETERS = b"m" * 32, b"p" * 32
FIRST = 3
"""Index of the first twin record: genesis, parameters and the first peer stand before it."""


class Counter:
    """A model that adds up what it reads."""

    def initial(self, parameters: dict[str, float]) -> Floats:
        return (parameters["start"],)

    def step(
        self, parameters: dict[str, float], state: Floats, inputs: tuple[float | None, ...]
    ) -> tuple[Floats, Floats]:
        total = state[0] + sum(value or 0.0 for value in inputs)
        return (total,), (total * parameters["gain"],)


APPROVED = ApprovedModel(Counter(), {"start": 1.0, "gain": 2.0}, lambda state: (float(state.receive_time_ns),))


@dataclass
class Forged:
    """A log as its owner makes it: records in commits, each under a signed checkpoint."""

    key: SigningKey
    rows: list[Row] = field(default_factory=list)
    notes: list[tuple[int, bytes]] = field(default_factory=list)

    def append(self, *bodies: Body) -> None:
        for body in bodies:
            data, index = encode_body(body), len(self.rows)
            salt = index.to_bytes(16, "big")
            entry = encode_entry(Entry(kind_of(body), "device", index, commitment(salt, data)))
            self.rows.append(Row(index, entry, salt, data))
        root = Tree(self.leaves).root()
        self.notes.append((len(self.rows), sign_checkpoint(Checkpoint(self.key.name, len(self.rows), root), self.key)))

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(row.entry) for row in self.rows]

    def checked(self) -> CheckedLog:
        role = LogRole.GATEWAY if self.key is SOURCE else LogRole.TWIN
        trusted = TrustedLog(self.key.name, role, self.key.verifier(), bytes(32))
        note = self.notes[-1][1]
        evidence = LogEvidence(self.key.name, tuple(self.rows), tuple(self.notes), note, None)
        log = check_log(trusted, True, evidence, [], {})
        assert log.findings == []
        return log


def source_log(states: int = 8, *, scale: int = 1) -> Forged:
    """Genesis, an event, then states with a heartbeat before each third one; every record a commit."""
    log = Forged(SOURCE)
    log.append(Genesis(SOURCE.name, bytes(32), "test", True))
    log.append(Event(1, "configuration", b""))
    for number in range(states):
        if number % 3 == 2:
            log.append(Heartbeat(number, "", ()))
        log.append(State(1, number, None, scale * (number + 1), (), ()))
    return log


def honest(source: Forged) -> list[Body]:
    """What an honest twin logs behind its genesis and parameters: peer, record, peer, record, ..."""
    bodies: list[Body] = []
    pending: list[LeafRef] = []
    state = APPROVED.model.initial(APPROVED.parameters)
    log = source.checked()
    for index, digest in enumerate(source.leaves):
        pending.append(LeafRef(SOURCE.name, index, digest))
        body = log.genuine[index].body
        if isinstance(body, State):
            state, outputs = APPROVED.model.step(APPROVED.parameters, state, APPROVED.readings(body))
            bodies.append(Peer(SOURCE.name, source.notes[index][1]))
            bodies.append(TwinRecord(tuple(pending), MODEL, PARAMETERS, state, outputs))
            pending = []
    return bodies


def twin_log(bodies: Sequence[Body]) -> Forged:
    log = Forged(TWIN)
    log.append(Genesis(TWIN.name, bytes(32), "test", True), Event(1, "parameters", b""))
    for body in bodies:
        log.append(body)
    return log


def findings(source: Forged, bodies: Sequence[Body]) -> list[Finding]:
    return replay(twin_log(bodies).checked(), source.checked(), {(MODEL, PARAMETERS): APPROVED}).findings


def seen(found: Sequence[Finding]) -> list[tuple[What, Layer, int | None]]:
    assert all(one.verdict is Verdict.FALSIFIED for one in found)
    return [(one.what, one.layer, one.index) for one in found]


def record_at(bodies: Sequence[Body], place: int) -> TwinRecord:
    body = bodies[place]
    assert isinstance(body, TwinRecord)
    return body


def test_an_honest_twin_is_run_again_to_the_byte() -> None:
    source = source_log()
    result = replay(twin_log(honest(source)).checked(), source.checked(), {(MODEL, PARAMETERS): APPROVED})
    assert result.findings == []
    assert (result.records, result.consumed) == (8, len(source.rows))


@pytest.mark.parametrize("place", [1, 3, 7, 15])
@pytest.mark.parametrize(
    "lie",
    [
        lambda one: replace(one, outputs=(one.outputs[0] + 1,)),
        lambda one: replace(one, state=(one.state[0] + 1,)),
        lambda one: replace(one, state=(one.state[0] + 1,), outputs=(0.0,)),
        lambda one: replace(one, outputs=()),
        lambda one: replace(one, outputs=(float("nan"),)),
    ],
    ids=["outputs", "state", "both", "no outputs", "nan"],
)
def test_one_false_record_is_found_alone(place: int, lie: Callable[[TwinRecord], TwinRecord]) -> None:
    source = source_log()
    bodies = honest(source)
    bodies[place] = lie(record_at(bodies, place))
    assert seen(findings(source, bodies)) == [(What.DIVERGED, Layer.TWIN, FIRST + place - 1)]


def test_a_lie_that_the_twin_builds_on_is_one_finding() -> None:
    source = source_log()
    bodies = honest(source)
    for place in range(5, len(bodies), 2):
        one = record_at(bodies, place)
        bodies[place] = replace(one, state=(one.state[0] + 7,), outputs=(2 * (one.state[0] + 7),))
    assert seen(findings(source, bodies)) == [(What.DIVERGED, Layer.TWIN, FIRST + 4)]


def test_lies_in_a_row_are_one_finding_and_lies_apart_are_two() -> None:
    source = source_log()
    bodies = honest(source)
    for place in (3, 5, 7, 13):
        bodies[place] = replace(record_at(bodies, place), outputs=(-1.0,))
    found = findings(source, bodies)
    assert seen(found) == [(What.DIVERGED, Layer.TWIN, FIRST + 2), (What.DIVERGED, Layer.TWIN, FIRST + 12)]
    assert f"up to {FIRST + 6}" in found[0].detail


def test_a_twin_that_never_says_the_truth_is_one_finding() -> None:
    source = source_log()
    bodies = [replace(b, outputs=(0.5,)) if isinstance(b, TwinRecord) else b for b in honest(source)]
    assert seen(findings(source, bodies)) == [(What.DIVERGED, Layer.TWIN, FIRST)]


def test_a_skipped_input_is_named_where_it_is_missing() -> None:
    source = source_log()
    bodies = honest(source)
    # The record of the third state names a heartbeat and the state: leave the heartbeat out.
    bodies[5] = replace(record_at(bodies, 5), inputs=record_at(bodies, 5).inputs[1:])
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 4)]


def test_a_skipped_record_is_named_at_the_next() -> None:
    source = source_log()
    bodies = honest(source)
    del bodies[6:8]
    # Its state holds what the skipped one did: that follows.
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 6)]


def test_a_lie_behind_a_skipped_record_is_named_as_well() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[9] = replace(record_at(bodies, 9), outputs=(-1.0,))
    del bodies[6:8]
    assert seen(findings(source, bodies)) == [
        (What.SKIPPED, Layer.TWIN, FIRST + 6),
        (What.DIVERGED, Layer.TWIN, FIRST + 6),
    ]


def test_records_that_changed_places_are_both_named_and_nothing_else() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[5], bodies[7] = bodies[7], bodies[5]
    assert seen(findings(source, bodies)) == [
        (What.SKIPPED, Layer.TWIN, FIRST + 4),
        (What.SKIPPED, Layer.TWIN, FIRST + 6),
    ]


def test_inputs_at_the_beginning_cannot_be_skipped() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[1] = replace(record_at(bodies, 1), inputs=record_at(bodies, 1).inputs[1:])
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST)]


def test_an_input_that_is_consumed_twice_is_named() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[8:8] = bodies[6:8]
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 8)]


def test_inputs_out_of_order_are_named() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[5] = replace(record_at(bodies, 5), inputs=record_at(bodies, 5).inputs[::-1])
    assert (What.SKIPPED, Layer.TWIN, FIRST + 4) in seen(findings(source, bodies))


def test_two_states_in_one_record_are_a_step_left_out() -> None:
    source = source_log()
    bodies = honest(source)
    both = record_at(bodies, 1).inputs + record_at(bodies, 3).inputs
    bodies[1:4] = [bodies[2], replace(record_at(bodies, 3), inputs=both)]
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 1)]


def test_what_follows_a_record_that_names_no_input_is_not_blamed() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[7] = replace(record_at(bodies, 7), inputs=())
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 6)]


def test_no_input_at_all_is_named() -> None:
    source = source_log()
    bodies = honest(source)
    bodies += [Peer(SOURCE.name, source.notes[-1][1]), replace(record_at(bodies, -1), inputs=(), outputs=())]
    assert (What.SKIPPED, Layer.TWIN, FIRST + 16) in seen(findings(source, bodies))


def test_an_input_of_another_log_is_named() -> None:
    source = source_log()
    bodies = honest(source)
    one = record_at(bodies, 3)
    bodies[3] = replace(one, inputs=tuple(replace(ref, origin="bench/other") for ref in one.inputs))
    assert seen(findings(source, bodies)) == [(What.SKIPPED, Layer.TWIN, FIRST + 2)]


def test_an_invented_input_is_named_and_not_run() -> None:
    source = source_log()
    bodies = honest(source)
    one = record_at(bodies, 3)
    bodies[3] = replace(one, inputs=(replace(one.inputs[0], leaf_hash=b"x" * 32),))
    assert seen(findings(source, bodies)) == [(What.INVENTED, Layer.TWIN, FIRST + 2)]


def test_inputs_beyond_the_end_of_the_source_are_invented() -> None:
    source = source_log()
    bodies = honest(source)
    one = record_at(bodies, -1)
    beyond = LeafRef(SOURCE.name, len(source.rows), b"x" * 32)
    bodies.append(replace(one, inputs=(beyond,)))
    assert seen(findings(source, bodies)) == [(What.INVENTED, Layer.TWIN, FIRST + 15)]


def test_a_peer_that_the_source_never_signed_is_named() -> None:
    source = source_log()
    bodies = honest(source)
    note = sign_checkpoint(Checkpoint(SOURCE.name, 3, b"r" * 32), SigningKey.from_seed(SOURCE.name, b"x" * 32))
    bodies[2] = Peer(SOURCE.name, note)
    assert seen(findings(source, bodies)) == [(What.INVENTED, Layer.TWIN, FIRST + 1)]


def test_an_unapproved_model_is_one_finding_for_all_its_records() -> None:
    source = source_log()
    bodies = honest(source)
    for place in (5, 7, 9):
        bodies[place] = replace(record_at(bodies, place), model=b"x" * 32)
    assert seen(findings(source, bodies)) == [(What.UNAPPROVED, Layer.TWIN, FIRST + 4)]


def test_a_forked_source_is_named_to_the_record_and_the_twin_is_cleared() -> None:
    bodies = honest(source_log())
    forked = source_log(scale=1)
    changed = source_log(scale=3)
    # The source's owner gives record 5 another body and signs everything above it anew.
    forked.rows[5], forked.notes = changed.rows[5], []
    tree = Tree(forked.leaves)
    for size in range(1, len(forked.rows) + 1):
        note = sign_checkpoint(Checkpoint(SOURCE.name, size, tree.root(size)), SOURCE)
        forked.notes.append((size, note))
    assert seen(findings(forked, bodies)) == [(What.FORKED, Layer.LOG, 5)]


def test_a_source_that_was_cut_back_is_shown_by_the_peer_that_its_twin_keeps() -> None:
    whole = source_log()
    bodies = honest(whole)
    cut = Forged(SOURCE, whole.rows[:9], whole.notes[:9])
    assert seen(findings(cut, bodies)) == [(What.ROLLED_BACK, Layer.LOG, 9)]


def test_a_body_that_was_erased_leaves_the_rest_judged() -> None:
    source = source_log()
    bodies = honest(source)
    bodies[13] = replace(record_at(bodies, 13), outputs=(-1.0,))
    log = source.checked()
    del log.genuine[5]
    result = replay(twin_log(bodies).checked(), log, {(MODEL, PARAMETERS): APPROVED})
    assert seen(result.findings) == [(What.DIVERGED, Layer.TWIN, FIRST + 12)]
    assert result.records == 7


def test_a_twin_far_behind_has_stalled() -> None:
    source = source_log()
    twin = twin_log(honest(source)[:4]).checked()
    consumed = replay(twin, source.checked(), {(MODEL, PARAMETERS): APPROVED}).consumed
    behind = len(source.rows) - consumed
    assert check_lag(twin, source.checked(), consumed, behind) == []
    (one,) = check_lag(twin, source.checked(), consumed, behind - 1)
    assert (one.what, one.verdict) == (What.STALLED, Verdict.INCONCLUSIVE)
