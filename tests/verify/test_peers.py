"""Checkpoints that one log keeps of another: on that log's tree, off it, beyond its end, or signed by nobody."""

from testbed.core.bodies import Body, Genesis, Peer
from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Finding, Layer, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.verify.log import CheckedLog
from testbed.verify.peers import KeptCheckpoints
from testbed.verify.trust import LogRole, TrustedLog
from tests.verify.readings import GATEWAY, checked

SOURCE = SigningKey.from_seed("bench/operator", b"o" * 32)
LEAVES = [leaf_hash(bytes([number])) for number in range(9)]


def note(size: int, root: bytes | None = None, key: SigningKey = SOURCE) -> bytes:
    return sign_checkpoint(Checkpoint(SOURCE.name, size, root or Tree(LEAVES[:size]).root()), key)


def source(unknown: int | None = None) -> CheckedLog:
    log = CheckedLog(TrustedLog(SOURCE.name, LogRole.OPERATOR, SOURCE.verifier(), bytes(32)), len(LEAVES))
    log.leaves = [None if place == unknown else leaf for place, leaf in enumerate(LEAVES)]
    return log


def kept(log: CheckedLog, *notes: bytes) -> tuple[list[int | None], list[Finding], KeptCheckpoints]:
    bodies: list[Body] = [Genesis(GATEWAY.name, bytes(32), "test", True), *(Peer(SOURCE.name, one) for one in notes)]
    keeps = KeptCheckpoints(checked(GATEWAY, bodies), log, Layer.GATEWAY)
    taken = [keeps.take(index, body) for index, body in enumerate(bodies) if isinstance(body, Peer)]
    found = [finding for _, findings in taken for finding in findings] + keeps.forked() + keeps.rolled_back()
    return [size for size, _ in taken], found, keeps


def test_every_checkpoint_of_the_source_is_kept_as_it_is() -> None:
    sizes, found, keeps = kept(source(), *(note(size) for size in range(1, 10)))
    assert (sizes, found) == (list(range(1, 10)), [])
    assert not keeps.beyond_end(8)
    assert not keeps.forked_above(0)


def test_one_bit_of_a_root_shows_a_fork_at_its_size() -> None:
    for size in range(1, 10):
        root = bytearray(Tree(LEAVES[:size]).root())
        root[size] ^= 1
        _, found, keeps = kept(source(), note(size - 1 or 1), note(size, bytes(root)))
        assert [(one.what, one.layer, one.origin) for one in found] == [(What.FORKED, Layer.LOG, SOURCE.name)]
        assert found[0].where == f"checkpoint of {SOURCE.name}, size {size}"
        assert f"see record 2 of {GATEWAY.name}" in found[0].detail
        assert keeps.forked_above(size - 1)
        assert not keeps.forked_above(size)


def test_below_a_checkpoint_on_its_tree_the_source_is_not_forked() -> None:
    _, _, keeps = kept(source(), note(4), note(7, bytes(32)))
    assert [index for index in range(20) if keeps.forked_above(index)] == [4, 5, 6]


def test_a_fork_that_the_source_shows_itself_is_one_finding_there() -> None:
    log = source()
    log.findings.append(Finding(What.FORKED, Layer.LOG, "there", "so"))
    false = note(5, bytes(32))
    # Its own store has that checkpoint as well: only then the tree is asked.
    log.notes[false] = Checkpoint(SOURCE.name, 5, bytes(32))
    _, found, keeps = kept(log, false)
    assert found == []
    assert keeps.forked_above(4)


def test_a_checkpoint_beyond_the_end_shows_what_was_cut_off() -> None:
    _, found, keeps = kept(source(), note(9), note(12, bytes(32)))
    assert [(one.what, one.index, one.origin) for one in found] == [(What.ROLLED_BACK, 9, SOURCE.name)]
    assert "its key signed size 12" in found[0].detail
    assert [index for index in range(20) if keeps.beyond_end(index)] == [9, 10, 11]


def test_another_key_signs_for_nobody() -> None:
    sizes, found, keeps = kept(source(), note(3, key=SigningKey.from_seed(SOURCE.name, b"x" * 32)))
    assert sizes == [None]
    assert [(one.what, one.layer, one.origin, one.index) for one in found] == [
        (What.INVENTED, Layer.GATEWAY, GATEWAY.name, 1)
    ]
    assert not keeps.forked_above(0)


def test_behind_a_leaf_that_is_not_to_be_had_no_root_is_known() -> None:
    assert kept(source(unknown=5), note(5), note(6, bytes(32)), note(9, bytes(32)))[1] == []
    assert [one.what for one in kept(source(unknown=5), note(5, bytes(32)))[1]] == [What.FORKED]
