"""A journal is read whole, step by step or from its end, with the same outcome and in memory that does not grow."""

import multiprocessing
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from testbed.chain import ethrlp
from testbed.chain.journal import Journal
from testbed.chain.proofs import header_fields
from testbed.chain.reading import Tail, holds_block, iterate_steps, read_journal, read_tail, summarize
from testbed.chain.steps import Anchoring, Head, Intent, Mined, Step, encode_line
from testbed.chain.succession import AnchoredHead
from testbed.core.errors import InvalidData, StoreError

HEAD = Head(31337, bytes(32), "anvil", (), "0x" + "11" * 20, "0x" + "22" * 20)
ORIGINS = ("bench.example/source", "bench.example/twin")
DAYS = 3000
"""Steps of a long journal."""


def made_steps(count: int, failed: tuple[int, ...] = ()) -> Iterator[Step]:
    """A deployment, and anchors of two logs in turn, as long as those of a bench; some of them reverted."""
    parent = bytes(32)
    for number in range(count):
        anchored = None
        if number:
            anchored = Anchoring(
                ORIGINS[number % 2], number - 1, bytes(32), 1, number, keccak(b"%d" % number), b"n" * 200
            )
        transaction = number.to_bytes(8, "big") * 60
        header = ethrlp.encode(
            [
                *(parent, bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256)),
                *(b"", ethrlp.integer(number + 1), b"\x01", b"\x01", ethrlp.integer(1000 + number), b""),
                *(bytes(32), bytes(8), b"\x01"),
            ]
        )
        status = b"" if number in failed else b"\x01"
        receipt = b"\x02" + ethrlp.encode([status, b"\x01", bytes(256), []])
        parent_hash, parent = parent, keccak(header)
        mined = Mined(
            number, number + 1, parent, header, 1000 + number, 21_000 + number, keccak(transaction), b"p" * 340, receipt
        )
        yield Step(Intent(number, number + 1, parent_hash, 1000 + number, transaction, anchored), mined)


