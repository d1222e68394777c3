"""Process images as bytes: the tags' values packed in the order of the tag list, most significant byte first.

A bool is one byte, 00 or 01. So two readers, whose protocols bring the bytes of a value in different orders, pack the
same image of a scan. A scaled tag has other numbers on one protocol than on another, so there is no such image of it.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate

from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import ByteOrder, DataType, Tag, Value
from testbed.fieldbus.registers import FORMATS, reorder

Unpacked = Sequence[bytes | None]
"""Raw values by tag, None where nothing was read."""


def image_size(tags: Sequence[Tag]) -> int:
    """Bytes of a packed image."""
    return sum(tag.type.size for tag in tags)


def packer_of(tags: Sequence[Tag]) -> Callable[[Sequence[Value]], bytes]:
    """A function that packs the values of `tags`, one each; it raises InvalidData for values that do not fit them."""
    _check(tags)
    layout = struct.Struct(">" + "".join("?" if tag.type is DataType.BOOL else FORMATS[tag.type][1] for tag in tags))

    def pack(values: Sequence[Value]) -> bytes:
        try:
            return layout.pack(*values)
        except (struct.error, OverflowError) as error:
            raise InvalidData(f"the values do not fit the tags: {error}") from error

    return pack


def repacker_of(tags: Sequence[Tag]) -> Callable[[Unpacked, bytes | None], bytes | None]:
    """A function that packs raw values as they were read by `tags`: (values, instead) -> image.

    What was not read is taken from its place in `instead`, an image. The answer is None where there is no such image:
    another number of values, one of another length, or nothing in `instead`.
    """
    _check(tags)
    sizes = [tag.type.size for tag in tags]
    orders = [ByteOrder.ABCD if tag.type is DataType.BOOL else tag.modbus.byte_order for tag in tags]
    starts = list(accumulate(sizes, initial=0))

    def repack(values: Unpacked, instead: bytes | None) -> bytes | None:
        if len(values) != len(sizes):
            return None
        found: list[bytes] = []
        for raw, size, order, start in zip(values, sizes, orders, starts, strict=False):
            one = raw if raw is not None else (instead or b"")[start : start + size]
            if len(one) != size:
                return None
            found.append(one if raw is None or order is ByteOrder.ABCD else reorder(one, order))
        return b"".join(found)

    return repack


def _check(tags: Sequence[Tag]) -> None:
    for tag in tags:
        if tag.scaled:
            raise UsageError(f"tag {tag.name} is scaled: it has no place in a packed image", "leave its scale out")
