"""A reader by another author, in another language, checks what is proved of a log that was written here.

`@transmute/rfc9162` from npm verifies paths of `merkle/` over the entries of a real log, and refuses each of them once
one bit of it is another.
"""

import json
import subprocess
from collections.abc import Sequence

import pytest

from tests.judges.grown_log import SIZES, GrownLog, grow
from tests.judges.node import needs, script
from tests.judges.questions import Question, hexed, honest_and_false

pytestmark = needs("@transmute/rfc9162")

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


def test_the_judge_computes_the_same_roots(log: GrownLog) -> None:
    sizes = [size for size in SIZES if size <= COMPUTED]
    assert ask([["root", hexed(log.entries[:size])] for size in sizes]) == [log.tree.root(size).hex() for size in sizes]


def test_the_judge_verifies_every_proof_and_refuses_every_tampered_one(log: GrownLog) -> None:
    honest, false = honest_and_false(log)
    answers = ask([*honest, *false])
    assert [question[:4] for question, answer in zip(honest, answers, strict=False) if answer is not True] == []
    assert [bad for bad, answer in zip(false, answers[len(honest) :], strict=True) if answer is not False] == []
