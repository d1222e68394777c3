"""What a PLC must be that signs its scans: an emulated one, with room for its signed frame beside its tags."""

from collections.abc import Iterator

from testbed.core.tags import DataType
from testbed.fieldbus.signed_frames import FRAME_AT, FRAME_NAME
from testbed.rig.bench_errors import Problem
from testbed.rig.bench_file import Plc
from testbed.rig.toml_file import Loc


def check_signs(loc: Loc, plc: Plc) -> Iterator[Problem]:
    """All faults of a PLC with signs = true; `loc` is its table."""
    if plc.kind != "emulated":
        what = f"{plc.name} is physical, and nobody here holds its key: a bridge does not sign in its name"
        yield Problem((*loc, "signs"), what, "leave signs out; its states are gateway-signed")
        return
    node = f"{plc.name}.{FRAME_NAME}"
    for position, tag in enumerate(plc.tag):
        here = (*loc, "tag", position)
        if (tag.scale, tag.offset) != (1.0, 0.0):
            what = f"{tag.name} is scaled, and {plc.name} signs: each protocol shows it otherwise"
            yield Problem((*here, "scale"), what, "leave scale and offset out, or signs under [[plc]]")
        if tag.name == FRAME_NAME or (tag.opcua or f"{plc.name}.{tag.name}") == node:
            yield Problem((*here, "name"), f'"{node}" is the node of the signed frame', "give the tag another name")
        place = tag.modbus
        width = max(1, DataType(tag.type).size // 2)
        if place is not None and place.table == "input_register" and place.address + width > FRAME_AT:
            what = f"{place.address} reaches into the signed frame's registers, from {FRAME_AT} on"
            yield Problem((*here, "modbus", "address"), what, f"take {FRAME_AT - width} or less")
