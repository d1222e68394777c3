"""Certificates of other applications that are trusted, each by itself.

A list holds whole certificates, so nothing that an authority signs is trusted by that alone: what answers must show
one of these, to the byte. That is how OPC UA pins (OPC 10000-4, section 6.1.3, without issuers), and how a lab without
an authority keeps strangers out.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from testbed.core.errors import InvalidData, InvalidSignature, UsageError

_KEY_BITS = range(2048, 4097)
"""Lengths of an RSA key (OPC 10000-7, the policies that are not deprecated)."""
_MOST = 64 * 1024
_SUFFIXES = frozenset({".der", ".cer", ".crt", ".pem"})
_PEM = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class TrustList:
    """certificates: DER; place: where they stand, for messages."""

    certificates: frozenset[bytes]
    place: str = "the trust list"

    @classmethod
    def of(cls, certificates: Iterable[bytes]) -> "TrustList":
        """A list of these, DER."""
        return cls(frozenset(certificates))

    @classmethod
    def load(cls, path: Path) -> "TrustList":
        """The certificate in a file, DER or PEM, or all in a folder: *.der, *.cer, *.crt, *.pem.

        An empty folder is a list that trusts nobody. Raises UsageError where nothing is there, or it is no certificate.
        """
        try:
            if path.is_dir():
                files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
            else:
                files = [path]
            return cls(frozenset(one for file in files for one in _read(file)), str(path))
        except OSError as error:
            raise UsageError(
                f"{error.filename or path}: {error.strerror}", "name a certificate, or a folder of them"
            ) from error

    def check(self, certificate: bytes, uri: str | None, now_ns: int) -> None:
        """See that `certificate`, DER, is one of these and good for today. now_ns: UTC since 1970.

        uri: of the application that shows it, as it says itself; None where nobody has said it yet. Raises
        InvalidSignature for one that is not on the list, InvalidData for one that is out of date, of another
        application, or has a key of another kind or length than RSA of 2048 to 4096 bits.
        """
        if certificate not in self.certificates:
            raise InvalidSignature(f"its certificate is not among those of {self.place}; {thumbprint(certificate)}")
        try:
            found = x509.load_der_x509_certificate(certificate)
            public = found.public_key()
            uris = _uris(found)
        except ValueError as error:
            raise InvalidData(f"no certificate: {error}") from error
        now = datetime.fromtimestamp(now_ns // 10**9, UTC)
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise InvalidData(
                f"its certificate is valid from {found.not_valid_before_utc:%Y-%m-%d} to "
                f"{found.not_valid_after_utc:%Y-%m-%d} and not today, {now:%Y-%m-%d}; {thumbprint(certificate)}"
            )
        if not isinstance(public, RSAPublicKey) or public.key_size not in _KEY_BITS:
            raise InvalidData(
                f"its certificate has no RSA key of {_KEY_BITS[0]} to {_KEY_BITS[-1]} bits; {thumbprint(certificate)}"
            )
        if uri is not None and uri not in uris:
            raise InvalidData(
                f"it calls itself {uri}, its certificate is for {', '.join(uris) or 'no application'}; "
                f"{thumbprint(certificate)}"
            )


def thumbprint(certificate: bytes) -> str:
    """How people compare certificates: SHA-256 of the DER, and SHA-1 as most tools of OPC UA show it."""
    sha1 = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    return f"SHA-256 {hashlib.sha256(certificate).hexdigest()}, SHA-1 {sha1}"


def application_uri(certificate: bytes) -> str:
    """The application that a certificate, DER, is for. Raises InvalidData where it says none, or is none."""
    try:
        uris = _uris(x509.load_der_x509_certificate(certificate))
    except ValueError as error:
        raise InvalidData(f"no certificate: {error}") from error
    if not uris:
        raise InvalidData("the certificate names no application")
    return uris[0]


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return named.get_values_for_type(x509.UniformResourceIdentifier)


def _read(file: Path) -> list[bytes]:
    """DER of the certificates in a file."""
    data = read_bounded(file)
    try:
        found = x509.load_pem_x509_certificates(data) if _PEM in data else [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        raise UsageError(f"{file}: no certificate, neither DER nor PEM", "move it away, or put it right") from error
    return [one.public_bytes(Encoding.DER) for one in found]


def read_bounded(file: Path) -> bytes:
    """A file that is small if it is what it should be. Raises OSError, and UsageError for a large one."""
    with file.open("rb") as opened:
        data = opened.read(_MOST + 1)
    if len(data) > _MOST:
        raise UsageError(f"{file}: more than {_MOST} bytes, no certificate", "name a certificate")
    return data
