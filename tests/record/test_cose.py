"""COSE statements and receipts: to the byte as the vector has them, and nothing in them can be exchanged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData, InvalidProof
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.merkle.proofs import verify_inclusion
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.cose import Included, encode_receipt, encode_statement, to_be_signed

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "cose.json").read_text(encoding="utf-8"))
KEY = SigningKey.from_seed(VECTOR["issuer"], bytes.fromhex(VECTOR["seed"]))
KID, ENTRY = KEY.verifier().key_id, bytes.fromhex(VECTOR["entry"])
TREE = Tree(leaf_hash(bytes.fromhex(entry)) for entry in VECTOR["entries"])
INDEX = VECTOR["index"]

REFUSED = (ValueError, TypeError, KeyError, AssertionError, IndexError, EOFError, AttributeError, cbor2.CBORError)
"""What a reader in a hurry says of what it cannot take."""


def placed(tree: Tree, index: int) -> Included:
    return Included(tree.size, index, tuple(tree.inclusion_path(index)), tree.root())


RECEIPT = encode_receipt(placed(TREE, INDEX), KEY.name, VECTOR["subject"], KID, KEY.sign)
STATEMENT = encode_statement(ENTRY, KEY.name, VECTOR["subject"], KID, KEY.sign, [RECEIPT])


def told(data: bytes, key: VerifierKey, rebuild: Callable[[Any, object], bytes]) -> dict[int, Any]:
    """The claims of a COSE_Sign1 that the key signed, as its reader would take it. Raises ValueError."""
    tagged = cbor2.loads(data)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != 18 or cbor2.dumps(tagged) != data:
        raise InvalidData("not a COSE_Sign1")
    protected, unprotected, payload, signature = tagged.value
    headers = cbor2.loads(protected)
    if not key.verify(to_be_signed(protected, rebuild(unprotected, payload)), signature):
        raise InvalidData("not signed")
    assert (headers[1], headers[4]) == (-8, key.key_id)
    claims: dict[int, Any] = headers[15]
    return claims


def included(data: bytes, entry: bytes) -> dict[int, Any]:
    """The claims of a receipt, whose proof rebuilds the root that was signed."""

    def root(unprotected: dict[int, Any], payload: object) -> bytes:
        assert payload is None
        size, index, path = cbor2.loads(unprotected[396][-1][0])
        verify_inclusion(leaf_hash(entry), index, size, path, TREE.root())
        return TREE.root()

    claims = told(data, KEY.verifier(), root)
    size, index, _ = cbor2.loads(cbor2.loads(data).value[1][396][-1][0])
    # Another size, or another place, may rebuild the same root: what counts is what was signed.
    assert (claims[-65537], claims[-65538]) == (size, index)
    return claims


def test_statement_and_receipt_are_to_the_byte_those_of_the_vector() -> None:
    assert RECEIPT.hex() == VECTOR["receipt"]
    assert STATEMENT.hex() == VECTOR["statement"]
    assert TREE.root().hex() == VECTOR["root"]


def test_what_they_say_is_signed() -> None:
    claims = told(STATEMENT, KEY.verifier(), lambda _, payload: payload if isinstance(payload, bytes) else b"")
    assert dict(claims) == {1: VECTOR["issuer"], 2: VECTOR["subject"]}
    assert dict(included(RECEIPT, ENTRY)) == {
        1: VECTOR["issuer"],
        2: VECTOR["subject"],
        -65537: TREE.size,
        -65538: INDEX,
    }
    assert list(cbor2.loads(STATEMENT).value[1][394]) == [RECEIPT]


def test_maps_are_in_the_order_of_their_encoded_keys() -> None:
    protected = cbor2.loads(RECEIPT).value[0]
    assert list(cbor2.loads(protected)) == [1, 4, 15, 395]
    assert list(cbor2.loads(protected)[15]) == [1, 2, -65537, -65538]


@pytest.mark.filterwarnings("ignore")
def test_every_flipped_bit_of_a_receipt_is_refused() -> None:
    for place in range(len(RECEIPT)):
        flipped = bytearray(RECEIPT)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(REFUSED):
            included(bytes(flipped), ENTRY)
    with pytest.raises(InvalidProof):
        included(RECEIPT, ENTRY + b"\x00")


@given(st.integers(2, 40), st.data())
def test_a_receipt_shows_any_leaf_of_any_tree_but_an_only_one(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(leaf_hash(bytes([number])) for number in range(size))
    receipt = encode_receipt(placed(tree, index), KEY.name, "about", KID, KEY.sign)
    found = cbor2.loads(cbor2.loads(receipt).value[1][396][-1][0])
    assert [found[0], found[1], list(found[2])] == [size, index, tree.inclusion_path(index)]


@pytest.mark.parametrize(
    "place",
    [
        Included(1, 0, (), bytes(32)),
        Included(2, 2, (bytes(32),), bytes(32)),
        Included(2, -1, (bytes(32),), bytes(32)),
        Included(2, 0, (bytes(31),), bytes(32)),
        Included(2, 0, (bytes(32),), bytes(33)),
    ],
)
def test_what_no_receipt_can_say_is_not_written(place: Included) -> None:
    with pytest.raises(InvalidData):
        encode_receipt(place, KEY.name, "about", KID, KEY.sign)
