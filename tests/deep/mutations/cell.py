"""A cell of the campaign: layer, operation, attacker; and a plan, one mutation with what must be found of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from testbed.chain.steps import Head, Step
from testbed.core.entry import Row
from testbed.verify.evidence import ChainEvidence, Evidence, LogEvidence
from tests.deep.mutations.expected import Expected
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import Ground

BYTES = "bytes only"
KEY = "role's key"
CHAIN = "role's key and chain"


class Draft:
    """A copy of a bench's evidence that is being changed; only what is asked for is copied."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.logs: dict[str, LogEvidence] = dict(ground.evidence.logs)
        self.journal: tuple[Step, ...] = ground.evidence.journal
        self.journal_head: Head | None = ground.evidence.journal_head
        self.journal_problem = ground.evidence.journal_problem
        self.journal_file: tuple[bytes, ...] | None = None
        """The journal's file, where it was changed as one; () where it is gone."""
        self.chain: ChainEvidence | None = ground.evidence.chain
        self.chain_problem = ground.evidence.chain_problem
        self._rows: dict[str, list[Row]] = {}
        self._notes: dict[str, list[tuple[int, bytes]]] = {}
        self._tiles: dict[str, dict[str, bytes]] = {}

    def rows(self, origin: str) -> list[Row]:
        return self._rows.setdefault(origin, list(self.logs[origin].rows))

    def notes(self, origin: str) -> list[tuple[int, bytes]]:
        return self._notes.setdefault(origin, list(self.logs[origin].checkpoints))

    def tiles(self, origin: str) -> dict[str, bytes]:
        return self._tiles.setdefault(origin, dict(self.logs[origin].tiles or {}))

    def publish(self, origin: str, note: bytes | None) -> None:
        self.logs[origin] = replace(self.logs[origin], published=note)

    def put(self, log: LogEvidence) -> None:
        """Another log in the place of the one of its origin."""
        self.logs[log.origin] = log
        for changed in (self._rows, self._notes, self._tiles):
            changed.pop(log.origin, None)

    def evidence(self) -> Evidence:
        logs = dict(self.logs)
        for origin, rows in self._rows.items():
            logs[origin] = replace(logs[origin], rows=tuple(rows))
        for origin, notes in self._notes.items():
            logs[origin] = replace(logs[origin], checkpoints=tuple(sorted(notes, key=lambda pair: pair[0])))
        for origin, tiles in self._tiles.items():
            logs[origin] = replace(logs[origin], tiles=tiles)
        lost = bool(self.journal_problem)
        return replace(
            self.ground.evidence,
            logs=logs,
            journal=() if lost else self.journal,
            journal_head=None if lost else self.journal_head,
            journal_problem=self.journal_problem,
            chain=self.chain,
            chain_problem=self.chain_problem,
        )


def renumber(rows: list[Row]) -> None:
    """Close the gaps in the numbers of the store."""
    rows[:] = [row if row.index == index else replace(row, index=index) for index, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class Plan:
    """One mutation: what is done, in words and as a function, and what must be found."""

    said: str
    change: Callable[[Draft], None]
    expected: Expected


Planner = Callable[[Facts, Random], Plan]


@dataclass(frozen=True, slots=True)
class Cell:
    """layer, operation, attacker: its name; plan: draws one mutation; fits: the benches on which it can be done."""

    layer: str
    operation: str
    attacker: str
    plan: Planner
    fits: Callable[[Facts], bool] = lambda _: True

    @property
    def name(self) -> str:
        return f"{self.layer} / {self.operation} / {self.attacker}"


def flipped(rng: Random, data: bytes) -> bytes:
    """One bit of it turned over."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
