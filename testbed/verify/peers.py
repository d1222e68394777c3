"""Checkpoints of another log that a writer kept, against that log's own tree: they show a fork, or what was cut off."""

from testbed.core.bodies import Peer
from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.merkle.packed import Packed
from testbed.verify.log import CheckedLog


class KeptCheckpoints:
    """What one log, `holder`, keeps of another one, `source`. layer: where the holder's own lies are found."""

    def __init__(self, holder: CheckedLog, source: CheckedLog, layer: Layer) -> None:
        self._holder = holder
        self._source = source
        self._layer = layer
        # What a revoked key signed counts for nothing, but whoever kept it took it for what it was.
        self._keys = source.keys.unrevoked
        self._void_to = 0
        self._own: Packed | None = None
        self._known = 0
        self._source_forked = any(one.what is What.FORKED for one in source.findings)
        self._forked: list[tuple[int, str]] = []
        self._forked_from = self._forked_to = 0
        self._longest = source.size
        self._kept_in = ""
        self._agreed_to = 0

    def take(self, index: int, body: Peer) -> tuple[int | None, list[Finding]]:
        """Take one in that stands in the holder's record `index`: its size, None where the source never signed it."""
        where = f"record {index} of {self._holder.origin}"
        try:
            # Nearly always it is one that the source keeps as well, and its signature was verified there.
            known = self._source.notes.get(body.checkpoint)
            checkpoint = known or open_checkpoint(body.checkpoint, self._keys, self._source.origin)
        except InvalidData as error:
            detail = f"it keeps a checkpoint that {self._source.origin} never signed: {error}"
            return None, [Finding(What.INVENTED, self._layer, where, detail, origin=self._holder.origin, index=index)]
        keys = self._source.keys
        limit = keys.revoked_beyond(keys.owner(checkpoint.size))
        if limit is not None and checkpoint.size > limit:
            self._void_to = max(self._void_to, checkpoint.size)
            return checkpoint.size, []
        # What the source keeps as well was compared with its tree there.
        if (known is None or self._source_forked) and self._lies_off(checkpoint):
            self._forked.append((checkpoint.size, where))
            held = self._agreed_to if self._agreed_to < checkpoint.size else 0
            self._forked_from = min(self._forked_from, held) if self._forked_to else held
            self._forked_to = max(self._forked_to, checkpoint.size)
        elif checkpoint.size <= self._reach():
            self._agreed_to = max(self._agreed_to, checkpoint.size)
        if checkpoint.size > self._longest:
            self._longest, self._kept_in = checkpoint.size, where
        return checkpoint.size, []

    def _lies_off(self, checkpoint: Checkpoint) -> bool:
        """Whether the source's tree, as far as it is known, has another root at that size."""
        reach = self._reach()
        own = self._own
        return own is not None and checkpoint.size <= reach and own.tree.root(checkpoint.size) != checkpoint.root

    def _reach(self) -> int:
        """How many leaves of the source's tree are known from the first one on."""
        if self._own is None:
            self._own = Packed.of(self._source.leaves)
            self._known = next(self._own.unknown(), len(self._own))
        return self._known

    def beyond_end(self, index: int) -> bool:
        """Whether the signed checkpoints over that record that are kept lie beyond the source's end, or are void."""
        longer = index < self._longest and self._longest > self._source.size
        return self._agreed_to <= index and (longer or index < self._void_to)

    def forked_above(self, index: int) -> bool:
        """Whether a signed checkpoint is kept that covers `index` and lies off the source's tree, and that record may
        be what makes the difference: a checkpoint before it that lies on the tree speaks for what it covers.
        """
        return self._forked_from <= index < self._forked_to

    def forked(self) -> list[Finding]:
        """The first checkpoint that lies off the source's tree; no finding where an anchor says so as well."""
        if not self._forked or self._source_forked:
            return []
        size, kept_in = self._forked[0]
        origin = self._source.origin
        detail = f"its key signed another root at this size than that of its records, see {kept_in}"
        return [Finding(What.FORKED, Layer.LOG, f"checkpoint of {origin}, size {size}", detail, origin=origin)]

    def rolled_back(self) -> list[Finding]:
        """The source is shorter than a kept checkpoint; no finding where an anchor says so as well."""
        source = self._source
        if not self._kept_in or any(one.what is What.ROLLED_BACK for one in source.findings):
            return []
        detail = f"its key signed size {self._longest}, see {self._kept_in}; it ends at size {source.size}"
        where = f"{source.origin} from record {source.size} on"
        return [Finding(What.ROLLED_BACK, Layer.LOG, where, detail, origin=source.origin, index=source.size)]
