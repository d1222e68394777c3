"""What a reader's log says beside states: checkpoints of other logs, and the newest block of the chain."""

from collections.abc import Callable, Sequence

from testbed.core.bodies import Beacon, Body, Peer
from testbed.core.clock import Clock
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import CheckpointKeys


class PeerWatch:
    """Notes the checkpoint of another log whenever that log has grown, so that what stands behind it came later.

    latest: (size, signed note) of the newest checkpoint that is on disk there, None before the first. One that cannot
    be read, or that its key did not sign, is passed over: recording goes on, and a verifier sees that log by itself.
    """

    def __init__(self, key: CheckpointKeys, latest: Callable[[], tuple[int, bytes] | None]) -> None:
        self._key = key
        self._latest = latest
        self._size = 0

    def news(self) -> Sequence[tuple[str, Body]]:
        try:
            found = self._latest()
            if found is None or found[0] <= self._size:
                return ()
            checkpoint = open_checkpoint(found[1], self._key, self._key.name)
        except (StoreError, InvalidData):
            return ()
        self._size = checkpoint.size
        return ((self._key.name, Peer(self._key.name, found[1])),)


class BeaconWatch:
    """Notes the newest block when there is another one, looked for at most each `period_ns`.

    newest: the beacon to log, None while no block is known.
    """

    def __init__(self, source: str, newest: Callable[[], Beacon | None], clock: Clock, period_ns: int) -> None:
        self._source = source
        self._newest = newest
        self._clock = clock
        self._period_ns = period_ns
        self._looked_ns: int | None = None
        self._last: Beacon | None = None

    def news(self) -> Sequence[tuple[str, Body]]:
        now = self._clock.monotonic_ns()
        if self._looked_ns is not None and now - self._looked_ns < self._period_ns:
            return ()
        self._looked_ns = now
        beacon = self._newest()
        if beacon is None or beacon == self._last:
            return ()
        self._last = beacon
        return ((self._source, beacon),)
