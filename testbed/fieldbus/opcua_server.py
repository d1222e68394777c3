"""An OPC UA server in front of a process image.

Nodes stand in one namespace, `urn:attestbed:<name>`, under string identifiers, in folders by the tags' dotted names.
The address space holds what the PLC published and nothing else: a client's write goes to the PLC and comes back with
the snapshot of its next scan, or it is refused with a bad status. A Read is answered from the newest snapshot, all of
it of one scan; subscribers hear of changes each time that the server publishes.

Who may come is said by an `Access`. As it stands by itself it has two endpoints at most, one without security and, with
a certificate, one that signs and encrypts by Basic256Sha256. Encryption then keeps others on the wire from reading and
changing what is said, and a client that knows the certificate from talking to anyone else; it keeps nobody out: any
client certificate is accepted and every client is anonymous. So that is for loopback, or for a network where everybody
may write. `Access.closed` is for all others.
"""

import asyncio
import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from asyncua import ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

import testbed
from testbed.core.clock import Clock, SystemClock
from testbed.core.errors import DeviceError, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.node_text import own_nodes
from testbed.fieldbus.opcua_access import Access
from testbed.fieldbus.opcua_connections import BoundedServer
from testbed.fieldbus.opcua_doorkeeper import Caller, Doorkeeper
from testbed.fieldbus.opcua_events import AlarmEvents, tells
from testbed.fieldbus.opcua_nodes import PLC, add_frame, add_methods, add_tags, node_id, status, type_of
from testbed.fieldbus.opcua_protocol import ConnectionBounds
from testbed.fieldbus.opcua_values import ShownFrame, ShownValues
from testbed.fieldbus.signed_frames import FRAME_NAME, FrameSource
from testbed.fieldbus.source import ImageSource, held

_log = logging.getLogger(__name__)

APPLICATION_URI = "urn:attestbed:server"
"""Of every PLC's server; the certificate has to say the same."""

_NO_DATE = datetime(1601, 1, 1, tzinfo=UTC)
"""The null of an OPC UA DateTime: a version has no date of its own."""
_UNIX_EPOCH = ua.DateTime(1970, 1, 1, tzinfo=UTC)


