"""What judges are asked about a log: proofs that `merkle/` makes of it, and the same proofs tampered with.

["inclusion", root, entry, index, size, path] and ["consistency", old size, old root, new size, new root, path]; bytes
are in hexadecimal.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from tests.judges.grown_log import SIZES, GrownLog

Question = list[object]


def hexed(hashes: Sequence[bytes]) -> list[str]:
    return [digest.hex() for digest in hashes]


def flipped(text: str, bit: int) -> str:
    data = bytearray.fromhex(text)
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    return data.hex()


def places(size: int) -> list[int]:
    """Around the borders of tiles, and the ends."""
    wanted = {0, 1, 254, 255, 256, 257, 511, 512, 65_535, 65_536, 131_072, size // 2, size - 2, size - 1}
    return sorted(index for index in wanted if 0 <= index < size)


def inclusions(log: GrownLog) -> Iterator[Question]:
    for size in SIZES:
        root = log.tree.root(size).hex()
        for index in places(size):
            path = hexed(log.tree.inclusion_path(index, size))
            yield ["inclusion", root, log.entries[index].hex(), index, size, path]


def consistencies(log: GrownLog) -> Iterator[Question]:
    for old, new in combinations(SIZES, 2):
        path = hexed(log.tree.consistency_path(old, new))
        yield ["consistency", old, log.tree.root(old).hex(), new, log.tree.root(new).hex(), path]


def tampered(question: Question) -> Iterator[Question]:
    """The same question with one bit of one of its hashes flipped, a hash too few, one too many, or another place."""
    for place, item in enumerate(question):
        if place == 0 or isinstance(item, int):
            continue
        if isinstance(item, str):
            yield [*question[:place], flipped(item, 7 * place + len(question)), *question[place + 1 :]]
            continue
        assert isinstance(item, list)
        for at in {0, len(item) // 2, len(item) - 1} & set(range(len(item))):
            yield [*question[:place], [*item[:at], flipped(item[at], 77 + at), *item[at + 1 :]]]
        yield [*question[:place], [*item, "00" * 32]]
        if item:
            yield [*question[:place], item[:-1]]
    if question[0] == "inclusion" and question[5]:
        assert isinstance(question[3], int)
        yield [*question[:3], question[3] ^ 1, *question[4:]]


def honest_and_false(log: GrownLog) -> tuple[list[Question], list[Question]]:
    """Every question of a log, and of each some that must be refused."""
    honest = [*inclusions(log), *consistencies(log)]
    false = [bad for question in honest for bad in tampered(question)]
    assert len(honest) > 60
    assert len(false) > 5 * len(honest)
    return honest, false
