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
from testbed.fieldbus.opcua_nodes import data_value, node_id, type_of

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Node:
    """shown: what a Read gives; told: what subscribers heard last."""

    tag: Tag
    attribute: AttributeValue
    type: ua.VariantType
    shown: Value
    told: Value


class ShownValues:
    """The value attributes of `tags`, which show `snapshot` so far."""

    def __init__(self, server: Server, index: int, tags: Sequence[Tag], snapshot: Mapping[str, Value]) -> None:
        self._snapshot = snapshot
        self._nodes = [
            _Node(
                tag,
                server.iserver.aspace[node_id(tag.opcua, index)].attributes[AttributeIds.Value],
                type_of(tag),
                snapshot[tag.name],
                snapshot[tag.name],
            )
            for tag in tags
        ]

    def show(self, snapshot: Mapping[str, Value], now: ua.DateTime) -> None:
        """Let every Read from now on see `snapshot`. now: timestamp of what differs."""
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        for node in self._nodes:
            value = snapshot[node.tag.name]
            if _differs(value, node.shown):
                node.shown = value
                node.attribute.value = data_value(ua.Variant(value, node.type), now)

    async def tell(self) -> list[tuple[Tag, Value]]:
        """Tell subscribers what differs from what they heard last. Returns that: tags and values."""
        changed = []
        for node in self._nodes:
            if _differs(node.shown, node.told):
                node.told = node.shown
                changed.append((node, node.attribute.value))
        for node, value in changed:
            for handle, callback in list(node.attribute.datachange_callbacks.items()):
                try:
                    await callback(handle, value)
                except Exception as error:  # noqa: BLE001  # a filter without sense is its subscriber's own loss
                    _log.warning("%s: a subscriber was not told: %r", node.tag.name, error)
        return [(node.tag, node.told) for node, _ in changed]


def _differs(new: Value, old: Value) -> bool:
    """As bytes: 0.0 is not -0.0."""
    return new is not old and (new != old or (not new and str(new) != str(old)))
