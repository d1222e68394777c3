"""Keys sign as RFC 8032 has it, and a verifier key's text is taken in one form only."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.keys.ed25519 import SigningKey, VerifierKey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "keys_notes.json").read_text())
KEY = SigningKey.from_seed("example.org/log", bytes(range(32)))


def vkey(name: str, key_id: bytes, key: bytes) -> str:
    return f"{name}+{key_id.hex()}+{base64.b64encode(key).decode()}"


@pytest.mark.parametrize("case", VECTORS["ed25519"], ids=lambda case: str(case["message"]))
def test_rfc8032_answers(case: dict[str, str]) -> None:
    key = SigningKey.from_seed("test", bytes.fromhex(case["seed"]))
    message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert key.verifier().public.hex() == case["public"]
    assert key.sign(message) == signature
    assert key.verifier().verify(message, signature)


@pytest.mark.parametrize("case", VECTORS["notes"], ids=lambda case: str(case["vkey"]))
def test_published_verifier_keys(case: dict[str, str]) -> None:
    key = VerifierKey.parse(case["vkey"])
    assert key.encode() == case["vkey"]
    assert key.key_id.hex() == case["vkey"].split("+")[1]
    if case["seed"] is not None:
        assert SigningKey.from_seed(key.name, bytes.fromhex(case["seed"])).verifier() == key


@given(st.binary(max_size=100), st.data())
def test_a_signature_is_of_one_message_by_one_key(message: bytes, data: st.DataObject) -> None:
    signature = KEY.sign(message)
    assert len(signature) == 64
    assert KEY.verifier().verify(message, signature)
    bit = data.draw(st.integers(0, 511), label="bit")
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << (bit % 8)
    assert not KEY.verifier().verify(message, bytes(flipped))
    assert not KEY.verifier().verify(message + b"\x00", signature)
    assert not SigningKey.from_seed("example.org/log", bytes(32)).verifier().verify(message, signature)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_does_not_verify(length: int) -> None:
    assert not KEY.verifier().verify(b"", (KEY.sign(b"") + b"\x00")[:length])


@given(st.binary(min_size=32, max_size=32))
def test_verifier_keys_round_trip(seed: bytes) -> None:
    # Among so many keys there are some whose base64 holds a plus, which only the first two signs part.
    key = SigningKey.from_seed("log", seed).verifier()
    assert VerifierKey.parse(key.encode()) == key


def test_a_plus_in_the_key_s_base64_is_no_border() -> None:
    key = VerifierKey("log", b"\xfb" * 32)
    assert key.encode().count("+") > 2
    assert VerifierKey.parse(key.encode()) == key


def test_every_flipped_bit_of_a_verifier_key_is_refused_or_another_name() -> None:
    data = KEY.verifier().encode().encode()
    for position in range(len(data)):
        for bit in range(7):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(InvalidData):
                VerifierKey.parse(flipped.decode())


KEY_ID = KEY.verifier().key_id
TYPED = b"\x01" + KEY.verifier().public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "++",
        "name",
        KEY.verifier().encode() + "\n",
        " " + KEY.verifier().encode(),
        KEY.verifier().encode() + "=",
        vkey(KEY.name, KEY_ID, b"\x04" + TYPED[1:]),
        vkey(KEY.name, KEY_ID, TYPED[:-1]),
        vkey(KEY.name, KEY_ID, TYPED + b"\x00"),
        vkey(KEY.name, KEY_ID, TYPED[1:]),
        vkey(KEY.name, KEY_ID[:3], TYPED),
        vkey(KEY.name, bytes(4), TYPED),
        vkey("another", KEY_ID, TYPED),
        vkey("", KEY_ID, TYPED),
        f"{KEY.name}+{KEY_ID.hex().upper()}+{base64.b64encode(TYPED).decode()}",
        VerifierKey("log", b"\xff" * 32).encode().replace("/", "_"),
    ],
)
def test_other_texts_are_no_verifier_key(text: str) -> None:
    with pytest.raises(InvalidData):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\x00b", "a\u00a0b", "a\u3000b", "a\u2028b", "a\ud800b"])
def test_names_that_a_note_cannot_carry(name: str) -> None:
    with pytest.raises(InvalidData):
        SigningKey.from_seed(name, bytes(32))
    with pytest.raises(InvalidData):
        VerifierKey(name, bytes(32))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_are_32_bytes(length: int) -> None:
    with pytest.raises(InvalidData):
        SigningKey.from_seed("log", bytes(length))
    with pytest.raises(InvalidData):
        VerifierKey("log", bytes(length))


def test_the_seed_is_not_shown() -> None:
    assert repr(KEY) == "SigningKey(name='example.org/log')"
