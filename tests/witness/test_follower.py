"""A witness that fetches: what it cosigns, what it mirrors, and what it refuses and keeps."""

from pathlib import Path

import pytest

from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import VirtualClock
from testbed.core.errors import InvalidProof, StoreError
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.encoding import from_base64
from testbed.keys.log_keys import LogKeys, endorse, request_key_change
from testbed.merkle.proofs import verify_consistency
from testbed.merkle.tiles import TileId, tile_hashes, tile_widths
from testbed.merkle.tree import Tree
from testbed.witness.cosigner import Cosigner
from testbed.witness.follower import Followed, Follower
from testbed.witness.memory import Memory
from testbed.witness.mirror import Mirror
from tests.witness.logs import LOG, ORIGIN, WITNESS, Served, leaves, note, request

START_NS = 1_767_225_600 * 10**9


class Watching:
    """A witness of one log, with its files in a folder."""

    def __init__(self, folder: Path, source: Served, root: VerifierKey | None = None) -> None:
        self.folder = folder
        self.root = root
        self.source = source
        self.again()

    def again(self) -> None:
        """Start it (again)."""
        keys = LogKeys(LOG.verifier())
        self.memory = Memory(self.folder, ORIGIN, durable=False)
        self.cosigner = Cosigner(WITNESS, {ORIGIN: keys}, {ORIGIN: self.memory}, VirtualClock(START_NS), self.root)
        self.mirror = Mirror(self.memory, self.cosigner.keys(ORIGIN))
        self.follower = Follower(ORIGIN, self.cosigner, self.mirror, self.source)

    def step(self) -> Followed:
        return self.follower.step()

    @property
    def cosigned(self) -> int:
        newest = self.cosigner.newest(ORIGIN)
        return 0 if newest is None else newest.checkpoint.size

    def kept(self, name: str) -> bytes | None:
        return self.memory.read(f"refused/{name}")


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path, Served(leaves(1)))


def test_what_grows_is_mirrored_and_cosigned(watching: Watching) -> None:
    hashes = leaves(70_000)
    for size in (1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000):
        watching.source.become(hashes[:size])
        assert watching.step() == Followed()
        assert watching.cosigned == size
        assert watching.mirror.size == size
        if size in (257, 65_537):
            watching.again()
    assert list(watching.mirror.leaves(70_000)) == hashes
    tree = Tree(hashes)
    for tile in tile_widths(70_000):
        assert watching.mirror.tile(tile) == tile_hashes(tree, tile)
    for beyond in (TileId(0, 273, 113), TileId(1, 1, 18), TileId(2, 0, 2), TileId(3, 0, 1), TileId(None, 0)):
        assert watching.mirror.tile(beyond) is None


def test_only_what_is_new_is_fetched(watching: Watching) -> None:
    watching.source.become(leaves(600))
    watching.step()
    watching.source.asked.clear()
    watching.step()
    assert watching.source.asked == ["checkpoint"]
    watching.source.become(leaves(700))
    watching.step()
    assert watching.source.asked == ["checkpoint", "checkpoint", "tile/0/002.p/188"]


def test_a_partial_tile_that_was_filled_meanwhile(watching: Watching) -> None:
    watching.source.become(leaves(300))
    watching.source.show(100)
    watching.source.missing = {"tile/0/000.p/100"}
    assert watching.step() == Followed()
    assert watching.cosigned == 100


def test_what_cannot_be_read_is_tried_again(watching: Watching) -> None:
    watching.step()
    watching.source.become(leaves(600))
    watching.source.missing = {"tile/0/001"}
    assert watching.step() == Followed(unread="tile/0/001 is missing")
    assert watching.cosigned == 1
    watching.source.missing = {"checkpoint"}
    assert watching.step() == Followed(unread="there is no checkpoint")
    watching.source.missing = set()
    assert watching.step() == Followed()
    assert watching.cosigned == 600


def test_a_log_that_forked_is_refused_and_both_are_kept(watching: Watching) -> None:
    watching.source.become(leaves(600))
    watching.step()
    ours = watching.cosigner.newest(ORIGIN)
    assert ours is not None
    forked = leaves(700)
    forked[300] = leaves(301, "b")[300]
    watching.source.become(forked)
    for _ in range(3):
        said = watching.step()
        assert said.refused == (
            "it forked: it shows another log at size 700 than the one of size 600;"
            " its record 300 is the first that is another one"
        )
    assert watching.cosigned == 600
    assert watching.kept("0.theirs") == note(Tree(forked))
    assert watching.kept("0.ours") == ours.note
    assert watching.kept("1.theirs") is None
    # The path is the proof: it rebuilds the root that was signed, and another one at the older size.
    lines = (watching.kept("0.path") or b"").decode().splitlines()
    path, theirs = [from_base64(line) for line in lines], Tree(forked)
    verify_consistency(600, theirs.root(600), 700, theirs.root(), path)
    with pytest.raises(InvalidProof):
        verify_consistency(600, ours.checkpoint.root, 700, theirs.root(), path)
    # A log that comes back to what was cosigned is followed again.
    watching.source.become(leaves(800))
    assert watching.step() == Followed()
    assert watching.cosigned == 800


def test_a_fork_of_equal_size(watching: Watching) -> None:
    watching.source.become(leaves(600))
    watching.step()
    watching.source.become([*leaves(599), *leaves(600, "b", 599)])
    assert "its record 599 is the first" in watching.step().refused
    assert watching.kept("0.theirs") is not None


