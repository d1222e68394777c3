"""Readers by other authors read logs that the bench wrote, and catch what was tampered with. `make judges` runs this.

Go's `golang.org/x/mod/sumdb` reads the published files from checkpoint to entries; pymerkle computes the same roots;
scitt-cose verifies receipts.
"""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from threading import Thread

import pytest

from testbed.cli.main import main
from testbed.core.checkpoint import Checkpoint
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.merkle.tree import leaf_hash
from testbed.record.cose import Included, encode_receipt, encode_statement
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from tests.debian import environment
from tests.debian.golang import build
from tests.judges.grown_log import KEY, SIZES, GrownLog, grow
from tests.judges.questions import Question, honest_and_false

pytestmark = pytest.mark.judges

Tamper = Callable[[Path], object]
VKEY = KEY.verifier().encode()
LOG_PORT = 8090
"""Of a bench's log server, without a shift."""
OTHER = SigningKey.from_seed(KEY.name, bytes(32))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> GrownLog:
    return grow(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def tlogread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tlogread"))


def run(program: Path, *arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
    command = (str(program), *map(str, arguments))
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("size", SIZES)
def test_go_reads_every_entry_under_the_checkpoint(tlogread: Path, log: GrownLog, size: int) -> None:
    done = run(tlogread, "read", log.published[size], VKEY)
    assert (done.stdout, done.stderr) == (f"{size} {log.tree.root(size).hex()}\n", "")


def test_go_proves_from_the_tiles_that_the_log_only_grew(tlogread: Path, log: GrownLog) -> None:
    for old, new in combinations(SIZES, 2):
        root = log.tree.root(old).hex()
        assert run(tlogread, "grown", log.published[new], VKEY, old, root).returncode == 0, (old, new)
        flipped = f"{int(root[0], 16) ^ 1:x}{root[1:]}"
        assert run(tlogread, "grown", log.published[new], VKEY, old, flipped).returncode == 1, (old, new)


def test_go_verifies_every_proof_and_refuses_every_tampered_one(tlogread: Path, log: GrownLog) -> None:
    honest, false = honest_and_false(log)
    lines = [as_line(question) for question in (*honest, *false)]
    done = run(tlogread, "proofs", given="\n".join(lines) + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.splitlines()
    assert answers == ["ok"] * len(honest) + ["refused"] * len(false)


def as_line(question: Question) -> str:
    """A question as the Go program takes it; it knows leaves by their hashes."""
    kind, *rest = question
    if kind == "inclusion":
        root, entry, index, size, path = rest
        leaf = leaf_hash(bytes.fromhex(str(entry)))
        words = ["record", size, root, index, leaf.hex(), *as_words(path)]
    else:
        old, old_root, new, root, path = rest
        words = ["tree", new, root, old, old_root, *as_words(path)]
    return " ".join(map(str, words))


def as_words(path: object) -> list[str]:
    assert isinstance(path, list)
    return path


def flip(name: str, place: int) -> Tamper:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[place] ^= 1
        (folder / name).write_bytes(data)

    return change


def exchange(one: str, other: str) -> Tamper:
    def change(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return change


def remove(name: str) -> Tamper:
    return lambda folder: (folder / name).unlink()


def cut(name: str, by: int) -> Tamper:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-by])


def lengthen(name: str, data: bytes) -> Tamper:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + data)


def sign(size: int, root: bytes, key: SigningKey) -> Tamper:
    note = sign_checkpoint(Checkpoint(KEY.name, size, root), key)
    return lambda folder: (folder / "checkpoint").write_bytes(note)


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "a hash in a full tile": (flip("tile/0/000", 32 * 100), "downloaded inconsistent tile"),
    "a hash in the last tile": (flip("tile/0/256.p/1", 5), "inconsistent"),
    "a hash above the leaves": (flip("tile/1/000", 32 * 7), "inconsistent"),
    "the highest tile": (flip("tile/2/000.p/1", 31), "inconsistent"),
    "two tiles exchanged": (exchange("tile/0/001", "tile/0/002"), "inconsistent"),
    "a tile that is gone": (remove("tile/0/017"), "no such file"),
    "a tile cut short": (cut("tile/0/017", 32), "not 256 hashes"),
    "a byte of an entry": (flip("tile/entries/003", 2 + 30), "is not in the tree"),
    "the length of an entry": (flip("tile/entries/003", 1), "tile/entries/003: "),
    "two bundles exchanged": (exchange("tile/entries/004", "tile/entries/005"), "is not in the tree"),
    "the last entry cut off": (cut("tile/entries/255", 5), "ends within entry"),
    "an entry more": (lengthen("tile/entries/255", b"\0\1x"), "bytes follow the last entry"),
    "the size in the checkpoint": (flip("checkpoint", len(KEY.name) + 1), "checkpoint: "),
    "the root in the checkpoint": (flip("checkpoint", len(KEY.name) + 15), "checkpoint: "),
    "the signature": (flip("checkpoint", -10), "checkpoint: "),
    "another key": (sign(65_537, bytes(32), OTHER), "checkpoint: "),
    "a checkpoint that the log's own key signed over another root": (sign(65_537, bytes(32), KEY), "inconsistent"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_go_catches_what_was_tampered_with(tlogread: Path, log: GrownLog, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(log.published[65_537], tmp_path / "copy"))
    assert run(tlogread, "read", copy, VKEY).returncode == 0
    tamper, says = TAMPERED[name]
    tamper(copy)
    done = run(tlogread, "read", copy, VKEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Where `folder` is served over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_any_server_of_static_files_will_do(tlogread: Path, log: GrownLog, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(log.published[257], tmp_path / "copy"))
    with served(copy) as address:
        assert run(tlogread, "read", address, VKEY).stdout == f"257 {log.tree.root(257).hex()}\n"
        flip("tile/0/001.p/1", 0)(copy)
        assert "inconsistent" in run(tlogread, "read", address, VKEY).stderr
        remove("tile/entries/000")(copy)
        flip("tile/0/001.p/1", 0)(copy)
        assert "tile/entries/000: 404" in run(tlogread, "read", address, VKEY).stderr


def test_go_reads_the_logs_that_a_bench_serves(tlogread: Path, bench: Bench) -> None:
    keys = {log.origin: log.key for log in load_trust(bench.trust_file).log}
    command = (sys.executable, "-m", "testbed.cli.main", "serve-log", "--json", "--bench", bench.folder / "bench.toml")
    shift = ("--port-shift", str(free_port() - LOG_PORT))
    with subprocess.Popen([*map(str, command), *shift], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            read = {origin: run(tlogread, "read", f"{url}/{origin}", key) for origin, key in keys.items()}
        finally:
            server.terminate()
    assert [done.stderr for done in read.values()] == [""] * len(keys)
    assert len(keys) == 5
    # Under the key of another log nothing is read.
    first, second, *_ = keys
    assert run(tlogread, "read", Paths(bench.data).tlog(first.rpartition("/")[2]), keys[second]).returncode == 1


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_pymerkle_computes_the_same_roots(log: GrownLog) -> None:
    given = "".join(f"{entry.hex()}\n" for entry in log.entries)
    roots = [log.tree.root(size).hex() for size in SIZES]
    assert environment.run("pymerkle_roots.py", *map(str, SIZES), given=given).split() == [*roots, *roots]


def test_pymerkle_sees_another_entry(log: GrownLog) -> None:
    entries = [*log.entries[:256], log.entries[256][:-1] + b"\0"]
    given = "".join(f"{entry.hex()}\n" for entry in entries)
    found = environment.run("pymerkle_roots.py", "256", "257", given=given).split()
    assert found[0] == log.tree.root(256).hex()
    assert found[1] != log.tree.root(257).hex()


def statement_of(log: GrownLog, index: int, size: int) -> bytes:
    """A record as a COSE statement with a receipt, under the log's key."""
    kid = KEY.verifier().key_id
    place = Included(size, index, tuple(log.tree.inclusion_path(index, size)), log.tree.root(size))
    receipt = encode_receipt(place, KEY.name, f"cell/{index}", kid, KEY.sign)
    return encode_statement(log.entries[index], KEY.name, f"cell/{index}", kid, KEY.sign, [receipt])


def judged(questions: Sequence[tuple[bytes, bytes]]) -> list[dict[str, object]]:
    """What scitt-cose says of each (statement, public key)."""
    given = "".join(json.dumps([item.hex() for item in question]) + "\n" for question in questions)
    return [json.loads(line) for line in environment.run("scitt_receipts.py", given=given).splitlines()]


def test_scitt_cose_verifies_receipts_at_every_size(log: GrownLog) -> None:
    # RFC 9942 cannot show the only leaf of a tree.
    places = [(index, size) for size in SIZES[1:] for index in (0, size // 2, size - 1)]
    answers = judged([(statement_of(log, index, size), KEY.verifier().public) for index, size in places])
    for (index, size), said in zip(places, answers, strict=True):
        assert (said["ok"], said["why"]) == (True, "")
        assert (said["root"], said["index"], said["size"]) == (log.tree.root(size).hex(), index, size)
        assert said["signed"] == [size, index]
        assert said["entry"] == log.entries[index].hex()
        assert (said["issuer"], said["subject"]) == ([KEY.name] * 2, [f"cell/{index}"] * 2)


def test_scitt_cose_refuses_tampered_receipts(log: GrownLog) -> None:
    statement, public = statement_of(log, 100, 257), KEY.verifier().public
    false = [
        (statement[:place] + bytes([statement[place] ^ 1 << place % 8]) + statement[place + 1 :], public)
        for place in range(len(statement))
    ]
    false += [(statement, OTHER.verifier().public), (statement + b"\0", public), (statement[:-1], public)]
    honest, *answers = judged([(statement, public), *false])
    assert honest["ok"] is True
    taken = [said for said in answers if said["ok"] is not False]
    # Another size that has the same path: RFC 9942 does not sign it. The receipt's own claims do.
    assert [(said["size"], said["signed"], said["root"]) for said in taken] == [(273, [257, 100], honest["root"])]


def test_scitt_cose_verifies_what_the_bench_exports(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "record.cose"
    evidence = ("--out", str(tmp_path / "record.proof"))
    assert (
        main(["prove", "gateway", "60", "--bench", str(bench.folder / "bench.toml"), "--cose", str(out), *evidence])
        == 0
    )
    (log,) = (log for log in load_trust(bench.trust_file).log if log.origin == bench.origin("gateway"))
    (said,) = judged([(out.read_bytes(), VerifierKey.parse(log.key).public)])
    assert (said["ok"], said["why"], said["index"]) == (True, "", 60)
    assert said["issuer"] == [bench.origin("gateway")] * 2
