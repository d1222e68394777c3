"""Bodies that say something else, well formed."""

from dataclasses import replace
from random import Random

from testbed.core.bodies import AnchorReceipt, Beacon, Body, Command, Event, Genesis, Heartbeat, Peer, State, TwinRecord
from testbed.record.bodies import encode_body
from tests.deep.mutations.facts import LogFacts


def other_body(rng: Random, log: LogFacts, index: int) -> tuple[str, bytes]:
    """Another body of the same kind for a record, and in words what it says differently."""
    done, body = changed(rng, log.bodies[index])
    return done, encode_body(body)


def changed(rng: Random, body: Body) -> tuple[str, Body]:
    """One field of a body changed."""
    match body:
        case State():
            place = rng.choice([at for at, raw in enumerate(body.values) if raw])
            raw = body.values[place] or b""
            other = bytes([raw[0] ^ 1 << rng.randrange(8)]) + raw[1:] if len(raw) > 1 else bytes([raw[0] ^ 1])
            values = (*body.values[:place], other, *body.values[place + 1 :])
            return f"another value at place {place}", replace(body, values=values)
        case TwinRecord():
            if rng.random() < 0.5:
                outputs = (*body.outputs[:-1], body.outputs[-1] + 0.25)
                return "another output", replace(body, outputs=outputs)
            return "another state", replace(body, state=(body.state[0] + 0.25, *body.state[1:]))
        case Heartbeat():
            return "another time", replace(body, receive_time_ns=body.receive_time_ns + 1)
        case Event():
            return "another time", replace(body, time_ns=body.time_ns + 1)
        case Beacon():
            return "another block hash", replace(body, block_hash=rng.randbytes(32))
        case Command():
            return "another command", replace(body, what=f"{body.what}1")
        case Peer():
            return "another checkpoint", replace(body, checkpoint=body.checkpoint + b"x")
        case AnchorReceipt():
            return "another checkpoint", replace(body, checkpoint=body.checkpoint + b"x")
        case Genesis():
            return "another software", replace(body, software=body.software + "x")
        case _:
            raise AssertionError(f"no body of this kind is written by a simulated bench: {body}")
