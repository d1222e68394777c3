"""The values that an OPC UA server shows, exchanged all at once.

asyncua writes nodes one at a time and lets each write's subscribers run before the next, so a Read that comes amid
would see half of one scan and half of another. Here all nodes are brought up to a snapshot in one step, in which
nothing else runs, and subscribers are told afterwards.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.server.address_space import AttributeValue
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from testbed.core.tags import Tag, Value
from testbed.fieldbus.opcua_nodes import frame_value, node_id, tag_value

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Node:
    """shown: what a Read gives; told: what subscribers heard last; None: that there is no value."""

    tag: Tag
    attribute: AttributeValue
    shown: Value | None
    told: Value | None


class ShownValues:
    """The value attributes of `tags`, which show `snapshot` so far."""

    def __init__(self, server: Server, index: int, tags: Sequence[Tag], snapshot: Mapping[str, Value]) -> None:
        self._snapshot = snapshot
        self._nodes = [
            _Node(
                tag,
                server.iserver.aspace[node_id(tag.opcua, index)].attributes[AttributeIds.Value],
                snapshot.get(tag.name),
                snapshot.get(tag.name),
            )
            for tag in tags
        ]

    def show(self, snapshot: Mapping[str, Value], now: ua.DateTime) -> None:
        """Let every Read from now on see `snapshot`. now: timestamp of what differs."""
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        for node in self._nodes:
            value = snapshot.get(node.tag.name)
            if _differs(value, node.shown):
                node.shown = value
                node.attribute.value = tag_value(node.tag, value, now)

    async def tell(self) -> list[tuple[Tag, Value]]:
        """Tell subscribers what differs from what they heard last. Returns that: tags and values that are there."""
        changed = []
        for node in self._nodes:
            if _differs(node.shown, node.told):
                node.told = node.shown
                changed.append((node, node.attribute.value))
        for node, value in changed:
            await _tell(node.attribute, value, node.tag.name)
        return [(node.tag, node.told) for node, _ in changed if node.told is not None]


class ShownFrame:
    """The value attribute of the signed frame, which shows `signed` so far."""

    def __init__(self, server: Server, node: ua.NodeId, signed: bytes) -> None:
        self._attribute = server.iserver.aspace[node].attributes[AttributeIds.Value]
        self._shown = self._told = signed

    def show(self, signed: bytes, now: ua.DateTime) -> None:
        """Let every Read from now on see it."""
        if signed is not self._shown:
            self._shown = signed
            self._attribute.value = frame_value(signed, now)

    async def tell(self) -> None:
        """Tell subscribers, where they heard of another one last."""
        if self._shown is not self._told:
            self._told = self._shown
            await _tell(self._attribute, self._attribute.value, "the signed frame")


async def _tell(attribute: AttributeValue, value: ua.DataValue | None, name: str) -> None:
    for handle, callback in list(attribute.datachange_callbacks.items()):
        try:
            await callback(handle, value)
        except Exception as error:  # noqa: BLE001  # a filter without sense is its subscriber's own loss
            _log.warning("%s: a subscriber was not told: %r", name, error)


def _differs(new: Value | None, old: Value | None) -> bool:
    """As bytes: 0.0 is not -0.0."""
    return new is not old and (new != old or (not new and str(new) != str(old)))
