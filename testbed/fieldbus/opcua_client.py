"""An OPC UA client that reads all tags of one scan, and writes single tags.

The scan counter is asked for first and again last: a server may go on to another scan within a request (OPC 10000-4,
section 5.11.2, promises nothing else), and then the two differ. What breaks stays broken until `connect` is called
again.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.errors import DeviceError, DeviceRefused, TestbedError, TornPoll, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.node_text import is_written_out
from testbed.fieldbus.opcua_channel import Channel, Remains
from testbed.fieldbus.opcua_names import NoNamespaceError, check_nodes, node_of
from testbed.fieldbus.opcua_nodes import TYPES
from testbed.fieldbus.opcua_plan import ReadPlan, Round
from testbed.fieldbus.opcua_read import REQUEST, SEVERITY, ReadValue, results
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.poll import Poll, with_frame
from testbed.fieldbus.registers import as_read, unscaled
from testbed.fieldbus.signed_frames import SignedFrames
from testbed.fieldbus.source import held

_ATTEMPTS = 5
_CHANNEL_S = 3600.0
_NO_DATA = 0x00A5_0000
"""GoodNoData: the tag's turn has not come."""
_NO_NODE = (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid, StatusCodes.BadAttributeIdInvalid)
_TOO_MANY = (
    StatusCodes.BadTooManyOperations,
    StatusCodes.BadRequestTooLarge,
    StatusCodes.BadResponseTooLarge,
    StatusCodes.BadEncodingLimitsExceeded,
)
_PERHAPS = (
    StatusCodes.BadTimeout,
    StatusCodes.BadRequestTimeout,
    StatusCodes.BadCommunicationError,
    StatusCodes.BadNoCommunication,
    StatusCodes.BadConnectionClosed,
    StatusCodes.BadDeviceFailure,
    StatusCodes.BadInternalError,
    StatusCodes.BadUnexpectedError,
    StatusCodes.BadWaitingForResponse,
)
"""Of a write: the server asked the device behind it and does not know what came of it."""
_BUILD = (
    ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
    ObjectIds.Server_ServerStatus_BuildInfo_BuildNumber,
)
_STATE = ObjectIds.Server_ServerStatus_State
_FACTS = (
    ObjectIds.Server_NamespaceArray,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
)
_MEND = "check that the PLC's OPC UA server runs, and that address and namespace are its own"


