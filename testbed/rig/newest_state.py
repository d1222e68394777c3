"""When the newest state of each reader's log was read from its PLC."""

from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

_STEP = 64
_MOST = 4096
"""Records that are looked through: a state stands near the end, or has not come for long and was seen when it did."""


class NewestStates:
    """Looks at the records that came since the last look."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._seen: dict[str, tuple[int, int | None]] = {}

    def look(self) -> tuple[dict[str, int], list[str]]:
        """Receive time by log, ns, of the newest state under a checkpoint; and a sentence for each log that failed."""
        newest: dict[str, int] = {}
        problems: list[str] = []
        for reader in self._bench.readers:
            path = Paths(self._bench.data).log(reader.name)
            if not path.exists():
                continue
            try:
                with LogStore.read(path) as store:
                    found = self._newest(reader.name, store)
            except StoreError as error:
                problems.append(error.problem)
            except InvalidData as error:
                problems.append(f"{path}: {error}")
            else:
                if found is not None:
                    newest[reader.name] = found
        return newest, problems

    def _newest(self, name: str, store: LogStore) -> int | None:
        checkpoint = store.latest_checkpoint()
        size = 0 if checkpoint is None else checkpoint[0]
        seen, time_ns = self._seen.get(name, (0, None))
        if size < seen:  # another log stands there now
            seen, time_ns = 0, None
        found = _search(store, max(seen, size - _MOST), size)
        time_ns = time_ns if found is None else found
        self._seen[name] = (size, time_ns)
        return time_ns


def _search(store: LogStore, start: int, stop: int) -> int | None:
    """Receive time of the last state among the records start <= index < stop."""
    while stop > start:
        begin = max(start, stop - _STEP)
        for row in reversed(list(store.rows(begin, stop))):
            if row.body is not None and decode_entry(row.entry).kind is Kind.STATE:
                body = decode_body(Kind.STATE, row.body)
                if isinstance(body, State):
                    return body.receive_time_ns
        stop = begin
    return None
