"""What a journal comes to, line by line, in memory that does not grow with it; and which line may stand next."""

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from testbed.chain.proofs import header_fields
from testbed.chain.steps import Head, Intent, Mined, Step
from testbed.core.errors import InvalidData


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """What the contract holds of a log: zero before the first anchor. time: block timestamp, s."""

    size: int = 0
    root: bytes = bytes(32)
    time: int = 0


@dataclass(slots=True)
class Reached:
    """How far a journal has come.

    steps: how many; last: the last one, which may be open; newest: the newest block; heads: what the contract holds, by
    origin; anchors, gas_used: of the steps by which it accepted a checkpoint.
    """

    head: Head
    steps: int = 0
    last: Step | None = None
    newest: Mined | None = None
    heads: dict[str, AnchoredHead] = field(default_factory=dict)
    anchors: int = 0
    gas_used: int = 0

    def take(self, line: Intent | Mined) -> None:
        """Go on by one line. Raises InvalidData where it may not stand next."""
        self.check(line)
        if isinstance(line, Intent):
            self.last = Step(line, None)
            self.steps += 1
        elif self.last is not None:
            self.last = Step(self.last.intent, line)
            self.newest = line
            if self.last.intent.anchored is not None and self.last.anchors:
                anchored = self.last.intent.anchored
                self.heads[anchored.origin] = AnchoredHead(anchored.size, anchored.root, line.timestamp)
                self.anchors += 1
                self.gas_used += line.gas_used

    def check(self, line: Intent | Mined) -> None:
        """May `line` stand next? Raises InvalidData."""
        last = self.last
        if isinstance(line, Mined):
            if last is None or last.mined is not None:
                raise InvalidData(f"block of step {line.number} without its intent before it")
            check_mined(last.intent, line)
            return
        if last is not None and last.mined is None:
            raise InvalidData(f"step {last.intent.number} is not mined yet")
        if line.number != self.steps:
            raise InvalidData(f"intent {line.number} stands where {self.steps} belongs")
        if self.newest is not None:
            _check_follows(self.newest, line)


def check_mined(intent: Intent, mined: Mined) -> None:
    """Is `mined` what came of `intent`? Raises InvalidData."""
    if mined.number != intent.number:
        raise InvalidData(f"block of step {mined.number} without its intent before it")
    header = header_fields(mined.header)
    if mined.tx_hash != keccak(intent.transaction):
        raise InvalidData("transaction hash is not that of the intent's transaction")
    if (header.hash, header.number, header.timestamp) != (mined.block_hash, mined.height, mined.timestamp):
        raise InvalidData("block hash, height or timestamp is not the header's")
    if intent.timestamp is None:
        # On a network of others the transaction waits for its turn.
        if mined.height < intent.height:
            raise InvalidData("the block stands below the one that the intent names")
        return
    if (mined.height, header.parent_hash) != (intent.height, intent.parent_hash):
        raise InvalidData("the block is not the one that the intent names")
    if mined.timestamp != intent.timestamp:
        raise InvalidData("the block's timestamp is not the intent's")


def _check_follows(before: Mined, intent: Intent) -> None:
    if intent.height <= before.height:
        raise InvalidData(f"height {intent.height} does not follow {before.height}")
    if intent.height == before.height + 1 and intent.parent_hash != before.block_hash:
        raise InvalidData(f"parent hash is not the hash of block {before.height}")
