"""Published logs over HTTP, on real sockets: what any client of C2SP tlog-tiles may ask for, and what nobody gets."""

import gzip
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.core.checkpoint import Checkpoint
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import decode_bundle, encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.rig.log_files import LogFiles
from testbed.rig.log_folder import LogFolder
from testbed.rig.log_sources import FolderSource, HttpSource
from testbed.rig.pages_server import PagesServer
from testbed.tlog.publisher import Publisher
from testbed.witness.follower import Unread

ORIGIN = "water-cell/gateway"
KEY = SigningKey.from_seed(ORIGIN, bytes([1]) * 32)
ENTRIES = [f"entry {number}".encode() for number in range(1000)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]
TREE = Tree(HASHES)


class Writer:
    """A log's writer, which publishes at the sizes that it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._publisher = Publisher(folder)
        self._size = 0

    def publish(self, size: int) -> bytes:
        for number in range(self._size, size):
            self._publisher.add(ENTRIES[number], HASHES[number])
        self._size = size
        note = sign_checkpoint(Checkpoint(ORIGIN, size, TREE.root(size)), KEY)
        self._publisher.publish(note)
        return note


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    (tmp_path / "secret").write_text("not for you")
    return Writer(tmp_path / "tlog")


@pytest.fixture
def server(writer: Writer) -> Iterator[PagesServer]:
    with PagesServer("127.0.0.1", 0, LogFiles({ORIGIN: LogFolder(writer.folder)}), longest_s=1.5) as running:
        yield running


Response = tuple[int, dict[str, str], bytes]


def ask(server: PagesServer, path: str, method: str = "GET", **headers: str) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_log_is_served_to_the_byte(server: PagesServer, writer: Writer) -> None:
    note = writer.publish(600)
    status, headers, body = ask(server, f"/{ORIGIN}/checkpoint")
    assert (status, body) == (200, note)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "max-age=1"
    for tile in tile_widths(600):
        status, headers, body = ask(server, f"/{ORIGIN}/{tile.path}")
        assert (status, body) == (200, tile_hashes(TREE, tile))
        assert headers["content-type"] == "application/octet-stream"
        assert "immutable" in headers["cache-control"]
    for bundle in entry_bundles(600):
        status, headers, body = ask(server, f"/{ORIGIN}/{bundle.path}")
        assert status == 200
        assert decode_bundle(body, bundle.width) == ENTRIES[bundle.n * 256 : bundle.n * 256 + bundle.width]
    assert ask(server, "/")[2] == f"{ORIGIN}/\n".encode()


def test_what_an_older_checkpoint_needs_is_still_there(server: PagesServer, writer: Writer) -> None:
    sizes = (1, 100, 255, 256, 300, 511, 700)
    for size in sizes:
        writer.publish(size)
    assert not (writer.folder / "tile/0/000.p/100").exists()
    for size in sizes:
        for tile in tile_widths(size):
            status, _, body = ask(server, f"/{ORIGIN}/{tile.path}")
            assert (status, body) == (200, tile_hashes(TREE, tile)), tile
        for bundle in entry_bundles(size):
            status, _, body = ask(server, f"/{ORIGIN}/{bundle.path}")
            assert (status, body) == (200, encode_bundle(ENTRIES[bundle.n * 256 : bundle.n * 256 + bundle.width]))


def test_what_is_not_there_yet_is_not_there(server: PagesServer, writer: Writer) -> None:
    assert ask(server, f"/{ORIGIN}/checkpoint")[0] == 404
    writer.publish(300)
    for name in ("tile/0/001", "tile/0/001.p/45", "tile/0/002.p/1", "tile/1/000", "tile/1/000.p/2", "tile/2/000.p/1"):
        assert ask(server, f"/{ORIGIN}/{name}")[0] == 404, name
    for name in ("tile/entries/001.p/45", "tile/entries/002"):
        assert ask(server, f"/{ORIGIN}/{name}")[0] == 404, name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/checkpoint/",
        "/checkpoint/..",
        "/../secret",
        "/tile/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/tile/0/000.p/..",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/64/000",
        "/tile/0/x000/000",
        "/tile/0/1234",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/000.p/044",
        "/tile/0/000.p",
        "/tile",
        "/tile/",
        "/tile/0/000%00",
        "/tile/0/%D9%A0%D9%A0%D9%A0",
        "/.checkpoint.1.tmp",
    ],
)
def test_no_other_path_leads_anywhere(server: PagesServer, writer: Writer, path: str) -> None:
    writer.publish(300)
    raw = path.encode("utf-8").decode("latin-1")
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as wire:
        wire.sendall(f"GET /{ORIGIN}{raw} HTTP/1.0\r\n\r\n".encode("latin-1"))
        said = b""
        while piece := wire.recv(4096):
            said += piece
    assert said.startswith(b"HTTP/1.0 404 "), said[:100]
    assert b"not for you" not in said
    for other in ("/secret", "/tlog/checkpoint", "/water-cell/checkpoint", "/checkpoint"):
        assert ask(server, other)[0] == 404


def test_head_has_no_body_and_other_methods_are_refused(server: PagesServer, writer: Writer) -> None:
    note = writer.publish(300)
    status, headers, body = ask(server, f"/{ORIGIN}/checkpoint", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(note)), b"")
    assert ask(server, f"/{ORIGIN}/nothing", "HEAD")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = ask(server, f"/{ORIGIN}/checkpoint", method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_bundles_are_compressed_for_those_who_take_it(server: PagesServer, writer: Writer) -> None:
    writer.publish(300)
    path = f"/{ORIGIN}/tile/entries/000"
    plain = ask(server, path)
    for accepted in ("gzip", "br, gzip;q=0.5", "identity, GZIP"):
        status, headers, body = ask(server, path, Accept_Encoding=accepted)
        assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
        assert gzip.decompress(body) == plain[2]
        assert len(body) < len(plain[2])
    for refused in ("identity", "gzip;q=0", "gzip;q=0.000", "gzipped"):
        status, headers, body = ask(server, path, Accept_Encoding=refused)
        assert "content-encoding" not in headers
        assert body == plain[2]
    # Hashes do not get shorter.
    assert "content-encoding" not in ask(server, f"/{ORIGIN}/tile/0/000", Accept_Encoding="gzip")[1]


def test_a_client_that_sends_drop_by_drop_is_left(server: PagesServer) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as wire:
        wire.settimeout(0.1)
        while not _is_over(wire):
            assert time.monotonic() - begun < 8
    assert time.monotonic() - begun > 1
    assert ask(server, "/")[0] == 200


def _is_over(wire: socket.socket) -> bool:
    """Send another letter; whether the other side has hung up."""
    try:
        wire.sendall(b"G")
        return wire.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_witness_reads_a_server_and_a_folder_alike(server: PagesServer, writer: Writer) -> None:
    note = writer.publish(700)
    sources = (HttpSource(f"http://127.0.0.1:{server.server_port}/{ORIGIN}/"), FolderSource(writer.folder))
    for source in sources:
        assert source.read("checkpoint", 1000) == note
        for size in (100, 700):
            for tile in tile_widths(size):
                assert source.read(tile.path, 8192) == tile_hashes(TREE, tile)
        assert source.read("tile/0/003", 8192) is None
        for name, most in (("checkpoint", 20), ("tile/0/000", 8191)):
            with pytest.raises(Unread, match=f"more than {most} bytes"):
                source.read(name, most)
    writer.publish(800)
    (http_source, _) = sources
    assert isinstance(http_source, HttpSource)
    assert http_source.read("tile/0/003.p/32", 8192) == b"".join(HASHES[768:800])
    http_source.close()


class Rude:
    """A server that answers as it is told, and then hangs up or not."""

    def __init__(self, answer: bytes, *, pause_s: float = 0.0, ends: bool = True) -> None:
        self._answer = answer
        self._pause_s = pause_s
        self._ends = ends
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/log"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Rude":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        self._listener.settimeout(10)
        wire, _ = self._listener.accept()
        with wire:
            wire.recv(4096)
            try:
                for at in range(0, len(self._answer), 1 if self._pause_s else 1 << 20):
                    wire.sendall(self._answer[at : at + (1 if self._pause_s else 1 << 20)])
                    if self._stopping.wait(self._pause_s):
                        return
                if not self._ends:
                    self._stopping.wait(10)
            except OSError:
                return


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "closed|reset"),
        (b"no http\r\n\r\n", "no http"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "500 Oh"),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "302 Found"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", "cut off"),
        (OK + b"\r\n" + b"x" * 70_000, "more than 1000 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", "Incomplete|cut off|chunk|reading"),
        (OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "header|line|65536"),
    ],
)
def test_a_server_that_does_not_answer_well_is_unread(answer: bytes, says: str) -> None:
    with Rude(answer) as rude, pytest.raises(Unread, match=says):
        HttpSource(rude.url, timeout_s=5).read("checkpoint", 1000)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", OK + b"Content-Length: 900\r\n\r\n"])
def test_a_server_that_sends_drop_by_drop_is_left(head: bytes) -> None:
    begun = time.monotonic()
    with Rude(head + b"y" * 900, pause_s=0.02) as rude, pytest.raises(Unread):
        HttpSource(rude.url, timeout_s=5, budget_s=0.5).read("checkpoint", 1000)
    assert time.monotonic() - begun < 5


def test_a_server_that_is_silent_or_not_there_is_unread() -> None:
    with Rude(b"", ends=False) as rude, pytest.raises(Unread, match="timed out"):
        HttpSource(rude.url, timeout_s=0.2).read("checkpoint", 1000)
    with pytest.raises(Unread, match="refused"):
        HttpSource(rude.url, timeout_s=0.2).read("checkpoint", 1000)
