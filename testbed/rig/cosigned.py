"""What witnesses beside the logs of a bench cosigned: the newest checkpoint of a log that a quorum stands behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import InvalidData
from testbed.keys.cosignature import Cosigned, WitnessKey, open_cosigned
from testbed.keys.log_keys import LogKeys
from testbed.keys.note import add_lines, split_note
from testbed.keys.tlog_proof import claimed_checkpoint
from testbed.rig.bench import Bench
from testbed.rig.log_keys import change_notes
from testbed.verify.key_changes import valid_changes
from testbed.verify.trust import Trust
from testbed.witness.memory import origin_hash

_MOST = 1 << 16
"""Bytes of a checkpoint that are read; one has a few hundred."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """keys: of trusted witnesses, by the names of their folders below `data`; logs: the trusted keys of each log."""

    data: Path
    keys: Mapping[str, WitnessKey]
    logs: Mapping[str, LogKeys]

    @classmethod
    def of(cls, bench: Bench, trusted: Trust) -> "Witnesses":
        """Those that are trusted, beside the logs of a bench."""
        names = {bench.origin(name): name for name in bench.logs}
        logs = {}
        for log in trusted.logs:
            notes = change_notes(bench, names[log.origin]) if log.origin in names else []
            changes = [] if trusted.root is None else valid_changes(notes, trusted.root)
            logs[log.origin] = LogKeys(log.key, revoked=trusted.revoked).followed_by(changes)
        return cls(bench.data, {one.name: one.key for one in trusted.witnesses}, logs)

    def newest(self, origin: str) -> bytes | None:
        """The checkpoint with the log's signature and their cosignatures; None where no quorum has one."""
        if origin not in self.logs:
            return None
        texts: dict[str, bytes] = {}
        for note in self._kept(origin):
            try:
                text, lines = split_note(note)
                texts[text] = add_lines(texts.get(text, note), lines)
            except InvalidData:
                continue
        found = [(note, opened) for note in texts.values() if (opened := self._opened(note, origin)) is not None]
        quorum = [(opened.checkpoint.size, note) for note, opened in found if self._is_quorum(opened)]
        return max(quorum)[1] if quorum else None

    def _kept(self, origin: str) -> list[bytes]:
        """The newest checkpoint of each, where it can be read."""
        notes = []
        for name in self.keys:
            path = self.data / name / origin_hash(origin) / "checkpoint"
            try:
                with path.open("rb") as file:
                    notes.append(file.read(_MOST))
            except OSError:
                continue
        return notes

    def _opened(self, note: bytes, origin: str) -> Cosigned | None:
        try:
            key = self.logs[origin].at(claimed_checkpoint(note).size)
            return open_cosigned(note, [key], self.keys.values(), origin)
        except InvalidData:
            return None

    def _is_quorum(self, opened: Cosigned) -> bool:
        return len(opened.witnesses) > len(self.keys) / 2