class OpcUaReader:
    """A session with one server, as a `Controller`.

    url: as opc.tcp://127.0.0.1:4840/attestbed; scan_tag: name of the scan counter, boot_tag: of the restart counter,
    None where the PLC has none; namespace: URI of the namespace in which the tags' string identifiers stand, "" where
    each tag's node is written out, as ns=3;s=Tank.Level; security: `Security.none()` says that nothing is signed or
    encrypted, which is for a server on this machine; every: tag to each n-th poll in which it is read, all in the
    first one after `connect`; scales: whether the device holds the unscaled numbers of scaled tags, which our own
    servers show in their unit; timeout: s for each answer; channel_s: lifetime to ask for the secure channel; most:
    nodes in one request, beside the limit that the server names, 0 for no other one; frames: of a PLC that signs its
    scans, which are read along.
    Raises UsageError for counters that are not among the tags, nodes that cannot be, and a url without host or port.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        url: str,
        scan_tag: str | None = "plc.scan",
        boot_tag: str | None = "plc.boot",
        *,
        namespace: str,
        security: Security,
        every: Mapping[str, int] | None = None,
        scales: bool = False,
        timeout: float = 1.0,
        channel_s: float = _CHANNEL_S,
        most: int = 0,
        frames: SignedFrames | None = None,
    ) -> None:
        _must_be_address(url)
        check_nodes(tags)
        if not namespace and not all(is_written_out(tag.opcua) for tag in tags):
            raise UsageError("no OPC UA namespace", "name it, or write each tag's node as ns=3;s=Tank.Level")
        self._tags = as_read(tags, scales=scales)
        self._places = {tag.name: place for place, tag in enumerate(self._tags)}
        self._url = url
        self._namespace = namespace
        self._security = security
        self._timeout = timeout
        self._channel_s = channel_s
        self._most = most
        self._plan = ReadPlan(self._tags, scan_tag, boot_tag, every)
        self._boot_at = None if boot_tag is None else self._places[boot_tag]
        self._frames = frames
        self._nodes: list[ua.NodeId] = []
        self._frame_node: ua.NodeId | None = None
        self._channel: Channel | None = None
        self._remains: Remains | None = None
        self._number = 0
        self.repeats = 0
        """Polls that were begun again because a scan ended meanwhile."""

    @property
    def tags(self) -> Sequence[Tag]:
        """The tags in the order of a poll's values, by which `decode` reads them."""
        return self._tags

    async def connect(self) -> None:
        """Open channel and session.

        Raises DeviceError where nobody listens, the server is not trusted, does not take the user, does not secure the
        channel as asked, or has no such namespace.
        """
        await self.close()
        channel = Channel(self._url, self._timeout, self._channel_s, self._security)
        remains, self._remains = self._remains, None
        try:
            await channel.open(remains)
            spaces, limit = await channel.values([_id(number) for number in _FACTS])
        except (TestbedError, UaStatusCodeError) as error:
            await channel.leave()  # what answers can be told that nobody stays
            if isinstance(error, TestbedError):
                raise
            raise self._error("no connection", error) from error
        except BaseException as error:
            channel.drop()
            if isinstance(error, Exception):
                raise self._error("no connection", error) from error
            raise
        found = spaces.Value.Value if spaces.Value is not None else None
        uris = found if isinstance(found, list) else []
        try:
            index = self._index(self._namespace, uris) if self._namespace else 0
            self._nodes = [node_of(tag.opcua, index, uris) for tag in self._tags]
            if self._frames is not None:
                self._frame_node = node_of(self._frames.node, index, uris)
        except NoNamespaceError as error:
            await channel.leave()
            raise DeviceError(f"{self._url}: the server has no namespace {error}", _MEND) from error
        least = [most for most in (self._most, _whole(limit)) if most > 0]
        self._plan.bind(self._nodes, min(least, default=0), self._frame_node)
        self._number = 0
        self._channel = channel

    async def close(self) -> None:
        """Close session and connection, within the timeout; closing twice is fine."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.leave()

    async def identify(self) -> Identity:
        """BuildInfo of the server (OPC 10000-5, section 12.4): firmware is its version, and the build behind a +."""
        vendor, product, version, build = map(_text, await self._values(_BUILD))
        return Identity(vendor, product, f"{version}+{build}" if version and build else version or build)

    async def poll(self) -> Poll:
        """Read the tags whose turn it is, all of one scan where the PLC counts scans.

        A node that is not there, or of another type, is None with its status. Raises DeviceError where not one of the
        nodes is there, or a counter is not good; the connection is closed where no good answer came.
        """
        self._connected()
        due = self._plan.round(self._number)
        for left in reversed(range(_ATTEMPTS)):
            while (values := await self._read(due)) is None:
                due = self._plan.round(self._number)
            poll = self._judge(due, values)
            # A signed frame that stays at odds with the tags is passed on as it came: that is for others to judge.
            if poll is not None and not (left and self._is_at_odds(poll)):
                self._number += 1
                return poll
            self.repeats += 1
        raise TornPoll(
            f"{self._url}: a scan ended within each of {_ATTEMPTS} polls", "scan more slowly, or read fewer tags"
        )

    async def write(self, tag: Tag, value: Value) -> None:
        """Write one tag. Raises UsageError, DeviceRefused or DeviceError, as a `Controller` does."""
        place = self._places.get(tag.name)
        if place is None or not self._tags[place].writable:
            raise UsageError(f"{tag.name} cannot be written", "write a set-point, a manual value or the mode instead")
        own = self._tags[place]
        value = held(own, value)
        if own.scaled:
            value = unscaled(own, value)
        channel = self._connected()
        try:
            code = await channel.write(self._nodes[place], ua.Variant(value, TYPES[own.type]))
        except UaStatusCodeError as error:
            code = error.code
        except BaseException as error:
            self._drop(channel)
            if isinstance(error, Exception):
                raise self._error(f"{tag.name}: nobody knows whether it was written", error) from error
            raise
        if code & SEVERITY:
            says = f"{self._url}: {tag.name}: {_status(code)}"
            if code in _PERHAPS or not code & 0x8000_0000:
                raise DeviceError(f"{says}: nobody knows whether it was written", "read it back")
            raise DeviceRefused(
                says, "compare node, type and range of the tag with the PLC's, and what the user may do"
            )

    def _judge(self, due: Round, values: list[ReadValue]) -> Poll | None:
        """None where a scan ended meanwhile."""
        scan = None
        boot = boot_again = 0
        time_ns: int | None
        if self._plan.scan is None:
            own = values[: due.count]
            time_ns = max((value.time_ns for value in own if value.time_ns is not None), default=None)
        else:
            own = values[1 : 1 + due.count]
            again_at = 1 + due.count + (self._frames is not None)
            scan, again = self._count(values[0]), self._count(values[again_at])
            time_ns = values[0].time_ns
            if scan != again:
                return None
        if self._boot_at is not None:
            at = self._boot_at if due.places is None else due.places.index(self._boot_at)
            boot = boot_again = self._count(own[at])
            if scan is not None:
                boot_again = self._count(values[-1])
            if boot != boot_again:
                return None
        if own and own[0].status in _NO_NODE and all(value.status in _NO_NODE for value in own):
            tag = self._tags[0 if due.places is None else due.places[0]]
            raise DeviceError(
                f"{self._url}: {tag.name}: {_status(own[0].status)}",
                f"compare the tag's node {tag.opcua!r} in {self._namespace or 'its namespace'} with the PLC's",
            )
        raws: Sequence[bytes | None] = [value.raw for value in own]
        statuses = [value.status for value in own]
        if due.places is not None:
            raws, statuses = _spread(len(self._tags), due.places, raws, statuses)
        poll = Poll(boot, scan, tuple(raws), tuple(statuses), time_ns)
        if self._frames is None:
            return poll
        signed = values[due.count + (self._plan.scan is not None)].raw
        return poll if signed is None or len(signed) != self._frames.size else with_frame(poll, signed)

    def _is_at_odds(self, poll: Poll) -> bool:
        """Whether its signed frame is that of another scan."""
        return self._frames is not None and not self._frames.fits(poll.frame, poll.boot, poll.scan)

    async def _read(self, due: Round) -> list[ReadValue] | None:
        """All values of the round's requests; None where the server refuses their number, which is less from now on."""
        if not due.requests:
            # Nothing has its turn: ask for something, lest nobody notices that the device is gone.
            await self._values((_STATE,))
            return []
        channel = self._connected()
        values: list[ReadValue] = []
        try:
            for request in due.requests:
                values += results(await channel.ask(REQUEST, request.parameters), request.types)
        except BaseException as error:
            if isinstance(error, UaStatusCodeError) and error.code in _TOO_MANY and self._plan.most > 1:
                self._plan.bind(self._nodes, self._plan.most // 2, self._frame_node)
                return None
            # An answer that comes late must not be taken for the next one.
            self._drop(channel)
            if isinstance(error, Exception):
                raise self._error("no good answer", error) from error
            raise
        return values

    async def _values(self, numbers: Sequence[int]) -> list[ua.DataValue]:
        channel = self._connected()
        try:
            return await channel.values([_id(number) for number in numbers])
        except BaseException as error:
            self._drop(channel)
            if isinstance(error, Exception):
                raise self._error("no good answer", error) from error
            raise

    def _connected(self) -> Channel:
        if self._channel is None:
            raise DeviceError(f"{self._url}: not connected", "connect first, or start the PLC again")
        return self._channel

    def _drop(self, channel: Channel) -> None:
        self._channel, self._remains = None, channel.remains()
        channel.drop()

    def _count(self, counter: ReadValue) -> int:
        if counter.raw is None or counter.status & SEVERITY:
            raise DeviceError(
                f"{self._url}: a counter has the status {_status(counter.status)}",
                "check that the PLC runs, and that its scan and restart counter are named in the bench",
            )
        return int.from_bytes(counter.raw, "little")

    def _error(self, what: str, error: Exception) -> DeviceError:
        """The library raises whatever its decoder stumbles over."""
        if isinstance(error, TimeoutError):
            says = f"no answer within {self._timeout:g} s"
        else:
            says = str(error) or type(error).__name__
        return DeviceError(f"{self._url}: {what}: {says}", _MEND)

    @staticmethod
    def _index(uri: str, uris: Sequence[str]) -> int:
        if uri not in uris:
            raise NoNamespaceError(uri)
        return uris.index(uri)


def _spread(
    count: int, places: Sequence[int], raws: Sequence[bytes | None], statuses: Sequence[int]
) -> tuple[list[bytes | None], list[int]]:
    """What was read at its places, and GoodNoData between."""
    all_raws: list[bytes | None] = [None] * count
    all_statuses = [_NO_DATA] * count
    for place, raw, status in zip(places, raws, statuses, strict=True):
        all_raws[place], all_statuses[place] = raw, status
    return all_raws, all_statuses


def _id(number: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number))


def _text(value: ua.DataValue) -> str:
    """ "" for what the server does not say."""
    found = value.Value.Value if value.Value is not None else None
    return found.strip() if isinstance(found, str) else ""


def _whole(value: ua.DataValue) -> int:
    found = value.Value.Value if value.Value is not None else None
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _must_be_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        if parts.scheme == "opc.tcp" and parts.hostname and parts.port and "@" not in parts.netloc:
            return
    except ValueError:
        pass
    raise UsageError(f"{url!r} is no address of an OPC UA server", "write it as opc.tcp://127.0.0.1:4840/attestbed")


def _status(code: int) -> str:
    return f"{ua.StatusCode(ua.UInt32(code)).name} ({code:08X})"
