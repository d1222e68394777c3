"""The role of a witness: follows logs, cosigns what only grew, mirrors their hashes, and answers add-checkpoint."""

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path

from testbed.core.clock import Clock
from testbed.core.errors import UsageError
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.files import read_secret
from testbed.keys.log_keys import LogKeys, Revoked
from testbed.rig.bench import Bench
from testbed.rig.log_sources import FolderSource, HttpSource, is_url, source_at
from testbed.rig.pages_server import PagesServer
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts
from testbed.rig.trust import load_trust
from testbed.rig.witness_pages import WitnessPages
from testbed.witness.cosigner import Cosigner
from testbed.witness.follower import Followed, Follower, Source
from testbed.witness.memory import Memory
from testbed.witness.mirror import Mirror

_LOG = logging.getLogger("testbed.witness")


class WitnessRole:
    """The witness `name`, of every log that the trust file beside the bench file names; it holds no other key.

    simulated: it answers nobody, looks at the logs when the clock says so, and does not wait for the disk.
    """

    def __init__(self, bench: Bench, name: str, clock: Clock, *, simulated: bool) -> None:
        self._table = table = bench.witness(name)
        self._clock = clock
        self._simulated = simulated
        self.period_s = table.every_s
        self._next_ns = 0
        paths = Paths(bench.data)
        key = SigningKey.from_seed(bench.origin(name), read_secret(paths.key(name)))
        trust = load_trust(bench.trust_file)
        revoked = [(one.origin, Revoked(VerifierKey.parse(one.key), one.size)) for one in trust.revoked]
        logs = {
            log.origin: LogKeys(
                VerifierKey.parse(log.key), revoked=tuple(one for origin, one in revoked if origin == log.origin)
            )
            for log in trust.log
        }
        root = None if trust.root is None else VerifierKey.parse(trust.root.key)
        folder = paths.role_folder(name)
        self._memories = {origin: Memory(folder, origin, durable=not simulated) for origin in logs}
        self._cosigner = Cosigner(key, logs, self._memories, clock, root)
        self._mirrors = {origin: Mirror(self._memories[origin], self._cosigner.keys(origin)) for origin in logs}
        own = {bench.origin(log): paths.tlog(log) for log in bench.logs}
        self._sources = {origin: _source(bench, table.source, origin, own.get(origin)) for origin in logs}
        self._followers = [
            Follower(origin, self._cosigner, self._mirrors[origin], self._sources[origin]) for origin in logs
        ]
        self._followed: dict[str, Followed] = {}
        self._serving = ExitStack()

    async def start(self) -> None:
        """Answer add-checkpoint. Raises UsageError where the port is in use."""
        if self._simulated:
            return
        table = self._table
        pages = WitnessPages(self._cosigner, self._mirrors, self._memories)
        try:
            self._serving.enter_context(PagesServer(table.host, table.port, pages))
        except OSError as error:
            mend = "end the program that holds it, or move all ports with --port-shift 100"
            problem = f"witness {table.host}:{table.port}: {error.strerror or error}"
            raise UsageError(problem, mend) from None

    async def step(self) -> None:
        """Look at every log once. A log server may take its time: stopping does not wait for it."""
        if not self._simulated:
            await asyncio.to_thread(self._look)
        elif self._clock.now_ns() >= self._next_ns:
            self._look()
            self._next_ns = self._clock.now_ns() + int(self._table.every_s * 1e9)

    async def stop(self) -> None:
        """Cosign what was published last, then end."""
        try:
            await asyncio.to_thread(self._look)
        finally:
            self._serving.close()
            for source in self._sources.values():
                if isinstance(source, HttpSource):
                    source.close()

    def facts(self) -> Facts:
        facts: Facts = {} if self._simulated else {"url": f"http://{self._table.host}:{self._table.port}"}
        for follower in self._followers:
            newest = self._cosigner.newest(follower.origin)
            facts[f"cosigned {follower.origin}"] = 0 if newest is None else newest.checkpoint.size
            followed = self._followed.get(follower.origin, Followed())
            if followed.refused:
                facts[f"refused {follower.origin}"] = followed.refused
            if followed.unread:
                facts[f"unread {follower.origin}"] = followed.unread
        return facts

    def _look(self) -> None:
        for follower in self._followers:
            origin, followed = follower.origin, follower.step()
            before = self._followed.get(origin, Followed())
            self._followed[origin] = followed
            if followed.refused and followed.refused != before.refused:
                _LOG.error("%s is refused: %s", origin, followed.refused)
            elif followed.unread and followed.unread != before.unread:
                _LOG.warning("%s cannot be read: %s", origin, followed.unread)
            elif before != Followed() and followed == Followed():
                _LOG.info("%s is followed again", origin)


def _source(bench: Bench, place: str, origin: str, own: Path | None) -> Source:
    """Where a log is read: at the place that the bench file names, else where this bench publishes it."""
    if is_url(place):
        return source_at(place, origin)
    if place:
        return source_at(str((bench.folder / place).resolve()), origin)
    if own is None:
        mend = 'write source = "http://..." under [[witness]], where a log server has it'
        raise UsageError(f"{bench.trust_file} names {origin}, which is no log of this bench", mend)
    return FolderSource(own)
