"""Statements by scitt-cose: [statement, public key] in hexadecimal, a JSON array a line; a JSON object comes back.

`signed` are size and index as the claims of the receipt have them (record/cose.py): an RFC 9942 signature covers the
root alone, so those in the proof may be exchanged for others that lead to the same root.
"""

import json
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitt_cose import (  # type: ignore[import-not-found]  # only in the judges' own environment
    CoseError,
    extract_receipts,
    parse_signed_statement,
    verify_receipt,
)


def judged(statement: bytes, public: bytes) -> dict[str, object]:
    """What is found of a statement and of the receipt in it; both are signed by the key `public`."""
    key = Ed25519PublicKey.from_public_bytes(public)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    said = parse_signed_statement(statement, public_key_pem=pem)
    if said["signature_verified"] is not True:
        return {"ok": False, "why": "the statement's signature"}
    try:
        (receipt,) = extract_receipts(statement)
    except (CoseError, ValueError) as error:
        return {"ok": False, "why": str(error)}
    found = verify_receipt(receipt, leaf_entry_hex=said["payload"].hex(), log_public_key_pem=pem)
    claims = cbor2.loads(cbor2.loads(receipt).value[0])[15] if found.ok else {}
    return {
        "ok": found.ok,
        "signed": [claims.get(-65537), claims.get(-65538)],
        "why": "; ".join(found.errors),
        "issuer": [said["issuer"], found.issuer],
        "subject": [said["subject"], found.subject],
        "entry": said["payload"].hex(),
        "root": found.root,
        "index": found.leaf_index,
        "size": found.tree_size,
    }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(judged(*map(bytes.fromhex, json.loads(line)))))


if __name__ == "__main__":
    main()
