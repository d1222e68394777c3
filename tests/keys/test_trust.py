"""Certificates that are trusted, each by itself, and one's own with its key."""

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as some

from testbed.core.errors import InvalidData, InvalidSignature, UsageError
from testbed.keys.application import load_application
from testbed.keys.certificates import keep_certificate
from testbed.keys.trust import TrustList, application_uri, thumbprint

URI = "urn:attestbed:server"
NOW = 1_800_000_000 * 10**9
DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two applications; to make an RSA key takes a while."""
    folder = tmp_path_factory.mktemp("trust")
    for name in ("one", "two"):
        keep_certificate(
            folder / f"{name}.der", folder / f"{name}.key", name=name, uri=URI, hosts=("localhost",), now_ns=NOW
        )
    return folder


@pytest.fixture(scope="module")
def one(folder: Path) -> bytes:
    return (folder / "one.der").read_bytes()


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def test_a_file_or_a_folder_of_der_and_pem_is_a_list(folder: Path, one: bytes, tmp_path: Path) -> None:
    two = (folder / "two.der").read_bytes()
    (tmp_path / "both.pem").write_bytes(pem(one) + pem(two))
    (tmp_path / "readme.txt").write_text("no certificate")
    assert TrustList.load(folder / "one.der").certificates == {one}
    assert TrustList.load(tmp_path / "both.pem").certificates == {one, two}
    assert TrustList.load(tmp_path).certificates == {one, two}
    assert TrustList.load(folder).certificates == {one, two}


def test_an_empty_folder_trusts_nobody(tmp_path: Path, one: bytes) -> None:
    with pytest.raises(InvalidSignature, match=f"is not among those of {tmp_path}"):
        TrustList.load(tmp_path).check(one, URI, NOW)


def test_what_is_there_and_good_today_is_trusted(folder: Path, one: bytes) -> None:
    for day in (0, 1, 3649):
        TrustList.load(folder).check(one, URI, NOW + day * DAY)
    TrustList.load(folder).check(one, None, NOW)


@given(some.data())
def test_one_changed_bit_is_another_certificate(folder: Path, one: bytes, data: some.DataObject) -> None:
    at = data.draw(some.integers(0, 8 * len(one) - 1))
    changed = bytearray(one)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises(InvalidSignature) as raised:
        TrustList.load(folder).check(bytes(changed), URI, NOW)
    assert hashlib.sha256(changed).hexdigest() in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "days", "words"),
    [
        (URI, -2, "valid from 2027-01-14 to 2037-01-12 and not today, 2027-01-13"),
        (URI, 3651, "and not today"),
        ("urn:other", 0, f"calls itself urn:other, its certificate is for {URI}"),
    ],
)
def test_what_is_there_and_does_not_serve_is_named_with_its_thumbprint(
    one: bytes, uri: str, days: int, words: str
) -> None:
    with pytest.raises(InvalidData, match=words) as raised:
        TrustList.of([one]).check(one, uri, NOW + days * DAY)
    assert thumbprint(one) in str(raised.value)


def test_what_is_listed_and_no_certificate_is_not_trusted() -> None:
    with pytest.raises(InvalidData, match="no certificate"):
        TrustList.of([b"0"]).check(b"0", None, NOW)


def test_a_thumbprint_is_what_other_tools_show(one: bytes) -> None:
    sha1 = hashlib.sha1(one, usedforsecurity=False).hexdigest()
    assert thumbprint(one) == f"SHA-256 {hashlib.sha256(one).hexdigest()}, SHA-1 {sha1}"


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "long.der").write_bytes(bytes(100_000))
    for name in ("bad.pem", "long.der", "none.der"):
        with pytest.raises(UsageError, match=name):
            TrustList.load(tmp_path / name)


def test_an_application_is_loaded_of_der_and_pem_with_the_uri_that_it_is_for(
    folder: Path, one: bytes, tmp_path: Path
) -> None:
    key = folder / "one.key"
    loaded = load_application(folder / "one.der", key)
    assert (loaded.certificate, loaded.uri) == (one, URI) == (one, application_uri(one))
    assert b"PRIVATE" in loaded.key
    assert "PRIVATE" not in repr(loaded)
    assert load_application(folder / "one.der", key, person=True).uri == ""
    (tmp_path / "one.pem").write_bytes(pem(one))
    secret = load_pem_private_key(key.read_bytes(), None)
    (tmp_path / "der.key").write_bytes(secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "der.key").chmod(0o600)
    assert load_application(tmp_path / "one.pem", tmp_path / "der.key") == loaded


def test_an_application_whose_files_do_not_serve_is_named(folder: Path, tmp_path: Path) -> None:
    open_key = tmp_path / "open.key"
    open_key.write_bytes((folder / "one.key").read_bytes())
    open_key.chmod(0o644)
    one, key = folder / "one.der", folder / "one.key"
    for certificate, secret, words in (
        (one, folder / "two.key", "not of the key"),
        (one, open_key, "lets others at the key"),
        (one, tmp_path / "none.key", "no key file"),
        (tmp_path / "none.der", key, "none.der"),
        (key, key, "no certificate"),
    ):
        with pytest.raises(UsageError, match=words):
            load_application(certificate, secret)
