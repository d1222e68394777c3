"""A reader by another author, in another language, checks what is proved of a log that was written here.

`@transmute/rfc9162` from npm verifies paths of `merkle/` over the entries of a real log, and refuses each of them once
one bit of it is another.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest

from tests.judges.grown_log import SIZES, GrownLog, grow
from tests.judges.node import needs, script

pytestmark = needs("@transmute/rfc9162")

Question = list[object]
COMPUTED = 257
"""Leaves from which on the package's own root takes long: it copies the entries at each node."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> GrownLog:
    return grow(tmp_path_factory.mktemp("judged"))


def ask(questions: Sequence[Question]) -> list[object]:
    """The judge's answers, in order."""
    done = subprocess.run(
        script("rfc9162.js"),
        input="".join(json.dumps(question) + "\n" for question in questions),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


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


def test_the_judge_computes_the_same_roots(log: GrownLog) -> None:
    sizes = [size for size in SIZES if size <= COMPUTED]
    assert ask([["root", hexed(log.entries[:size])] for size in sizes]) == [log.tree.root(size).hex() for size in sizes]


def test_the_judge_verifies_every_proof_and_refuses_every_tampered_one(log: GrownLog) -> None:
    honest = [*inclusions(log), *consistencies(log)]
    false = [bad for question in honest for bad in tampered(question)]
    assert len(honest) > 60
    assert len(false) > 5 * len(honest)
    answers = ask([*honest, *false])
    assert [question[:4] for question, answer in zip(honest, answers, strict=False) if answer is not True] == []
    assert [bad for bad, answer in zip(false, answers[len(honest) :], strict=True) if answer is not False] == []
