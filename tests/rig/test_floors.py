"""A log that is put back from an older copy signs nothing below what others know of it."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.core.entropy import SystemEntropy
from testbed.core.errors import StoreError
from testbed.core.finding import Verdict
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.floors import floors_of
from testbed.rig.lockstep import START_NS, go_on, simulate
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import continue_log
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

HOUR_NS = 3600 * 10**9


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of one bench, earlier and later. Not to be changed."""
    earlier = tmp_path_factory.mktemp("grown") / "earlier"
    earlier.mkdir()
    (earlier / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(earlier / "bench.toml"), 30, 5, commands={10: ("control.level_setpoint", 1.2)}))
    later = earlier.with_name("later")
    shutil.copytree(earlier, later)
    asyncio.run(go_on(load_bench(later / "bench.toml"), 20, 6, START_NS + HOUR_NS))
    return earlier, later


@pytest.fixture
def bench(grown: tuple[Path, Path], tmp_path: Path) -> Bench:
    shutil.copytree(grown[1], tmp_path / "bench")
    return load_bench(tmp_path / "bench" / "bench.toml")


def put_back(bench: Bench, grown: tuple[Path, Path], *roles: str) -> None:
    """The folders of these roles as they were in the backup; what is published as well."""
    for role in roles:
        folder = Paths(bench.data).role_folder(role)
        shutil.rmtree(folder)
        shutil.copytree(load_bench(grown[0] / "bench.toml").data / role, folder)


def size_of(bench: Bench, role: str) -> int:
    with LogStore.read(Paths(bench.data).log(role)) as store:
        return (store.latest_checkpoint() or (0, b""))[0]


@contextmanager
def opened(bench: Bench, role: str) -> Iterator[None]:
    _, store = continue_log(bench, role, SystemEntropy())
    with store:
        yield


@pytest.mark.parametrize("role", ["gateway", "reader", "twin"])
def test_an_older_copy_of_a_log_is_not_continued(bench: Bench, grown: tuple[Path, Path], role: str) -> None:
    size = size_of(bench, role)
    put_back(bench, grown, role)
    old = size_of(bench, role)
    with pytest.raises(StoreError, match="is older than what was signed of it") as refused, opened(bench, role):
        pass
    assert f"it ends at size {old}" in refused.value.problem
    assert f"size {size}" in refused.value.problem
    assert "begin a successor with `testbed init --succeeds`" in refused.value.mend
    # Nothing was signed: the newest copy, put back, goes on.
    shutil.rmtree(Paths(bench.data).role_folder(role))
    shutil.copytree(load_bench(grown[1] / "bench.toml").data / role, Paths(bench.data).role_folder(role))
    with opened(bench, role):
        pass
    assert asyncio.run(audit(bench, bench.trust_file)).report.verdict is Verdict.GENUINE


def test_what_another_log_keeps_is_known_without_a_journal(bench: Bench, grown: tuple[Path, Path]) -> None:
    put_back(bench, grown, "gateway", "anchor", "receipts", "witness")
    with pytest.raises(StoreError, match="of water-cell/twin keeps size"), opened(bench, "gateway"):
        pass
    # The reader's log has nobody who says so then.
    put_back(bench, grown, "reader")
    with opened(bench, "reader"):
        pass


def test_a_whole_backup_knows_of_nothing_and_goes_on(bench: Bench, grown: tuple[Path, Path]) -> None:
    """What came after it, witnesses and a chain of others know."""
    put_back(bench, grown, *bench.logs, "anchor", "chain", "witness")
    for role in bench.logs:
        with opened(bench, role):
            pass


def test_a_log_that_is_not_there_any_more_is_not_begun_again(bench: Bench) -> None:
    for path in (Paths(bench.data).log("gateway"), Paths(bench.data).tlog("gateway")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(StoreError, match="ends at size 0"), opened(bench, "gateway"):
        pass


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b'"note":"', b'"note":"00'),
        lambda text: text.replace(b'"size":', b'"size":9'),
        lambda _: b"no journal\n",
        lambda _: b"",
    ],
    ids=["notes", "sizes", "text", "nothing"],
)
def test_what_the_log_s_own_key_never_signed_stops_no_writer(bench: Bench, damage: Callable[[bytes], bytes]) -> None:
    journal = Paths(bench.data).journal
    journal.write_bytes(damage(journal.read_bytes()))
    for role in bench.logs:
        with opened(bench, role):
            pass


def test_each_of_those_who_know_is_asked(bench: Bench) -> None:
    floors = {role: list(floors_of(bench, role, log_keys(bench, role))) for role in bench.logs}
    known = {role: [(one.checkpoint.size, one.known.split()[0]) for one in found] for role, found in floors.items()}
    for role in ("gateway", "operator"):
        assert [who for _, who in known[role]] == ["the", "water-cell/witness", "record"]
    for role in ("reader", "twin", "receipts"):
        assert [who for _, who in known[role]] == ["the", "water-cell/witness"]
    assert all(size <= size_of(bench, role) for role, found in known.items() for size, _ in found)


def test_what_a_witness_cosigned_is_known_where_nothing_else_is(bench: Bench, grown: tuple[Path, Path]) -> None:
    put_back(bench, grown, *bench.logs, "anchor", "chain")
    for role in ("gateway", "reader", "twin", "receipts"):  # the operator's has not grown
        with pytest.raises(StoreError, match="water-cell/witness cosigned size"), opened(bench, role):
            pass
    # What stands there and the log's key never signed says nothing.
    for kept in Paths(bench.data).role_folder("witness").glob("*/checkpoint"):
        kept.write_bytes(kept.read_bytes().replace(b"\n", b"\n9", 1))
    for role in bench.logs:
        with opened(bench, role):
            pass
