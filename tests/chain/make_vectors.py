"""Makes `rfc9162.json` and `large.json` of `contracts/test/vectors`: proofs that the contract has to accept.

A second implementation of RFC 9162, section 2.1, written as the RFC defines it (recursion over lists, nothing stored),
so that the contract is not judged by the project's own tree. The large trees, up to 2^64 - 1 leaves, are not built:
the recursion goes down the edge of the smaller tree, and every subtree that it does not enter has a made-up root. Run
it to write the files anew: `python tests/chain/make_vectors.py`.
"""

import hashlib
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "contracts" / "test" / "vectors"
VECTORS, LARGE = FOLDER / "rfc9162.json", FOLDER / "large.json"

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

MOST = 2**64 - 1
LARGE_GROWTH = (
    *((1 << power, (1 << power) + 1) for power in (20, 32, 63)),
    *(((1 << power) - 1, 1 << power) for power in (20, 32, 63)),
    (1, MOST),
    (MOST - 1, MOST),
    (2**63, MOST),
    (2**63 + 1, MOST - 1),
    (0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA),
    (999_999_937, 4_294_967_291),
)
LARGE_PLACES = (
    (0, MOST),
    (MOST - 1, MOST),
    (2**63, MOST),
    (2**63 - 1, 2**63),
    (2**63, 2**63 + 1),
    (0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA),
    (999_999_937, 4_294_967_291),
)
GAS_GROWTH = ((10**6, 10**6 + 1), (10**6, 10**6 + 256), (10**6, 10**6 + 65_536), (10**9, 10**9 + 256))


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


def made_up(start: int, stop: int) -> bytes:
    """Root of a subtree that nobody has built."""
    return hashlib.sha256(b"made up" + start.to_bytes(9, "big") + stop.to_bytes(9, "big")).digest()


def large_growth(old: int, start: int, stop: int, whole: bool) -> tuple[bytes, bytes, list[bytes]]:
    """(old root, root, SUBPROOF) of D[start:stop], of which the first `old` leaves are the smaller tree."""
    if old == stop - start:
        root = made_up(start, stop)
        return root, root, [] if whole else [root]
    k = split(stop - start)
    middle = start + k
    if old <= k:
        right = made_up(middle, stop)
        old_root, left, path = large_growth(old, start, middle, whole)
        return old_root, _node(left, right), [*path, right]
    left = made_up(start, middle)
    old_root, right, path = large_growth(old - k, middle, stop, False)
    return _node(left, old_root), _node(left, right), [*path, left]


def large_inclusion(index: int, start: int, stop: int) -> tuple[bytes, list[bytes]]:
    """(root, PATH) of D[start:stop]; `index` counts from `start`."""
    if stop - start == 1:
        return leaf_hash(start), []
    k = split(stop - start)
    middle = start + k
    if index < k:
        right = made_up(middle, stop)
        left, path = large_inclusion(index, start, middle)
        return _node(left, right), [*path, right]
    left = made_up(start, middle)
    right, path = large_inclusion(index - k, middle, stop)
    return _node(left, right), [*path, left]


def large_consistency_case(old: int, new: int) -> dict[str, object]:
    old_root, root, path = large_growth(old, 0, new, True)
    case = {"newRoot": _hex(root), "newSize": new, "oldRoot": _hex(old_root), "oldSize": old}
    return {**case, "proof": [_hex(node) for node in path]}


def large_inclusion_case(index: int, size: int) -> dict[str, object]:
    root, path = large_inclusion(index, 0, size)
    case = {"index": index, "leafHash": _hex(leaf_hash(index)), "root": _hex(root), "size": size}
    return {**case, "proof": [_hex(node) for node in path]}


def large_document() -> str:
    """The text of the file with large trees; `gas` are those whose cost is measured."""
    cases = {
        "consistency": [large_consistency_case(old, new) for old, new in LARGE_GROWTH],
        "gas": [large_consistency_case(old, new) for old, new in GAS_GROWTH],
        "inclusion": [large_inclusion_case(index, size) for index, size in LARGE_PLACES],
    }
    return json.dumps(cases, indent=1, sort_keys=True) + "\n"


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


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text(document(), encoding="utf-8")
    LARGE.write_text(large_document(), encoding="utf-8")
