"""Opens the logs of a bench: for their one writer, and for those who follow them."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed import __version__
from testbed.core.bodies import STARTED, TILES_REBUILT, Body, Event, Genesis
from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError, UsageError
from testbed.keys.checkpoint import parse_checkpoint
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import NO_SCHEMA
from testbed.rig.bench import Bench
from testbed.rig.floors import check_not_behind
from testbed.rig.log_keys import log_keys, settle_keys, signing_key
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a log says of itself: the hash of its tag list, and events (name, detail) that hold what it runs on."""

    schema: bytes = NO_SCHEMA
    says: tuple[tuple[str, bytes], ...] = ()


def open_log(
    bench: Bench,
    role: str,
    configuration: Configuration,
    clock: Clock,
    entropy: Entropy,
    *,
    simulated: bool,
    follows_time: bool = True,
) -> tuple[Log, LogStore]:
    """Open a log for writing, begin it where it is new, and log what its start found out.

    follows_time: whether a silence of this log means anything, so that the event *started* says why there was one.
    Raises UsageError when the log was begun with another tag list: a log has one schema for life.
    """
    log, store = continue_log(bench, role, entropy, synced=not simulated)
    try:
        now = clock.now_ns()
        found: list[Body] = []
        if log.size == 0:
            software = f"attestbed {__version__}"
            found.append(Genesis(log.origin, configuration.schema, software, simulated, _predecessor(bench, role)))
        else:
            _check_begun_so(bench, store, configuration)
            if follows_time:
                # Says that what was not logged before it was not seen: the writer was away.
                found.append(Event(now, STARTED, b""))
        said = _newest_events(store)
        found += [Event(now, name, detail) for name, detail in configuration.says if said.get(name) != detail]
        if log.rebuilt_tiles:
            found.append(Event(now, TILES_REBUILT, "\n".join(log.rebuilt_tiles).encode()))
        if found:
            log.append([(bench.name, body) for body in found])
    except BaseException:
        store.close()
        raise
    return log, store


def _predecessor(bench: Bench, role: str) -> Checkpoint | None:
    path = Paths(bench.data).predecessor(role)
    return parse_checkpoint(path.read_text(encoding="utf-8")) if path.exists() else None


def continue_log(bench: Bench, role: str, entropy: Entropy, *, synced: bool = True) -> tuple[Log, LogStore]:
    """Open a log for writing as it stands, and log nothing. A change of keys that was left halfway is ended first.

    Raises StoreError for an older copy of the log than others know: nothing is signed below that (rig/floors.py).
    synced: as in `LogStore.create`; a simulated bench that was broken off is begun anew, so it does without.
    """
    paths = Paths(bench.data)
    store = LogStore.create(paths.log(role), synced=synced)
    try:
        settle_keys(bench, role, store)
        keys = log_keys(bench, role)
        check_not_behind(bench, role, keys, store)
        return Log(signing_key(bench, role), store, Publisher(paths.tlog(role)), entropy, keys), store
    except BaseException:
        store.close()
        raise


def check_real(bench: Bench) -> None:
    """Raises UsageError for a simulated bench: its keys come from a seed that everybody knows.

    A log that is missing or cannot be read is left to whoever opens it.
    """
    simulated = _simulated_log(bench)
    if simulated is not None:
        raise UsageError(
            f"{simulated}: this bench was simulated: its keys come from a public seed",
            "make a bench of your own with `testbed init` in another folder; this one can be verified",
        )


def is_simulated(bench: Bench) -> bool:
    """Whether a log of the bench says that it ran on a virtual clock."""
    return _simulated_log(bench) is not None


def _simulated_log(bench: Bench) -> Path | None:
    for role in bench.logs:
        with suppress(StoreError, InvalidData), LogStore.read(Paths(bench.data).log(role)) as store:
            genesis = _genesis(store)
            if genesis is not None and genesis.simulated:
                return store.path
    return None


def _genesis(store: LogStore) -> Genesis | None:
    row = next(store.rows(0, 1), None)
    body = decode_body(Kind.GENESIS, row.body or b"") if row is not None else None
    return body if isinstance(body, Genesis) else None


def _check_begun_so(bench: Bench, store: LogStore, configuration: Configuration | None) -> None:
    genesis = _genesis(store)
    if genesis is None or genesis.schema != (NO_SCHEMA if configuration is None else configuration.schema):
        raise UsageError(
            f"{store.path}: this log was begun with another tag list than {bench.file} has",
            "name another data folder in [bench] data and run `testbed init`, or undo the change of the tags",
        )


def _newest_events(store: LogStore) -> dict[str, bytes]:
    """The newest detail of each event, by name."""
    newest: dict[str, bytes] = {}
    for row in store.rows():
        if row.body is not None and decode_entry(row.entry).kind is Kind.EVENT:
            body = decode_body(Kind.EVENT, row.body)
            if isinstance(body, Event):
                newest[body.name] = body.detail
    return newest
