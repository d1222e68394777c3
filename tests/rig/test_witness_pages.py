"""A witness on a real socket: every status of C2SP tlog-witness, and what it shows of what it keeps."""

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.core.clock import VirtualClock
from testbed.keys.cosignature import WitnessKey, open_cosigned, parse_lines
from testbed.keys.log_keys import LogKeys
from testbed.keys.note import add_lines
from testbed.merkle.tiles import tile_hashes, tile_widths
from testbed.merkle.tree import Tree
from testbed.rig.log_sources import HttpSource
from testbed.rig.pages_server import PagesServer
from testbed.rig.witness_pages import WitnessPages
from testbed.witness.cosigner import Cosigner
from testbed.witness.follower import Follower
from testbed.witness.memory import Memory, origin_hash
from testbed.witness.mirror import Mirror
from testbed.witness.request import MOST_BYTES
from tests.witness.logs import LOG, ORIGIN, WITNESS, Served, leaves, note, request

KEYS = LogKeys(LOG.verifier())
START_NS = 1_767_225_600 * 10**9
TREE, OTHER = Tree(leaves(300)), Tree(leaves(300, "b"))
HASH = origin_hash(ORIGIN)


class Serving:
    """A witness and its server."""

    def __init__(self, folder: Path) -> None:
        self.memory = Memory(folder, ORIGIN, durable=False)
        self.cosigner = Cosigner(WITNESS, {ORIGIN: KEYS}, {ORIGIN: self.memory}, VirtualClock(START_NS))
        self.mirror = Mirror(self.memory, KEYS)
        pages = WitnessPages(self.cosigner, {ORIGIN: self.mirror}, {ORIGIN: self.memory})
        self.server = PagesServer("127.0.0.1", 0, pages, patience_s=1.0)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type") or "", response.read()
        finally:
            connection.close()

    def post(self, body: bytes) -> tuple[int, str, bytes]:
        return self.ask("POST", "/add-checkpoint", body)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    found = Serving(tmp_path)
    with found.server:
        yield found


def test_every_status_of_add_checkpoint(serving: Serving) -> None:
    assert serving.post(b"hello")[0] == 400
    assert serving.post(request(TREE, 0, 100).replace(ORIGIN.encode(), b"example.org/other"))[0] == 404
    assert serving.post(request(TREE, 0, 100).replace(b"\n100\n", b"\n101\n"))[0] == 403
    assert serving.post(request(TREE, 50, 100)) == (409, "text/x.tlog.size", b"0\n")
    status, kind, lines = serving.post(request(TREE, 0, 100))
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    cosigned = add_lines(note(TREE, 100), parse_lines(lines))
    assert open_cosigned(cosigned, [KEYS], [WitnessKey.of(WITNESS)], ORIGIN).witnesses == {WitnessKey.of(WITNESS)}
    assert serving.post(request(TREE, 0, 100)) == (409, "text/x.tlog.size", b"100\n")
    assert serving.post(request(OTHER, 100, 200))[0] == 422
    assert serving.post(request(TREE, 100, 200))[0] == 200


def test_what_is_no_request_at_all(serving: Serving) -> None:
    assert serving.ask("GET", "/add-checkpoint")[0] == 405
    assert serving.ask("PUT", "/add-checkpoint", b"x")[0] == 405
    assert serving.ask("POST", f"/{HASH}/checkpoint", b"x")[0] == 405
    for length, status in (("", 411), ("-1", 411), ("ten", 411), (str(MOST_BYTES + 1), 413), ("9" * 30, 413)):
        assert serving.ask("POST", "/add-checkpoint", headers={"Content-Length": length})[0] == status, length
    chunked = {"Transfer-Encoding": "chunked"}
    assert serving.ask("POST", "/add-checkpoint", b"5\r\nhello\r\n0\r\n\r\n", chunked)[0] == 411
    assert serving.post(request(TREE, 0, 100))[0] == 200


def test_of_two_requests_at_once_one_is_cosigned(serving: Serving) -> None:
    assert serving.post(request(TREE, 0, 1))[0] == 200
    forked = Tree([*leaves(1), *leaves(300, "b", 1)])
    for size in range(2, 8):
        newest = serving.cosigner.newest(ORIGIN)
        assert newest is not None
        old = newest.checkpoint.size
        barrier = threading.Barrier(2)

        def ask(tree: Tree, old: int = old, size: int = size, barrier: threading.Barrier = barrier) -> int:
            barrier.wait()
            return serving.post(request(tree, old, size))[0]

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, (TREE, forked)))
        assert sorted(answers) in ([200, 409], [200, 422])
        held = TREE if answers[0] == 200 else forked
        newest = serving.cosigner.newest(ORIGIN)
        assert newest is not None
        assert newest.checkpoint.root == held.root(size)


def test_what_it_keeps_is_shown_as_static_files(serving: Serving) -> None:
    assert serving.ask("GET", f"/{HASH}/checkpoint")[0] == 404
    source = Served(leaves(300))
    follower = Follower(ORIGIN, serving.cosigner, serving.mirror, source)
    follower.step()
    newest = serving.cosigner.newest(ORIGIN)
    assert newest is not None
    assert serving.ask("GET", f"/{HASH}/checkpoint")[2] == newest.note
    reader = HttpSource(f"http://127.0.0.1:{serving.server.server_port}/{HASH}")
    for tile in tile_widths(300):
        assert reader.read(tile.path, 8192) == tile_hashes(TREE, tile)
    for name in ("tile/entries/000", "tile/0/001.p/45", "leaves", "mirrored", "key", "../key", "refused/0.theirs"):
        assert serving.ask("GET", f"/{HASH}/{name}")[0] == 404, name
    source.become(leaves(300, "b"))
    assert follower.step().refused
    assert serving.ask("GET", f"/{HASH}/refused/0.theirs")[2] == note(OTHER)
    assert serving.ask("GET", f"/{HASH}/refused/0.ours")[2] == newest.note
    reader.close()


def test_a_disk_that_refuses_is_a_server_error(serving: Serving) -> None:
    serving.memory.folder.parent.mkdir(parents=True, exist_ok=True)
    serving.memory.folder.touch()
    status, _, said = serving.post(request(TREE, 0, 100))
    assert status == 500
    assert said.startswith(b"nothing was cosigned")
    serving.memory.folder.unlink()
    assert serving.post(request(TREE, 0, 100))[0] == 200
