"""What an OPC UA server shows: its variables, found by browsing from Objects down. It reads, and writes nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from testbed.core.errors import DeviceError, TestbedError
from testbed.core.identity import Identity
from testbed.core.tags import DataType
from testbed.fieldbus.opcua_channel import Channel
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_discovery import Endpoint, endpoints
from testbed.fieldbus.opcua_security import Security

_TYPES = {
    ua.VariantType.Boolean: DataType.BOOL,
    ua.VariantType.Int16: DataType.INT16,
    ua.VariantType.UInt16: DataType.UINT16,
    ua.VariantType.Int32: DataType.INT32,
    ua.VariantType.UInt32: DataType.UINT32,
    ua.VariantType.Float: DataType.FLOAT32,
    ua.VariantType.Double: DataType.FLOAT64,
}
_AT_ONCE = 50
"""Nodes in one request: a small server takes no more."""
_CHANNEL_S = 600.0
_PROPERTY = ua.NodeId(ua.Int32(ObjectIds.PropertyType))
"""What describes a variable, such as its unit, is none itself."""
_OWN = 0
"""The namespace of OPC UA itself: what stands there is every server's."""


@dataclass(frozen=True, slots=True)
class Variable:
    """path: browse names from Objects down; node: as "ns=3;s=Tank.Level"; uri: of its namespace; identifier: of a
    string node, "" for another; type: None where no tag can have it; held: for a person.
    """

    path: tuple[str, ...]
    node: str
    uri: str
    identifier: str
    type: DataType | None
    held: str


@dataclass(frozen=True, slots=True)
class Browsed:
    """What was seen. more: there is more than was asked for."""

    identity: Identity
    variables: tuple[Variable, ...]
    offered: tuple[Endpoint, ...]
    requests: int
    more: bool


async def browse(url: str, security: Security, patience: float, requests: int, told: Callable[[int], None]) -> Browsed:
    """Browse from Objects down within a number of requests. patience: s for each answer; told: how many went before.

    Raises DeviceError where the server cannot be reached, or lets nobody in.
    """
    channel = Channel(url, patience, _CHANNEL_S, security)
    try:
        offered = tuple(await endpoints(url, patience))
        await channel.open()
        (spaces,) = await channel.values([ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))])
        seen = await _walk(channel, list(spaces.Value.Value) if spaces.Value is not None else [], requests, told)
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, TestbedError):
            raise _unreachable(url, error, patience) from error  # the library raises whatever it stumbles over
        raise
    finally:
        await channel.leave()
    variables, asked, more = seen
    return Browsed(await _identity(url, security, patience), variables, offered, asked, more)


async def _walk(
    channel: Channel, uris: list[str], requests: int, told: Callable[[int], None]
) -> tuple[tuple[Variable, ...], int, bool]:
    waiting: list[tuple[tuple[str, ...], ua.NodeId]] = [((), ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder)))]
    known = {waiting[0][1]}
    found: list[tuple[tuple[str, ...], ua.NodeId]] = []
    asked = 0
    while waiting and asked < requests:
        told(asked)
        asked += 1
        here, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        for (path, _), below in zip(here, await channel.browse([node for _, node in here]), strict=True):
            for one in below:
                node = ua.NodeId(one.NodeId.Identifier, one.NodeId.NamespaceIndex)
                if one.NodeId.NamespaceIndex == _OWN or one.TypeDefinition == _PROPERTY or node in known:
                    continue
                known.add(node)
                inside = (*path, one.BrowseName.Name or "")
                waiting.append((inside, node))
                if one.NodeClass == ua.NodeClass.Variable:
                    found.append((inside, node))
    variables: list[Variable] = []
    while len(variables) < len(found) and asked < requests:
        told(asked)
        asked += 1
        here = found[len(variables) : len(variables) + _AT_ONCE]
        values = await channel.values([node for _, node in here])
        variables += [_variable(path, node, value, uris) for (path, node), value in zip(here, values, strict=True)]
    return tuple(variables), asked, bool(waiting) or len(variables) < len(found)


def _variable(path: tuple[str, ...], node: ua.NodeId, value: ua.DataValue, uris: list[str]) -> Variable:
    variant = value.Value
    scalar = variant is not None and not isinstance(variant.Value, list) and variant.Value is not None
    kind = _TYPES.get(variant.VariantType) if scalar and variant is not None else None
    index = node.NamespaceIndex
    return Variable(
        path=path,
        node=re.sub(r"^(?!ns=)", f"ns={index};", node.to_string()),
        uri=uris[index] if index < len(uris) else "",
        identifier=node.Identifier if isinstance(node.Identifier, str) else "",
        type=kind,
        held=str(variant.Value) if scalar and variant is not None else "",
    )


async def _identity(url: str, security: Security, patience: float) -> Identity:
    """Who the server says it is, asked by the driver that will read it."""
    reader = OpcUaReader(
        [], url, None, None, namespace="http://opcfoundation.org/UA/", security=security, timeout=patience
    )
    try:
        await reader.connect()
        return await reader.identify()
    finally:
        await reader.close()


def _unreachable(url: str, error: Exception, patience: float) -> DeviceError:
    says = f"no answer within {patience:g} s" if isinstance(error, TimeoutError) else str(error) or repr(error)
    return DeviceError(f"{url}: {says}", "check that its OPC UA server runs, and that host, port and path are its own")
