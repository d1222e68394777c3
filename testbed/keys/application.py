"""An application's own certificate with its key, as it shows itself to others."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.files import read_private
from testbed.keys.trust import application_uri, read_bounded

_MOST_KEY = 16 * 1024


@dataclass(frozen=True, slots=True)
class Application:
    """certificate: DER; key: RSA, PKCS 8 as PEM, without a password; uri: the application that the certificate is
    for, "" for a person's.
    """

    certificate: bytes
    key: bytes
    uri: str

    def __repr__(self) -> str:
        return f"Application({self.uri!r})"


def load_application(certificate: Path, key: Path, *, person: bool = False) -> Application:
    """Certificate and key of two files, DER or PEM each; only their owner may read the key.

    person: a certificate of a person, which names no application. Raises UsageError where they are not there, do not
    fit each other, or the certificate names no application.
    """
    try:
        data = read_bounded(certificate)
    except OSError as error:
        raise UsageError(f"{certificate}: {error.strerror}", "name the file of the certificate") from error
    secret = _key(key)
    try:
        found = x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise UsageError(f"{certificate}: no certificate, neither DER nor PEM", "name a certificate") from error
    if found.public_key() != secret.public_key():
        raise UsageError(
            f"{certificate}: not of the key in {key}", "name the certificate and the key that belong together"
        )
    der = found.public_bytes(Encoding.DER)
    try:
        uri = "" if person else application_uri(der)
    except InvalidData as error:
        raise UsageError(f"{certificate}: {error}", "make one with a URI as subject alternative name") from error
    return Application(der, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), uri)


def _key(path: Path) -> RSAPrivateKey:
    data = read_private(path, _MOST_KEY)
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        secret = load(data, password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no key without a password, neither DER nor PEM", "name the key's file") from error
    if not isinstance(secret, RSAPrivateKey):
        raise UsageError(f"{path}: no RSA key", "make an RSA key of 2048 to 4096 bits")
    return secret
