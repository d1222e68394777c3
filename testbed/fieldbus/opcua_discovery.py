"""What an OPC UA server offers, asked before there is any security: the GetEndpoints service (OPC 10000-4, 5.5.4).

Nothing of it is proven. Whoever stands in between may say it, so a client goes on only with a certificate that it
trusts already, and takes nothing less than what it wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client

from testbed.fieldbus.opcua_socket import Wire

_MODES = {
    ua.MessageSecurityMode.None_: "None",
    ua.MessageSecurityMode.Sign: "Sign",
    ua.MessageSecurityMode.SignAndEncrypt: "SignAndEncrypt",
}
_TCP = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """mode: None, Sign or SignAndEncrypt; policy: as Basic256Sha256; certificate: the server's, DER, the first of a
    chain; application: URI that the server calls itself; users: how people may show who they are.
    """

    mode: str
    policy: str
    certificate: bytes
    application: str
    users: tuple[str, ...]


async def endpoints(url: str, patience: float) -> Sequence[Endpoint]:
    """All that the server at `url` offers over TCP. patience: s for each answer. Raises what the library raises."""
    client = Client(url, patience)
    client.uaclient = Wire(patience)
    return [
        _endpoint(one)
        for one in await client.connect_and_get_server_endpoints()
        if one.TransportProfileUri in (None, "", _TCP)
    ]


def first_certificate(data: bytes) -> bytes:
    """The DER of the first certificate of a chain; what is none comes back as it is."""
    if len(data) < 4 or data[:2] != b"\x30\x82":
        return data
    return data[: 4 + int.from_bytes(data[2:4], "big")]


def _endpoint(one: ua.EndpointDescription) -> Endpoint:
    policy = (one.SecurityPolicyUri or "").rpartition("#")[2].replace("_", "")
    return Endpoint(
        _MODES.get(one.SecurityMode, "invalid"),
        policy,
        first_certificate(one.ServerCertificate or b""),
        one.Server.ApplicationUri or "",
        tuple(ua.UserTokenType(token.TokenType).name for token in one.UserIdentityTokens or []),
    )
