"""The emulated PLC's own key: each scan is signed before anybody can read it, so whoever hands it on cannot change it.

It speaks for what this very PLC holds. A bridge to a box has no such key: what it shows it was told by a wire.
"""

from collections.abc import Mapping, Sequence

from testbed.core.tags import Tag, Value
from testbed.fieldbus.packed import packer_of
from testbed.keys.ed25519 import SigningKey
from testbed.record.device_frame import encode_frame, frame_message, image_meaning


class FrameSigner:
    """Signs the scans of `tags` with the device's key. Raises UsageError for a tag that is scaled."""

    def __init__(self, tags: Sequence[Tag], key: SigningKey) -> None:
        self._names = [tag.name for tag in tags]
        self._pack = packer_of(tags)
        self._meaning = image_meaning(tags)
        self._key = key
        self._device = key.verifier().device_id

    def signed(self, values: Mapping[str, Value], scan: int, boot: int) -> bytes:
        """Signature and frame of one scan. values: by tag name, one of each tag."""
        image = self._pack([values[name] for name in self._names])
        frame = encode_frame(image, scan, boot, self._device)
        return self._key.sign(frame_message(self._meaning, frame)) + frame
