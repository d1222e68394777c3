"""A witness as a process: killed before it could answer, away for a while, and shown a log that was rewritten."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.keys.cosignature import WitnessKey, open_cosigned
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import read_secret
from testbed.merkle.tree import Tree
from testbed.rig.bench import load_bench
from testbed.rig.failing import VARIABLE
from testbed.rig.log_sources import HttpSource
from testbed.rig.paths import Paths
from testbed.rig.status import read_status
from testbed.witness.memory import origin_hash
from testbed.witness.request import AddCheckpoint
from tests.flow.live.conftest import until
from tests.flow.live.quick import Quick, make_quick
from tests.witness.logs import leaves, note

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench

ORIGIN = "water-cell/gateway"
SIZES = (10, 300)


class Witness:
    """`testbed run witness` of a bench, started again and again."""

    def __init__(self, live: "LiveBench", plan: Path | None = None) -> None:
        self.live = live
        self.bench = load_bench(live.file)
        table = self.bench.witness("witness")
        self.port = table.port
        secret = read_secret(Paths(self.bench.data).key("witness"))
        self.key = WitnessKey.of(SigningKey.from_seed(self.bench.origin("witness"), secret))
        self.log = SigningKey.from_seed(ORIGIN, read_secret(Paths(self.bench.data).key("gateway")))
        self._environment = {**os.environ, **({VARIABLE: str(plan)} if plan else {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "testbed.cli.main", "run", "witness", "--bench", str(self.live.file)]
        self.process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        until(lambda: self.process is not None and read_status(self.bench, "witness").get("pid") == self.process.pid)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body; 0 where it dies before it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def add(self, tree: Tree, old: int, new: int) -> tuple[int, bytes]:
        asked = AddCheckpoint(old, tuple(tree.consistency_path(old, new)), note(tree, new, self.log))
        return self.ask("POST", "/add-checkpoint", asked.encode())

    def cosigned(self) -> tuple[int, bytes]:
        """Size and root of the checkpoint that it shows."""
        status, data = self.ask("GET", f"/{origin_hash(ORIGIN)}/checkpoint")
        if status == 404:
            return 0, b""
        found = open_cosigned(data, [self.log.verifier()], [self.key], ORIGIN)
        assert found.witnesses == {self.key}
        return found.checkpoint.size, found.checkpoint.root

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.wait() == 0

    def clean_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def test_it_never_cosigns_two_roots_of_one_size_however_it_dies(make_bench: "MakeBench", tmp_path: Path) -> None:
    """Killed *before* a checkpoint is on disk, and *after*, when nobody was told: then the other tree is tried."""
    live = make_bench("bench", witness=True)
    (live.folder / "empty").mkdir()
    text = live.file.read_text(encoding="utf-8").replace("every_s = 1.0", 'source = "empty"\nevery_s = 0.1')
    live.file.write_text(text, encoding="utf-8")
    plan = tmp_path / "plan"
    plan.write_text("".join(f"witness cosign {when} 1\n" for _ in SIZES for when in ("before", "after")))
    witness = Witness(live, plan)
    trees = (Tree(leaves(300)), Tree(leaves(300, "b")))
    known: dict[int, bytes] = {}
    try:
        for size in SIZES:
            witness.start()
            old, root = witness.cosigned()
            mine = trees[0] if old == 0 else next(tree for tree in trees if tree.root(old) == root)
            other = trees[1] if mine is trees[0] else trees[0]
            # Before: nothing of it is there, and the witness is as free as it was.
            assert witness.add(mine, old, size)[0] == 0
            assert witness.wait() == -signal.SIGKILL
            witness.start()
            assert witness.cosigned() == (old, root)
            if old:
                assert witness.add(other, old, size)[0] == 422
            # After: it is there although nobody was told, and holds against everything else.
            assert witness.add(mine, old, size)[0] == 0
            assert witness.wait() == -signal.SIGKILL
            # The next point waits for the next size: this start is only asked what it would refuse anyway.
            witness.start()
            assert witness.cosigned() == (size, mine.root(size))
            assert witness.add(other, old, size) == (409, f"{size}\n".encode())
            assert witness.add(other, size, size)[0] == 422
            known[size] = mine.root(size)
            witness.stop()
        assert sorted(known) == list(SIZES)
        assert len((tmp_path / "plan.fired").read_text().splitlines()) == 2 * len(SIZES)
    finally:
        witness.clean_up()


@pytest.fixture
def quick(tmp_path: Path) -> "Quick":
    return Quick(make_quick(tmp_path / "bench", witness=True))


@pytest.mark.long
def test_one_that_was_away_catches_up_and_refuses_what_was_rewritten(quick: Quick) -> None:
    live, bench = quick.live, quick.bench
    folder, key = Paths(bench.data).role_folder("witness"), Paths(bench.data).key("witness")

    def cosigned(name: str) -> int:
        return int(read_status(bench, "witness").get(f"cosigned {bench.origin(name)}", 0))

    try:
        quick.start()
        quick.wait_until_well()
        until(lambda: all(cosigned(name) for name in bench.logs))
        # Without its key it cannot be started again. The others go on.
        key.rename(aside := key.with_name("key.aside"))
        os.kill(until(lambda: quick.pids().get("witness")), signal.SIGKILL)
        size = quick.size("gateway")
        until(lambda: quick.size("gateway") > size + 20)
        report = live.verify()
        assert report["verdict"] == "GENUINE" or {one["what"] for one in report["findings"]} == {"unanchored"}
        assert next(one for one in report["witnessed"] if one["origin"] == ORIGIN)["waiting"] >= 20
        aside.rename(key)
        until(lambda: cosigned("gateway") > size)
        # Any tlog client reads the logs, the newest checkpoint with the cosignature once the witness has it.
        source = HttpSource(f"http://127.0.0.1:{bench.serve.port}/{ORIGIN}")
        assert (source.read("checkpoint", 10_000) or b"").startswith(ORIGIN.encode())
        source.close()
        assert quick.stop() == 0
        report = live.genuine()
        assert [(one["waiting"], one["by"]) for one in report["witnessed"]] == [(0, 1)] * 5
    finally:
        quick.clean_up()

    # Whoever has the gateway's key rewrites one of its records, and all that is made of it.
    done = json.loads(live.run("falsify", "source-record", "--at", "middle", "--json"))
    expected = next(one for one in done["expected"] if one["what"] == "forked")
    witness = Witness(live)
    try:
        witness.start()
        said = until(lambda: read_status(bench, "witness").get(f"refused {ORIGIN}"))
        assert f"its record {expected['index']} is the first that is another one" in str(said)
        before = (folder / origin_hash(ORIGIN) / "checkpoint").read_bytes()
        witness.stop()
        assert (folder / origin_hash(ORIGIN) / "checkpoint").read_bytes() == before
        assert (folder / origin_hash(ORIGIN) / "refused/0.ours").read_bytes() == before
    finally:
        witness.clean_up()
    report = live.verify()
    assert report["verdict"] == "FALSIFIED"
    assert [one["index"] for one in report["findings"] if one["what"] == "forked"] == [expected["index"]]
