"""What is attacked, and what an attack says of itself."""

from dataclasses import dataclass
from pathlib import Path

from testbed.core.finding import Layer, What
from testbed.core.tags import Tag


@dataclass(frozen=True, slots=True)
class TargetLog:
    """One log on disk, with the key of the one who writes it.

    sizes: its anchored sizes, rising; tags: by which its states are read, none for a log without states; witnessed: how
    many of its records a witness has a copy of.
    """

    origin: str
    store: Path
    published: Path
    key_seed: bytes
    sizes: tuple[int, ...]
    tags: tuple[Tag, ...] = ()
    witnessed: int = 0


@dataclass(frozen=True, slots=True)
class TargetChain:
    """The bench's own node, stopped: its state file, the journal, the submitter's key, what its genesis is made of."""

    folder: Path
    state: Path
    journal: Path
    key: bytes
    chain_id: int
    genesis_time_s: int
    funded: str


@dataclass(frozen=True, slots=True)
class Target:
    """A stopped bench: its logs by name, which of them the twin follows and which is the twin's, and its chain."""

    logs: dict[str, TargetLog]
    source: TargetLog
    twin: TargetLog
    chain: TargetChain


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding that a check must make. where: its place in the words of a finding; origin and index as there."""

    what: What
    layer: Layer
    where: str
    origin: str = ""
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Falsified:
    """What an attack did, in a sentence, and what a check must find."""

    done: str
    expected: tuple[Expected, ...]