def test_a_log_that_went_back_is_refused(watching: Watching) -> None:
    watching.source.become(leaves(600))
    watching.step()
    watching.source.show(500)
    said = watching.step()
    assert said.refused == "it went back: it shows size 500, and size 600 was cosigned before"
    assert watching.kept("0.theirs") == note(Tree(leaves(500)))
    watching.source.become(leaves(500, "b"))
    assert "it forked" in watching.step().refused
    watching.source.become(leaves(600))
    assert watching.step() == Followed()


def test_tiles_that_are_not_what_was_signed_prove_no_fork(watching: Watching) -> None:
    watching.source.become(leaves(300))
    watching.step()
    good, bad = Served(leaves(600)), Served([*leaves(400), *leaves(600, "b", 400)])

    class Mixed(Served):
        def read(self, name: str, most: int) -> bytes | None:
            return (good if name == "checkpoint" else bad).read(name, most)

    watching.source = Mixed([])
    watching.again()
    assert watching.step() == Followed(refused="its tiles do not give the root that it shows")
    assert watching.cosigned == 300
    watching.source = good
    watching.again()
    assert watching.step() == Followed()


def test_a_checkpoint_that_nobody_signed_is_refused_and_not_kept(watching: Watching) -> None:
    watching.step()
    watching.source.key = WITNESS
    assert watching.step().refused.startswith("not a checkpoint that its log signed")
    assert watching.kept("0.theirs") is None


def test_a_log_that_claims_to_be_endless(watching: Watching) -> None:
    class Endless(Served):
        def read(self, name: str, most: int) -> bytes | None:
            assert (name, most >= 1000) == ("checkpoint", True)
            return sign_checkpoint(Checkpoint(ORIGIN, 2**62, bytes(32)), LOG)

    watching.source = Endless([])
    watching.again()
    assert "it grew by" in watching.step().unread


def test_what_add_checkpoint_cosigned_ahead_is_held_to(watching: Watching) -> None:
    tree = Tree(leaves(500))
    assert watching.cosigner.add_checkpoint(request(tree, 0, 400)).status == 200
    watching.source.become(leaves(500, "b"))
    assert "it forked" in watching.step().refused
    assert watching.cosigned == 400
    assert watching.mirror.size == 0
    path = [from_base64(line) for line in (watching.kept("0.path") or b"").decode().splitlines()]
    theirs = Tree(leaves(500, "b"))
    verify_consistency(400, theirs.root(400), 500, theirs.root(), path)
    watching.source.become(leaves(500))
    assert watching.step() == Followed()
    assert (watching.cosigned, watching.mirror.size) == (500, 500)


def test_a_mirror_ahead_of_what_was_cosigned_goes_on(watching: Watching) -> None:
    """As a kill leaves it, between the one file and the other."""
    watching.source.become(leaves(300))
    watching.step()
    watching.mirror.grow(leaves(400, "a", 300), note(Tree(leaves(400))))
    watching.again()
    watching.source.become(leaves(350))
    assert watching.step() == Followed()
    assert (watching.cosigned, watching.mirror.size) == (350, 400)
    watching.source.become([*leaves(390), *leaves(400, "b", 390)])
    assert "its record 390" in watching.step().refused


def test_hashes_that_were_being_written_do_not_count(watching: Watching) -> None:
    watching.source.become(leaves(300))
    watching.step()
    with watching.memory.leaves.open("ab") as file:
        file.write(b"x" * 77)
    watching.again()
    watching.source.become(leaves(400))
    assert watching.step() == Followed()
    assert watching.memory.leaves.read_bytes() == b"".join(leaves(400))


@pytest.mark.parametrize("keep", [0, 31, 200 * 32])
def test_a_mirror_that_was_changed_is_said(watching: Watching, keep: int) -> None:
    watching.source.become(leaves(300))
    watching.step()
    data = watching.memory.leaves.read_bytes()
    watching.memory.leaves.write_bytes(data[:keep])
    with pytest.raises(StoreError, match="not what this witness left"):
        watching.again()
    watching.memory.leaves.write_bytes(data[:keep] + b"\x00" + data[keep + 1 :])
    with pytest.raises(StoreError, match="not what this witness left"):
        watching.again()
    watching.memory.leaves.unlink()
    (watching.memory.folder / "mirrored").unlink()
    watching.again()
    assert watching.step() == Followed()
    assert watching.mirror.size == 300


def test_a_log_that_goes_on_under_another_key_is_followed(tmp_path: Path) -> None:
    """The change is published beside the log, and signed by the old key, the new one and the root key."""
    root, new = (SigningKey.from_seed(name, bytes([8]) * 32) for name in ("example.org/root", ORIGIN))
    source = Served(leaves(300))
    one = Watching(tmp_path, source, root.verifier())
    one.step()
    source.key = new
    source.become(leaves(400))
    assert one.step().refused.startswith("not a checkpoint that its log signed")
    stranger = SigningKey.from_seed("example.org/root", bytes([9]) * 32)
    for signer, refused in ((stranger, True), (root, False)):
        source.changes = [endorse(request_key_change(LOG, new, 350), signer)]
        one.follower = Follower(ORIGIN, one.cosigner, one.mirror, source)
        assert bool(one.step().refused) == refused
    assert one.cosigned == 400
    # It is known after a start as well, and the old key does not come back.
    one.again()
    assert one.cosigned == 400
    source.key = LOG
    source.become(leaves(500))
    assert one.step().refused
    source.key = new
    assert one.step() == Followed()
    assert one.cosigned == 500
