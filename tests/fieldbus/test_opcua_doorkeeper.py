"""What a person shows to activate a session, by itself: each with the twin that somebody made of it."""

import struct
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import SecurityPolicy, SecurityPolicyNone, encrypt_asymmetric, sign_asymmetric
from asyncua.ua.status_codes import StatusCodes

from testbed.core.clock import VirtualClock
from testbed.fieldbus.opcua_access import Access, Role
from testbed.fieldbus.opcua_doorkeeper import Caller, Doorkeeper
from testbed.fieldbus.opcua_security import Mode, Policy
from tests.fieldbus.opcua_parties import PASSWORD, YEAR_NS, Parties

NONCE = bytes(range(32))
RSA15 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"


class Bench:
    """A doorkeeper, and both sides' view of a channel."""

    def __init__(self, folder: Path) -> None:
        self.parties = Parties.make(folder)
        self.doorkeeper = Doorkeeper(self.parties.access())

    async def policy(self, policy: Policy, mode: Mode) -> SecurityPolicy:
        """As the server has it."""
        own, client = self.parties.server, self.parties.client
        return policy.suite(
            await uacrypto.load_certificate(client.certificate), await uacrypto.load_certificate(own.certificate),
            await uacrypto.load_private_key(own.key), mode.wire,
        )  # fmt: skip

    async def secret(self, policy: Policy, plain: bytes) -> bytes:
        """Encrypted for the server."""
        public = (await uacrypto.load_certificate(self.parties.server.certificate)).public_key()
        secret: bytes = encrypt_asymmetric(public, plain, policy.uri)[0]  # type: ignore[no-untyped-call]  # of the library
        return secret

    async def admitted(self, policy: SecurityPolicy, asked: ua.ActivateSessionParameters) -> Caller:
        return await self.doorkeeper.admit(policy, NONCE, asked)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("doorkeeper"))


def named(name: str, secret: bytes | None, algorithm: str | None) -> ua.ActivateSessionParameters:
    asked = ua.ActivateSessionParameters()
    token = ua.UserNameIdentityToken()
    token.UserName, token.Password, token.EncryptionAlgorithm = name, secret, algorithm
    asked.UserIdentityToken = token
    return asked


def framed(secret: bytes, nonce: bytes = NONCE) -> bytes:
    return struct.pack("<I", len(secret) + len(nonce)) + secret + nonce


@pytest.mark.parametrize("mode", [Mode.SIGN, Mode.SIGN_AND_ENCRYPT])
@pytest.mark.parametrize("policy", Policy)
async def test_a_password_under_the_nonce_of_this_session_is_taken_and_no_other(
    bench: Bench, policy: Policy, mode: Mode
) -> None:
    channel = await bench.policy(policy, mode)
    algorithm = channel.AsymmetricEncryptionURI
    good = await bench.secret(policy, framed(PASSWORD.encode()))
    caller = await bench.admitted(channel, named("operator", good, algorithm))
    assert (caller.name, caller.may_write) == ("operator", True)
    assert not (await bench.admitted(channel, named("observer", good, algorithm))).may_write
    recorded = await bench.secret(policy, framed(PASSWORD.encode(), bytes(32)))
    longer = await bench.secret(policy, framed(PASSWORD.encode()) + b"\x00")
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    for wrong, name in (
        (recorded, algorithm),
        (longer, algorithm),
        (flipped, algorithm),
        (b"", algorithm),
        (good, RSA15),
        (good * 9, algorithm),
    ):
        with pytest.raises(ServiceError) as raised:
            await bench.admitted(channel, named("operator", wrong, name))
        assert raised.value.code in (StatusCodes.BadIdentityTokenInvalid, StatusCodes.BadIdentityTokenRejected)


@pytest.mark.parametrize("mode", [Mode.SIGN, Mode.SIGN_AND_ENCRYPT, Mode.NONE])
async def test_a_password_in_the_clear_is_taken_on_an_encrypted_channel_alone(bench: Bench, mode: Mode) -> None:
    channel = (
        SecurityPolicyNone()  # type: ignore[no-untyped-call]  # of the library
        if mode is Mode.NONE
        else await bench.policy(Policy.BASIC256_SHA256, mode)
    )
    asked = named("operator", PASSWORD.encode(), None)
    if mode is Mode.SIGN_AND_ENCRYPT:
        assert (await bench.admitted(channel, asked)).name == "operator"
    else:
        with pytest.raises(ServiceError) as raised:
            await bench.admitted(channel, asked)
        assert raised.value.code == StatusCodes.BadIdentityTokenRejected


@pytest.mark.parametrize("secret", [None, b"", b"x" * 129, b"\xff\xfe", PASSWORD.encode() + b" "])
async def test_what_is_no_password_is_refused(bench: Bench, secret: bytes | None) -> None:
    channel = await bench.policy(Policy.BASIC256_SHA256, Mode.SIGN_AND_ENCRYPT)
    with pytest.raises(ServiceError):
        await bench.admitted(channel, named("operator", secret, None))


@pytest.mark.parametrize("policy", Policy)
async def test_a_person_signs_this_session_by_this_policy_and_nothing_else_serves(bench: Bench, policy: Policy) -> None:
    channel = await bench.policy(policy, Mode.SIGN)
    assert channel.host_certificate is not None
    person, stranger = bench.parties.person, bench.parties.client
    key = await uacrypto.load_private_key(person.key)

    def shown(
        certificate: Path, data: bytes, flip: int = 0, algorithm: str = channel.AsymmetricSignatureURI
    ) -> ua.ActivateSessionParameters:
        asked = ua.ActivateSessionParameters()
        token = ua.X509IdentityToken()
        token.CertificateData = certificate.read_bytes()
        asked.UserIdentityToken = token
        signature = bytearray(sign_asymmetric(key, data, policy.uri)[0])  # type: ignore[no-untyped-call]  # of the library
        signature[0] ^= flip
        asked.UserTokenSignature.Signature, asked.UserTokenSignature.Algorithm = bytes(signature), algorithm
        return asked

    challenge = channel.host_certificate + NONCE
    assert (await bench.admitted(channel, shown(person.certificate, challenge))).name == "engineer"
    for wrong in (
        shown(person.certificate, challenge, flip=1),
        shown(person.certificate, channel.host_certificate + bytes(32)),
        shown(person.certificate, challenge, algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        shown(stranger.certificate, challenge),
    ):
        with pytest.raises(ServiceError) as raised:
            await bench.admitted(channel, wrong)
        assert raised.value.code in (StatusCodes.BadUserSignatureInvalid, StatusCodes.BadUserAccessDenied)
    later = Doorkeeper(bench.doorkeeper.access, VirtualClock(3 * 10**18 + 20 * YEAR_NS))
    with pytest.raises(ServiceError):
        await later.admit(channel, NONCE, shown(person.certificate, challenge))


async def test_where_nobody_has_an_account_no_name_helps() -> None:
    open_door = Doorkeeper(Access(anonymous=Role.OBSERVER))
    channel = SecurityPolicyNone()  # type: ignore[no-untyped-call]  # of the library
    anonymous = await open_door.admit(channel, NONCE, ua.ActivateSessionParameters())
    assert not anonymous.may_write
    with pytest.raises(ServiceError):
        await open_door.admit(channel, NONCE, named("admin", b"admin", None))
