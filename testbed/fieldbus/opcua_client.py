"""An OPC UA client that reads all tags of one scan.

One Read request asks for the scan counter, every tag, and the scan counter and restart counter once more: a server may
go on to another scan within a request (OPC 10000-4, section 5.11.2, promises nothing else), and then the two counters
differ. What breaks stays broken until `connect` is called again.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import DataType, Tag
from testbed.fieldbus.opcua_channel import Channel
from testbed.fieldbus.opcua_read import REQUEST, SEVERITY, ReadValue, parameters, results
from testbed.fieldbus.poll import Poll

_ATTEMPTS = 5
_CHANNEL_S = 3600.0
_NO_NODE = (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid, StatusCodes.BadAttributeIdInvalid)
_COUNTERS = (DataType.INT16, DataType.UINT16, DataType.INT32, DataType.UINT32)
_MEND = "check that the PLC's OPC UA server runs, and that address and namespace are its own"


class OpcUaReader:
    """A session with one server. Nothing is retried in the background: after a DeviceError, connect again.

    url: as opc.tcp://127.0.0.1:4840/attestbed; scan_tag: name of the scan counter; boot_tag: of the restart counter,
    None where the PLC has none; namespace: URI of the namespace in which the tags' string identifiers stand;
    timeout: s for each answer; channel_s: lifetime to ask for the secure channel.
    The channel is neither signed nor encrypted: for a server on this machine.
    Raises UsageError for counters that are not among the tags, and for a url without host or port.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        url: str,
        scan_tag: str = "plc.scan",
        boot_tag: str | None = "plc.boot",
        *,
        namespace: str,
        timeout: float = 1.0,
        channel_s: float = _CHANNEL_S,
    ) -> None:
        _must_be_address(url)
        self._tags = tuple(tags)
        self._url = url
        self._namespace = namespace
        self._timeout = timeout
        self._channel_s = channel_s
        scan = self._counter(scan_tag)
        boot = None if boot_tag is None else self._counter(boot_tag)
        # The counter first and again last: what lies between two equal readings belongs to that scan.
        self._asked = (scan, *self._tags, scan) if boot is None else (scan, *self._tags, scan, boot)
        self._types = tuple(tag.type for tag in self._asked)
        self._boot_at = None if boot is None else 1 + self._tags.index(boot)
        self._channel: Channel | None = None
        self._parameters = b""
        self.repeats = 0
        """Polls that were begun again because a scan ended meanwhile."""

    async def connect(self) -> None:
        """Open channel and session. Raises DeviceError where nobody listens, or the server has no such namespace."""
        await self.close()
        channel = Channel(self._url, self._timeout, self._channel_s)
        try:
            await channel.open()
            index = await channel.namespace(self._namespace)
        except BaseException as error:
            channel.drop()
            if isinstance(error, Exception):
                raise self._error("no connection", error) from error
            raise
        if index is None:
            await channel.leave()
            raise DeviceError(f"{self._url}: the server has no namespace {self._namespace}", _MEND)
        self._parameters = parameters([ua.NodeId(ua.String(tag.opcua), ua.Int16(index)) for tag in self._asked])
        self._channel = channel

    async def close(self) -> None:
        """Close session and connection, within the timeout; closing twice is fine."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.leave()

    async def poll(self) -> Poll:
        """Read every tag, all of one scan. Raises DeviceError; the connection is closed where no good answer came."""
        for _ in range(_ATTEMPTS):
            values = await self._read()
            own = values[1 : 1 + len(self._tags)]
            scan, again = self._number(values[0]), self._number(values[1 + len(own)])
            boot = boot_again = 0
            if self._boot_at is not None:
                boot, boot_again = self._number(values[self._boot_at]), self._number(values[-1])
            if (scan, boot) == (again, boot_again):
                return Poll(
                    boot,
                    scan,
                    tuple([value.raw for value in own]),
                    tuple([value.status for value in own]),
                    values[0].time_ns,
                )
            self.repeats += 1
        raise DeviceError(
            f"{self._url}: a scan ended within each of {_ATTEMPTS} polls", "scan more slowly, or read fewer tags"
        )

    async def _read(self) -> list[ReadValue]:
        channel = self._channel
        if channel is None:
            raise DeviceError(f"{self._url}: not connected", "connect first, or start the PLC again")
        try:
            values = results(await channel.ask(REQUEST, self._parameters), self._types)
        except BaseException as error:
            # An answer that comes late must not be taken for the next one.
            self._channel = None
            channel.drop()
            if isinstance(error, Exception):
                raise self._error("no good answer", error) from error
            raise
        for tag, value in zip(self._asked, values, strict=True):
            if value.status in _NO_NODE:
                raise DeviceError(
                    f"{self._url}: {tag.name}: {_status(value.status)}",
                    f"compare the tag's node {tag.opcua!r} in {self._namespace} with the PLC's",
                )
        return values

    def _number(self, counter: ReadValue) -> int:
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

    def _counter(self, name: str) -> Tag:
        for tag in self._tags:
            if tag.name == name and tag.type in _COUNTERS:
                return tag
        raise UsageError(f"no integer tag {name!r} to count by", "name the PLC's counter among the tags")


def _must_be_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        if parts.scheme == "opc.tcp" and parts.hostname and parts.port:
            return
    except ValueError:
        pass
    raise UsageError(f"{url!r} is no address of an OPC UA server", "write it as opc.tcp://127.0.0.1:4840/attestbed")


def _status(code: int) -> str:
    return f"{ua.StatusCode(ua.UInt32(code)).name} ({code:08X})"
