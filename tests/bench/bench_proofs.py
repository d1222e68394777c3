"""How long proofs are: they grow by one hash when a log doubles.

Paths are those of RFC 9162; the proof of a record is a C2SP tlog-proof without its checkpoint, whose length does not
depend on the log's. Hashes are counted, nothing is timed.
"""

import math

from testbed.keys.encoding import to_base64
from testbed.merkle.packed import Packed
from tests.bench.measure import table

SIZES = (1_000, 8_000, 64_000, 512_000)
"""Eight times as many each time, so three hashes more."""
PLACES = 64
"""Records whose paths are looked at, all over a log."""


def main() -> None:
    """Print the table."""
    rows = []
    lengths: list[tuple[int, int]] = []
    for size in SIZES:
        # What the leaves are does not matter to how many hashes a path has.
        tree = Packed(bytes(range(1, 33)) * size).tree
        steps = [size * place // PLACES for place in range(PLACES)]
        inclusion = [len(tree.inclusion_path(index, size)) for index in steps]
        consistency = [len(tree.consistency_path(index + 1, size)) for index in steps]
        proof = sum(len(to_base64(one)) + 1 for one in tree.inclusion_path(0, size)) + len(
            f"c2sp.org/tlog-proof@v1\nindex {size - 1}\n\n"
        )
        lengths.append((size, max(inclusion)))
        rows.append(
            (f"{size:,}", f"{math.log2(size):.1f}", f"{max(inclusion)}", f"{max(consistency)}", f"{proof:,} bytes")
        )
    table(("records", "log2", "inclusion", "consistency", "proof of a record"), *rows)
    (first, few), (last, many) = lengths[0], lengths[-1]
    print(f"hashes of an inclusion path for each doubling: {(many - few) / math.log2(last / first):.2f}")


if __name__ == "__main__":
    main()
