"""Logs as their writers make them, on disk and signed, read back as an auditor does."""

from collections.abc import Sequence
from pathlib import Path

from testbed.core.bodies import Body
from testbed.core.entropy import SeededEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.verify.gather import read_log
from testbed.verify.log import CheckedLog, check_log
from testbed.verify.trust import LogRole, TrustedLog

Commit = Sequence[Body]


def write(folder: Path, key: SigningKey, commits: Sequence[Commit], source: str = "cell") -> list[bytes]:
    """Append each commit to the log of `key` in `folder` and publish. Returns the signed note of each."""
    store = LogStore.create(folder / "log.sqlite")
    try:
        log = Log(key, store, Publisher(folder / "tlog"), SeededEntropy(1, key.name))
        notes = [log.append([(source, body) for body in commit]).note for commit in commits]
        log.publish()
    finally:
        store.close()
    return notes


def checked(folder: Path, key: SigningKey, role: LogRole, reads: str | None = None) -> CheckedLog:
    """The log as the auditor finds it; nothing is wrong with it as a log."""
    trusted = TrustedLog(key.name, role, key.verifier(), bytes(32), reads=reads)
    log = check_log(trusted, True, read_log(key.name, folder / "log.sqlite", folder / "tlog"), [], {})
    assert log.findings == []
    return log
