"""Findings and verdicts: what a check says in the end. "Could not check" is never "genuine"."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """The answer to "is this what the machine did?", with the exit code that carries it."""

    GENUINE = "GENUINE"
    FALSIFIED = "FALSIFIED"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        return {"GENUINE": 0, "FALSIFIED": 1, "INCONCLUSIVE": 3}[self.value]


class Layer(Enum):
    """Where a falsification lies."""

    STORE = "store"
    LOG = "log"
    IDENTITY = "identity"
    TWIN = "twin"
    GATEWAY = "gateway"
    WIRE = "reader or wire"
    PLC = "plc or wire"
    ANCHOR = "anchor"
    CHAIN = "chain"
    REPORT = "report"
    WITNESS = "witness"
    CLOCK = "clock"
    EVIDENCE = "evidence"
    FILE = "file"


class What(Enum):
    """What was seen. The comment is the verdict that follows from it alone."""

    ALTERED = "altered"  # FALSIFIED
    DELETED = "deleted"  # FALSIFIED
    INSERTED = "inserted"  # FALSIFIED
    REORDERED = "reordered"  # FALSIFIED
    FORKED = "forked"  # FALSIFIED; INCONCLUSIVE where no path is to be had
    ROLLED_BACK = "rolled back"  # FALSIFIED
    WRONG_KEY = "wrong key"  # FALSIFIED
    DIVERGED = "diverged"  # FALSIFIED
    SKIPPED = "skipped"  # FALSIFIED
    INVENTED = "invented"  # FALSIFIED
    UNAPPROVED = "unapproved"  # FALSIFIED
    SUBSTITUTED = "substituted"  # FALSIFIED
    REWRITTEN = "rewritten"  # FALSIFIED
    FORGED = "forged"  # FALSIFIED: a device's signature does not hold
    REPLAYED = "replayed"  # FALSIFIED: a device's signed counter went back, or stands twice
    STRIPPED = "stripped"  # INCONCLUSIVE: the device signs, and the record has no signed frame
    DROPPED = "dropped"  # INCONCLUSIVE: the device's signed counter jumps by more than its reader missed
    BACK_DATED = "back-dated"  # INCONCLUSIVE: a time outside the blocks between which the record was logged
    ERASED = "erased"  # INCONCLUSIVE: a body that was erased under a tombstone
    BEHIND = "behind"  # INCONCLUSIVE
    DISAGREED = "disagreed"  # INCONCLUSIVE: two readers, and neither is known to be the one that lies
    UNEXPLAINED = "unexplained"  # INCONCLUSIVE: a set-point moved and no logged command says why
    SILENT = "silent"  # INCONCLUSIVE
    STALLED = "stalled"  # INCONCLUSIVE
    MISSING = "missing"  # INCONCLUSIVE
    UNREACHABLE = "unreachable"  # INCONCLUSIVE
    UNANCHORED = "unanchored"  # INCONCLUSIVE
    SIMULATED = "simulated"  # INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check saw.

    where: the exact place in words ("record 17 of source/cell", "tile level 1, tile 0, position 2", "block 12");
    origin: the log, "" for none; index: the record's index in that log, None where the place is no record;
    detail: why this follows, in a sentence; verdict: what follows from this finding alone.
    """

    what: What
    layer: Layer
    where: str
    detail: str
    verdict: Verdict = Verdict.FALSIFIED
    origin: str = ""
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.what.value}, {self.layer.value}: {self.where}: {self.detail}"
