"""The journal survives being cut at any byte, and takes nothing that does not follow."""

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from testbed.chain.journal import Journal
from testbed.chain.proofs import header_fields
from testbed.chain.reading import Contents, read_journal
from testbed.chain.registry import decode_anchor, read_transaction
from testbed.chain.steps import (
    Anchoring,
    Dropped,
    Head,
    Intent,
    Line,
    Mined,
    Reorganised,
    Settled,
    Step,
    Successor,
    Version,
    decode_line,
    encode_line,
)
from testbed.core.errors import InvalidData, StoreError

HASH = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(0, 2**64 - 1)
HEADS = st.builds(
    Head,
    NUMBER,
    HASH,
    st.none() | st.text(max_size=20),
    st.lists(st.text(max_size=8)).map(tuple),
    st.text(),
    st.text(),
    st.just(1) | NUMBER,
)
ANCHORINGS = st.builds(Anchoring, st.text(max_size=20), NUMBER, HASH, NUMBER, NUMBER, HASH, st.binary(max_size=40))
INTENTS = st.builds(Intent, NUMBER, NUMBER, HASH, st.none() | NUMBER, st.binary(max_size=40), st.none() | ANCHORINGS)
MINED = st.builds(
    Mined,
    NUMBER,
    NUMBER,
    HASH,
    st.binary(max_size=40),
    NUMBER,
    NUMBER,
    HASH,
    st.none() | st.binary(max_size=40),
    st.binary(max_size=40),
)
NOTES = st.one_of(
    st.builds(Version, NUMBER, st.binary(max_size=40)),
    st.builds(Dropped, NUMBER),
    st.builds(Settled, NUMBER),
    st.builds(Reorganised, NUMBER, NUMBER, st.none() | HASH),
    st.builds(Successor, st.text(max_size=44)),
)
LINES: st.SearchStrategy[Line] = st.one_of(HEADS, INTENTS, MINED, NOTES)


@pytest.fixture
def head(recorded: dict[str, Any]) -> Head:
    return Head(
        chain_id=recorded["chain_id"],
        genesis_hash=bytes.fromhex(recorded["genesis_hash"]),
        node_version="anvil/v1.7.1",
        arguments=("--hardfork=cancun",),
        submitter=recorded["submitter"],
        contract=recorded["contract"],
    )


@pytest.fixture
def steps(recorded: dict[str, Any]) -> list[tuple[Intent, Mined]]:
    """The committed chain as its journal would have it."""
    return [step(number, block, recorded["origin"]) for number, block in enumerate(recorded["blocks"])]


def step(number: int, block: dict[str, Any], origin: str) -> tuple[Intent, Mined]:
    raw = bytes.fromhex(block["transaction"])
    header = header_fields(bytes.fromhex(block["header"]))
    transaction = read_transaction(raw)
    anchored = None
    if transaction.to is not None:
        call = decode_anchor(transaction.data)
        anchored = Anchoring(origin, call.old_size, call.old_root, call.old_time, call.size, call.root, b"note")
    return (
        Intent(number, header.number, header.parent_hash, header.timestamp, raw, anchored),
        Mined(
            number=number,
            height=header.number,
            block_hash=header.hash,
            header=bytes.fromhex(block["header"]),
            timestamp=header.timestamp,
            gas_used=block["gas_used"],
            tx_hash=transaction.hash,
            slot_proof=None if anchored is None else bytes.fromhex(block["proof"]),
            receipt=bytes.fromhex(block["receipt"]),
        ),
    )


@pytest.fixture
def path(tmp_path: Path, head: Head, steps: list[tuple[Intent, Mined]]) -> Path:
    """A journal of three steps."""
    file = tmp_path / "anchor" / "journal.jsonl"
    with Journal.create(file, head) as journal:
        for intent, mined in steps[:3]:
            journal.intent(intent)
            journal.mined(mined)
    return file


