"""A COSE receipt of inclusion, to the letter of RFC 9942, section 5.2.1, from a log's tree and its key."""

import cbor2

from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree

_ALGORITHM, _KEY_ID, _CLAIMS, _STRUCTURE, _PROOFS = 1, 4, 15, 395, 396
_EDDSA, _RFC9162_SHA256, _INCLUSION = -8, 1, -1
_ISSUER, _SUBJECT = 1, 2
_SIGN1 = 18


def inclusion_receipt(key: SigningKey, tree: Tree, index: int, size: int, subject: str) -> bytes:
    """The receipt for leaf `index` of the tree of `size`. What is signed is the root; who reads it rebuilds that."""
    claims = {_ISSUER: key.name, _SUBJECT: subject}
    protected = {_ALGORITHM: _EDDSA, _KEY_ID: key.verifier().key_id, _STRUCTURE: _RFC9162_SHA256, _CLAIMS: claims}
    header = cbor2.dumps(protected)
    proof = cbor2.dumps([size, index, tree.inclusion_path(index, size)])
    signed = cbor2.dumps(["Signature1", header, b"", tree.root(size)])
    parts = [header, {_PROOFS: {_INCLUSION: [proof]}}, None, key.sign(signed)]
    return bytes(cbor2.dumps(cbor2.CBORTag(_SIGN1, parts)))
