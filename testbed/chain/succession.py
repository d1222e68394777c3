"""What a journal comes to, line by line, in memory that does not grow with it; and which line may stand next.

On the bench's own node, and where one block settles a step, a step is settled as soon as it is mined. On a network that
may take blocks back, the steps that are not settled are kept: a `reorganised` line opens some of them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from eth_utils.crypto import keccak

from testbed.chain.proofs import header_fields
from testbed.chain.registry import read_transaction
from testbed.chain.steps import Dropped, Head, Intent, Mined, Reorganised, Settled, Step, Successor, Version
from testbed.core.errors import InvalidData

StepLine = Intent | Mined | Version | Dropped | Settled | Reorganised | Successor
"""Any line behind the head."""


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """What the contract holds of a log: zero before the first anchor. time: block timestamp, s."""

    size: int = 0
    root: bytes = bytes(32)
    time: int = 0


@dataclass(slots=True)
class Sums:
    """What some steps come to. newest: their newest block; proved: anchors whose proof the journal has."""

    newest: Mined | None = None
    heads: dict[str, AnchoredHead] = field(default_factory=dict)
    anchors: int = 0
    proved: int = 0
    gas_used: int = 0

    def add(self, step: Step) -> None:
        mined, anchored = step.mined, step.intent.anchored
        if mined is None:
            return
        self.newest = mined
        if anchored is not None and step.anchors:
            self.heads[anchored.origin] = AnchoredHead(anchored.size, anchored.root, mined.timestamp)
            self.anchors += 1
            self.proved += step.proved
            self.gas_used += mined.gas_used


@dataclass(slots=True)
class Reached:
    """How far a journal has come.

    steps: how many; last: the last one; settled: what those come to that are settled, and how many they are; recent:
    those that are not, in their order; succeeded_by: the account that took the place of the head's, None for none;
    floors: by origin, the size that the one before it had anchored, below which the new one does not begin.
    """

    head: Head
    steps: int = 0
    last: Step | None = None
    settled: Sums = field(default_factory=Sums)
    recent: list[Step] = field(default_factory=list)
    succeeded_by: str | None = None
    floors: dict[str, int] = field(default_factory=dict)
    _all: Sums | None = field(default=None, compare=False, repr=False)

    @property
    def settled_steps(self) -> int:
        return self.steps - len(self.recent)

    @property
    def submitter(self) -> str:
        """The account that submits now."""
        return self.succeeded_by or self.head.submitter

    @property
    def open(self) -> Step | None:
        """The first step of which something is awaited."""
        return next((step for step in self.recent if not step.done), None)

    @property
    def newest(self) -> Mined | None:
        """The newest block."""
        return self._sums().newest

    @property
    def heads(self) -> dict[str, AnchoredHead]:
        """What the contract holds, by origin."""
        return self._sums().heads

    @property
    def anchors(self) -> int:
        """Steps by which the contract accepted a checkpoint."""
        return self._sums().anchors

    @property
    def gas_used(self) -> int:
        """What those used."""
        return self._sums().gas_used

    def take(self, line: StepLine) -> list[Step]:
        """Go on by one line; the steps that it settles. Raises InvalidData where it may not stand next."""
        self.check(line)
        match line:
            case Intent():
                self.recent.append(Step(line, None, settled=self.head.confirmations == 1))
                self.steps += 1
            case Settled():
                return list(self._settle(line.number))
            case Successor():
                self.recent = [replace(step, dropped=True) for step in self.recent]
                settled = list(self._settle(self.steps))
                self.floors |= {origin: head.size for origin, head in self.settled.heads.items()}
                self.settled.heads.clear()
                self._all, self.succeeded_by = None, line.submitter
                return settled
            case Reorganised():
                first = line.number - self.settled_steps
                self.recent[first:] = [
                    step if step.dropped else replace(step, mined=None, reopened=True) for step in self.recent[first:]
                ]
            case Mined() | Version() | Dropped():
                place = line.number - self.settled_steps
                self.recent[place] = _with(self.recent[place], line)
        self._all = None
        self.last = self.recent[-1]
        return list(self._settle(line.number)) if self.head.confirmations == 1 else []

    def check(self, line: StepLine) -> None:
        """May `line` stand next? Raises InvalidData."""
        pending = self.open
        match line:
            case Intent():
                if pending is not None:
                    raise InvalidData(f"step {pending.intent.number} is not mined yet")
                if line.number != self.steps:
                    raise InvalidData(f"intent {line.number} stands where {self.steps} belongs")
                if self.newest is not None:
                    _check_follows(self.newest, line, settled=self.head.confirmations == 1)
            case Mined():
                if pending is None:
                    raise InvalidData(f"block of step {line.number} without its intent before it")
                check_mined(pending, line)
                before = self.recent[: line.number - self.settled_steps]
                lowest = max((step.mined.height for step in before if step.mined is not None), default=0)
                if line.height < lowest:
                    raise InvalidData(f"the block stands below that of a step before it, {lowest}")
            case Version():
                self._check_foreign(line)
                _check_version(_expected(pending, line.number), line)
            case Dropped():
                self._check_foreign(line)
                _expected(pending, line.number)
            case Settled():
                self._check_foreign(line)
                self._check_settles(line)
            case Successor():
                self._check_foreign(line)
                if any(step.mined is not None for step in self.recent):
                    raise InvalidData("another account takes over, and there are blocks that are not settled")
            case Reorganised():
                self._check_foreign(line)
                self._check_reorganised(line)

    def _sums(self) -> Sums:
        if self._all is None:
            self._all = replace(self.settled, heads=dict(self.settled.heads)) if self.recent else self.settled
            for step in self.recent:
                self._all.add(step)
        return self._all

    def _settle(self, number: int) -> Iterator[Step]:
        """Settle all up to that step that are done."""
        while self.recent and self.recent[0].done and self.recent[0].intent.number <= number:
            step = replace(self.recent.pop(0), settled=True)
            self.settled.add(step)
            self._all = None
            if not self.recent:
                self.last = step
            yield step

    def _check_foreign(self, line: StepLine) -> None:
        if self.head.node_version is not None:
            raise InvalidData(f"a line {type(line).__name__.lower()} in the journal of the bench's own node")

    def _check_settles(self, line: Settled) -> None:
        steps = self.recent[: max(0, line.number - self.settled_steps + 1)]
        if self.head.confirmations == 1 or not steps or steps[-1].intent.number != line.number:
            raise InvalidData(f"step {line.number} is not one that may be settled")
        if not all(step.done for step in steps):
            raise InvalidData(f"step {line.number} is settled, and one up to it is not mined yet")

    def _check_reorganised(self, line: Reorganised) -> None:
        place = line.number - self.settled_steps
        if not 0 <= place < len(self.recent):
            raise InvalidData(f"step {line.number} is settled, or not there: its block cannot be taken back")
        mined = self.recent[place].mined
        if mined is None or mined.height != line.height or mined.block_hash == line.block_hash:
            raise InvalidData(f"step {line.number} has no other block at height {line.height}")


def check_mined(step: Step, mined: Mined) -> None:
    """Is `mined` what came of a step? Raises InvalidData."""
    intent = step.intent
    if mined.number != intent.number:
        raise InvalidData(f"block of step {mined.number} without its intent before it")
    header = header_fields(mined.header)
    if all(mined.tx_hash != keccak(transaction) for transaction in step.transactions):
        raise InvalidData("transaction hash is not that of the intent's transaction")
    if (header.hash, header.number, header.timestamp) != (mined.block_hash, mined.height, mined.timestamp):
        raise InvalidData("block hash, height or timestamp is not the header's")
    if intent.timestamp is None:
        # On a network of others the transaction waits for its turn; once taken back, it may get an earlier one.
        if mined.height < intent.height and not step.reopened:
            raise InvalidData("the block stands below the one that the intent names")
        return
    if (mined.height, header.parent_hash) != (intent.height, intent.parent_hash):
        raise InvalidData("the block is not the one that the intent names")
    if mined.timestamp != intent.timestamp:
        raise InvalidData("the block's timestamp is not the intent's")


def _with(step: Step, line: Mined | Version | Dropped) -> Step:
    match line:
        case Mined():
            return replace(step, mined=line)
        case Version():
            return replace(step, versions=(*step.versions, line.transaction))
        case Dropped():
            return replace(step, dropped=True)


def _expected(pending: Step | None, number: int) -> Step:
    if pending is None or pending.intent.number != number:
        raise InvalidData(f"step {number} is not the one that is awaited")
    return pending


def _check_version(step: Step, line: Version) -> None:
    """The same nonce, recipient and data, by the same account."""
    old, new = read_transaction(step.intent.transaction), read_transaction(line.transaction)
    if replace(new, hash=old.hash) != old or line.transaction in step.transactions:
        raise InvalidData(f"the transaction is no other version of that of step {line.number}")


def _check_follows(before: Mined, intent: Intent, *, settled: bool) -> None:
    if intent.height <= before.height:
        raise InvalidData(f"height {intent.height} does not follow {before.height}")
    if settled and intent.height == before.height + 1 and intent.parent_hash != before.block_hash:
        raise InvalidData(f"parent hash is not the hash of block {before.height}")
