"""Frames that the PLC signed, by the one who holds the key of the log that they stand in: signed anew with it."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.finding import Layer, Verdict, What
from testbed.record.bodies import encode_body
from tests.deep.mutations.cell import KEY, Cell, Plan, flipped
from tests.deep.mutations.expected import Expected, found
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.ground import GATEWAY, READER
from tests.deep.mutations.keyed import on, plan
from tests.deep.mutations.owned import with_body

Change = Callable[[Facts, Random, LogFacts, int, State], tuple[str, State, What, Layer]]


def _state(log: LogFacts, index: int) -> State:
    body = log.bodies[index]
    assert isinstance(body, State), "it was chosen among the states"
    return body


def some_state(log: LogFacts, rng: Random) -> int:
    """A state, the first, the last and those at seams more often."""
    states = log.of_kind(Kind.STATE)
    near = [index for index in log.seams() if log.entries[index].kind is Kind.STATE]
    return rng.choice([states[0], states[-1], rng.choice(near), rng.choice(states), rng.choice(states)])


def _in_one(change: Change) -> Callable[[Facts, Random], Plan]:
    def make(facts: Facts, rng: Random) -> Plan:
        log = facts[rng.choice((GATEWAY, READER))]
        index = some_state(log, rng)
        done, state, what, layer = change(facts, rng, log, index, _state(log, index))
        rows = list(log.rows)
        rows[index] = with_body(rows[index], encode_body(state), rows[index].salt)
        made = plan(
            facts, log.origin, f"{done} in record {index}", rows, index, 0, [on(what, layer, log.origin, index)]
        )
        return replace(made, expected=_weak(made.expected))

    return make


def _weak(expected: Expected) -> Expected:
    """A frame that is missing is no falsification by itself."""
    if expected.sought and all(one.what is What.STRIPPED for one in expected.sought):
        return found(*expected.sought, verdict=Verdict.INCONCLUSIVE)
    return expected


def _flip_frame(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    frame = flipped(rng, state.frame or b"")
    return "a bit of the frame", replace(state, frame=frame), What.FORGED, Layer.WIRE


def _flip_signature(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    signature = flipped(rng, state.signature or b"")
    return "a bit of the frame's signature", replace(state, signature=signature), What.FORGED, Layer.WIRE


def _made_up(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    return "another signature", replace(state, signature=rng.randbytes(64)), What.FORGED, Layer.WIRE


def _strip(_: Facts, __: Random, ___: LogFacts, ____: int, state: State) -> tuple[str, State, What, Layer]:
    return "no frame", replace(state, frame=None, signature=None), What.STRIPPED, Layer.GATEWAY


def _cut(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    frame = (state.frame or b"")[: rng.randrange(1, len(state.frame or b""))]
    return f"{len(frame)} bytes of the frame", replace(state, frame=frame), What.FORGED, Layer.WIRE


def _grow(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    frame = (state.frame or b"") + rng.randbytes(2)
    return "a longer frame", replace(state, frame=frame), What.FORGED, Layer.WIRE


def _other_frame(_: Facts, rng: Random, log: LogFacts, index: int, state: State) -> tuple[str, State, What, Layer]:
    other = rng.choice([at for at in log.of_kind(Kind.STATE) if at != index])
    theirs = _state(log, other)
    changed = replace(state, frame=theirs.frame, signature=theirs.signature)
    return f"the frame of record {other}", changed, What.ALTERED, Layer.GATEWAY


def _foreign_frame(facts: Facts, rng: Random, log: LogFacts, _: int, state: State) -> tuple[str, State, What, Layer]:
    theirs = facts[READER if log.origin == GATEWAY else GATEWAY]
    other = rng.choice([at for at in theirs.of_kind(Kind.STATE) if _state(theirs, at).scan != state.scan])
    there = _state(theirs, other)
    changed = replace(state, frame=there.frame, signature=there.signature)
    return f"the frame of record {other} of {theirs.origin}", changed, What.ALTERED, Layer.GATEWAY


def _other_scan(_: Facts, rng: Random, __: LogFacts, ___: int, state: State) -> tuple[str, State, What, Layer]:
    scan = (state.scan or 0) + rng.choice((-1, 1, 1000))
    return f"it says that it is scan {scan}", replace(state, scan=max(0, scan)), What.ALTERED, Layer.GATEWAY


_LAYER = "device frames"

CELLS = [
    Cell(_LAYER, "flip a bit", KEY, _in_one(_flip_frame)),
    Cell(_LAYER, "flip a bit of the signature", KEY, _in_one(_flip_signature)),
    Cell(_LAYER, "make up a signature", KEY, _in_one(_made_up)),
    Cell(_LAYER, "delete", KEY, _in_one(_strip)),
    Cell(_LAYER, "truncate", KEY, _in_one(_cut)),
    Cell(_LAYER, "insert", KEY, _in_one(_grow)),
    Cell(_LAYER, "replace by a genuine one", KEY, _in_one(_other_frame)),
    Cell(_LAYER, "move across logs", KEY, _in_one(_foreign_frame)),
    Cell(_LAYER, "change the state's scan", KEY, _in_one(_other_scan)),
]