class OpcUaServer:
    """Serves `tags` of `source` at opc.tcp://host:port/attestbed. Port 0 lets the system choose; `port` says which.

    A tag whose node is written out, as a device has it, stands under its name here (`node_text.own_nodes`), and a
    scaled one is a Double in its unit.
    name: of the namespace; period: of the publication of changed values, s, None where only a call of `publish` does
    it; clock: of the timestamps; bounds: of connections and what they send;
    certificate (DER) and key (PEM, RSA): of the server, for the endpoints that are secured; access: who may come;
    identity: what it says of itself (BuildInfo), build: and of its build; frames: the signed ones of a PLC that signs.
    Start takes about a second: the standard address space is built anew, as the library's cache is a pickle, which
    whoever can write it could use to run code.
    Raises UsageError where two tags have one node or half of certificate and key is given, and on `start` where these
    cannot be read or nobody can listen there.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        source: ImageSource,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "cell",
        *,
        period: float | None = 0.05,
        clock: Clock | None = None,
        bounds: ConnectionBounds | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        access: Access | None = None,
        identity: Identity | None = None,
        build: str = f"asyncua-{version('asyncua')}",
        frames: FrameSource | None = None,
    ) -> None:
        tags = own_nodes(tags)
        if len({tag.opcua for tag in tags}) != len(tags):
            raise UsageError("two tags have the same OPC UA node", "give every tag a node identifier of its own")
        if (certificate is None) != (key is None):
            raise UsageError("a certificate is of use with its key only", "give both, or neither")
        self._access = access or Access()
        if certificate is None and not self._access.plain:
            raise UsageError("a secured OPC UA server without a certificate", "give its certificate and key")
        self.namespace = f"urn:attestbed:{name}"
        self._tags = tuple(tags)
        self._source = source
        self._frames = frames
        self._frame_node = f"{name}.{FRAME_NAME}"
        self._host = host
        self._port = port
        self._period = period
        self._clock = clock or SystemClock()
        self._bounds = bounds or ConnectionBounds()
        self._files = None if certificate is None or key is None else (certificate, key)
        self._says = identity or Identity("Attestbed", "Attestbed PLC", testbed.__version__)
        self._build = build
        self._server: Server | None = None
        self._events: AlarmEvents | None = None
        self._task: asyncio.Task[None] | None = None
        self._nodes: dict[ua.NodeId, Tag] = {}
        self._values: ShownValues | None = None
        self._frame: ShownFrame | None = None
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
        """Build the address space, listen, and publish each `period` from then on, if there is one."""
        server = BoundedServer(self._bounds, Doorkeeper(self._access, self._clock))
        server.set_endpoint(self.url)
        server.set_server_name(self._says.product)
        server.manufacturer_name = self._says.vendor
        server.product_uri = "urn:attestbed:plc"
        server.application_type = ua.ApplicationType.Server
        await self._secure(server)
        access = self._access
        tokens = {
            ua.AnonymousIdentityToken: access.anonymous is not None,
            ua.UserNameIdentityToken: access.by_password,
            ua.X509IdentityToken: access.by_certificate,
        }
        server.set_identity_tokens([token for token, taken in tokens.items() if taken])
        # Else a client that calls itself "admin" may write every node, without a password.
        server.allow_remote_admin(False)
        with _collection_put_off():
            await server.init()
        await server.set_application_uri(APPLICATION_URI)
        await server.set_build_info(
            server.product_uri,
            server.manufacturer_name,
            server.name,
            self._says.firmware,
            self._build,
            _NO_DATE,
        )
        index = await server.register_namespace(self.namespace)
        snapshot, signed = self._latched()
        now = self._time(self._clock.now_ns())
        folders = await add_tags(server, index, self._tags, snapshot, now)
        if self._frames is not None:
            await add_frame(server, folders, self._frame_node, index, signed, now)
            self._frame = ShownFrame(server, node_id(self._frame_node, index), signed)
        await add_methods(folders[PLC], index, self._tags, self._source)
        self._events = await AlarmEvents.create(server, index, folders[PLC])
        self._nodes = {node_id(tag.opcua, index): tag for tag in self._tags}
        self._values = ShownValues(server, index, self._tags, snapshot)
        server.subscribe_server_callback(CallbackType.PreRead, self._before_read)
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
        if self._period is not None:
            self._task = asyncio.create_task(self._publish_on(self._period))

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
        """Tell subscribers of what changed since the last call, all of one snapshot, which Reads see as well."""
        if self._server is None or self._values is None:
            return
        now_ns = self._clock.now_ns()
        now = self._time(now_ns)
        self._show(now)
        if self._frame is not None:
            await self._frame.tell()
        # Whoever hears of an alarm and then reads must find it.
        for tag, value in await self._values.tell():
            if self._events is not None and tells(tag):
                await self._events.tell(tag, bool(value), now_ns, now)

    async def _secure(self, server: Server) -> None:
        policies = [ua.SecurityPolicyType.NoSecurity] if self._access.plain else []
        if self._files is not None:
            certificate, key = self._files
            try:
                await server.load_certificate(certificate, "der")
                await server.load_private_key(key, format="pem")
            except (OSError, ValueError, TypeError) as error:
                mend = "give a certificate as DER and its key as PEM, without password"
                raise UsageError(f"{certificate}, {key}: no certificate with its key: {error}", mend) from error
            policies += [
                ua.SecurityPolicyType[f"{policy.value}_{mode.value}"]
                for policy in self._access.policies
                for mode in self._access.modes
            ]
        server.set_security_policy(policies)

    @staticmethod
    def _time(now_ns: int) -> ua.DateTime:
        # Not through a float, which has no place for the microseconds of our days.
        return _UNIX_EPOCH + timedelta(microseconds=now_ns // 1000)

    async def _publish_on(self, period: float) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                await self.publish()
            except Exception:  # noqa: BLE001  # what one subscriber asked for must not end it for all
                _log.exception("values were not published")

    def _before_read(self, _event: ServerItemCallback, _service: object) -> None:
        """The library calls this and then takes the values, and nothing else runs in between."""
        self._show(self._time(self._clock.now_ns()))

    def _show(self, now: ua.DateTime) -> None:
        """Let every Read see the newest scan, its values and its signed frame."""
        snapshot, signed = self._latched()
        if self._values is not None:
            self._values.show(snapshot, now)
        if self._frame is not None:
            self._frame.show(signed, now)

    def _latched(self) -> tuple[Mapping[str, Value], bytes]:
        return (self._source.snapshot(), b"") if self._frames is None else self._frames.latched()

    def _before_write(self, event: ServerItemCallback, _service: object) -> None:
        """Take the writes to our nodes out of a client's request and hand them to the PLC."""
        if not event.is_external:
            return
        request = event.request_params
        may_write = isinstance(event.user, Caller) and event.user.may_write
        results = [self._write(item, may_write) for item in request.NodesToWrite]
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

    def _write(self, item: ua.WriteValue, may_write: bool) -> ua.StatusCode | None:
        """Result of one write; None for what is not ours: the library refuses that."""
        tag = self._nodes.get(item.NodeId)
        if tag is None or item.AttributeId != AttributeIds.Value:
            return None
        if not may_write:
            return status(StatusCodes.BadUserAccessDenied)
        if not tag.writable:
            return status(StatusCodes.BadNotWritable)
        if item.IndexRange:
            return status(StatusCodes.BadIndexRangeInvalid)
        data = item.Value
        if data.StatusCode is not None and not data.StatusCode.is_good():
            return status(StatusCodes.BadWriteNotSupported)
        variant = data.Value
        if variant is None or variant.VariantType != type_of(tag) or variant.is_array:
            return status(StatusCodes.BadTypeMismatch)
        try:
            self._source.write(tag.name, held(tag, variant.Value))
        except UsageError:
            return status(StatusCodes.BadOutOfRange)
        except DeviceError:
            return status(StatusCodes.BadDeviceFailure)
        return ua.StatusCode()


@contextmanager
def _collection_put_off() -> Iterator[None]:
    """The standard address space is 100,000 objects and no garbage: the collector would double the time it takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
