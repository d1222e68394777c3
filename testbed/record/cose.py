"""A record as others exchange such things: a COSE_Sign1 statement with a receipt of its inclusion.

The statement (RFC 9052, section 4.2; RFC 9943, section 6) says that an issuer made an entry: its payload is the entry,
the leaf of the log. The receipt (RFC 9942, section 5) is signed by the log over the root of its tree; the payload, the
root, is detached, since who checks it rebuilds the root from entry and path:

    statement  18([<<{1: alg, 3: content type, 4: kid, 15: {1: iss, 2: sub}}>>, {394: [<<receipt>>]}, entry, signature])
    receipt    18([<<{1: alg, 4: kid, 15: {1: iss, 2: sub, -65537: size, -65538: index}, 395: 1}>>,
                   {396: {-1: [<<[size, index, [+ hash]]>>]}}, null, signature])

An RFC 9942 signature covers the root alone: size and index beside it could be exchanged. So they stand in the protected
header as well, as claims of private use, with the log's origin as issuer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cbor2

from testbed.core.errors import InvalidData
from testbed.record import cbor

ALG, CONTENT_TYPE, KID, CWT_CLAIMS = 1, 3, 4, 15
"""Header parameters (RFC 9052, section 3.1; RFC 9597)."""
RECEIPTS, TREE, PROOFS = 394, 395, 396
"""Header parameters of RFC 9942, section 2."""
EDDSA = -8
"""RFC 9053, section 2.2."""
CBOR_CONTENT = "application/cbor"
"""What an entry is."""
RFC9162_SHA256, INCLUSION = 1, -1
"""Which tree, and which kind of proof of it (RFC 9942, section 5)."""
ISS, SUB = 1, 2
"""Claims (RFC 8392, section 3.1)."""
TREE_SIZE, LEAF_INDEX = -65537, -65538
"""Claims of private use: below -65536 (RFC 8392, section 9.1)."""

_SIGN1 = 18
_HASH_SIZE = 32

Sign = Callable[[bytes], bytes]
"""Signs bytes with an Ed25519 key; 64 bytes."""


@dataclass(frozen=True, slots=True)
class Included:
    """Where an entry stands. path: siblings from the leaf upwards, 32 bytes each; root: of the tree of `size`."""

    size: int
    index: int
    path: tuple[bytes, ...]
    root: bytes


def encode_receipt(place: Included, issuer: str, subject: str, kid: bytes, sign: Sign) -> bytes:
    """The log's word that an entry stands there. Raises InvalidData for a tree of one leaf: it has no path to show."""
    if not 0 <= place.index < place.size or not place.path:
        raise InvalidData("COSE receipt: no path: RFC 9942 cannot show the only leaf of a tree")
    if any(len(node) != _HASH_SIZE for node in (*place.path, place.root)):
        raise InvalidData("COSE receipt: a hash is not 32 bytes")
    claims = _map({ISS: issuer, SUB: subject, TREE_SIZE: place.size, LEAF_INDEX: place.index})
    protected = _encode(_map({ALG: EDDSA, KID: kid, CWT_CLAIMS: claims, TREE: RFC9162_SHA256}))
    proof = cbor.encode([place.size, place.index, list(place.path)])
    signature = sign(to_be_signed(protected, place.root))
    return _encode(cbor2.CBORTag(_SIGN1, [protected, {PROOFS: {INCLUSION: [proof]}}, None, signature]))


def encode_statement(
    entry: bytes, issuer: str, subject: str, kid: bytes, sign: Sign, receipts: Sequence[bytes] = ()
) -> bytes:
    """An issuer's statement with that entry as payload, and receipts of it in the header that nobody signs."""
    claims = _map({ISS: issuer, SUB: subject})
    protected = _encode(_map({ALG: EDDSA, CONTENT_TYPE: CBOR_CONTENT, KID: kid, CWT_CLAIMS: claims}))
    unprotected = {RECEIPTS: list(receipts)} if receipts else {}
    signature = sign(to_be_signed(protected, entry))
    return _encode(cbor2.CBORTag(_SIGN1, [protected, unprotected, entry, signature]))


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of a COSE_Sign1 without external data (RFC 9052, section 4.4)."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _map(items: dict[int, object]) -> dict[int, object]:
    """The same map with its keys in the order of their encodings (RFC 8949, section 4.2.1)."""
    return dict(sorted(items.items(), key=lambda item: cbor.encode(item[0])))


def _encode(value: object) -> bytes:
    try:
        return cbor2.dumps(value)
    except UnicodeEncodeError as error:
        raise InvalidData("COSE: text holds a lone surrogate") from error
