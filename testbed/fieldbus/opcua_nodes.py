"""The address space of a PLC: typed nodes in folders by the tags' dotted names, and methods on the PLC's object.

A number is an AnalogItemType with its EURange and, where it has a unit, its EngineeringUnits (OPC 10000-8, section
5.3.2); a bool is a plain variable. The PLC's object is the folder `plc`, made if no tag stands in it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.signed_frames import FRAME_NAME
from testbed.fieldbus.source import ImageSource, held

PLC = "plc"
"""Path of the PLC's object."""

TYPES = {
    DataType.BOOL: ua.VariantType.Boolean,
    DataType.INT16: ua.VariantType.Int16,
    DataType.UINT16: ua.VariantType.UInt16,
    DataType.INT32: ua.VariantType.Int32,
    DataType.UINT32: ua.VariantType.UInt32,
    DataType.FLOAT32: ua.VariantType.Float,
    DataType.FLOAT64: ua.VariantType.Double,
}


def type_of(tag: Tag) -> ua.VariantType:
    """What its node holds: of a scaled tag the value in its unit, whatever the PLC makes of it."""
    return ua.VariantType.Double if tag.scaled else TYPES[tag.type]


METHODS: Mapping[str, tuple[str, Value, str]] = {
    "start": ("control.mode", 2, "Automatic mode from the next scan on."),
    "stop": ("control.mode", 0, "Mode off from the next scan on."),
    "reset": ("control.reset", True, "Push the reset button in the next scan."),
}
"""Method to the tag that it writes, the value, and what people read about it."""

_UNITS = {"m": "MTR", "m3/h": "MQH", "bar": "BAR", "degC": "CEL", "%": "P1", "kW": "KWT", "ms": "C26"}
"""UNECE Recommendation 20 common codes, from which OPC UA derives its unit identifiers (OPC 10000-8, section 5.6.3)."""


def node_id(identifier: str, index: int) -> ua.NodeId:
    """A string identifier in the namespace `index`."""
    return ua.NodeId(ua.String(identifier), ua.Int16(index))


def status(code: int) -> ua.StatusCode:
    """One of asyncua's StatusCodes, as the codec wants it."""
    return ua.StatusCode(ua.UInt32(code))


_GOOD = status(StatusCodes.Good)
_LOST = status(StatusCodes.BadNoCommunication)


class _Unchanging(ua.DataValue):
    """asyncua copies a value all the way down for each subscriber, lest it change; these never do."""

    def __deepcopy__(self, memo: object) -> "_Unchanging":
        return self


def data_value(variant: ua.Variant, now: ua.DateTime) -> ua.DataValue:
    """A good value, with both timestamps, that nobody may change."""
    return _Unchanging(variant, _GOOD, SourceTimestamp=now, ServerTimestamp=now)


def tag_value(tag: Tag, value: Value | None, now: ua.DateTime) -> ua.DataValue:
    """What the node of `tag` shows: its value, or that nobody could read it."""
    if value is None:
        return _Unchanging(ua.Variant(), _LOST, SourceTimestamp=now, ServerTimestamp=now)
    return data_value(ua.Variant(value, type_of(tag)), now)


def frame_value(signed: bytes, now: ua.DateTime) -> ua.DataValue:
    """What the node of the signed frame shows."""
    return data_value(ua.Variant(signed, ua.VariantType.ByteString), now)


async def add_tags(
    server: Server, index: int, tags: Sequence[Tag], values: Mapping[str, Value], now: ua.DateTime
) -> dict[str, Node]:
    """Make the nodes of `tags` with their first values. Returns the folders by dotted path, the PLC's among them."""
    folders: dict[str, Node] = {"": server.get_objects_node()}
    for tag in tags:
        *path, leaf = tag.name.split(".")
        folder = await _folder(folders, path, index)
        await _add_variable(server, folder, tag, leaf, index)
        await server.write_attribute_value(node_id(tag.opcua, index), tag_value(tag, values.get(tag.name), now))
        if tag.type is not DataType.BOOL:
            await _describe(server, tag, index, now)
    await _folder(folders, [PLC], index)
    return folders


async def add_frame(
    server: Server, folders: dict[str, Node], identifier: str, index: int, signed: bytes, now: ua.DateTime
) -> None:
    """The node of the signed frame, a ByteString that nobody can write."""
    *path, leaf = FRAME_NAME.split(".")
    folder = await _folder(folders, path, index)
    attributes = _attributes(leaf, "signature and frame of the newest scan, by the device's own key", writable=False)
    attributes.DataType = ua.NodeId(ua.Int32(ua.VariantType.ByteString.value))
    await _add(server, folder, node_id(identifier, index), leaf, ObjectIds.BaseDataVariableType, attributes, index)
    await server.write_attribute_value(node_id(identifier, index), frame_value(signed, now))


