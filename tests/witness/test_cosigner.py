"""add-checkpoint as C2SP tlog-witness has it, and what must never happen: two roots for one size."""

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import VirtualClock
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.cosignature import WitnessKey, open_cosigned, parse_lines
from testbed.keys.ed25519 import SigningKey
from testbed.keys.log_keys import LogKeys
from testbed.keys.note import SignatureLine, add_lines, sign_note, split_note
from testbed.merkle.tree import EMPTY_ROOT, Tree
from testbed.witness.cosigner import Cosigner
from testbed.witness.memory import MOST_REFUSED, Memory
from testbed.witness.request import MOST_BYTES, AddCheckpoint, Answer, parse_request
from tests.witness.logs import LOG, ORIGIN, WITNESS, checkpoint, leaves, note, request

KEYS = LogKeys(LOG.verifier())
START_NS = 1_767_225_600 * 10**9
TREE = Tree(leaves(300))
OTHER = Tree([*leaves(100), *leaves(300, "b", 100)])
STRANGER = SigningKey.from_seed(ORIGIN, bytes([9]) * 32)


def witness(folder: Path, clock: VirtualClock | None = None) -> Cosigner:
    memory = Memory(folder, ORIGIN, durable=False)
    return Cosigner(WITNESS, {ORIGIN: KEYS}, {ORIGIN: memory}, clock or VirtualClock(START_NS))


def cosigned(answer: Answer, body: bytes) -> Checkpoint:
    """The checkpoint that an answer cosigns, as the log takes it in."""
    assert answer.status == 200
    asked = parse_request(body).note
    found = open_cosigned(add_lines(asked, parse_lines(answer.body)), [KEYS], [WitnessKey.of(WITNESS)], ORIGIN)
    assert [one.witness.name for one in found.cosignatures] == [WITNESS.name]
    return found.checkpoint


def test_a_log_that_grows_is_cosigned_step_by_step(tmp_path: Path) -> None:
    clock = VirtualClock(START_NS)
    one = witness(tmp_path, clock)
    old = 0
    for new in (1, 1, 2, 255, 256, 257, 300, 300):
        body = request(TREE, old, new)
        assert cosigned(one.add_checkpoint(body), body) == checkpoint(TREE, new)
        old = new
        clock.advance(10**9)
        # A witness that is started again knows what it cosigned.
        one = witness(tmp_path, clock)
        newest = one.newest(ORIGIN)
        assert newest is not None
        assert newest.checkpoint.size == new


