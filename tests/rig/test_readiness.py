"""A bench starts only as its trust file has it, on ports that are free, and never with keys that everybody knows."""

import asyncio
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import UsageError
from testbed.keys.files import write_secret
from testbed.model import registry
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import initialize
from testbed.rig.lockstep import simulate
from testbed.rig.paths import Paths
from testbed.rig.process import run_role
from testbed.rig.readiness import check_ready, check_trusted
from testbed.rig.supervisor import Supervisor

PREPARED_WITH = 7


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bench that was made ready. Not to be changed."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    entropy = SeededEntropy(PREPARED_WITH, "keys")
    asyncio.run(initialize(bench, bench.trust_file, VirtualClock(10**18), entropy, simulated=False))
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "lab")
    return tmp_path / "lab"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def bench_toml(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "bench.toml", old, new)


def another_key(folder: Path) -> None:
    key = folder / ".testbed/twin/key"
    key.unlink()
    write_secret(key, bytes(32))


def empty_trust_file(folder: Path) -> None:
    (folder / "trust.toml").write_bytes(b"")


def another_genesis(folder: Path) -> None:
    edit(folder / ".testbed/chain/genesis.json", "31337", "31338")


MODEL_HASH = registry.model_hash("water_cell_v1").hex()
CHANGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "name": (
        bench_toml('name = "water-cell"', 'name = "other-cell"'),
        'bench.toml: bench.name makes a log "other-cell/gateway", which is not in ',
        "changed since `testbed init`",
    ),
    "tags": (
        bench_toml("range = [0.0, 6.0]", "range = [0.0, 7.0]"),
        "bench.toml: plc.tag gives the tag list ",
        "[[plc.tag]] was changed since `testbed init`: undo it",
    ),
    "parameters": (
        bench_toml("[twin.parameters]\n", '[twin.parameters]\n"heat.loss" = 0.25\n'),
        "bench.toml: twin.parameters are none that stand in ",
        "[twin.parameters] was changed since `testbed init`: undo it, or have the auditor approve it: add to ",
    ),
    "model": (
        lambda folder: edit(folder / "trust.toml", MODEL_HASH, "ab" * 32),
        'bench.toml: twin.model "water_cell_v1" is no model that stands in ',
        f'hash = "{MODEL_HASH}"',
    ),
    "chain id": (
        bench_toml("chain_id = 31337", "chain_id = 5"),
        "bench.toml: chain.chain_id = 5 is not the chain 31337 of ",
        "Undo that",
    ),
    "genesis": (another_genesis, "bench.toml: chain has a genesis file for chain 31338, ", "restore the file"),
    "key": (another_key, "bench.toml: twin.name has a key in ", "take the trust file that `testbed init` wrote"),
    "empty trust file": (
        empty_trust_file,
        "trust.toml: 4 problems",
        "add ",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_what_the_trust_file_does_not_trust_does_not_start(folder: Path, name: str) -> None:
    change, problem, mend = CHANGES[name]
    check_trusted(load_bench(folder / "bench.toml"))
    change(folder)
    with pytest.raises(UsageError) as raised:
        await check_ready(load_bench(folder / "bench.toml"))
    assert problem in raised.value.problem
    assert str(folder / "trust.toml") in raised.value.problem
    assert mend in raised.value.mend


def test_the_table_of_the_mend_approves_the_model(folder: Path) -> None:
    edit(folder / "bench.toml", "[twin.parameters]\n", '[twin.parameters]\n"heat.loss" = 0.25\n')
    bench = load_bench(folder / "bench.toml")
    with pytest.raises(UsageError) as raised:
        check_trusted(bench)
    with bench.trust_file.open("a", encoding="utf-8") as file:
        file.write("\n" + raised.value.mend[raised.value.mend.index("[[model]]") :] + "\n")
    check_trusted(bench)


async def test_a_taken_port_is_named_before_anything_starts(folder: Path) -> None:
    bench = load_bench(folder / "bench.toml")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        modbus = bench.plc.modbus.model_copy(update={"port": port})
        moved = replace(bench, plc=bench.plc.model_copy(update={"modbus": modbus}))
        with pytest.raises(UsageError, match=rf"plc\.modbus 127\.0\.0\.1:{port}: Address already in use") as raised:
            await check_ready(moved)
        assert "--port-shift" in raised.value.mend
        assert not (folder / ".testbed/plc/boot").exists()

        # The same words when it is taken only after that look.
        refused = [sys.executable, "-c", "import sys; sys.exit(2) if sys.argv[1] == 'plc' else sys.stdin.read()"]
        supervisor = Supervisor(moved, refused, lambda _: None)
        with pytest.raises(UsageError, match=rf"plc\.modbus 127\.0\.0\.1:{port}: Address already in use") as raised:
            await supervisor.run(asyncio.Event(), lambda: None)
        assert "--port-shift" in raised.value.mend


async def test_a_simulated_bench_does_not_go_on(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(tmp_path / "bench.toml")
    await simulate(bench, 2, 1)
    with pytest.raises(UsageError, match="this bench was simulated: its keys come from a public seed"):
        await check_ready(bench)
    for role in ("plc", "gateway", "anchor"):
        with pytest.raises(UsageError, match="this bench was simulated"):
            await run_role(bench, role)
    assert not Paths(bench.data).lock("anchor").exists()
