"""Checkpoints as C2SP tlog-checkpoint has them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.checkpoint import checkpoint_text, open_checkpoint, parse_checkpoint, sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.note import sign_note

EXAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "keys_notes.json").read_text())[
    "checkpoint"
]
ORIGIN = "source/cell"
KEY = SigningKey.from_seed(ORIGIN, bytes([1]) * 32)
CHECKPOINT = Checkpoint(ORIGIN, 1234, bytes(range(32)))
ROOT = base64.b64encode(CHECKPOINT.root).decode()

GOLDEN = (
    "source/cell\n1234\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
    "\u2014 source/cell RD2yc2U2w4UApeO0P9BXFQhg0lwffRLxtif8Wx/LPlx3s4kmTMxS56PPcAVKnf9A87XSIOBb4CsDxfKGHrILtNwPzg0=\n"
)


def test_the_specification_s_example() -> None:
    checkpoint = Checkpoint(EXAMPLE["origin"], EXAMPLE["size"], bytes.fromhex(EXAMPLE["root"]))
    assert checkpoint_text(checkpoint) == EXAMPLE["text"]
    assert parse_checkpoint(EXAMPLE["text"]) == checkpoint


def test_a_signed_checkpoint_to_the_byte() -> None:
    assert sign_checkpoint(CHECKPOINT, KEY) == GOLDEN.encode()
    assert open_checkpoint(GOLDEN.encode(), KEY.verifier(), ORIGIN) == CHECKPOINT


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_checkpoints_round_trip(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(checkpoint_text(checkpoint)) == checkpoint
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY), KEY.verifier(), origin) == checkpoint


def test_every_flipped_bit_is_refused() -> None:
    data = sign_checkpoint(CHECKPOINT, KEY)
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(InvalidData):
                open_checkpoint(bytes(flipped), KEY.verifier(), ORIGIN)


def test_another_log_s_checkpoint_and_another_key_are_refused() -> None:
    data = sign_checkpoint(CHECKPOINT, KEY)
    with pytest.raises(InvalidData, match="not of"):
        open_checkpoint(data, KEY.verifier(), "source/other")
    with pytest.raises(InvalidSignature):
        open_checkpoint(data, SigningKey.from_seed(ORIGIN, bytes(32)).verifier(), ORIGIN)


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(InvalidData):
        open_checkpoint(sign_note("hello\n", KEY), KEY.verifier(), ORIGIN)


def test_further_signatures_change_nothing() -> None:
    witness = SigningKey.from_seed("witness", bytes([2]) * 32)
    note = sign_note(checkpoint_text(CHECKPOINT), witness, KEY)
    assert open_checkpoint(note, KEY.verifier(), ORIGIN) == CHECKPOINT


def test_extension_lines_are_allowed_and_signed_but_not_kept() -> None:
    text = checkpoint_text(CHECKPOINT) + "extension one\nextension two\n"
    assert parse_checkpoint(text) == CHECKPOINT
    assert open_checkpoint(sign_note(text, KEY), KEY.verifier(), ORIGIN) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n1234\n{ROOT}",
        f"{ORIGIN}\n1234\n",
        f"\n1234\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        f"{ORIGIN}\n1234\n\n",
        f"{ORIGIN}\n1234\n{ROOT}\n\n",
        f"{ORIGIN}\n1234\n{ROOT}\n\nextension\n",
        f"{ORIGIN}\n1234\n{ROOT}\nextension\n\n",
        f"{ORIGIN}\r\n1234\n{ROOT}\n",
        f"{ORIGIN}\n01234\n{ROOT}\n",
        f"{ORIGIN}\n00\n{ROOT}\n",
        f"{ORIGIN}\n+1\n{ROOT}\n",
        f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n 1\n{ROOT}\n",
        f"{ORIGIN}\n1 \n{ROOT}\n",
        f"{ORIGIN}\n1_0\n{ROOT}\n",
        f"{ORIGIN}\n0x10\n{ROOT}\n",
        f"{ORIGIN}\n1e3\n{ROOT}\n",
        f"{ORIGIN}\n\u0661\n{ROOT}\n",
        f"{ORIGIN}\n{2**63}\n{ROOT}\n",
        f"{ORIGIN}\n{10**400}\n{ROOT}\n",
        f"{ORIGIN}\n1234\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1234\n{ROOT} \n",
        f"{ORIGIN}\n1234\n{ROOT[:-2]}9=\n",
        f"{ORIGIN}\n1234\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n1234\n{base64.b64encode(bytes(33)).decode()}\n",
        f"{ORIGIN}\n1234\n{base64.urlsafe_b64encode(bytes([0xFB]) * 32).decode()}\n",
        f"{ORIGIN}\n1234\n{CHECKPOINT.root.hex()}\n",
    ],
)
def test_other_texts_are_no_checkpoint(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a\n1\n" + ROOT, 1, bytes(32)),
        Checkpoint("a\x00", 1, bytes(32)),
        Checkpoint("\ud800", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 2**63, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
        Checkpoint("a", 1, bytes(33)),
    ],
)
def test_checkpoints_that_no_text_can_say(checkpoint: Checkpoint) -> None:
    with pytest.raises(InvalidData):
        checkpoint_text(checkpoint)
