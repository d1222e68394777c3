"""Passwords as they are kept."""

import pytest

from testbed.core.entropy import SeededEntropy
from testbed.core.errors import InvalidData, UsageError
from testbed.keys.passwords import check_password, hash_password

PASSWORD = "fünf Wörter an der Wand"  # noqa: S105  # of this test


def test_the_password_fits_and_its_twin_with_one_bit_flipped_does_not() -> None:
    kept = hash_password(PASSWORD)
    assert check_password(kept, PASSWORD)
    assert not check_password(kept, PASSWORD[:-1] + chr(ord(PASSWORD[-1]) ^ 1))
    assert not check_password(kept, "")
    assert not check_password(kept, PASSWORD + 200 * "x")
    # As another keyboard writes the same letters.
    assert check_password(kept, PASSWORD.replace("ü", "u\N{COMBINING DIAERESIS}"))


def test_each_is_kept_under_a_salt_of_its_own_and_does_not_show() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert "Wand" not in first
    assert hash_password(PASSWORD, SeededEntropy(1, "a")) == hash_password(PASSWORD, SeededEntropy(1, "a"))


def test_a_changed_hash_fits_nothing() -> None:
    kept = hash_password(PASSWORD)
    changed = kept[:-5] + ("A" if kept[-5] != "A" else "B") + kept[-4:]
    assert not check_password(changed, PASSWORD)


@pytest.mark.parametrize(
    "password", ["short", "Password2026!", "administrator", "12345678901234", "aaaaaaaaaaaa", "x" * 129, "ä" * 65]
)
def test_a_password_that_is_no_secret_is_not_taken(password: str) -> None:
    with pytest.raises(UsageError, match="a password"):
        hash_password(password)


@pytest.mark.parametrize(
    "kept",
    ["", "scrypt", "plain:14:8:5:AA:AA", "scrypt:1:8:5:AA==:AA==", "scrypt:14:8:5:AA==:AA==", "scrypt:14:8:5:*:*"],
)
def test_a_line_that_is_no_hash_is_said_to_be_none(kept: str) -> None:
    with pytest.raises(InvalidData, match="password hash"):
        check_password(kept, PASSWORD)
