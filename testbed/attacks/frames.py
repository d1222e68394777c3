"""A device's signed frame as somebody makes it who has no key of the device: with a key of their own."""

from collections.abc import Callable, Sequence

from testbed.core.bodies import State
from testbed.core.tags import Tag
from testbed.fieldbus.packed import repacker_of
from testbed.keys.ed25519 import SigningKey
from testbed.record.device_frame import decode_frame, encode_frame, frame_message, image_meaning

Frame = tuple[bytes, bytes]
"""Frame and signature."""


def forger_of(tags: Sequence[Tag]) -> Callable[[State], Frame | None]:
    """A function that makes a frame for what a state says, in the name that its own frame has; None where it has none.

    tags: by which the values were read.
    """
    repack, meaning = repacker_of(tags), image_meaning(tags)
    key = SigningKey.from_seed("forger", bytes(32))

    def forge(state: State) -> Frame | None:
        image = repack(state.values, None)
        if state.frame is None or state.scan is None or image is None:
            return None
        frame = encode_frame(image, state.scan, state.boot, decode_frame(state.frame).device)
        return frame, key.sign(frame_message(meaning, frame))

    return forge
