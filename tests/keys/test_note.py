"""Signed notes as C2SP signed-note has them: what opens, and what must not."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.note import MAX_SIGNATURES, Note, open_note, sign_note

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "keys_notes.json").read_text())
LOG = SigningKey.from_seed("example.org/log", bytes([1]) * 32)
WITNESS = SigningKey.from_seed("example.org/witness", bytes([2]) * 32)
STRANGER = SigningKey.from_seed("example.org/stranger", bytes([3]) * 32)
TRUSTED = [LOG.verifier(), WITNESS.verifier()]
TEXT = "example.org/log\n3\nroot\n"

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)


def line(name: str, blob: bytes) -> bytes:
    """A signature line."""
    return f"\u2014 {name} {base64.b64encode(blob).decode()}\n".encode()


def blob_of(key: SigningKey, text: str) -> bytes:
    return key.verifier().key_id + key.sign(text.encode())


@pytest.mark.parametrize("case", VECTORS["notes"], ids=lambda case: str(case["vkey"]))
def test_published_notes_open_and_are_signed_to_the_byte(case: dict[str, str]) -> None:
    verifier = VerifierKey.parse(case["vkey"])
    assert open_note(case["note"].encode(), [verifier]) == Note(case["text"], (verifier.name,))
    if case["seed"] is not None:
        assert sign_note(case["text"], SigningKey(verifier.name, bytes.fromhex(case["seed"]))) == case["note"].encode()


@given(texts)
def test_what_is_signed_opens_to_the_same_text(text: str) -> None:
    assert open_note(sign_note(text, LOG), [LOG.verifier()]) == Note(text, (LOG.name,))


def test_a_text_may_hold_empty_lines_and_what_looks_like_signatures() -> None:
    inner = sign_note(TEXT, WITNESS).decode()
    for text in ("\n", "\n\n\n", "a\n\nb\n", inner, inner + "\n"):
        assert open_note(sign_note(text, LOG), TRUSTED) == Note(text, (LOG.name,))


def test_every_flipped_bit_of_a_note_is_refused() -> None:
    data = sign_note(TEXT, LOG)
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(InvalidData):
                open_note(bytes(flipped), TRUSTED)


def test_every_flipped_bit_in_a_stranger_s_line_changes_nothing_or_is_refused() -> None:
    data, start = sign_note(TEXT, LOG, STRANGER), len(sign_note(TEXT, LOG))
    for position in range(start, len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            try:
                note = open_note(bytes(flipped), TRUSTED)
            except InvalidData:
                continue
            assert note == Note(TEXT, (LOG.name,))


def test_every_cut_note_and_every_added_byte_is_refused() -> None:
    data = sign_note(TEXT, LOG)
    for end in range(len(data)):
        with pytest.raises(InvalidData):
            open_note(data[:end], TRUSTED)
    for byte in range(256):
        with pytest.raises(InvalidData):
            open_note(data + bytes([byte]), TRUSTED)
        with pytest.raises(InvalidData):
            open_note(bytes([byte]) + data, TRUSTED)


def test_unknown_keys_are_ignored_in_any_place() -> None:
    for keys in ([STRANGER, LOG], [LOG, STRANGER], [STRANGER, LOG, STRANGER]):
        assert open_note(sign_note(TEXT, *keys), TRUSTED) == Note(TEXT, (LOG.name,))


def test_a_key_that_shares_only_name_or_only_id_is_unknown() -> None:
    same_name = SigningKey.from_seed(LOG.name, bytes(32))
    cosignature = line(LOG.name, bytes(4) + bytes(8) + bytes(64))
    same_id = line("example.org/other", blob_of(LOG, TEXT))
    for extra in (line(LOG.name, blob_of(same_name, TEXT)), cosignature, same_id):
        assert open_note(sign_note(TEXT, LOG) + extra, TRUSTED) == Note(TEXT, (LOG.name,))
        with pytest.raises(InvalidSignature):
            open_note(TEXT.encode() + b"\n" + extra, TRUSTED)


def test_no_trusted_signature_is_refused() -> None:
    for verifiers in ([], [WITNESS.verifier()], [STRANGER.verifier()]):
        with pytest.raises(InvalidSignature):
            open_note(sign_note(TEXT, LOG), verifiers)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda blob: blob[:4] + bytes(64),
        lambda blob: blob[:-1],
        lambda blob: blob + b"\x00",
        lambda blob: blob[:5],
        lambda _: blob_of(WITNESS, "another text\n"),
    ],
)
def test_one_failing_signature_by_a_known_key_rejects_the_note(spoil: Callable[[bytes], bytes]) -> None:
    good, bad = sign_note(TEXT, LOG), line(WITNESS.name, spoil(blob_of(WITNESS, TEXT)))
    assert open_note(good + bad, [LOG.verifier()]).signers == (LOG.name,)
    with pytest.raises(InvalidSignature):
        open_note(good + bad, TRUSTED)
    with pytest.raises(InvalidSignature):
        open_note(TEXT.encode() + b"\n" + bad + line(LOG.name, blob_of(LOG, TEXT)), TRUSTED)


def test_each_signer_is_named_once_in_the_order_of_the_lines() -> None:
    assert open_note(sign_note(TEXT, WITNESS, LOG, WITNESS), TRUSTED).signers == (WITNESS.name, LOG.name)


@pytest.mark.parametrize("count", [16, MAX_SIGNATURES])
def test_many_signatures_are_accepted(count: int) -> None:
    keys = [SigningKey.from_seed(f"witness-{n}", bytes([n]) * 32) for n in range(count)]
    note = open_note(sign_note(TEXT, *keys), [key.verifier() for key in keys])
    assert note.signers == tuple(key.name for key in keys)


def test_too_many_signatures_and_too_long_notes_are_refused() -> None:
    data = sign_note(TEXT, *[LOG] * MAX_SIGNATURES)
    open_note(data, TRUSTED)
    with pytest.raises(InvalidData):
        open_note(data + line(LOG.name, blob_of(LOG, TEXT)), TRUSTED)
    with pytest.raises(InvalidData):
        sign_note(TEXT, *[LOG] * (MAX_SIGNATURES + 1))
    with pytest.raises(InvalidData):
        sign_note(TEXT)
    long = "x" * (1 << 20) + "\n"
    with pytest.raises(InvalidData):
        sign_note(long, LOG)
    with pytest.raises(InvalidData):
        open_note(long.encode() + b"\n" + line(LOG.name, blob_of(LOG, long)), TRUSTED)


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\rb\n", "a\x00b\n", "a\x1fb\n", "a\r\n", "\ud800\n"])
def test_texts_that_no_note_can_hold(text: str) -> None:
    with pytest.raises(InvalidData):
        sign_note(text, LOG)
    data = text.encode(errors="surrogatepass")
    signed = data + b"\n" + line(LOG.name, LOG.verifier().key_id + LOG.sign(data))
    with pytest.raises(InvalidData):
        open_note(signed, TRUSTED)


BLOB = base64.b64encode(blob_of(LOG, TEXT)).decode()


@pytest.mark.parametrize(
    "bad",
    [
        f"- {LOG.name} {BLOB}",
        f"\u2013 {LOG.name} {BLOB}",
        f"\u2014{LOG.name} {BLOB}",
        f"\u2014  {LOG.name} {BLOB}",
        f"\u2014 {LOG.name}  {BLOB}",
        f"\u2014 {LOG.name} {BLOB} ",
        f"\u2014 {LOG.name} {BLOB[:-1]}",
        f"\u2014 {LOG.name} {BLOB}=",
        f"\u2014 {LOG.name} {BLOB[:-2]}!=",
        f"\u2014 {LOG.name} ",
        f"\u2014 {LOG.name}",
        f"\u2014  {BLOB}",
        f"\u2014 a+b {BLOB}",
        f"\u2014 a\u00a0b {BLOB}",
        "\u2014 stranger AAAAAA==",
        "\u2014 stranger AAAAAAB=",
        "\u2014 stranger AAAA_AAA",
        "trailing text",
    ],
)
def test_a_malformed_line_rejects_the_note_whoever_else_signed(bad: str) -> None:
    good = line(LOG.name, blob_of(LOG, TEXT))
    for lines in (good + bad.encode() + b"\n", bad.encode() + b"\n" + good):
        with pytest.raises(InvalidData):
            open_note(TEXT.encode() + b"\n" + lines, TRUSTED)


def test_set_padding_bits_are_refused() -> None:
    # 68 bytes end in one "=", so two bits of the last digit say nothing and must be zero.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert BLOB.endswith("=")
    last = alphabet.index(BLOB[-2])
    assert last % 4 == 0
    for extra in (1, 2, 3):
        spoiled = f"{BLOB[:-2]}{alphabet[last + extra]}="
        assert base64.b64decode(spoiled) == base64.b64decode(BLOB)
        with pytest.raises(InvalidData):
            open_note(f"{TEXT}\n\u2014 {LOG.name} {spoiled}\n".encode(), TRUSTED)


def test_a_note_needs_its_empty_line_and_a_signature() -> None:
    good = line(LOG.name, blob_of(LOG, TEXT))
    for data in (TEXT.encode() + good, TEXT.encode(), TEXT.encode() + b"\n", good, b"\n" + good, b"", b"\n\n"):
        with pytest.raises(InvalidData):
            open_note(data, TRUSTED)


def test_two_trusted_keys_with_one_name_and_id_are_refused() -> None:
    class Twin(VerifierKey):
        __slots__ = ()

        @property
        def key_id(self) -> bytes:
            return LOG.verifier().key_id

    twin = Twin(LOG.name, bytes(32))
    with pytest.raises(InvalidData, match="share"):
        open_note(sign_note(TEXT, LOG), [LOG.verifier(), twin])
    assert open_note(sign_note(TEXT, LOG), [LOG.verifier(), LOG.verifier()]).signers == (LOG.name,)


@given(st.binary(max_size=120))
def test_noise_is_invalid_data(data: bytes) -> None:
    with pytest.raises(InvalidData):
        open_note(data, TRUSTED)
