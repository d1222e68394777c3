"""Evidence files: one text for what they say, and idle damage shows wherever it falls."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.evidence_file import (
    Claim,
    EvidenceFile,
    Fork,
    ProvedAnchor,
    ProvedRecord,
    encode_evidence,
    parse_evidence,
)
from testbed.keys.log_keys import request_key_change
from testbed.keys.tlog_proof import TlogProof

KEYS = [SigningKey.from_seed(name, bytes([place]) * 32) for place, name in enumerate(("bench/one", "bench/two"))]

hashes = st.binary(min_size=32, max_size=32)
some = st.binary(min_size=1, max_size=40)
paths = st.lists(hashes, max_size=5).map(tuple)
notes = st.builds(
    lambda key, size, root: sign_checkpoint(Checkpoint(key.name, size, root), key),
    st.sampled_from(KEYS),
    st.integers(0, 2**63 - 1),
    hashes,
)
proofs = st.builds(TlogProof, st.integers(0, 50), paths, notes, st.none() | some)
opened = st.builds(ProvedRecord, some, some, some, proofs)
erased = st.builds(ProvedRecord, some, st.none(), st.none(), proofs)
anchors = st.builds(ProvedAnchor, notes, some, some, st.binary(max_size=20), paths, some, some, proofs)
comments = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30), max_size=4
).map(tuple)


changes = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 9)), max_size=3, unique=True).map(
    lambda found: tuple(
        request_key_change(key, SigningKey.from_seed(key.name, bytes([9]) * 32), first)
        for key, first in sorted(found, key=lambda one: (one[0].name, one[1]))
    )
)


def in_order(records: list[ProvedRecord]) -> tuple[ProvedRecord, ...]:
    found = {record.place: record for record in records}
    return tuple(found[place] for place in sorted(found))


files = st.builds(
    EvidenceFile,
    st.sampled_from([claim for claim in Claim if claim is not Claim.FORKED]),
    st.sampled_from([key.name for key in KEYS]),
    st.integers(0, 2**63 - 1),
    st.lists(opened | erased, max_size=4).map(in_order),
    st.none() | anchors,
    st.lists(some, max_size=3).map(tuple),
    st.none() | some,
    st.none() | some,
    st.none(),
    changes,
    comments,
)
forks = st.builds(
    lambda size, roots, path, commentary: EvidenceFile(
        Claim.FORKED,
        KEYS[0].name,
        None,
        fork=Fork(
            (
                sign_checkpoint(Checkpoint(KEYS[0].name, size, roots[0]), KEYS[0]),
                sign_checkpoint(Checkpoint(KEYS[0].name, size + 1, roots[1]), KEYS[0]),
            ),
            path,
        ),
        commentary=commentary,
    ),
    st.integers(0, 2**62),
    st.tuples(hashes, hashes),
    paths,
    comments,
)

NOTE = sign_checkpoint(Checkpoint(KEYS[0].name, 7, bytes(32)), KEYS[0])
PROOF = TlogProof(3, (bytes(32), b"\x01" * 32), NOTE)
RECORD = ProvedRecord(b"entry", b"salt", b"body", PROOF)
FILE = EvidenceFile(
    claim=Claim.RECORD,
    origin=KEYS[0].name,
    index=3,
    records=(RECORD,),
    anchor=ProvedAnchor(NOTE, b"header", b"slot", b"receipt", (bytes(32),), b"entry", b"salt", PROOF),
    blocks=(b"header",),
    tags=b"tags",
    parameters=b"parameters",
    key_changes=(request_key_change(KEYS[0], SigningKey.from_seed(KEYS[0].name, bytes([9]) * 32), 5),),
    commentary=("For a person:", "", "a \N{EM DASH} level of 1.2 m"),
)
DATA = encode_evidence(FILE)


def redigested(data: bytes) -> bytes:
    """The text with the digest that it should have."""
    lines = data.split(b"\n")[:-2]
    counted = [line for line in lines if not line.startswith(b"#")]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in counted)).hexdigest().encode()
    return b"\n".join([*lines, b"digest " + digest, b""])


@given(files | forks)
def test_what_is_written_is_read(file: EvidenceFile) -> None:
    assert parse_evidence(encode_evidence(file)) == file


@given(files | forks, st.data())
def test_whatever_is_read_is_the_one_way_to_write_it(file: EvidenceFile, data: st.DataObject) -> None:
    text = bytearray(encode_evidence(file))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    changed = redigested(bytes(text))
    try:
        found = parse_evidence(changed)
    except InvalidData:
        return
    assert encode_evidence(found) == changed


@given(st.binary(max_size=300))
def test_junk_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        parse_evidence(data)
    with pytest.raises(InvalidData):
        parse_evidence(redigested(DATA.split(b"\n")[0] + b"\n" + data))


def test_every_flipped_bit_is_refused_or_lies_in_the_commentary() -> None:
    comments = 0
    for place in range(len(DATA)):
        for bit in range(8):
            flipped = bytearray(DATA)
            flipped[place] ^= 1 << bit
            try:
                found = parse_evidence(bytes(flipped))
            except InvalidData:
                continue
            assert replace(found, commentary=FILE.commentary) == FILE
            comments += 1
    assert comments > 100


def test_every_flipped_bit_says_something_else_or_is_refused_even_under_a_new_digest() -> None:
    for place in range(len(DATA) - 80):
        flipped = bytearray(DATA)
        flipped[place] ^= 1 << place % 8
        try:
            assert parse_evidence(redigested(bytes(flipped))) != FILE
        except InvalidData:
            continue


def test_a_text_that_was_cut_off_or_goes_on_is_refused() -> None:
    for end in range(len(DATA)):
        with pytest.raises(InvalidData):
            parse_evidence(DATA[:end])
    for more in (b"\n", b" ", DATA, b"# more\n"):
        with pytest.raises(InvalidData):
            parse_evidence(DATA + more)
    with pytest.raises(InvalidData):
        parse_evidence(DATA.replace(b"\n", b"\r\n"))


def test_parts_in_another_order_twice_or_unknown_are_refused() -> None:
    text = DATA.decode()
    start, end = text.index("-----BEGIN BLOCKS"), text.index("-----BEGIN TAGS")
    blocks = text[start:end]
    for changed in (
        text[:start] + text[end:].replace("digest", blocks + "digest"),
        text[:start] + blocks + text[start:],
        text.replace("BLOCKS", "STONES"),
        text.replace("-----BEGIN BLOCKS-----\n", "-----BEGIN BLOCKS-----\nother AAAA\n"),
        text.replace("claim record", "claim nothing"),
        text.replace("claim record bench/one 3", "claim record bench/one 03"),
        text.replace("claim record bench/one 3", "claim record bench/one"),
        text.replace("claim record bench/one 3", "claim forked bench/one 3"),
        text.replace("salt c2FsdA==\n", ""),
    ):
        assert changed != text
        with pytest.raises(InvalidData):
            parse_evidence(redigested(changed.encode()))


@pytest.mark.parametrize(
    "file",
    [
        replace(FILE, index=None),
        replace(FILE, index=-1),
        replace(FILE, origin="two words"),
        replace(FILE, origin=""),
        replace(FILE, records=(RECORD, RECORD)),
        replace(FILE, key_changes=FILE.key_changes * 2),
        replace(FILE, key_changes=(NOTE,)),
        replace(FILE, records=(replace(RECORD, salt=None),)),
        replace(FILE, records=(replace(RECORD, body=None),)),
        replace(FILE, records=(replace(RECORD, entry=b""),)),
        replace(FILE, commentary=("two\nlines",)),
        replace(FILE, claim=Claim.FORKED),
        replace(FILE, fork=Fork((NOTE, NOTE), ())),
        EvidenceFile(Claim.FORKED, KEYS[0].name, None, fork=Fork((NOTE, NOTE), ())),
    ],
)
def test_what_no_file_can_say_is_not_written(file: EvidenceFile) -> None:
    with pytest.raises(InvalidData):
        encode_evidence(file)
