"""Cosignatures v1 as C2SP tlog-cosignature has them: whose they are, of what, and when."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.checkpoint import checkpoint_text, sign_checkpoint
from testbed.keys.cosignature import Cosignature, WitnessKey, cosign, open_cosigned, parse_lines
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.note import MAX_SIGNATURES, SignatureLine, add_lines, parse_line, sign_note, split_note
from testbed.keys.vkey import Vkey

EXAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "keys_notes.json").read_text())[
    "cosigned"
]
ORIGIN = "example.org/log"
LOG = SigningKey.from_seed(ORIGIN, bytes([1]) * 32)
W1 = SigningKey.from_seed("example.org/w1", bytes([2]) * 32)
W2 = SigningKey.from_seed("example.org/w2", bytes([3]) * 32)
KEYS = [LOG.verifier()]
WITNESSES = [WitnessKey.of(W1), WitnessKey.of(W2)]
CHECKPOINT = Checkpoint(ORIGIN, 1234, bytes(range(32)))
TEXT = checkpoint_text(CHECKPOINT)
NOTE = sign_checkpoint(CHECKPOINT, LOG)
TIME = 1679315147


def flips(data: bytes) -> list[bytes]:
    return [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for at in range(len(data)) for bit in range(8)]


def test_a_cosigned_checkpoint_by_others_opens() -> None:
    log, witness = VerifierKey.parse(EXAMPLE["log"]), WitnessKey.parse(EXAMPLE["witness"])
    assert witness.encode() == EXAMPLE["witness"]
    found = open_cosigned(EXAMPLE["note"].encode(), [log], [witness], EXAMPLE["origin"])
    assert (found.checkpoint.size, found.signer) == (EXAMPLE["size"], log)
    assert found.cosignatures == (Cosignature(witness, EXAMPLE["time"]),)
    # Neither the size nor the time can be another one.
    for old, new in (("1432088532", "1432088533"), ("2net5wAAAABqEiEg", "2net5wAAAABqEiEh")):
        assert old in EXAMPLE["note"]
        with pytest.raises(InvalidSignature):
            open_cosigned(EXAMPLE["note"].replace(old, new).encode(), [log], [witness], EXAMPLE["origin"])


def test_what_is_signed_to_the_byte() -> None:
    line = cosign(TEXT, W1, TIME)
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    assert line.signature == TIME.to_bytes(8, "big") + W1.sign(message)
    assert line.key_id == hashlib.sha256(b"example.org/w1\n\x04" + W1.verifier().public).digest()[:4]
    assert line.encode() == f"\u2014 example.org/w1 {base64.b64encode(line.key_id + line.signature).decode()}\n"
    assert parse_line(line.encode()[:-1]) == line
    assert parse_lines(line.encode().encode()) == [line]


def test_extension_lines_are_cosigned_too() -> None:
    text = TEXT + "more\n"
    note = add_lines(sign_note(text, LOG), [cosign(text, W1, TIME)])
    assert open_cosigned(note, KEYS, WITNESSES, ORIGIN).witnesses == {WITNESSES[0]}
    with pytest.raises(InvalidSignature):
        open_cosigned(add_lines(sign_note(text, LOG), [cosign(TEXT, W1, TIME)]), KEYS, WITNESSES, ORIGIN)


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_cosignature_says_its_time(time: int, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    note = add_lines(sign_checkpoint(checkpoint, LOG), [cosign(checkpoint_text(checkpoint), W1, time)])
    found = open_cosigned(note, KEYS, WITNESSES, ORIGIN)
    assert (found.checkpoint, found.cosignatures) == (checkpoint, (Cosignature(WITNESSES[0], time),))


@pytest.mark.parametrize("time", [0, -1, 2**63])
def test_times_that_no_cosignature_can_say(time: int) -> None:
    with pytest.raises(InvalidData):
        cosign(TEXT, W1, time)


def test_a_time_beyond_the_specification_s_does_not_verify() -> None:
    message = f"cosignature/v1\ntime {2**63}\n{TEXT}".encode()
    signature = (2**63).to_bytes(8, "big") + W1.sign(message)
    with pytest.raises(InvalidSignature):
        WITNESSES[0].verify(TEXT, signature)


def test_only_checkpoints_are_cosigned() -> None:
    for text in ("", "hello\n", TEXT[:-1], TEXT.replace("1234", "01234")):
        with pytest.raises(InvalidData):
            cosign(text, W1, TIME)


def test_a_line_of_an_unknown_witness_is_ignored_and_of_a_known_one_must_hold() -> None:
    good = cosign(TEXT, W1, TIME)
    bad = SignatureLine(good.name, good.key_id, good.signature[:-1] + bytes([good.signature[-1] ^ 1]))
    assert open_cosigned(add_lines(NOTE, [bad]), KEYS, WITNESSES[1:], ORIGIN).cosignatures == ()
    for lines in ([bad], [good, bad], [bad, good]):
        with pytest.raises(InvalidSignature, match="w1"):
            open_cosigned(add_lines(NOTE, lines), KEYS, WITNESSES, ORIGIN)


def test_a_plain_signature_by_a_witness_key_is_no_cosignature() -> None:
    plain = sign_note(TEXT, LOG, W1)
    assert open_cosigned(plain, KEYS, WITNESSES, ORIGIN).cosignatures == ()
    disguised = SignatureLine(W1.name, WITNESSES[0].key_id, W1.sign(TEXT.encode()))
    with pytest.raises(InvalidSignature):
        open_cosigned(add_lines(NOTE, [disguised]), KEYS, WITNESSES, ORIGIN)


def test_lines_of_a_type_that_is_not_known_are_ignored() -> None:
    other = Vkey(W1.name, b"\x06", bytes(1312))
    note = add_lines(NOTE, [SignatureLine(W1.name, other.key_id, bytes(8 + 2420)), cosign(TEXT, W1, TIME)])
    assert open_cosigned(note, KEYS, WITNESSES, ORIGIN).witnesses == {WITNESSES[0]}


def test_the_log_must_have_signed_and_its_signature_must_hold() -> None:
    unsigned = (TEXT + "\n" + cosign(TEXT, W1, TIME).encode()).encode()
    with pytest.raises(InvalidSignature, match="log"):
        open_cosigned(unsigned, KEYS, WITNESSES, ORIGIN)
    stranger = SigningKey.from_seed(ORIGIN, bytes(32))
    with pytest.raises(InvalidSignature):
        open_cosigned(NOTE, [stranger.verifier()], WITNESSES, ORIGIN)
    with pytest.raises(InvalidData, match="not of"):
        open_cosigned(NOTE, KEYS, WITNESSES, "example.org/other")
    both = open_cosigned(NOTE, [stranger.verifier(), *KEYS], WITNESSES, ORIGIN)
    assert both.signer == LOG.verifier()


def test_each_witness_counts_once_with_its_newest_time() -> None:
    note = add_lines(NOTE, [cosign(TEXT, W1, 7), cosign(TEXT, W2, 8), cosign(TEXT, W1, 9), cosign(TEXT, W1, 3)])
    found = open_cosigned(note, KEYS, WITNESSES, ORIGIN)
    assert found.cosignatures == (Cosignature(WITNESSES[0], 9), Cosignature(WITNESSES[1], 8))


def test_every_flipped_bit_of_a_cosignature_is_refused_or_nobody_s() -> None:
    note = add_lines(NOTE, [cosign(TEXT, W1, TIME)])
    for flipped in flips(note[len(NOTE) :]):
        try:
            found = open_cosigned(NOTE + flipped, KEYS, WITNESSES, ORIGIN)
        except InvalidData:
            continue
        # The name or the key id is another one now.
        assert found.cosignatures == ()
        assert split_note(NOTE + flipped)[1][1].identity != (W1.name, WITNESSES[0].key_id)


def test_every_flipped_bit_of_the_rest_is_refused() -> None:
    cosignature = cosign(TEXT, W1, TIME).encode().encode()
    for flipped in flips(NOTE):
        with pytest.raises(InvalidData):
            open_cosigned(flipped + cosignature, KEYS, WITNESSES, ORIGIN)


def test_lines_are_added_once_and_in_bounds() -> None:
    line = cosign(TEXT, W1, TIME)
    once = add_lines(NOTE, [line, line])
    assert once == NOTE + line.encode().encode()
    assert add_lines(once, [line]) == once
    assert add_lines(NOTE, []) == NOTE
    many = [cosign(TEXT, W1, 1 + number) for number in range(MAX_SIGNATURES)]
    add_lines(NOTE, many[1:])
    with pytest.raises(InvalidData):
        add_lines(NOTE, many)
    with pytest.raises(InvalidData):
        add_lines(TEXT.encode(), [line])


@pytest.mark.parametrize("data", [b"", b"\n", b"x\n", cosign(TEXT, W1, TIME).encode()[:-1].encode(), b"\xff\n"])
def test_other_answers_are_no_cosignatures(data: bytes) -> None:
    with pytest.raises(InvalidData):
        parse_lines(data)


@given(st.binary(max_size=150))
def test_noise_is_invalid_data(data: bytes) -> None:
    for attempt in (data, TEXT.encode() + b"\n" + data, NOTE + data):
        if attempt != NOTE:
            with pytest.raises(InvalidData):
                open_cosigned(attempt, KEYS, WITNESSES, ORIGIN)
    with pytest.raises(InvalidData):
        parse_lines(data)


@given(st.binary(min_size=32, max_size=32))
def test_witness_keys_round_trip(seed: bytes) -> None:
    key = WitnessKey.of(SigningKey.from_seed("w", seed))
    assert WitnessKey.parse(key.encode()) == key


def test_other_keys_are_no_witness_keys() -> None:
    text = WITNESSES[0].encode()
    for bad in (LOG.verifier().encode(), Vkey("w", b"\x06", bytes(1312)).encode(), Vkey("w", b"\x04", b"x").encode()):
        with pytest.raises(InvalidData):
            WitnessKey.parse(bad)
    with pytest.raises(InvalidData):
        VerifierKey.parse(text)
    for flipped in flips(text.encode()):
        with pytest.raises(InvalidData):
            WitnessKey.parse(flipped.decode(errors="surrogateescape"))
    for name in ("", "a b", "a+b"):
        with pytest.raises(InvalidData):
            WitnessKey(name, bytes(32))
    with pytest.raises(InvalidData):
        WitnessKey("a", bytes(31))