def test_the_time_of_a_cosignature_never_goes_back(tmp_path: Path) -> None:
    times = []
    for new, at in ((10, 50), (20, 20), (30, 60)):
        one = witness(tmp_path, VirtualClock(START_NS + at * 10**9))
        assert one.add_checkpoint(request(TREE, new - 10, new)).status == 200
        newest = one.newest(ORIGIN)
        assert newest is not None
        times.append(newest.time - START_NS // 10**9)
    assert times == [50, 50, 60]


def altered(body: bytes, place: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


EMPTY = AddCheckpoint(0, (), sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), LOG))
REFUSED = {
    "not a request": (b"", 400),
    "a line that is no size": (request(TREE, 200, 300).replace(b"old 200", b"old 0200", 1), 400),
    "another word": (request(TREE, 200, 300).replace(b"old ", b"new ", 1), 400),
    "no empty line": (request(TREE, 200, 300).replace(b"\n\n", b"\n"), 400),
    "a hash too short": (b"old 200\nAAAA\n\n" + note(TREE, 300), 400),
    "64 hashes": (AddCheckpoint(200, (bytes(32),) * 64, note(TREE, 300)).encode(), 400),
    "a note without a checkpoint": (AddCheckpoint(200, (), sign_note("hello\n", LOG)).encode(), 400),
    "too long": (request(TREE, 200, 300) + b"x" * MOST_BYTES, 400),
    "an old size above the new one": (AddCheckpoint(201, (), note(TREE, 200)).encode(), 400),
    "another log": (AddCheckpoint(200, (), note(TREE, 300, WITNESS)).encode(), 404),
    "no signature by its key": (AddCheckpoint(200, (), note(TREE, 300, STRANGER)).encode(), 403),
    "a signature that fails": (request(TREE, 200, 300).replace(b"\n300\n", b"\n301\n"), 403),
    "a smaller size": (request(TREE, 100, 150), 409),
    "a size that was not cosigned": (request(TREE, 250, 300), 409),
    "nothing known": (request(TREE, 0, 300), 409),
    "a path with a bit flipped": (
        AddCheckpoint(200, (bytes(32), *TREE.consistency_path(200, 300)[1:]), note(TREE, 300)).encode(),
        422,
    ),
    "a path too short": (AddCheckpoint(200, (), note(TREE, 300)).encode(), 422),
    "a path too long": (
        AddCheckpoint(200, (*TREE.consistency_path(200, 300), bytes(32)), note(TREE, 300)).encode(),
        422,
    ),
    "another log of its key": (request(OTHER, 200, 300), 422),
    "another root for one size": (request(OTHER, 200, 200), 422),
    "a path between equal sizes": (AddCheckpoint(200, (bytes(32),), note(TREE, 200)).encode(), 422),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_refused_and_changes_nothing(tmp_path: Path, case: str) -> None:
    one = witness(tmp_path)
    one.add_checkpoint(request(TREE, 0, 200))
    before = one.newest(ORIGIN)
    body, status = REFUSED[case]
    answer = one.add_checkpoint(body)
    assert answer.status == status
    if status == 409:
        assert (answer.body, answer.content_type) == (b"200\n", "text/x.tlog.size")
    assert "\u2014".encode() not in answer.body
    assert one.newest(ORIGIN) == before
    follow_up = request(TREE, 200, 300)
    assert cosigned(one.add_checkpoint(follow_up), follow_up).size == 300


def test_a_log_that_was_never_cosigned(tmp_path: Path) -> None:
    one = witness(tmp_path)
    asked = one.add_checkpoint(request(TREE, 7, 20))
    assert (asked.status, asked.body) == (409, b"0\n")
    assert one.add_checkpoint(AddCheckpoint(0, (bytes(32),), note(TREE, 20)).encode()).status == 422
    wrong = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG)
    assert one.add_checkpoint(AddCheckpoint(0, (), wrong).encode()).status == 422
    assert one.newest(ORIGIN) is None
    assert one.add_checkpoint(EMPTY.encode()).status == 200
    assert one.add_checkpoint(request(TREE, 0, 20)).status == 200


def test_lines_of_others_are_neither_judged_nor_kept(tmp_path: Path) -> None:
    one = witness(tmp_path)
    own_forged = SignatureLine(WITNESS.name, WitnessKey.of(WITNESS).key_id, bytes(72))
    several = add_lines(note(TREE, 20), [SignatureLine("example.org/x", bytes(4), bytes(2428)), own_forged])
    assert one.add_checkpoint(AddCheckpoint(0, (), several).encode()).status == 200
    newest = one.newest(ORIGIN)
    assert newest is not None
    assert [line.name for line in split_note(newest.note)[1]] == [ORIGIN, WITNESS.name]


def test_extension_lines_are_kept_and_cosigned(tmp_path: Path) -> None:
    one = witness(tmp_path)
    extended = sign_note(split_note(note(TREE, 20))[0] + "more\n", LOG)
    body = AddCheckpoint(0, (), extended).encode()
    assert cosigned(one.add_checkpoint(body), body).size == 20


def test_what_was_refused_is_kept_within_bounds(tmp_path: Path) -> None:
    one = witness(tmp_path)
    one.add_checkpoint(request(TREE, 0, 200))
    for _ in range(2):
        assert one.add_checkpoint(request(OTHER, 200, 300)).status == 422
    memory = Memory(tmp_path, ORIGIN)
    assert memory.read("refused/0.theirs") == note(OTHER, 300)
    newest = one.newest(ORIGIN)
    assert newest is not None
    assert memory.read("refused/0.ours") == newest.note
    assert memory.read("refused/1.theirs") is None
    for size in range(201, 230):
        assert one.add_checkpoint(request(OTHER, 200, size)).status == 422
    assert len(list(memory.folder.glob("refused/*.theirs"))) == MOST_REFUSED


