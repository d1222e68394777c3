"""The OPC UA server's doorkeeper: judges the applications that open a channel, and the people who activate a session.

What asyncua 2.1.0 leaves open and is closed here: it judges the certificate that a client names in CreateSession, or
none if the client names none, and not the one that opened the channel; it decrypts passwords by RSA PKCS#1 1.5, which
lets a stranger decrypt others' by trial; it takes an encrypted password again, whoever recorded it, as it does not look
at the nonce; it takes one in the clear; it signs people in by SHA-1; and it hands a session that was created on one
channel to another client's.
"""

import asyncio
import struct
from dataclasses import dataclass

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicy
from asyncua.crypto.uacrypto import x509_from_der
from asyncua.ua.status_codes import StatusCodes

from testbed.core.clock import Clock, SystemClock
from testbed.core.errors import InvalidData
from testbed.fieldbus.opcua_access import Access, Account, Role
from testbed.fieldbus.opcua_discovery import first_certificate
from testbed.fieldbus.opcua_security import LONGEST_PASSWORD

_LONGEST_SECRET = 2048
"""Bytes of an encrypted password: each block of the key's length costs a private-key operation."""


@dataclass
class Caller(User):
    """Whoever has a session. may_write: or call a method."""

    may_write: bool = False


class Doorkeeper:
    """clock: of the days on which certificates are valid."""

    def __init__(self, access: Access | None = None, clock: Clock | None = None) -> None:
        self.access = access or Access()
        self._clock = clock or SystemClock()
        self._turn = asyncio.Lock()

    def judge(self, certificate: bytes | None, uri: str | None) -> None:
        """The application behind a secured channel. Raises ServiceError where it is not trusted."""
        if self.access.clients is None:
            return
        try:
            self.access.clients.check(certificate or b"", uri, self._clock.now_ns())
        except InvalidData as error:
            raise ServiceError(StatusCodes.BadSecurityChecksFailed) from error

    async def admit(self, policy: SecurityPolicy, nonce: bytes, asked: ua.ActivateSessionParameters) -> Caller:
        """Who wants to activate a session, on a channel of that policy, whose last nonce was `nonce`.

        Raises ServiceError where they may not.
        """
        token: object = asked.UserIdentityToken
        if isinstance(token, ua.UserNameIdentityToken):
            return await self._by_password(policy, nonce, token)
        if isinstance(token, ua.X509IdentityToken):
            return self._by_certificate(policy, nonce, token, asked.UserTokenSignature)
        if self.access.anonymous is None:
            raise ServiceError(StatusCodes.BadIdentityTokenRejected)
        return _caller("", self.access.anonymous)

    async def _by_password(self, policy: SecurityPolicy, nonce: bytes, token: ua.UserNameIdentityToken) -> Caller:
        if not self.access.by_password or self.access.check is None:
            raise ServiceError(StatusCodes.BadIdentityTokenRejected)
        password = _password(policy, nonce, token)
        known = [account for account in self.access.accounts if account.password]
        account = next((one for one in known if one.name == token.UserName), None)
        # Whether there is such a user is not told by how long the answer takes either.
        kept = (account or known[0]).password
        # One at a time: whoever tries many passwords waits, and the scan does not.
        async with self._turn:
            fits = await asyncio.to_thread(self.access.check, kept, password)
        if account is None or not fits:
            raise ServiceError(StatusCodes.BadUserAccessDenied)
        return _caller(account.name, account.role)

    def _by_certificate(
        self, policy: SecurityPolicy, nonce: bytes, token: ua.X509IdentityToken, signed: ua.SignatureData
    ) -> Caller:
        if not self.access.by_certificate or policy.Mode == ua.MessageSecurityMode.None_:
            raise ServiceError(StatusCodes.BadIdentityTokenRejected)
        certificate = first_certificate(token.CertificateData or b"")
        account = next((one for one in self.access.accounts if self._is_of(one, certificate)), None)
        if account is None:
            raise ServiceError(StatusCodes.BadUserAccessDenied)
        if signed.Algorithm != policy.AsymmetricSignatureURI:
            raise ServiceError(StatusCodes.BadUserSignatureInvalid)
        try:
            # As the channel's own certificate is verified, but with this one.
            verifier = type(policy.asymmetric_cryptography.Verifier)(x509_from_der(certificate))  # type: ignore[attr-defined,no-untyped-call]  # of the library
            verifier.verify((policy.host_certificate or b"") + nonce, signed.Signature or b"")
        except Exception as error:
            raise ServiceError(StatusCodes.BadUserSignatureInvalid) from error
        return _caller(account.name, account.role)

    def _is_of(self, account: Account, certificate: bytes) -> bool:
        if account.certificate is None:
            return False
        try:
            account.certificate.check(certificate, None, self._clock.now_ns())
        except InvalidData:
            return False
        return True


def _caller(name: str, role: Role) -> Caller:
    return Caller(UserRole.User, name, role is Role.OPERATOR)


def _password(policy: SecurityPolicy, nonce: bytes, token: ua.UserNameIdentityToken) -> str:
    """In the clear on a channel that is encrypted, else encrypted with the nonce behind it (OPC 10000-4, 7.41.4)."""
    secret, algorithm = token.Password or b"", token.EncryptionAlgorithm or ""
    if algorithm:
        if policy.Mode == ua.MessageSecurityMode.None_ or algorithm != policy.AsymmetricEncryptionURI:
            raise ServiceError(StatusCodes.BadIdentityTokenRejected)
        if len(secret) > _LONGEST_SECRET:
            raise ServiceError(StatusCodes.BadIdentityTokenInvalid)
        try:
            plain = policy.asymmetric_cryptography.Decryptor.decrypt(secret)  # type: ignore[attr-defined]  # of the library
            (length,) = struct.unpack_from("<I", plain)
        except Exception as error:
            raise ServiceError(StatusCodes.BadIdentityTokenInvalid) from error
        secret = plain[4 : 4 + length]
        if len(plain) != 4 + length or not secret.endswith(nonce):
            raise ServiceError(StatusCodes.BadIdentityTokenInvalid)
        secret = secret[: -len(nonce)]
    elif policy.Mode != ua.MessageSecurityMode.SignAndEncrypt:
        raise ServiceError(StatusCodes.BadIdentityTokenRejected)
    if len(secret) > LONGEST_PASSWORD:
        raise ServiceError(StatusCodes.BadIdentityTokenInvalid)
    try:
        return secret.decode()
    except UnicodeDecodeError as error:
        raise ServiceError(StatusCodes.BadIdentityTokenInvalid) from error