@given(LINES)
def test_a_line_reads_back(line: Line) -> None:
    data = encode_line(line)
    assert data.count(b"\n") == 1
    assert decode_line(data) == line


@given(LINES, st.data())
def test_a_line_has_one_form(line: Line, data: st.DataObject) -> None:
    raw = encode_line(line)
    document = json.loads(raw)
    # The one key that a line may do without.
    key = data.draw(st.sampled_from(sorted(document.keys() - {"confirmations"})))
    less = {name: value for name, value in document.items() if name != key}
    for wrong in (less, {**document, "extra": 1}, {**document, key: 1.5}, {**document, key: True}):
        with pytest.raises(InvalidData):
            decode_line(json.dumps(wrong, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    for text in (raw[:-1], b" " + raw, raw + b"\n", json.dumps(document, sort_keys=True).encode() + b"\n"):
        with pytest.raises(InvalidData):
            decode_line(text)


def test_reader_and_writer_see_what_was_appended(path: Path, head: Head, steps: list[tuple[Intent, Mined]]) -> None:
    with Journal.open(path) as journal:
        assert journal.head == head
        journal.intent(steps[3][0])
        expected = [*(Step(*pair) for pair in steps[:3]), Step(steps[3][0], None)]
        assert list(journal.steps()) == expected
        assert read_journal(path) == Contents(head, tuple(expected))
        journal.mined(steps[3][1])
        assert read_journal(path).steps[3] == Step(*steps[3])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("open_step", [True, False])
def test_a_last_line_cut_at_any_byte_is_dropped(path: Path, steps: list[tuple[Intent, Mined]], open_step: bool) -> None:
    with Journal.open(path) as journal:
        if not open_step:
            journal.intent(steps[3][0])
        whole = path.read_bytes()
        before = list(journal.steps())
        if open_step:
            journal.intent(steps[3][0])
        else:
            journal.mined(steps[3][1])
    data = path.read_bytes()
    for size in range(len(whole), len(data)):
        path.write_bytes(data[:size])
        assert read_journal(path).steps == tuple(before)
        assert path.stat().st_size == size, "a reader never writes"
        if size % 97 and size not in (len(whole), len(whole) + 1, len(data) - 1):
            continue  # the writer reads as the reader does; what it adds, and syncs, is the cut
        with Journal.open(path) as journal:
            assert list(journal.steps()) == before
        assert path.read_bytes() == whole
    with Journal.open(path) as journal:
        if open_step:
            journal.intent(steps[3][0])
        else:
            journal.mined(steps[3][1])
    assert path.read_bytes() == data


def test_every_other_damage_names_its_line(path: Path) -> None:
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        text = lines[number - 1]
        for wrong in (b"", text[: len(text) // 2] + b"\n", text.replace(b":", b": ", 1), b"{}\n", bytes(9) + b"\n"):
            path.write_bytes(b"".join([*lines[: number - 1], wrong, *lines[number:]]))
            if wrong == b"" and number == len(lines):
                continue  # a journal whose last step is open
            for read in READERS:
                with pytest.raises(InvalidData, match=rf"journal\.jsonl, line {number}: "):
                    read(path)
    path.write_bytes(data)
    read_journal(path)


def test_a_flipped_bit_in_a_hash_is_damage(path: Path) -> None:
    data = path.read_bytes()
    for key in (b'"block_hash":"', b'"header":"', b'"transaction":"', b'"parent_hash":"', b'"tx_hash":"'):
        place = data.index(key, data.index(b'"number":1')) + len(key) + 20
        digit = b"%x" % (int(data[place : place + 1], 16) ^ 1)
        path.write_bytes(data[:place] + digit + data[place + 1 :])
        for read in READERS:
            with pytest.raises(InvalidData, match="line"):
                read(path)


READERS: tuple[Callable[[Path], object], ...] = (read_journal, Journal.open)


@pytest.mark.parametrize("content", [b"", b'{"type":"he', b"\n"])
def test_a_file_without_a_head_is_no_journal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for read in READERS:
        with pytest.raises(InvalidData, match="line 1"):
            read(path)


def test_there_is_one_writer(path: Path) -> None:
    with Journal.open(path):
        with pytest.raises(StoreError, match="another process"):
            Journal.open(path)
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            assert "another process" in pool.apply(try_to_open, (path,))
        read_journal(path)
    Journal.open(path).close()


def try_to_open(path: Path) -> str:
    try:
        Journal.open(path).close()
    except StoreError as error:
        return str(error)
    return "opened"


def test_a_journal_is_not_written_over(path: Path, head: Head) -> None:
    before = path.read_bytes()
    with pytest.raises(StoreError, match="already"):
        Journal.create(path, head)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_journal_is_said_with_its_mend(tmp_path: Path) -> None:
    for read in READERS:
        with pytest.raises(StoreError, match="mend"):
            read(tmp_path / "none")


def test_only_what_follows_is_taken(path: Path, steps: list[tuple[Intent, Mined]]) -> None:
    intent, mined = steps[3]
    assert intent.anchored is not None
    other = steps[2][1]
    wrong_intents = [
        replace(intent, number=4),
        replace(intent, number=2),
        replace(intent, height=3),
        replace(intent, parent_hash=bytes(32)),
        replace(intent, timestamp=-1),
        replace(intent, anchored=replace(intent.anchored, root=b"")),
    ]
    wrong_mined = [
        other,
        replace(mined, number=2),
        replace(mined, height=5),
        replace(mined, timestamp=mined.timestamp + 1),
        replace(mined, tx_hash=keccak(b"")),
        replace(mined, header=other.header),
        replace(mined, header=mined.header + b"\x00"),
        replace(mined, block_hash=other.block_hash),
    ]
    before = path.read_bytes()
    with Journal.open(path) as journal:
        for unfit in wrong_intents:
            with pytest.raises(StoreError):
                journal.intent(unfit)
        with pytest.raises(StoreError):
            journal.mined(mined)
        assert path.read_bytes() == before
        journal.intent(intent)
        with pytest.raises(StoreError, match="not mined yet"):
            journal.intent(replace(intent, number=4))
        before = path.read_bytes()
        for block in wrong_mined:
            with pytest.raises(StoreError):
                journal.mined(block)
        assert path.read_bytes() == before
        journal.mined(mined)
    with pytest.raises(StoreError, match="closed"):
        journal.intent(intent)
    assert len(read_journal(path).steps) == 4


def test_a_block_at_another_time_than_meant_is_not_taken(path: Path, steps: list[tuple[Intent, Mined]]) -> None:
    intent, mined = steps[3]
    with Journal.open(path) as journal:
        journal.intent(replace(intent, timestamp=mined.timestamp + 1))
        with pytest.raises(StoreError, match="timestamp"):
            journal.mined(mined)


def test_where_others_send_as_well_a_block_may_come_later(path: Path, steps: list[tuple[Intent, Mined]]) -> None:
    intent, mined = steps[2]
    first = b"".join(path.read_bytes().splitlines(keepends=True)[:3])
    path.write_bytes(first)
    meant = replace(intent, number=1, height=intent.height - 1, parent_hash=steps[0][1].block_hash, timestamp=None)
    with Journal.open(path) as journal:
        journal.intent(meant)
        journal.mined(replace(mined, number=1))
    assert read_journal(path).steps[1] == Step(meant, replace(mined, number=1))
    # Never before, and not where the block's time was meant.
    for wrong, words in (
        (replace(meant, height=intent.height + 1), "below"),
        (replace(meant, timestamp=mined.timestamp), "not the one that the intent names"),
    ):
        path.write_bytes(first)
        with Journal.open(path) as journal:
            journal.intent(wrong)
            with pytest.raises(StoreError, match=words):
                journal.mined(replace(mined, number=1))
