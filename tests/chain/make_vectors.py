"""Makes `contracts/test/vectors/rfc9162.json`: proofs that the contract has to accept.

A second implementation of RFC 9162, section 2.1, written as the RFC defines it (recursion over lists, nothing stored),
so that the contract is not judged by the project's own tree. Run it to write the file anew:
`python tests/chain/make_vectors.py`.
"""

import hashlib
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "contracts" / "test" / "vectors" / "rfc9162.json"

# The eight leaves of the test tree that RFC 6962's implementations share; its roots are known answers.
KNOWN_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
# Consecutive ones are proved consistent. 70,000 is the example of the tiles specification.
GROWTH = (1, 2, 3, 8, 9, 255, 256, 257, 4096, 65_536, 69_999, 70_000)
SMALL = 8


def leaf(index: int) -> bytes:
    """Leaf data: the known leaves, then the index as 8 bytes, big endian."""
    return bytes.fromhex(KNOWN_LEAVES[index]) if index < len(KNOWN_LEAVES) else index.to_bytes(8, "big")


def leaf_hash(index: int) -> bytes:
    return hashlib.sha256(b"\x00" + leaf(index)).digest()


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


@cache
def tree_hash(start: int, stop: int) -> bytes:
    """MTH(D[start:stop]), section 2.1.1."""
    if stop - start == 1:
        return leaf_hash(start)
    middle = start + split(stop - start)
    return hashlib.sha256(b"\x01" + tree_hash(start, middle) + tree_hash(middle, stop)).digest()


def inclusion(index: int, start: int, stop: int) -> list[bytes]:
    """PATH(index, D[start:stop]), section 2.1.3.1; `index` counts from `start`."""
    if stop - start == 1:
        return []
    k = split(stop - start)
    middle = start + k
    if index < k:
        return [*inclusion(index, start, middle), tree_hash(middle, stop)]
    return [*inclusion(index - k, middle, stop), tree_hash(start, middle)]


def subproof(old: int, start: int, stop: int, whole: bool) -> list[bytes]:
    """SUBPROOF(old, D[start:stop], whole), section 2.1.4.1."""
    if old == stop - start:
        return [] if whole else [tree_hash(start, stop)]
    k = split(stop - start)
    middle = start + k
    if old <= k:
        return [*subproof(old, start, middle, whole), tree_hash(middle, stop)]
    return [*subproof(old - k, middle, stop, False), tree_hash(start, middle)]


def consistency_case(old: int, new: int) -> dict[str, object]:
    return {
        "newRoot": _hex(tree_hash(0, new)),
        "newSize": new,
        "oldRoot": _hex(tree_hash(0, old)),
        "oldSize": old,
        "proof": [_hex(node) for node in subproof(old, 0, new, True)],
    }


def inclusion_case(index: int, size: int) -> dict[str, object]:
    return {
        "index": index,
        "leafHash": _hex(leaf_hash(index)),
        "proof": [_hex(node) for node in inclusion(index, 0, size)],
        "root": _hex(tree_hash(0, size)),
        "size": size,
    }


def document() -> str:
    """The file's text. Keys are in alphabetical order, because forge reads them into structs in that order."""
    small = [(old, new) for new in range(2, SMALL + 1) for old in range(1, new)]
    steps = [step for step in pairwise(GROWTH) if step not in small]
    places = [(index, size) for size in range(1, SMALL + 1) for index in range(size)]
    places += [(index, 70_000) for index in (0, 1, 255, 256, 65_535, 65_536, 69_998, 69_999)]
    cases = {
        "consistency": [consistency_case(old, new) for old, new in [*small, *steps, (3, 70_000)]],
        "inclusion": [inclusion_case(index, size) for index, size in places],
    }
    return json.dumps(cases, indent=1, sort_keys=True) + "\n"


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(document(), encoding="utf-8")
