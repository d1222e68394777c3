"""What is so on an honest bench, by its own records: the model that says what must be found knows this and no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from testbed.chain.steps import encode_line
from testbed.core.bodies import Body, Peer, State, TwinRecord
from testbed.core.entry import Entry, Kind, Row
from testbed.keys.checkpoint import parse_checkpoint
from testbed.merkle.tree import leaf_hash
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.verify.evidence import LogEvidence
from tests.deep.mutations.ground import GATEWAY, READER, TWIN, Ground


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor of a log. place: of its step in the journal."""

    size: int
    block: int
    place: int


class LogFacts:
    """One log of an honest bench."""

    def __init__(self, log: LogEvidence, anchors: Sequence[Anchor]) -> None:
        self.origin = log.origin
        self.rows: Sequence[Row] = log.rows
        self.notes = dict(log.checkpoints)
        self.tiles = log.tiles or {}
        self.published = log.published or b""
        self.anchors = anchors
        self.mirrors = log.mirrors

    @property
    def size(self) -> int:
        return len(self.rows)

    @property
    def witnessed(self) -> int:
        """Records that a witness saw, and whose hashes it keeps."""
        return max((len(mirror.leaves) for mirror in self.mirrors), default=0)

    @property
    def confirmed(self) -> int:
        """Records under the newest anchor."""
        return max((one.size for one in self.anchors), default=0)

    @cached_property
    def entries(self) -> list[Entry]:
        return [decode_entry(row.entry) for row in self.rows]

    @cached_property
    def bodies(self) -> list[Body]:
        return [decode_body(entry.kind, row.body or b"") for entry, row in zip(self.entries, self.rows, strict=True)]

    @cached_property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(row.entry) for row in self.rows]

    def of_kind(self, kind: Kind) -> list[int]:
        return [index for index, entry in enumerate(self.entries) if entry.kind is kind]

    def anchor_over(self, index: int) -> Anchor | None:
        """The first anchor that covers a record."""
        return next((one for one in self.anchors if one.size > index), None)

    def seams(self) -> list[int]:
        """Places where something begins or ends: the log, a tile, an anchor."""
        near = [0, 1, 2, 254, 255, 256, 257, 510, 511, 512, 513, self.size - 2, self.size - 1]
        near += [one.size + by for one in self.anchors for by in (-1, 0, 1)]
        return sorted({index for index in near if 0 <= index < self.size})

    def place(self, rng: Random, below: int | None = None, start: int = 0) -> int:
        """A record, every second time one at a seam."""
        below = self.size if below is None else below
        near = [index for index in self.seams() if start <= index < below]
        return rng.choice(near) if near and rng.random() < 0.5 else rng.randrange(start, below)

    def run(self, rng: Random, length: int) -> range:
        """So many records in a row; where they begin or end is every second time a seam."""
        first = self.place(rng)
        if rng.random() < 0.5:
            first -= length - 1
        first = max(0, min(first, self.size - length))
        return range(first, first + length)


class Facts:
    """One honest bench."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        anchors: dict[str, list[Anchor]] = {origin: [] for origin in ground.evidence.logs}
        for place, step in enumerate(ground.evidence.journal):
            if step.intent.anchored is not None:
                one = Anchor(step.intent.anchored.size, step.intent.height, place)
                anchors[step.intent.anchored.origin].append(one)
        self.logs = {origin: LogFacts(log, anchors[origin]) for origin, log in ground.evidence.logs.items()}

    def __getitem__(self, origin: str) -> LogFacts:
        return self.logs[origin]

    @cached_property
    def journal(self) -> tuple[bytes, ...]:
        """Lines of the journal: its head, then two a step."""
        evidence = self.ground.evidence
        if evidence.journal_head is None:
            raise AssertionError("an honest bench has a journal")
        lines = [encode_line(evidence.journal_head)]
        for step in evidence.journal:
            lines += [encode_line(step.intent), *([encode_line(step.mined)] if step.mined is not None else [])]
        return tuple(lines)

    @cached_property
    def consumed(self) -> int:
        """Records of the gateway that the twin has named as inputs."""
        named = [body.inputs[-1].index for body in self[TWIN].bodies if isinstance(body, TwinRecord)]
        return max(named, default=-1) + 1

    @cached_property
    def consumer(self) -> dict[int, int]:
        """Which twin record names a record of the gateway."""
        return {
            ref.index: index
            for index, body in enumerate(self[TWIN].bodies)
            if isinstance(body, TwinRecord)
            for ref in body.inputs
        }

    @cached_property
    def _scans(self) -> dict[tuple[str, int, int | None], int]:
        return {
            (origin, body.boot, body.scan): index
            for origin in (GATEWAY, READER)
            for index, body in enumerate(self[origin].bodies)
            if isinstance(body, State)
        }

    def state_of(self, origin: str, state: State) -> int:
        """Where a reader has the scan of this state."""
        return self._scans[origin, state.boot, state.scan]

    @cached_property
    def kept(self) -> dict[str, list[tuple[str, int, int]]]:
        """By origin: (holder, index, size) of each checkpoint that another log keeps."""
        found: dict[str, list[tuple[str, int, int]]] = {origin: [] for origin in self.logs}
        for holder in (TWIN, GATEWAY):
            for index, body in enumerate(self[holder].bodies):
                if isinstance(body, Peer):
                    size = parse_checkpoint(body.checkpoint.decode().partition("\n\n")[0] + "\n").size
                    found[body.origin].append((holder, index, size))
        return found
