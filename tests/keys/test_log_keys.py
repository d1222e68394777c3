"""Changes of keys: three signatures over one text, and at each size exactly one key."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.checkpoint import open_checkpoint, sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.log_keys import (
    KeyChange,
    LogKeys,
    Revoked,
    endorse,
    key_change_text,
    open_key_change,
    open_request,
    parse_key_change,
    request_key_change,
)
from testbed.keys.note import sign_note

ORIGIN = "water-cell/gateway"
ROOT = SigningKey.from_seed("water-cell/root", b"r" * 32)
KEYS = [SigningKey.from_seed(ORIGIN, bytes([number]) * 32) for number in range(1, 9)]
OLD, NEW, OTHER = KEYS[:3]
REQUEST = request_key_change(OLD, NEW, 300)
NOTE = endorse(REQUEST, ROOT)
CHANGE = KeyChange(OLD.verifier(), NEW.verifier(), 300)
FIRSTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=len(KEYS) - 1, unique=True).map(sorted)


def keys_changed_at(firsts: list[int]) -> LogKeys:
    changes = [
        KeyChange(old.verifier(), new.verifier(), first)
        for (old, new), first in zip(pairwise(KEYS), firsts, strict=False)
    ]
    return LogKeys(KEYS[0].verifier(), tuple(changes))


def test_a_note_under_three_keys_is_the_change() -> None:
    assert open_request(REQUEST) == CHANGE
    assert open_key_change(NOTE, ROOT.verifier()) == CHANGE
    # The bench's own roles do not know the root key.
    assert open_key_change(NOTE, None) == CHANGE


def test_the_text_to_the_letter() -> None:
    keys = f"{OLD.verifier().encode()}\n{NEW.verifier().encode()}"
    assert key_change_text(CHANGE) == f"attestbed.key-change/v1\n{keys}\n300\n"


@given(st.integers(1, 2**63 - 1), st.permutations(KEYS))
def test_changes_round_trip(first: int, keys: list[SigningKey]) -> None:
    change = KeyChange(keys[0].verifier(), keys[1].verifier(), first)
    assert parse_key_change(key_change_text(change)) == change
    assert open_key_change(endorse(request_key_change(keys[0], keys[1], first), ROOT), ROOT.verifier()) == change


def test_every_flipped_bit_is_refused() -> None:
    """Of the text and of each of the three signatures."""
    for position in range(len(NOTE)):
        for bit in range(8):
            flipped = bytearray(NOTE)
            flipped[position] ^= 1 << bit
            with pytest.raises(InvalidData):
                open_key_change(bytes(flipped), ROOT.verifier())


@pytest.mark.parametrize(
    "keys",
    [
        (OLD, NEW),
        (OLD, ROOT),
        (NEW, ROOT),
        (NEW, OLD, ROOT),
        (OLD, NEW, ROOT, ROOT),
        (OLD, NEW, OTHER),
        (OTHER, NEW, ROOT),
        (OLD, OTHER, ROOT),
        (OLD, NEW, SigningKey.from_seed("water-cell/root", b"x" * 32)),
        (OLD, NEW, SigningKey.from_seed("other/root", b"r" * 32)),
    ],
    ids=lambda keys: "-".join(str(KEYS.index(key) + 1) if key in KEYS else "r" for key in keys),
)
def test_other_signatures_do_not_count(keys: tuple[SigningKey, ...]) -> None:
    with pytest.raises(InvalidSignature):
        open_key_change(sign_note(key_change_text(CHANGE), *keys), ROOT.verifier())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "attestbed.key-change/v2\n{old}\n{new}\n300\n",
        "attestbed.key-change/v1\n{old}\n{new}\n0\n",
        "attestbed.key-change/v1\n{old}\n{new}\n0300\n",
        "attestbed.key-change/v1\n{old}\n{new}\n9223372036854775808\n",
        "attestbed.key-change/v1\n{old}\n{new}\n300\nmore\n",
        "attestbed.key-change/v1\n{old}\n{old}\n300\n",
        "attestbed.key-change/v1\n{old}\n{root}\n300\n",
    ],
)
def test_other_texts_are_none(text: str) -> None:
    named = {"old": OLD.verifier().encode(), "new": NEW.verifier().encode(), "root": ROOT.verifier().encode()}
    with pytest.raises(InvalidData):
        parse_key_change(text.format(**named))


def test_a_request_is_signed_once_and_by_the_keys_of_its_log_first() -> None:
    with pytest.raises(InvalidData):
        endorse(NOTE, ROOT)
    with pytest.raises(InvalidData):
        endorse(sign_note(key_change_text(CHANGE), OLD, OTHER), ROOT)


@given(FIRSTS, st.integers(0, 10**6 + 1))
def test_one_key_counts_at_each_size(firsts: list[int], size: int) -> None:
    keys = keys_changed_at(firsts)
    checkpoint = Checkpoint(ORIGIN, size, bytes(32))
    fitting = []
    for key in KEYS:
        try:
            assert open_checkpoint(sign_checkpoint(checkpoint, key), keys, ORIGIN) == checkpoint
        except InvalidSignature:
            continue
        fitting.append(key)
    # The change at index 300 is record 299: size 300 is the last one of the old key.
    assert fitting == [KEYS[sum(first < size for first in firsts)]]


@given(FIRSTS, st.randoms())
def test_changes_that_follow_one_another_are_found_in_any_order(firsts: list[int], chance: random.Random) -> None:
    keys = keys_changed_at(firsts)
    stray = KeyChange(OTHER.verifier(), OLD.verifier(), 2)
    statements = [*keys.changes, *keys.changes]
    chance.shuffle(statements)
    assert LogKeys(KEYS[0].verifier()).followed_by(statements) == keys
    # One that begins with another key is none of this log's.
    assert LogKeys(NEW.verifier()).followed_by([stray]) == LogKeys(NEW.verifier())


@given(FIRSTS)
def test_keys_that_do_not_follow_are_refused(firsts: list[int]) -> None:
    changes = keys_changed_at(firsts).changes
    with pytest.raises(InvalidData):
        LogKeys(OTHER.verifier(), changes)
    with pytest.raises(InvalidData):
        LogKeys(KEYS[0].verifier(), (*changes, changes[-1]))


@given(st.integers(0, 600), st.integers(0, 600))
def test_a_revoked_key_counts_up_to_its_size(limit: int, size: int) -> None:
    keys = LogKeys(OLD.verifier(), (CHANGE,), (Revoked(OLD.verifier(), limit), Revoked(OTHER.verifier(), 0)))
    signer = OLD if size <= 300 else NEW
    note = sign_checkpoint(Checkpoint(ORIGIN, size, bytes(32)), signer)
    if signer is OLD and size > limit:
        with pytest.raises(InvalidSignature, match="revoked"):
            open_checkpoint(note, keys, ORIGIN)
    else:
        assert open_checkpoint(note, keys, ORIGIN).size == size