async def add_methods(plc: Node, index: int, tags: Sequence[Tag], source: ImageSource) -> None:
    """start, stop and reset on the PLC's object, each where its tag can be written with its value."""
    by_name = {tag.name: tag for tag in tags}
    for name, (target, value, text) in METHODS.items():
        tag = by_name.get(target)
        if tag is None or not tag.writable or not _takes(tag, value):
            continue
        callback = _method(plc.nodeid, source, target, value)
        method = await plc.add_method(
            node_id(f"method:{PLC}.{name}", index), ua.QualifiedName(name, ua.UInt16(index)), callback, [], []
        )
        await method.write_attribute(AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText(text))))


def _method(plc: ua.NodeId, source: ImageSource, target: str, value: Value) -> Callable[..., Awaitable[ua.StatusCode]]:
    async def call(parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
        """Status of the write (OPC 10000-4, section 5.12.2)."""
        if parent != plc:
            return status(StatusCodes.BadMethodInvalid)
        if arguments:
            return status(StatusCodes.BadTooManyArguments)
        try:
            source.write(target, value)
        except UsageError:
            return status(StatusCodes.BadInvalidState)
        except DeviceError:
            return status(StatusCodes.BadDeviceFailure)
        return status(StatusCodes.Good)

    return call


def _takes(tag: Tag, value: Value) -> bool:
    try:
        held(tag, value)
    except UsageError:
        return False
    return True


async def _folder(folders: dict[str, Node], parts: Sequence[str], index: int) -> Node:
    for depth in range(1, len(parts) + 1):
        path = ".".join(parts[:depth])
        if path not in folders:
            parent = folders[".".join(parts[: depth - 1])]
            name = ua.QualifiedName(parts[depth - 1], ua.UInt16(index))
            folders[path] = await parent.add_folder(node_id(f"folder:{path}", index), name)
    return folders[".".join(parts)]


async def _add_variable(server: Server, folder: Node, tag: Tag, leaf: str, index: int) -> None:
    attributes = _attributes(leaf, _text(tag), writable=tag.writable)
    attributes.DataType = ua.NodeId(ua.Int32(type_of(tag).value))
    kind = ObjectIds.BaseDataVariableType if tag.type is DataType.BOOL else ObjectIds.AnalogItemType
    await _add(server, folder, node_id(tag.opcua, index), leaf, kind, attributes, index)


def _attributes(leaf: str, text: str, *, writable: bool) -> ua.VariableAttributes:
    access = ua.AccessLevel.CurrentRead.mask | (ua.AccessLevel.CurrentWrite.mask if writable else 0)
    attributes = ua.VariableAttributes()
    attributes.DisplayName = ua.LocalizedText(leaf)
    attributes.Description = ua.LocalizedText(text)
    attributes.ValueRank = ua.Int32(ua.ValueRank.Scalar)
    attributes.AccessLevel = attributes.UserAccessLevel = ua.Byte(access)
    attributes.Historizing = False
    return attributes


async def _add(
    server: Server, folder: Node, node: ua.NodeId, leaf: str, kind: int, attributes: ua.VariableAttributes, index: int
) -> None:
    """By the node management service, since the library's shortcut knows one type definition only."""
    item = ua.AddNodesItem()
    item.RequestedNewNodeId = node
    item.BrowseName = ua.QualifiedName(leaf, ua.UInt16(index))
    item.NodeClass = ua.NodeClass.Variable
    item.ParentNodeId = folder.nodeid
    # Components, not organised nodes: a variable belongs to one object (OPC 10000-3, section 7.7).
    item.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HasComponent))
    item.TypeDefinition = ua.NodeId(ua.Int32(kind))
    item.NodeAttributes = attributes
    (result,) = await server.iserver.isession.add_nodes([item])
    result.StatusCode.check()


def _text(tag: Tag) -> str:
    kind = "true or false" if tag.type is DataType.BOOL else f"{tag.low:g} to {tag.high:g} {tag.unit}".rstrip()
    return f"{tag.name}: {kind}, {'can be written' if tag.writable else 'read only'}"


async def _describe(server: Server, tag: Tag, index: int, now: ua.DateTime) -> None:
    node = server.get_node(node_id(tag.opcua, index))
    properties: dict[str, object] = {"EURange": ua.Range(tag.low, tag.high)}
    if tag.unit:
        unit = ua.EUInformation()
        unit.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
        unit.DisplayName = unit.Description = ua.LocalizedText(tag.unit)
        unit.UnitId = int.from_bytes(_UNITS[tag.unit].encode(), "big") if tag.unit in _UNITS else -1
        properties["EngineeringUnits"] = unit
    for name, value in properties.items():
        # Browse names of the standard, identifiers of ours: namespace 0 is not ours to number.
        identifier = node_id(f"{tag.opcua}/{name}", index)
        await node.add_property(identifier, ua.QualifiedName(name, ua.UInt16(0)), value)
        variant = ua.Variant(value, ua.VariantType.ExtensionObject)
        await server.write_attribute_value(identifier, data_value(variant, now))
