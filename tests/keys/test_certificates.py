"""The certificate of an application: made once, for whom it says, and refused where it does not fit its key."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.certificates import MOST_ROLE, ROLE_OID, keep_certificate, role_of

URI = "urn:attestbed:server"
NOW = 1_800_000_000 * 10**9
YEAR = 365 * 24 * 3600 * 10**9


def keep(folder: Path, name: str = "own", uri: str = URI, now_ns: int = NOW) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.der", folder / f"{name}.pem"
    keep_certificate(
        certificate, key, name="PLC", uri=uri, hosts=("localhost", "127.0.0.1", "::1", "localhost"), now_ns=now_ns
    )
    return certificate, key


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Certificate and key; to make an RSA key takes a while."""
    certificate, key = keep(tmp_path_factory.mktemp("certificates"))
    return certificate.read_bytes(), key.read_bytes()


def put(folder: Path, made: tuple[bytes | None, bytes | None]) -> tuple[Path, Path]:
    certificate, key = folder / "own.der", folder / "own.pem"
    for path, data in zip((certificate, key), made, strict=True):
        if data is not None:
            path.touch(mode=0o600)
            path.write_bytes(data)
    return certificate, key


def test_it_says_what_opc_ua_asks_for(made: tuple[bytes, bytes]) -> None:
    certificate = x509.load_der_x509_certificate(made[0])
    certificate.verify_directly_issued_by(certificate)
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == 2048
    assert certificate.version is x509.Version.v3
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "PLC"
    assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Attestbed"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URI]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert usage.key_encipherment
    assert usage.data_encipherment
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(extended) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    moment = NOW // 10**9
    assert certificate.not_valid_before_utc.timestamp() < moment
    assert certificate.not_valid_after_utc.timestamp() > moment + 9 * YEAR // 10**9


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    certificate, key = keep(tmp_path / "folder")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644


def test_it_is_made_once(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    certificate, key = put(tmp_path, made)
    keep(tmp_path, now_ns=NOW + YEAR)
    assert (certificate.read_bytes(), key.read_bytes()) == made


def test_a_lost_certificate_is_made_anew_for_the_same_key(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    certificate, key = put(tmp_path, (None, made[1]))
    keep(tmp_path)
    old, new = (x509.load_der_x509_certificate(data) for data in (made[0], certificate.read_bytes()))
    assert new.public_key() == old.public_key()
    assert new.serial_number != old.serial_number
    assert key.read_bytes() == made[1]


def test_a_lost_key_is_not_replaced(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    _, key = put(tmp_path, (made[0], None))
    with pytest.raises(UsageError, match=r"own\.pem is missing"):
        keep(tmp_path)
    assert not key.exists()


@pytest.mark.parametrize("when", [NOW - YEAR, NOW + 11 * YEAR], ids=["too early", "too late"])
def test_out_of_date_is_said(made: tuple[bytes, bytes], tmp_path: Path, when: int) -> None:
    put(tmp_path, made)
    with pytest.raises(UsageError, match="out of date"):
        keep(tmp_path, now_ns=when)


def test_another_uri_is_said(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    put(tmp_path, made)
    with pytest.raises(UsageError, match="not for urn:other"):
        keep(tmp_path, uri="urn:other")


def test_another_key_is_said(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    _, key = keep(tmp_path, "other")
    put(tmp_path, (made[0], key.read_bytes()))
    with pytest.raises(UsageError, match="not of the key beside it"):
        keep(tmp_path)


def test_a_key_that_others_can_read_is_refused(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    _, key = put(tmp_path, made)
    key.chmod(0o640)
    with pytest.raises(UsageError, match="0640"):
        keep(tmp_path)


@pytest.mark.parametrize("half", [0, 1], ids=["certificate", "key"])
def test_half_a_file_is_refused(made: tuple[bytes, bytes], tmp_path: Path, half: int) -> None:
    files = [data[: len(data) // 2] if at == half else data for at, data in enumerate(made)]
    put(tmp_path, (files[0], files[1]))
    with pytest.raises(UsageError, match=r"not a (certificate|key)"):
        keep(tmp_path)


@pytest.mark.parametrize("role", ["operator", "read-only", "Bediener Süd", "r" * MOST_ROLE])
def test_the_role_of_a_modbus_client_stands_in_its_certificate(tmp_path: Path, role: str) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"

    def keep_role(role: str) -> None:
        keep_certificate(certificate, key, name="client", uri=URI, hosts=(), now_ns=NOW, role=role)

    keep_role(role)
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert role_of(made.public_bytes(Encoding.DER)) == role
    value = made.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")).value
    assert value.public_bytes() == bytes((0x0C, len(role.encode()))) + role.encode()
    keep_role(role)
    with pytest.raises(UsageError, match="not for the role"):
        keep_role(role[:-1] + "x")
    assert x509.load_pem_x509_certificate(certificate.read_bytes()) == made


def test_a_certificate_without_a_role_has_none(made: tuple[bytes, bytes]) -> None:
    assert role_of(made[0]) == ""


def test_a_role_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        keep_certificate(
            tmp_path / "c.pem", tmp_path / "c.key", name="c", uri=URI, hosts=(), now_ns=NOW, role="r" * (MOST_ROLE + 1)
        )


@pytest.mark.parametrize(
    "value", [b"", b"\x0c", b"\x0c\x02a", b"\x0c\x01ab", b"\x13\x01a", b"\x0c\x01\xff", b"\x0c\x81\x01a"]
)
def test_a_role_that_is_no_utf8_string_is_invalid(value: bytes) -> None:
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = datetime.fromtimestamp(NOW // 10**9, UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        .add_extension(x509.UnrecognizedExtension(ROLE_OID, value), critical=False)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(InvalidData, match="role"):
        role_of(made.public_bytes(Encoding.DER))
    with pytest.raises(InvalidData, match="not a certificate"):
        role_of(b"\x30\x00")
