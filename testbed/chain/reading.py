"""Reads a journal of a chain, also while its writer goes on: whole, step by step, or only its end.

A last line without a line feed was being written, and is not there. Every reader raises StoreError where there is no
journal, and InvalidData, which names the line, where it is damaged.
"""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from testbed.chain.steps import Head, Intent, Mined, Step, decode_line
from testbed.chain.succession import Reached, StepLine, check_mined
from testbed.core.errors import InvalidData, StoreError

_LONGEST = 1 << 20
"""Bytes of a line; one has a few thousand."""

_BLOCK = 1 << 14
"""Bytes that are read at a time from the end; the last two lines have about a third of that."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal, read whole."""

    head: Head
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a journal. steps: how many it has; last: the last one, which may be open; settled: the newest block
    that the network does not take back any more, None where there is none or a step is open on the bench's own node.
    """

    head: Head
    steps: int
    last: Step | None
    settled: Mined | None = None


def read_journal(path: Path) -> Contents:
    """All of it, in memory."""
    steps = tuple(iterate_steps(path))
    return Contents(read_tail(path).head, steps)


def iterate_steps(path: Path) -> Iterator[Step]:
    """Each step, in the memory of those that are not settled; the last ones may be open. It raises when it comes to the
    damage. On a network that takes blocks back, a step comes once it is settled, or at the end, as it is then.
    """
    with _opened(path) as file:
        recent: list[Step] = []
        for reached, _, settled in _follow(path, file):
            yield from settled
            recent = reached.recent
        yield from recent


def summarize(path: Path) -> Reached:
    """What it comes to, in the memory of one step."""
    with _opened(path) as file:
        return read_through(path, file)[0]


def read_through(path: Path, file: BinaryIO) -> tuple[Reached, int]:
    """What the journal in an open `file` comes to, and how many bytes of it are whole lines."""
    ((reached, whole, _),) = deque(_follow(path, file), maxlen=1)
    return reached, whole


def read_tail(path: Path) -> Tail:
    """Head and last step, however long it is. What stands between them is not looked at, unless it is the journal of a
    network of others, whose last lines may be about earlier steps.
    """
    with _opened(path) as file:
        head = _head(path, file)
        texts = _last_lines(file, 2, file.tell())
    if head.node_version is None:
        reached = summarize(path)
        return Tail(head, reached.steps, reached.last, reached.settled.newest)
    try:
        last = _last_step(texts)
    except InvalidData as error:
        raise InvalidData(f"{path}, last line: {error}") from error
    return Tail(head, 0 if last is None else last.intent.number + 1, last, None if last is None else last.mined)


def holds_block(path: Path, height: int, block_hash: bytes) -> bool:
    """Does a block of that height and hash stand in the journal?"""
    last = read_tail(path).last
    if last is not None and last.mined is not None and last.mined.height <= height:
        # It is the newest one, or one that the journal has not.
        return (last.mined.height, last.mined.block_hash) == (height, block_hash)
    blocks = (step.mined for step in iterate_steps(path) if step.mined is not None)
    return any((mined.height, mined.block_hash) == (height, block_hash) for mined in blocks)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", "make the bench ready with `testbed init`") from error


def _follow(path: Path, file: BinaryIO) -> Iterator[tuple[Reached, int, list[Step]]]:
    """What the journal has come to behind each line, the same object every time, where the line ends, and which steps
    it settled.
    """
    reached = Reached(_head(path, file))
    place = file.tell()
    yield reached, place, []
    number = 2
    while text := _whole_line(path, file, number):
        try:
            settled = reached.take(_step_line(text))
        except InvalidData as error:
            raise InvalidData(f"{path}, line {number}: {error}") from error
        place += len(text)
        yield reached, place, settled
        number += 1


def _head(path: Path, file: BinaryIO) -> Head:
    text = _whole_line(path, file, 1)
    if not text:
        raise InvalidData(f"{path}, line 1: the journal has no head")
    try:
        line = decode_line(text)
    except InvalidData as error:
        raise InvalidData(f"{path}, line 1: {error}") from error
    if not isinstance(line, Head):
        raise InvalidData(f"{path}, line 1: the journal does not begin with its head")
    return line


def _step_line(text: bytes) -> StepLine:
    line = decode_line(text)
    if isinstance(line, Head):
        raise InvalidData("a second head")
    return line


def _whole_line(path: Path, file: BinaryIO, number: int) -> bytes:
    """The next line with its line feed; nothing at the end, or for a last one that has none."""
    text = file.readline(_LONGEST)
    if text.endswith(b"\n"):
        return text
    if len(text) == _LONGEST:
        raise InvalidData(f"{path}, line {number}: longer than {_LONGEST} bytes")
    return b""


def _last_lines(file: BinaryIO, count: int, start: int) -> list[bytes]:
    """The last `count` whole lines behind the place `start`, or as many as there are."""
    at, data = file.seek(0, os.SEEK_END), b""
    # One line feed more than lines: the one in front of them.
    while at > start and data.count(b"\n") <= count:
        size = min(_BLOCK, at - start)
        at -= size
        file.seek(at)
        data = file.read(size) + data
    whole = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]
    return [text + b"\n" for text in whole[-count:]]


def _last_step(texts: list[bytes]) -> Step | None:
    """The step of the last two lines behind the head; None where there are none."""
    match [_step_line(text) for text in texts]:
        case []:
            return None
        case [*_, Intent() as intent]:
            return Step(intent, None)
        case [Intent() as intent, Mined() as mined]:
            check_mined(Step(intent, None), mined)
            return Step(intent, mined)
        case _:
            raise InvalidData("a block without its intent before it")
