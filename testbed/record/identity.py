"""What a device says of itself as the detail of an event: [vendor, product, firmware, serial], all text."""

from testbed.core.errors import InvalidData
from testbed.core.identity import Identity
from testbed.record import cbor


def encode_identity(identity: Identity) -> bytes:
    """The bytes; raises InvalidData for a field that is no text."""
    return cbor.encode([identity.vendor, identity.product, identity.firmware, identity.serial])


def decode_identity(data: bytes) -> Identity:
    """The identity; raises InvalidData unless `encode_identity` gives back these very bytes."""
    items = cbor.decode(data)
    if not isinstance(items, list) or [type(item) for item in items] != [str] * 4:
        raise InvalidData("identity: not four texts")
    return Identity(*items)
