"""Events of a PLC: an alarm, an interlock or the emergency stop came or went.

One event type, AlarmEventType under BaseEventType, with ActiveState as a bool; there are no conditions to acknowledge.
An event goes to whoever subscribed on the Server object or on the PLC's object (OPC 10000-3, section 4.7).
"""

import logging
import struct

from asyncua import ua
from asyncua.common.event_objects import BaseEvent
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds

from testbed.core.tags import DataType, Tag
from testbed.fieldbus.opcua_nodes import node_id

_log = logging.getLogger(__name__)

_SEVERITIES = {"alarm": 500, "interlock": 700, "estop": 900, "watchdog": 900}
"""1 to 1000, by the first part of the tag's name (OPC 10000-5, section 6.4.2)."""


def tells(tag: Tag) -> bool:
    """Whether a change of `tag` is an event: bools under `alarm.` and `interlock.`, E-stop and watchdog."""
    stops = tag.name in ("estop.active", "watchdog.tripped")
    return tag.type is DataType.BOOL and (stops or tag.name.startswith(("alarm.", "interlock.")))


class AlarmEvents:
    """Tells subscribers of alarms that come and go. Make one with `create`."""

    def __init__(self, server: Server, kind: ua.NodeId, notifiers: tuple[ua.NodeId, ...], index: int) -> None:
        self._server = server
        self._kind = kind
        self._notifiers = notifiers
        self._index = index
        self._count = 0

    @classmethod
    async def create(cls, server: Server, index: int, plc: Node) -> "AlarmEvents":
        """Make the event type, and let the Server object and the PLC's object notify."""
        kind = await server.nodes.base_event_type.add_object_type(
            node_id("AlarmEventType", index), ua.QualifiedName("AlarmEventType", ua.UInt16(index))
        )
        await kind.add_property(
            node_id("AlarmEventType/ActiveState", index), ua.QualifiedName("ActiveState", ua.UInt16(index)), False
        )
        for notifier in (server.nodes.server, plc):
            await notifier.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
            await notifier.add_reference(kind, ObjectIds.GeneratesEvent, forward=True, bidirectional=False)
        await server.nodes.server.add_reference(plc, ObjectIds.HasNotifier)
        return cls(server, kind.nodeid, (server.nodes.server.nodeid, plc.nodeid), index)

    async def tell(self, tag: Tag, active: bool, now_ns: int, now: ua.DateTime) -> None:
        """Tell that `tag` is now `active`; now_ns and now: the same instant, UTC."""
        self._count += 1
        event = BaseEvent()  # type: ignore[no-untyped-call]  # of the library
        event.add_property("ActiveState", active, ua.VariantType.Boolean)
        for name, value in {
            "EventId": struct.pack(">QQ", now_ns, self._count),
            "EventType": self._kind,
            "SourceNode": node_id(tag.opcua, self._index),
            "SourceName": tag.name,
            "Time": now,
            "ReceiveTime": now,
            "Message": ua.LocalizedText(f"{tag.name} {'active' if active else 'cleared'}"),
            "Severity": _SEVERITIES[tag.name.split(".", maxsplit=1)[0]],
        }.items():
            setattr(event, name, value)
        subscriptions = self._server.iserver.subscription_service.subscriptions
        for notifier in self._notifiers:
            event.emitting_node = notifier
            for subscription in list(subscriptions.values()):
                try:
                    await subscription.monitored_item_srv.trigger_event(event)
                except Exception as error:  # noqa: BLE001  # a filter without sense is its subscriber's own loss
                    _log.warning("%s: no event for this filter: %s", subscription, error)
