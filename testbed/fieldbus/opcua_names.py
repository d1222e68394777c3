"""The nodes that tags stand for: a string identifier in the device's namespace, or a NodeId that is written out.

OPC 10000-6, section 5.3.1.10: `ns=3;s=Tank.Level`, `ns=2;i=1001`, `i=2258`, `g=` and `b=`; and with the namespace's
URI, whose index may change each time that a server starts, `nsu=urn:maker:device;s=Tank.Level`.
"""

import base64
import binascii
import uuid
from collections.abc import Sequence

from asyncua import ua

from testbed.core.errors import UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.node_text import WRITTEN

_MEND = 'write it as "ns=3;s=Tank.Level", "ns=2;i=1001", or as a string identifier by itself'


class NoNamespaceError(LookupError):
    """The server has no namespace of this URI."""


def node_of(text: str, index: int, uris: Sequence[str] = ()) -> ua.NodeId:
    """The node that `text` stands for.

    index: of the namespace in which a string identifier stands by itself; uris: the server's namespaces. Raises
    UsageError for an identifier that its kind does not take, NoNamespaceError for a URI that is not among `uris`.
    """
    written = WRITTEN.fullmatch(text)
    if written is None:
        return ua.NodeId(ua.String(text), ua.Int16(index))
    uri = written["uri"]
    if uri is not None and uri not in uris:
        raise NoNamespaceError(uri)
    space = uris.index(uri) if uri is not None else int(written["index"] or 0)
    try:
        identifier = _identifier(written["kind"], written["text"])
    except (ValueError, binascii.Error) as error:
        raise UsageError(f"{text!r} is no OPC UA node", _MEND) from error
    if space >= 2**16:
        raise UsageError(f"{text!r} is no OPC UA node", _MEND)
    return ua.NodeId(identifier, ua.Int16(space))


def check_nodes(tags: Sequence[Tag]) -> None:
    """Raises UsageError, with the tag's name, for a node that cannot be."""
    for tag in tags:
        written = WRITTEN.fullmatch(tag.opcua)
        try:
            node_of(tag.opcua, 1, () if written is None or written["uri"] is None else (written["uri"],))
        except UsageError as error:
            raise UsageError(f"{tag.name}: {error.problem}", error.mend) from error


def _identifier(kind: str, text: str) -> ua.Int32 | ua.String | ua.Guid | ua.ByteString:
    if kind == "s":
        return ua.String(text)
    if kind == "g":
        return ua.Guid(str(uuid.UUID(text)))
    if kind == "b":
        return ua.ByteString(base64.b64decode(text, validate=True))
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number < 2**32:
        raise ValueError(text)
    return ua.Int32(number)
