"""An OPC UA server in front of a process image.

Nodes stand in one namespace, `urn:attestbed:<name>`, under string identifiers, in folders by the tags' dotted names.
The address space holds what the PLC published and nothing else: a client's write goes to the PLC and comes back with
the snapshot of its next scan, or it is refused with a bad status. One endpoint, without security: for loopback only.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC

from asyncua import ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from testbed.core.clock import Clock, SystemClock
from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.source import ImageSource, held

_log = logging.getLogger(__name__)

_TYPES = {
    DataType.BOOL: ua.VariantType.Boolean,
    DataType.INT16: ua.VariantType.Int16,
    DataType.UINT16: ua.VariantType.UInt16,
    DataType.INT32: ua.VariantType.Int32,
    DataType.UINT32: ua.VariantType.UInt32,
    DataType.FLOAT32: ua.VariantType.Float,
    DataType.FLOAT64: ua.VariantType.Double,
}
_UNITS = {"m": "MTR", "m3/h": "MQH", "bar": "BAR", "degC": "CEL", "%": "P1", "kW": "KWT"}
"""UNECE Recommendation 20 common codes, from which OPC UA derives its unit identifiers (OPC 10000-8, section 5.6.3)."""


class OpcUaServer:
    """Serves `tags` of `source` at opc.tcp://host:port/attestbed. Port 0 lets the system choose; `port` says which.

    name: of the namespace; period: of the publication of changed values, s. Start takes a second or two: the standard
    address space is built anew, as the library's cache is a pickle, which whoever can write it could use to run code.
    Raises UsageError where two tags have one node, and on `start` where nobody can listen there.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        source: ImageSource,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "cell",
        *,
        period: float = 0.05,
        clock: Clock | None = None,
    ) -> None:
        if len({tag.opcua for tag in tags}) != len(tags):
            raise UsageError("two tags have the same OPC UA node", "give every tag a node identifier of its own")
        self.namespace = f"urn:attestbed:{name}"
        self._tags = tuple(tags)
        self._source = source
        self._host = host
        self._port = port
        self._period = period
        self._clock = clock or SystemClock()
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._nodes: dict[ua.NodeId, Tag] = {}
        self._shown: dict[str, Value] = {}
        self._results: dict[int, list[ua.StatusCode | None]] = {}

    @property
    def port(self) -> int:
        """The TCP port; once started, the real one."""
        return self._port

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"opc.tcp://{self._host}:{self._port}/attestbed"

    async def start(self) -> None:
        """Build the address space, listen, and publish each `period` from then on."""
        server = Server()
        server.set_endpoint(self.url)
        server.set_server_name("Attestbed")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        # Else a client that calls itself "admin" may write every node, without a password.
        server.allow_remote_admin(False)
        await server.init()
        await server.set_application_uri("urn:attestbed:server")
        index = await server.register_namespace(self.namespace)
        await self._build(server, index)
        server.subscribe_server_callback(CallbackType.PreWrite, self._before_write)
        server.subscribe_server_callback(CallbackType.PostWrite, self._after_write)
        try:
            await server.start()
        except OSError as error:
            raise UsageError(
                f"cannot listen on {self._host}:{self._port}", "choose a free port, or end what holds this one"
            ) from error
        self._server = server
        if server.bserver is not None:
            self._port = server.bserver.port
        await self.publish()
        self._task = asyncio.create_task(self._publish_on())

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def publish(self) -> None:
        """Bring what changed since the last call into the address space, all of one snapshot."""
        if self._server is None:
            return
        snapshot = self._source.snapshot()
        now = self._now()
        for node, tag in self._nodes.items():
            value = snapshot[tag.name]
            if self._shown.get(tag.name) != value:
                await self._server.write_attribute_value(node, _data_value(tag, value, now))
                self._shown[tag.name] = value

    def _now(self) -> ua.DateTime:
        return ua.DateTime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)

    async def _publish_on(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.publish()
            except (KeyError, UaError):
                _log.exception("values were not published")

    async def _build(self, server: Server, index: int) -> None:
        snapshot = self._source.snapshot()
        now = self._now()
        folders: dict[str, Node] = {"": server.get_objects_node()}
        for tag in self._tags:
            parent, parts = "", tag.name.split(".")
            for part in parts[:-1]:
                path = f"{parent}.{part}" if parent else part
                if path not in folders:
                    identifier = _node_id(f"folder:{path}", index)
                    folders[path] = await folders[parent].add_folder(identifier, ua.QualifiedName(part, index))
                parent = path
            node_id = _node_id(tag.opcua, index)
            node = await folders[parent].add_variable(
                node_id, ua.QualifiedName(parts[-1], index), snapshot[tag.name], _TYPES[tag.type]
            )
            if tag.type is not DataType.BOOL:
                await _describe(node, tag)
            if tag.writable:
                await node.set_writable()
            await server.write_attribute_value(node_id, _data_value(tag, snapshot[tag.name], now))
            self._nodes[node_id] = tag
            self._shown[tag.name] = snapshot[tag.name]

    def _before_write(self, event: ServerItemCallback, _service: object) -> None:
        """Take the writes to our nodes out of a client's request and hand them to the PLC."""
        if not event.is_external:
            return
        request = event.request_params
        results = [self._write(item) for item in request.NodesToWrite]
        request.NodesToWrite = [
            item for item, result in zip(request.NodesToWrite, results, strict=True) if result is None
        ]
        self._results[id(request)] = results

    def _after_write(self, event: ServerItemCallback, _service: object) -> None:
        """Put their results back in the order in which the client asked (OPC 10000-4, service Write)."""
        results = self._results.pop(id(event.request_params), None)
        if event.is_external and results is not None:
            others = iter(list(event.response_params))
            event.response_params[:] = [next(others) if result is None else result for result in results]

    def _write(self, item: ua.WriteValue) -> ua.StatusCode | None:
        """Result of one write; None for what is not ours: the library refuses that."""
        tag = self._nodes.get(item.NodeId)
        if tag is None or item.AttributeId != AttributeIds.Value:
            return None
        if not tag.writable:
            return _status(StatusCodes.BadNotWritable)
        if item.IndexRange:
            return _status(StatusCodes.BadIndexRangeInvalid)
        data = item.Value
        if data.StatusCode is not None and not data.StatusCode.is_good():
            return _status(StatusCodes.BadWriteNotSupported)
        variant = data.Value
        if variant is None or variant.VariantType != _TYPES[tag.type] or variant.is_array:
            return _status(StatusCodes.BadTypeMismatch)
        try:
            self._source.write(tag.name, held(tag, variant.Value))
        except UsageError:
            return _status(StatusCodes.BadOutOfRange)
        except DeviceError:
            return _status(StatusCodes.BadDeviceFailure)
        return ua.StatusCode()


def _node_id(identifier: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(identifier), ua.Int16(index))


def _status(code: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(code))


def _data_value(tag: Tag, value: Value, now: ua.DateTime) -> ua.DataValue:
    variant = ua.Variant(value, _TYPES[tag.type])
    return ua.DataValue(variant, _status(StatusCodes.Good), SourceTimestamp=now, ServerTimestamp=now)


async def _describe(node: Node, tag: Tag) -> None:
    """EURange and EngineeringUnits (OPC 10000-8, section 5.3.2)."""
    await node.add_property(0, "EURange", ua.Range(tag.low, tag.high))
    if not tag.unit:
        return
    unit = ua.EUInformation()
    unit.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
    unit.DisplayName = ua.LocalizedText(tag.unit)
    unit.Description = ua.LocalizedText(tag.unit)
    unit.UnitId = int.from_bytes(_UNITS[tag.unit].encode(), "big") if tag.unit in _UNITS else -1
    await node.add_property(0, "EngineeringUnits", unit)