@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: altered(data, 20), lambda _: note(TREE, 100)])
def test_a_witness_whose_file_was_changed_does_not_go_on(tmp_path: Path, spoil: "object") -> None:
    witness(tmp_path).add_checkpoint(request(TREE, 0, 200))
    file = Memory(tmp_path, ORIGIN).folder / "checkpoint"
    assert callable(spoil)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(StoreError, match="not what this witness left"):
        witness(tmp_path)


def test_where_nothing_can_be_written_nothing_is_cosigned(tmp_path: Path) -> None:
    one = witness(tmp_path)
    one.add_checkpoint(request(TREE, 0, 200))
    folder = Memory(tmp_path, ORIGIN).folder
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.touch()
    with pytest.raises(StoreError):
        one.add_checkpoint(request(TREE, 200, 300))
    folder.unlink()
    aside.rename(folder)
    again = request(OTHER, 200, 300)
    assert one.add_checkpoint(again).status in (409, 422)


def test_of_two_requests_at_once_one_is_told_to_look_again(tmp_path: Path) -> None:
    """Both are right by themselves, and of two trees: the witness must not sign both."""
    for size in range(101, 120):
        one = witness(tmp_path / str(size))
        assert one.add_checkpoint(request(TREE, 0, 100)).status == 200
        barrier = threading.Barrier(2)
        answers: list[int] = []

        def ask(
            body: bytes, one: Cosigner = one, barrier: threading.Barrier = barrier, to: list[int] = answers
        ) -> None:
            barrier.wait()
            to.append(one.add_checkpoint(body).status)

        threads = [threading.Thread(target=ask, args=(request(tree, 100, size),)) for tree in (TREE, OTHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200, 409]


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_a_bad_request(tmp_path: Path, data: bytes) -> None:
    one = witness(tmp_path)
    for body in (data, b"old 0\n" + data, b"old 0\n\n" + data):
        assert one.add_checkpoint(body).status in (400, 404)
        try:
            assert parse_request(body).encode() == body
        except InvalidData:
            continue


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=50))
def test_requests_round_trip(old: int, path: list[bytes], rest: bytes) -> None:
    asked = AddCheckpoint(old, tuple(path), rest)
    assert parse_request(asked.encode()) == asked


class OneWitness(RuleBasedStateMachine):
    """A witness that is started again now and then, against a model: the size and tree that it is held to."""

    trees = (TREE, OTHER, Tree(leaves(300, "c")))

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = VirtualClock(START_NS)
        self.witness = witness(Path(self.folder.name), self.clock)
        self.held = (0, EMPTY_ROOT)
        self.seen: dict[int, bytes] = {}

    @rule(tree=st.sampled_from(trees), old=st.integers(0, 300) | st.none(), new=st.integers(0, 300))
    def ask(self, tree: Tree, old: int | None, new: int) -> None:
        size, root = self.held
        old = size if old is None else old
        path = tuple(tree.consistency_path(old, new)) if old <= new else ()
        answer = self.witness.add_checkpoint(AddCheckpoint(old, path, note(tree, new)).encode())
        if old > new:
            expected = 400
        elif old != size:
            expected = 409
        else:
            expected = 200 if tree.root(old) == root else 422
        assert answer.status == expected
        if expected == 200:
            self.held = (new, tree.root(new))
            assert self.seen.setdefault(new, tree.root(new)) == tree.root(new)

    @rule()
    def start_again(self) -> None:
        self.witness = witness(Path(self.folder.name), self.clock)

    @invariant()
    def it_is_held_to_what_it_cosigned(self) -> None:
        newest = self.witness.newest(ORIGIN)
        found = (0, EMPTY_ROOT) if newest is None else (newest.checkpoint.size, newest.checkpoint.root)
        assert found == self.held

    def teardown(self) -> None:
        self.folder.cleanup()


TestOneWitness = OneWitness.TestCase
TestOneWitness.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
