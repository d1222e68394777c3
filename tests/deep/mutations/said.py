"""Records by those who hold their key, which contradict what stands beside them: found whether an anchor covers them or
not. Where nobody has seen a record yet, this is all that speaks against it.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from testbed.core.bodies import Beacon, State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.finding import Layer, Verdict, What
from testbed.record.bodies import encode_body
from tests.deep.mutations.cell import KEY, Cell, Plan
from tests.deep.mutations.expected import Sought, found
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import READER, TWIN
from tests.deep.mutations.keyed import on, plan
from tests.deep.mutations.owned import counted, with_body

_SECOND = 10**9


def _twin_record(
    change: Callable[[Random, TwinRecord], tuple[str, TwinRecord]], what: What
) -> Callable[[Facts, Random], Plan]:
    """A plan that gives one twin record another body."""

    def make(facts: Facts, rng: Random) -> Plan:
        log = facts[TWIN]
        index = rng.choice(log.of_kind(Kind.TWIN))
        body = log.bodies[index]
        assert isinstance(body, TwinRecord), "its kind says so"
        done, other = change(rng, body)
        rows = list(log.rows)
        rows[index] = with_body(rows[index], encode_body(other), rows[index].salt)
        return plan(facts, TWIN, f"{done} in record {index}", rows, index, 0, [on(what, Layer.TWIN, TWIN, index)])

    return make


def _other_model(rng: Random, body: TwinRecord) -> tuple[str, TwinRecord]:
    if rng.random() < 0.5:
        return "another model", replace(body, model=rng.randbytes(32))
    return "other parameters", replace(body, parameters=rng.randbytes(32))


def _other_leaf(rng: Random, body: TwinRecord) -> tuple[str, TwinRecord]:
    at = rng.randrange(len(body.inputs))
    inputs = list(body.inputs)
    inputs[at] = replace(inputs[at], leaf_hash=rng.randbytes(32))
    return "another leaf hash of an input", replace(body, inputs=tuple(inputs))


def _fewer_inputs(rng: Random, body: TwinRecord) -> tuple[str, TwinRecord]:
    del rng
    return "no inputs", replace(body, inputs=())


def _unseen(facts: Facts) -> list[int]:
    """States of the reader that nobody has seen, but for the first and the last of them."""
    log = facts[READER]
    return [index for index in log.of_kind(Kind.STATE) if index >= log.confirmed][1:-1]


def _left_out(facts: Facts, rng: Random) -> Plan:
    log = facts[READER]
    index = rng.choice(_unseen(facts))
    states = log.of_kind(Kind.STATE)
    place = states.index(index)
    before, after = states[place - 1], states[place + 1] - 1
    rows = counted([*log.rows[:index], *log.rows[index + 1 :]])
    made = plan(facts, READER, f"record {index}, a state, left out", rows, index, -1, ())
    where = f"between records {before} and {after} of {READER}"
    sought = Sought(What.DROPPED, Layer.WIRE, where, READER, after)
    return replace(made, expected=found(sought, verdict=Verdict.INCONCLUSIVE))


def _begun(facts: Facts, index: int) -> int:
    """Time of the block that the newest beacon before a record names, ns."""
    beacons = [body for body in facts[READER].bodies[:index] if isinstance(body, Beacon)]
    step = next(one for one in facts.ground.evidence.journal if one.intent.height == beacons[-1].number)
    return (step.intent.timestamp or 0) * _SECOND


def _datable(facts: Facts) -> list[tuple[int, State]]:
    """Unseen states that can be dated before their beacon's block without a silence of the log."""
    states = []
    for index in _unseen(facts):
        body = facts[READER].bodies[index]
        assert isinstance(body, State), "its kind says so"
        if body.receive_time_ns - _begun(facts, index) < 6 * _SECOND:
            states.append((index, body))
    return states


def _back_dated(facts: Facts, rng: Random) -> Plan:
    log = facts[READER]
    index, body = rng.choice(_datable(facts))
    earlier = replace(body, receive_time_ns=body.receive_time_ns - 8 * _SECOND)
    rows = list(log.rows)
    rows[index] = with_body(rows[index], encode_body(earlier), rows[index].salt)
    made = plan(facts, READER, f"record {index} dated 8 s earlier", rows, index, 0, ())
    return replace(
        made,
        expected=found(on(What.BACK_DATED, Layer.CLOCK, READER, index), verdict=Verdict.INCONCLUSIVE),
    )


CELLS = [
    Cell("twin log", "run another model", KEY, _twin_record(_other_model, What.UNAPPROVED)),
    Cell("twin log", "name another input", KEY, _twin_record(_other_leaf, What.INVENTED)),
    Cell("twin log", "name no input", KEY, _twin_record(_fewer_inputs, What.SKIPPED)),
    Cell("reader log", "leave a state out, unseen", KEY, _left_out, lambda facts: len(_unseen(facts)) > 2),
    Cell("reader log", "back-date, unseen", KEY, _back_dated, lambda facts: bool(_datable(facts))),
]
