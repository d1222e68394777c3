"""How messages between an OPC UA client and a server are secured, and who speaks: what both sides share.

Three policies, those of OPC 10000-7 that are not deprecated for RSA. Certificates and keys come as bytes, and a trust
list as something that judges them: where they are kept is nobody's business here.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from asyncua import ua
from asyncua.crypto.security_policies import (
    SecurityPolicy,
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)

from testbed.core.errors import UsageError

LONGEST_PASSWORD = 128
"""Bytes, UTF-8. With a nonce of 32 it is one block of RSA-OAEP under a key of 2048 bits."""


class Mode(Enum):
    """What is done with each message (OPC 10000-4, section 7.20)."""

    NONE = "None"
    SIGN = "Sign"
    SIGN_AND_ENCRYPT = "SignAndEncrypt"

    @property
    def wire(self) -> ua.MessageSecurityMode:
        """As the library calls it."""
        return {
            Mode.NONE: ua.MessageSecurityMode.None_,
            Mode.SIGN: ua.MessageSecurityMode.Sign,
            Mode.SIGN_AND_ENCRYPT: ua.MessageSecurityMode.SignAndEncrypt,
        }[self]


class Policy(Enum):
    """The algorithms (OPC 10000-7, section 6.6)."""

    BASIC256_SHA256 = "Basic256Sha256"
    AES128_SHA256_RSA_OAEP = "Aes128Sha256RsaOaep"
    AES256_SHA256_RSA_PSS = "Aes256Sha256RsaPss"

    @property
    def suite(self) -> type[SecurityPolicy]:
        """The library's class of it."""
        return {
            Policy.BASIC256_SHA256: SecurityPolicyBasic256Sha256,
            Policy.AES128_SHA256_RSA_OAEP: SecurityPolicyAes128Sha256RsaOaep,
            Policy.AES256_SHA256_RSA_PSS: SecurityPolicyAes256Sha256RsaPss,
        }[self]

    @property
    def uri(self) -> str:
        """As it is said on the wire."""
        return self.suite.URI


class Trust(Protocol):
    """Certificates that are trusted; `testbed.keys.trust.TrustList` is one."""

    @property
    def place(self) -> str:
        """Where they are kept, for messages."""
        ...

    def check(self, certificate: bytes, uri: str | None, now_ns: int) -> None:
        """Raises InvalidData, with words for a person, where `certificate` (DER) is not trusted, not good at now_ns
        (UTC), or not for the application `uri`.
        """
        ...


class Credentials(Protocol):
    """A certificate and its key; `testbed.keys.application.Application` is one."""

    @property
    def certificate(self) -> bytes:
        """DER."""
        ...

    @property
    def key(self) -> bytes:
        """PEM, RSA, without a password."""
        ...

    @property
    def uri(self) -> str:
        """The application that the certificate is for."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """A user name with its password. Raises UsageError for an empty name, and a password without end."""

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError("no user name", "name the user")
        if not 0 < len(self.password.encode()) <= LONGEST_PASSWORD:
            raise UsageError(f"the password of {self.name} is empty or too long", f"take 1 to {LONGEST_PASSWORD} bytes")


@dataclass(frozen=True, slots=True)
class Security:
    """How a client speaks to a server: `Security.none()`, or `Security.secured(...)`."""

    mode: Mode
    policy: Policy | None = None
    own: Credentials | None = None
    trust: Trust | None = None
    user: Login | Credentials | None = None

    @classmethod
    def none(cls) -> "Security":
        """Neither signed nor encrypted, and nobody knows who speaks: for servers on this machine."""
        return cls(Mode.NONE)

    @classmethod
    def secured(
        cls,
        own: Credentials,
        trust: Trust,
        *,
        mode: str = "SignAndEncrypt",
        policy: str = "Basic256Sha256",
        user: Login | Credentials | None = None,
    ) -> "Security":
        """own: this client's certificate and key; trust: the servers'; user: None for anonymous, a Login, or a
        person's certificate and key. Raises UsageError for a mode or policy that is none, or None.
        """
        try:
            secured, algorithms = Mode(mode), Policy(policy)
        except ValueError as error:
            mend = f"write Sign or SignAndEncrypt, and one of {', '.join(one.value for one in Policy)}"
            raise UsageError(f"OPC UA security {mode!r} by {policy!r}", mend) from error
        if secured is Mode.NONE:
            raise UsageError("OPC UA security None with a certificate", "leave the certificate out, or sign")
        return cls(secured, algorithms, own, trust, user)
