"""Which log goes on for which: one text, and the operator's signature over it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.ed25519 import SigningKey
from testbed.keys.succession import (
    Succession,
    open_succession,
    parse_succession,
    sign_succession,
    succession_text,
)

OPERATOR = SigningKey.from_seed("water-cell/operator", b"o" * 32)
AFTER = SigningKey.from_seed("water-cell-2/gateway", b"g" * 32).verifier()
SUCCESSION = Succession(Checkpoint("water-cell/gateway", 600, bytes(range(32))), AFTER)
NOTE = sign_succession([SUCCESSION], OPERATOR)


def test_the_text_to_the_letter() -> None:
    assert succession_text([SUCCESSION]) == (
        "attestbed.succession/v1\nwater-cell/gateway\n600\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        f"{AFTER.encode()}\n"
    )


@given(
    st.lists(
        st.builds(
            Succession,
            st.builds(
                Checkpoint,
                st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20),
                st.integers(1, 2**63 - 1),
                st.binary(min_size=32, max_size=32),
            ),
            st.just(AFTER),
        ),
        min_size=1,
        max_size=5,
    ).map(tuple)
)
def test_successions_round_trip(successions: tuple[Succession, ...]) -> None:
    assert parse_succession(succession_text(successions)) == successions
    assert open_succession(sign_succession(successions, OPERATOR), OPERATOR.verifier()) == successions


def test_every_flipped_bit_is_refused() -> None:
    for position in range(len(NOTE)):
        for bit in range(8):
            flipped = bytearray(NOTE)
            flipped[position] ^= 1 << bit
            with pytest.raises(InvalidData):
                open_succession(bytes(flipped), OPERATOR.verifier())


def test_another_operator_has_not_said_so() -> None:
    other = SigningKey.from_seed("water-cell/operator", b"x" * 32)
    with pytest.raises(InvalidSignature):
        open_succession(NOTE, other.verifier())


@pytest.mark.parametrize(
    "text",
    [
        "attestbed.succession/v1\n",
        "attestbed.succession/v2\na\n1\n{root}\n{key}\n",
        "attestbed.succession/v1\na\n0\n{root}\n{key}\n",
        "attestbed.succession/v1\na\n01\n{root}\n{key}\n",
        "attestbed.succession/v1\n\n1\n{root}\n{key}\n",
        "attestbed.succession/v1\na\n1\nAAAA\n{key}\n",
        "attestbed.succession/v1\na\n1\n{root}\n{key}\na\n",
    ],
)
def test_other_texts_are_none(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_succession(text.format(root="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", key=AFTER.encode()))
