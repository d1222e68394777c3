"""Application instance certificates: self-signed X.509 over RSA, as OPC 10000-6, section 6.2.2 has them.

They serve Modbus/TCP Security as well, where a client's certificate may bear a role (MODBUS/TCP Security Protocol
Specification, section 8.4).

Key and certificate are made by the operating system's randomness, never by a bench's seed: no log holds them, and a
simulated bench does without.
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.files import read_private, write_private, write_public

KEY_BITS = 2048
ORGANIZATION = "Attestbed"

ROLE_OID = x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")
"""The role of a Modbus client, an ASN.1 UTF8String."""
MOST_ROLE = 127
"""Bytes of a role: so its length is one byte."""

_UTF8_STRING = 0x0C
_ROLE_HEAD = 2
"""Tag and length (DER)."""
_VALID = timedelta(days=3650)
_EARLIER = timedelta(days=1)
"""Valid from a day before it was made: the clock of another machine may be behind ours."""
_MOST_KEY = 16 * 1024
_MEND = "move the certificate and its key away: the next start makes new ones, which clients have to be told"


def keep_certificate(
    certificate: Path, key: Path, *, name: str, uri: str, hosts: Sequence[str], now_ns: int, role: str = ""
) -> None:
    """See to it that `certificate` and its `key` (PKCS 8, PEM, mode 0600) are there and fit each other.

    The certificate is DER, or PEM where its name ends in .pem. What is missing is made: for an application called
    `name`, with the URI `uri`, on `hosts` (names or IP addresses), valid for ten years from now_ns, UTC since 1970, and
    with the `role` of a Modbus client, if any. Where only the certificate is missing, the key stays. Raises UsageError
    where the files do not fit each other, `uri` or `role`, are out of date, or let others at the key.
    """
    now = datetime.fromtimestamp(now_ns // 10**9, UTC)
    if not key.exists():
        if certificate.exists():
            raise UsageError(f"{certificate}: its key {key} is missing", "put the key back, or " + _MEND)
        write_private(key, _pem(generate_private_key(65537, KEY_BITS)))
    secret = _read_key(key)
    if not certificate.exists():
        issued = _issue(secret, name, uri, hosts, now, _role_extension(role))
        write_public(certificate, issued.public_bytes(Encoding.PEM if _is_pem(certificate) else Encoding.DER))
    _check(certificate, secret, uri, now, role)


def role_of(certificate: bytes) -> str:
    """The role that a certificate (DER) bears, "" for none. Raises InvalidData for what is neither."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        value = extensions.get_extension_for_oid(ROLE_OID).value
    except x509.ExtensionNotFound:
        return ""
    except ValueError as error:
        raise InvalidData("not a certificate, DER") from error
    raw = value.public_bytes()
    if len(raw) < _ROLE_HEAD or raw[0] != _UTF8_STRING or raw[1] != len(raw) - _ROLE_HEAD or raw[1] > MOST_ROLE:
        raise InvalidData("the role of a certificate is not a UTF8String")
    try:
        return raw[_ROLE_HEAD:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidData("the role of a certificate is not UTF-8") from error


def _role_extension(role: str) -> x509.UnrecognizedExtension | None:
    if not role:
        return None
    text = role.encode("utf-8")
    if len(text) > MOST_ROLE:
        raise UsageError(f"role {role!r} is too long", f"give at most {MOST_ROLE} bytes")
    return x509.UnrecognizedExtension(ROLE_OID, bytes((_UTF8_STRING, len(text))) + text)


def _is_pem(certificate: Path) -> bool:
    return certificate.suffix == ".pem"


def _pem(secret: RSAPrivateKey) -> bytes:
    return secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_key(key: Path) -> RSAPrivateKey:
    try:
        secret = load_pem_private_key(read_private(key, _MOST_KEY), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{key}: not a key without password, PEM", _MEND) from error
    if not isinstance(secret, RSAPrivateKey) or secret.key_size < KEY_BITS:
        raise UsageError(f"{key}: not an RSA key of at least {KEY_BITS} bits", _MEND)
    return secret


def _issue(
    secret: RSAPrivateKey,
    name: str,
    uri: str,
    hosts: Sequence[str],
    now: datetime,
    role: x509.UnrecognizedExtension | None,
) -> x509.Certificate:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(secret.public_key())
    names = [x509.UniformResourceIdentifier(uri), *map(_host, dict.fromkeys(hosts))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    serial = x509.random_serial_number()
    builder = (
        x509.CertificateBuilder(subject, subject, secret.public_key(), serial)
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(identifier.digest, [x509.DirectoryName(subject)], serial), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if role is not None:
        builder = builder.add_extension(role, critical=False)
    return builder.sign(secret, hashes.SHA256())


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


# keyCertSign: OPC UA asks for it where a certificate signs itself, although it is no authority.
_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=True,
    data_encipherment=True,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _check(path: Path, secret: RSAPrivateKey, uri: str, now: datetime, role: str) -> None:
    try:
        load = x509.load_pem_x509_certificate if _is_pem(path) else x509.load_der_x509_certificate
        certificate = load(path.read_bytes())
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise UsageError(
            f"{path}: not a certificate of an application, DER, or PEM where its name ends so", _MEND
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "run as the user who owns the file") from error
    if certificate.public_key() != secret.public_key():
        raise UsageError(f"{path}: not of the key beside it", _MEND)
    if named.get_values_for_type(x509.UniformResourceIdentifier) != [uri]:
        raise UsageError(f"{path}: not for {uri}", _MEND)
    if role_of(certificate.public_bytes(Encoding.DER)) != role:
        raise UsageError(f"{path}: not for the role {role!r}", _MEND)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise UsageError(f"{path}: out of date", "set the clock right, or " + _MEND)
