"""Roots by pymerkle: entries in hexadecimal on standard input, a line each; sizes as arguments; a root a line."""

import sys

from pymerkle import InmemoryTree  # type: ignore[import-not-found]  # only in the judges' own environment


def main() -> None:
    tree = InmemoryTree(algorithm="sha256")
    sizes = {int(size) for size in sys.argv[1:]}
    for count, line in enumerate(sys.stdin, 1):
        tree.append_entry(bytes.fromhex(line))
        # Of the tree as it stands: the roots of older ones are asked for at the end.
        if count in sizes:
            print(tree.get_root().hex())
    for size in sorted(sizes):
        print(tree.get_root(size).hex())


if __name__ == "__main__":
    main()
