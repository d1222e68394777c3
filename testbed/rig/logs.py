"""Opens the logs of a bench: for their one writer, and for those who follow them."""

from contextlib import suppress
from dataclasses import dataclass

from testbed import __version__
from testbed.core.bodies import STARTED, TILES_REBUILT, Event, Genesis
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError, UsageError
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import read_secret
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import NO_SCHEMA
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a log says of itself at its beginning: hash of its tag list, and the event that holds what it runs on."""

    event: str
    detail: bytes
    schema: bytes = NO_SCHEMA


def signing_key(bench: Bench, role: str) -> SigningKey:
    """The key of a role's log; its name is the log's origin. Raises UsageError where `init` was not run."""
    return SigningKey.from_seed(bench.origin(role), read_secret(Paths(bench.data).key(role)))


def open_log(
    bench: Bench, role: str, configuration: Configuration, clock: Clock, entropy: Entropy, *, simulated: bool
) -> tuple[Log, LogStore]:
    """Open a role's log for writing, begin it where it is new, and log what its start found out.

    Raises UsageError when the log was begun with another tag list: a log has one schema for life.
    """
    paths = Paths(bench.data)
    store = LogStore.create(paths.log(role))
    try:
        log = Log(signing_key(bench, role), store, Publisher(paths.tlog(role)), entropy)
        now = clock.now_ns()
        if log.size == 0:
            genesis = Genesis(log.origin, configuration.schema, f"attestbed {__version__}", simulated)
            log.append([(bench.name, genesis), (bench.name, Event(now, configuration.event, configuration.detail))])
        else:
            _check_begun_so(bench, store, configuration)
            # Says that what was not logged before it was not seen: the writer was away.
            log.append([(bench.name, Event(now, STARTED, b""))])
            if not _has_event(store, configuration):
                log.append([(bench.name, Event(now, configuration.event, configuration.detail))])
        if log.rebuilt_tiles:
            detail = "\n".join(log.rebuilt_tiles).encode()
            log.append([(bench.name, Event(now, TILES_REBUILT, detail))])
    except BaseException:
        store.close()
        raise
    return log, store


def check_real(bench: Bench) -> None:
    """Raises UsageError for a simulated bench: its keys come from a seed that everybody knows.

    A log that is missing or cannot be read is left to whoever opens it.
    """
    for role in (bench.reader.name, bench.twin.name):
        with suppress(StoreError, InvalidData), LogStore.read(Paths(bench.data).log(role)) as store:
            genesis = _genesis(store)
            if genesis is not None and genesis.simulated:
                raise UsageError(
                    f"{store.path}: this bench was simulated: its keys come from a public seed",
                    "make a bench of your own with `testbed init` in another folder; this one can be verified",
                )


def _genesis(store: LogStore) -> Genesis | None:
    row = next(store.rows(0, 1), None)
    body = decode_body(Kind.GENESIS, row.body or b"") if row is not None else None
    return body if isinstance(body, Genesis) else None


def _check_begun_so(bench: Bench, store: LogStore, configuration: Configuration) -> None:
    genesis = _genesis(store)
    if genesis is None or genesis.schema != configuration.schema:
        raise UsageError(
            f"{store.path}: this log was begun with another tag list than {bench.file} has",
            "name another data folder in [bench] data and run `testbed init`, or undo the change of the tags",
        )


def _has_event(store: LogStore, configuration: Configuration) -> bool:
    for row in store.rows():
        if row.body is not None and decode_entry(row.entry).kind is Kind.EVENT:
            body = decode_body(Kind.EVENT, row.body)
            if isinstance(body, Event) and (body.name, body.detail) == (configuration.event, configuration.detail):
                return True
    return False
