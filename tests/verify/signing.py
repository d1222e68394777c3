"""States as a PLC that signs gives them to a reader."""

from collections.abc import Sequence
from dataclasses import replace

from testbed.core.bodies import State
from testbed.core.tags import Tag
from testbed.fieldbus.packed import repacker_of
from testbed.keys.ed25519 import SigningKey
from testbed.record.device_frame import encode_frame, frame_message, image_meaning
from tests.verify.readings import TAGS, values_of

DEVICE = SigningKey.from_seed("bench/cell", b"d" * 32)
STRANGER = SigningKey.from_seed("bench/cell", b"s" * 32)


def signed(state: State, tags: Sequence[Tag] = TAGS, key: SigningKey = DEVICE) -> State:
    """The state with a frame for what it says, which `key` signs in the device's name."""
    image = repacker_of(tags)(state.values, None)
    assert image is not None
    assert state.scan is not None
    frame = encode_frame(image, state.scan, state.boot, DEVICE.verifier().device_id)
    return replace(state, frame=frame, signature=key.sign(frame_message(image_meaning(tags), frame)))


def state(scan: int, boot: int = 1, tags: Sequence[Tag] = TAGS) -> State:
    """What a reader logs of a scan of a PLC that signs."""
    values = values_of(tags, boot, scan)
    return signed(State(boot, scan, None, scan * 10**8, values, (0,) * len(tags)), tags)