def written(path: Path, steps: Iterator[Step]) -> Path:
    """The steps as a journal, without a sync for each."""
    with path.open("wb") as file:
        file.write(encode_line(HEAD))
        for step in steps:
            file.write(encode_line(step.intent))
            if step.mined is not None:
                file.write(encode_line(step.mined))
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of many steps."""
    return written(tmp_path_factory.mktemp("long") / "journal.jsonl", made_steps(DAYS))


def with_an_open_step(steps: list[Step]) -> list[Step]:
    return [*steps[:-1], replace(steps[-1], mined=None)]


@pytest.mark.parametrize("open_step", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_every_reader_sees_the_same(tmp_path: Path, count: int, open_step: bool) -> None:
    steps = list(made_steps(count, failed=(3,)))
    if open_step and steps:
        steps = with_an_open_step(steps)
    path = written(tmp_path / "journal.jsonl", iter(steps))
    last = steps[-1] if steps else None
    # What was being written when it was read is not there.
    for torn in (b"", b'{"anchored":', bytes(40_000)):
        whole = path.read_bytes()
        path.write_bytes(whole + torn)
        assert read_journal(path).steps == tuple(steps)
        assert list(iterate_steps(path)) == steps
        assert read_tail(path) == Tail(HEAD, len(steps), last, None if last is None else last.mined)
        reached = summarize(path)
        assert (reached.head, reached.steps, reached.last) == (HEAD, len(steps), last)
        path.write_bytes(whole)
    with Journal.open(path) as journal:
        assert journal.reached == reached
        assert list(journal.steps()) == steps
        blocks = [step.mined for step in steps if step.mined is not None]
        assert journal.top == ((blocks[-1].height, blocks[-1].block_hash) if blocks else None)


def test_what_a_journal_comes_to(tmp_path: Path) -> None:
    reached = summarize(written(tmp_path / "journal.jsonl", made_steps(8, failed=(0, 3, 6))))
    # Of steps 1 to 7 the contract took five; twin's are the odd ones.
    assert reached.anchors == 5
    assert reached.gas_used == sum(21_000 + n for n in (1, 2, 4, 5, 7))
    assert reached.heads == {
        ORIGINS[1]: AnchoredHead(7, keccak(b"7"), 1007),
        ORIGINS[0]: AnchoredHead(4, keccak(b"4"), 1004),
    }
    assert reached.newest is not None
    assert reached.newest.height == 8


@pytest.mark.parametrize("open_step", [False, True])
def test_whether_a_block_stands_in_it(tmp_path: Path, open_step: bool) -> None:
    steps = list(made_steps(6))
    path = written(tmp_path / "journal.jsonl", iter(with_an_open_step(steps) if open_step else steps))
    for step in steps:
        assert step.mined is not None
        there = not (open_step and step is steps[-1])
        height, block_hash = step.mined.height, step.mined.block_hash
        assert holds_block(path, height, block_hash) == there
        assert not holds_block(path, height + 1, block_hash)
        assert not holds_block(path, height, block_hash[:-1] + bytes([block_hash[-1] ^ 1]))
    assert not holds_block(written(tmp_path / "none.jsonl", iter(())), 1, bytes(32))


def test_the_end_of_a_journal_is_read_as_strictly(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", made_steps(4))
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert header_fields(bytes.fromhex(_field(lines[-1], b"header"))).number == 4
    place = data.rindex(b'"header":"') + 40
    for wrong in (
        data[:place] + b"%x" % (int(data[place : place + 1], 16) ^ 1) + data[place + 1 :],
        b"".join([*lines[:-2], lines[-1]]),
        b"".join([*lines[:-1], b"\n"]),
        b"".join([*lines[:-1], lines[0]]),
        b"".join([lines[0], lines[-1]]),
    ):
        path.write_bytes(wrong)
        with pytest.raises(InvalidData, match=r"journal\.jsonl, last line: "):
            read_tail(path)
        with pytest.raises(InvalidData, match=r"journal\.jsonl, line \d+: "):
            read_journal(path)
    for wrong in (b"", lines[1], b"\n", bytes(2 << 20)):
        path.write_bytes(wrong)
        with pytest.raises(InvalidData, match="line 1"):
            read_tail(path)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", made_steps(2))
    with path.open("ab") as file:
        file.truncate(file.tell() + (1 << 30))

    def refused() -> None:
        with pytest.raises(InvalidData, match="line 6: longer than"):
            summarize(path)

    assert peak_of(refused) < 8 << 20


def _field(line: bytes, name: bytes) -> str:
    return line.partition(b'"' + name + b'":"')[2].partition(b'"')[0].decode()


# Memory.


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that Python held at most while it ran, above what it held before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def open_and_close(path: Path) -> None:
    Journal.open(path).close()


READERS: tuple[Callable[[Path], object], ...] = (summarize, open_and_close, read_tail)


@pytest.mark.parametrize("read", READERS)
def test_a_long_journal_takes_no_more_memory_than_a_short_one(long: Path, read: Callable[[Path], object]) -> None:
    assert long.stat().st_size > 10 << 20
    read(long)  # what is imported or cached at first use is no part of it
    assert peak_of(lambda: read(long)) < 256 << 10


def test_the_steps_of_a_long_journal_are_in_memory_one_by_one(long: Path) -> None:
    count = 0

    def go_through() -> None:
        nonlocal count
        for _ in iterate_steps(long):
            count += 1

    assert peak_of(go_through) < 256 << 10
    assert count == DAYS


def test_a_writer_s_memory_does_not_grow_with_its_journal(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal.jsonl", HEAD) as journal:
        steps = made_steps(600)

        def write(count: int) -> None:
            for _, step in zip(range(count), steps, strict=False):
                assert step.mined is not None
                journal.intent(step.intent)
                journal.mined(step.mined)

        write(100)
        tracemalloc.start()
        try:
            write(100)
            first = tracemalloc.get_traced_memory()[0]
            write(300)
            grown = tracemalloc.get_traced_memory()[0] - first
        finally:
            tracemalloc.stop()
    # A step has about 2 kB; a list of them would have grown by 600 kB.
    assert grown < 300 * 50


# A disk without room.


@dataclass(frozen=True, slots=True)
class Room:
    """So many bytes may the file be long."""

    path: Path
    size: int


def write_without_room(room: Room) -> str:
    """In a process of its own: append the next line to a journal that may not grow as it must."""
    *_, last = made_steps(3)
    with Journal.open(room.path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room.size, room.size))
        try:
            journal.intent(last.intent)
        except StoreError as error:
            return str(error)
    return "written"


@pytest.mark.parametrize("room", [0, 1, 300])
def test_what_a_full_disk_took_half_of_is_not_there(tmp_path: Path, room: int) -> None:
    *first, last = made_steps(3)
    path = written(tmp_path / "journal.jsonl", iter(first))
    before = path.read_bytes()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said = pool.apply(write_without_room, (Room(path, len(before) + room),))
    assert "File too large" in said
    assert "make room on the disk" in said
    assert path.read_bytes()[: len(before)] == before
    assert path.stat().st_size == len(before) + room
    assert read_journal(path).steps == tuple(first)
    with Journal.open(path) as journal:
        assert path.read_bytes() == before
        journal.intent(last.intent)
    assert read_journal(path).steps == (*first, replace(last, mined=None))


def begin_without_room(path: Path) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
    try:
        Journal.create(path, HEAD).close()
    except StoreError as error:
        return str(error)
    return "begun"


def test_where_there_is_no_room_no_journal_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "anchor" / "journal.jsonl"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "make room on the disk" in pool.apply(begin_without_room, (path,))
    assert list(path.parent.iterdir()) == []
    Journal.create(path, HEAD).close()
