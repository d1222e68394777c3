from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from testbed.core.entropy import SeededEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

OpenLog = Callable[[], AbstractContextManager[Log]]


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.from_seed("bench.example/source", bytes(range(32)))


@pytest.fixture
def open_log(tmp_path: Path, key: SigningKey) -> OpenLog:
    """Opens the log in `tmp_path`: its store is log.sqlite, its folder is tlog."""

    @contextmanager
    def opened() -> Iterator[Log]:
        with LogStore.create(tmp_path / "log.sqlite") as store:
            yield Log(key, store, Publisher(tmp_path / "tlog"), SeededEntropy(1, "salts"))

    return opened
