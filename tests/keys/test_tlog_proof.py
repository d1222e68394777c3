"""Proofs as C2SP tlog-proof has them: what is read is what was written, and what is not exactly so is refused."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.keys.checkpoint import open_checkpoint, sign_checkpoint
from testbed.keys.cosignature import WitnessKey, cosign, open_cosigned
from testbed.keys.ed25519 import SigningKey
from testbed.keys.note import add_lines
from testbed.keys.tlog_proof import TlogProof, encode_tlog_proof, parse_tlog_proof
from testbed.merkle.proofs import verify_inclusion
from testbed.merkle.tree import Tree, leaf_hash

LOG = SigningKey.from_seed("example.org/log", bytes([1]) * 32)
WITNESS = SigningKey.from_seed("example.org/witness", bytes([2]) * 32)
TREE = Tree(leaf_hash(bytes([number])) for number in range(11))
TEXT = f"{LOG.name}\n11\n{base64.b64encode(TREE.root()).decode()}\n"
NOTE = add_lines(sign_checkpoint(Checkpoint(LOG.name, 11, TREE.root()), LOG), [cosign(TEXT, WITNESS, 1_767_225_600)])
PROOF = TlogProof(6, tuple(TREE.inclusion_path(6)), NOTE)
DATA = encode_tlog_proof(PROOF)

hashes = st.binary(min_size=32, max_size=32)
proofs = st.builds(
    TlogProof,
    st.integers(0, 2**63 - 1),
    st.lists(hashes, max_size=64).map(tuple),
    st.builds(Checkpoint, st.just(LOG.name), st.integers(0, 2**63 - 1), hashes).map(
        lambda one: sign_checkpoint(one, LOG)
    ),
    st.none() | st.binary(min_size=1, max_size=80),
)


def accepted(data: bytes) -> bool:
    """Whether a stranger who trusts log and witness takes this as a proof of the record 06."""
    proof = parse_tlog_proof(data)
    found = open_cosigned(proof.checkpoint, [LOG.verifier()], [WitnessKey.of(WITNESS)], LOG.name)
    size, root = found.checkpoint.size, found.checkpoint.root
    verify_inclusion(leaf_hash(b"\x06"), proof.index, size, proof.path, root)
    return len(found.cosignatures) == 1


def test_a_proof_reads_as_the_specification_writes_it() -> None:
    lines = DATA.decode().split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 6"]
    assert [base64.b64decode(line) for line in lines[2:6]] == TREE.inclusion_path(6)
    assert lines[6] == ""
    assert "\n".join(lines[7:]).encode() == NOTE
    assert accepted(DATA)


def test_the_only_record_of_a_log_has_an_empty_path() -> None:
    leaf = leaf_hash(b"alone")
    note = sign_checkpoint(Checkpoint(LOG.name, 1, leaf), LOG)
    data = encode_tlog_proof(TlogProof(0, (), note))
    assert data == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note
    verify_inclusion(leaf, 0, 1, parse_tlog_proof(data).path, open_checkpoint(note, LOG.verifier(), LOG.name).root)


@given(proofs)
def test_what_is_written_is_read(proof: TlogProof) -> None:
    assert parse_tlog_proof(encode_tlog_proof(proof)) == proof


@given(proofs, st.data())
def test_whatever_is_read_is_the_one_way_to_write_it(proof: TlogProof, data: st.DataObject) -> None:
    text = bytearray(encode_tlog_proof(proof))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        found = parse_tlog_proof(bytes(text))
    except InvalidData:
        return
    assert encode_tlog_proof(found) == bytes(text)


@given(st.binary(max_size=200))
def test_junk_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        parse_tlog_proof(data)


def test_every_flipped_bit_is_refused() -> None:
    for place in range(len(DATA)):
        for bit in range(8):
            flipped = bytearray(DATA)
            flipped[place] ^= 1 << bit
            try:
                took = accepted(bytes(flipped))
            except InvalidData:
                continue
            # A line by a key that nobody trusts is ignored, so a flip in the witness' name only loses its word.
            assert not took, (place, bit)


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r"index 6", "index 06"),
        (r"index 6", "index +6"),
        (r"index 6", "index 6 "),
        (r"index 6", "Index 6"),
        (r"index 6", "index 9223372036854775808"),
        (r"index 6\n", ""),
        (r"index 6", "extra \nindex 6"),
        (r"index 6", "index 6\nextra AAAA"),
        (r"@v1", "@v2"),
        (r"\A", "\n"),
        (r"\n\n", "\n"),
        (r"\n\n", "\n\n\n"),
        (r"\n\n", "\r\n\r\n"),
        (r"\n\n", "\nAAAA\n\n"),
        (r"\Z", "\n"),
        (r"\n\Z", ""),
    ],
)
def test_another_way_to_write_it_is_refused(pattern: str, other: str) -> None:
    text = DATA.decode()
    changed = re.sub(pattern, other, text, count=1)
    assert changed != text
    with pytest.raises(InvalidData):
        parse_tlog_proof(changed.encode())


@pytest.mark.parametrize(
    "proof",
    [
        TlogProof(-1, (), NOTE),
        TlogProof(2**63, (), NOTE),
        TlogProof(0, (b"short",), NOTE),
        TlogProof(0, (bytes(32),) * 65, NOTE),
        TlogProof(0, (), b"no note"),
        TlogProof(0, (), NOTE, b""),
    ],
)
def test_what_no_proof_can_say_is_not_written(proof: TlogProof) -> None:
    with pytest.raises(InvalidData):
        encode_tlog_proof(proof)
