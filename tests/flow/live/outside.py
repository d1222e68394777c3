"""An outside observer: keeps every checkpoint and block that a running bench ever showed, and compares at the end.

What somebody outside has seen is acknowledged: it must be the log's own, and the chain's, whatever died meanwhile.
"""

import threading

from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.merkle.tree import CompactRange, leaf_hash
from testbed.rig.bench import Bench
from testbed.rig.log_keys import log_keys
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

PERIOD_S = 0.05


class Outsider(threading.Thread):
    """Looks until `stop`. roots: by log and size; notes: the signed notes that said so; journal: its whole lines."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(daemon=True)
        self._bench = bench
        self._paths = Paths(bench.data)
        self._keys = {name: log_keys(bench, name) for name in bench.logs}
        self._stopping = threading.Event()
        self.roots: dict[str, dict[int, bytes]] = {name: {} for name in bench.logs}
        self.notes: dict[str, dict[int, bytes]] = {name: {} for name in bench.logs}
        self._known: dict[str, set[bytes]] = {name: {b""} for name in bench.logs}
        self.journal = b""
        self.problems: list[str] = []

    def run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a thread tells nobody; `compare` does
                self.problems.append(f"the observer: {error!r}")

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    @property
    def checkpoints(self) -> int:
        """How many different ones were seen."""
        return sum(map(len, self.notes.values()))

    def look(self) -> None:
        """One look at the newest committed and the published checkpoint of every log, and at the journal."""
        for name in self._bench.logs:
            for note in (self._committed(name), self._published(name)):
                if note not in self._known[name]:
                    self._take(name, note)
        with self._paths.journal.open("rb") as file:
            file.seek(len(self.journal))
            new = file.read()
        self.journal += new[: new.rfind(b"\n") + 1]

    def _committed(self, name: str) -> bytes:
        try:
            with LogStore.read(self._paths.log(name)) as store:
                found = store.latest_checkpoint()
        except StoreError:
            return b""  # not begun yet; what stays unreadable is found at the end
        return found[1] if found else b""

    def _published(self, name: str) -> bytes:
        file = self._paths.tlog(name) / "checkpoint"
        return file.read_bytes() if file.is_file() else b""

    def _take(self, name: str, note: bytes) -> None:
        self._known[name].add(note)
        try:
            seen = open_checkpoint(note, self._keys[name], self._bench.origin(name))
        except InvalidData as error:
            self.problems.append(f"{name}: {error}: {note!r}")
            return
        if self.roots[name].setdefault(seen.size, seen.root) != seen.root:
            self.problems.append(f"{name}: two checkpoints of size {seen.size}")
        self.notes[name][seen.size] = note

    def compare(self) -> list[str]:
        """Whatever was seen and is not so, in words."""
        found = list(self.problems)
        for name in self._bench.logs:
            found += self._compare(name)
        if not self._paths.journal.read_bytes().startswith(self.journal):
            found.append("the journal does not begin with what was seen of it")
        return found

    def _compare(self, name: str) -> list[str]:
        """Every checkpoint that was seen stands in the log, and covers the records that stand there."""
        with LogStore.read(self._paths.log(name)) as store:
            rows, notes = store.snapshot()
        roots, edge = {}, CompactRange()
        for row in rows:
            edge.append(leaf_hash(row.entry))
            if edge.size in self.roots[name]:
                roots[edge.size] = edge.root()
        stored, wrong = dict(notes), []
        for size, note in self.notes[name].items():
            if stored.get(size) != note:
                wrong.append(f"{name}: its checkpoint of size {size} is lost")
            elif roots.get(size) != self.roots[name][size]:
                wrong.append(f"{name}: its checkpoint of size {size} covers other records")
        return wrong
