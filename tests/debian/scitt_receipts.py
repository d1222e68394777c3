"""Receipts by scitt-cose: a line is a JSON array, [receipt, entry, public key] in hexadecimal; an object comes back."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitt_cose import verify_receipt  # type: ignore[import-not-found]  # only in the judges' own environment


def main() -> None:
    for line in sys.stdin:
        receipt, entry, public = json.loads(line)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        found = verify_receipt(bytes.fromhex(receipt), leaf_entry_hex=entry, log_public_key_pem=pem)
        said = {"ok": found.ok, "root": found.root, "index": found.leaf_index, "size": found.tree_size}
        print(json.dumps({**said, "issuer": found.issuer, "subject": found.subject, "errors": found.errors}))


if __name__ == "__main__":
    main()
