"""What witnesses beside the logs of a bench cosigned: the newest checkpoint of a log that a quorum stands behind."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import InvalidData
from testbed.keys.cosignature import Cosigned, WitnessKey, open_cosigned
from testbed.keys.log_keys import CheckpointKeys
from testbed.keys.note import add_lines, split_note
from testbed.keys.tlog_proof import claimed_checkpoint

_MOST = 1 << 16
"""Bytes of a checkpoint that are read; one has a few hundred."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """keys: of trusted witnesses, by the names of their folders below `data`; logs: the trusted keys of each log."""

    data: Path
    keys: Mapping[str, WitnessKey]
    logs: Mapping[str, CheckpointKeys]

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
        """The newest checkpoint of each, where it can be read (C2SP tlog-witness: folders are named by the hash)."""
        notes = []
        for name in self.keys:
            path = self.data / name / hashlib.sha256(origin.encode()).hexdigest() / "checkpoint"
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
