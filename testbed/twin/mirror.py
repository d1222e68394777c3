"""The twin's mirror: consumes a source log under verified checkpoints, runs the model, logs each step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from testbed.core.bodies import Body, LeafRef, Peer, State, TwinRecord
from testbed.core.entry import Kind, Row
from testbed.core.errors import InvalidData, StoreError
from testbed.fieldbus.readings import Readings
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import CheckpointKeys
from testbed.merkle.tree import CompactRange, leaf_hash
from testbed.model.registry import Dynamics
from testbed.record.bodies import decode_body
from testbed.record.entry import commitment, decode_entry

Floats = tuple[float, ...]


class SourceStore(Protocol):
    """The source log, read-only."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]: ...
    def latest_checkpoint(self, limit: int | None = None) -> tuple[int, bytes] | None: ...
    def next_checkpoint(self, beyond: int) -> tuple[int, bytes] | None: ...


class Sink(Protocol):
    """The twin's own log."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the twin runs: model with its hash, parameters with theirs, and how to read a State."""

    model: Dynamics
    model_hash: bytes
    parameters: dict[str, float]
    parameters_hash: bytes
    readings: Readings


class Mirror:
    """Follows one source log. `step` consumes what stands under its next checkpoints and logs a record per State.

    `history` is the twin's own log so far: the last record there says where to go on, so the twin needs no memory
    of its own and can be killed at any instant.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        source: SourceStore,
        source_key: CheckpointKeys,
        log: Sink,
        history: Iterable[Row],
        batch: int = 1024,
    ) -> None:
        self._name = name
        self._recipe = recipe
        self._source = source
        self._source_key = source_key
        self._log = log
        self._batch = batch
        self._pending: list[LeafRef] = []
        self._state = recipe.model.initial(recipe.parameters)
        self._edge = CompactRange()
        self._go_on(history)

    @property
    def consumed(self) -> int:
        """Entries of the source log that were read so far."""
        return self._edge.size

    def step(self) -> int:
        """Consume up to `batch` source entries; the number of twin records that were logged.

        Raises StoreError when the source log does not agree with its own checkpoint: nothing is consumed then.
        """
        found = self._source.latest_checkpoint(self.consumed + self._batch)
        if found is None or found[0] <= self.consumed:
            # The next commit alone may be larger than a batch.
            found = self._source.next_checkpoint(self.consumed)
        if found is None:
            newest = self._source.latest_checkpoint()
            if self.consumed > (newest[0] if newest is not None else 0):
                raise self._stops(f"it ends below record {self.consumed - 1}, which was consumed")
            return 0
        note = found[1]
        try:
            checkpoint = open_checkpoint(note, self._source_key, self._source_key.name)
        except InvalidData as error:
            raise self._stops(f"its checkpoint of size {found[0]} is not valid: {error}") from error
        edge, pending, state = self._edge.copy(), list(self._pending), self._state
        records: list[TwinRecord] = []
        for row in self._source.rows(edge.size, checkpoint.size):
            if row.index != edge.size:
                raise self._stops(f"record {edge.size} is missing")
            digest = leaf_hash(row.entry)
            edge.append(digest)
            pending.append(LeafRef(checkpoint.origin, row.index, digest))
            body = self._open(row)
            if isinstance(body, State):
                state, outputs = self._recipe.model.step(self._recipe.parameters, state, self._recipe.readings(body))
                records.append(
                    TwinRecord(tuple(pending), self._recipe.model_hash, self._recipe.parameters_hash, state, outputs)
                )
                pending = []
        if edge.size != checkpoint.size or edge.root() != checkpoint.root:
            raise self._stops(f"its records do not give the root of its checkpoint of size {checkpoint.size}")
        if records:
            # The checkpoint that covers the inputs stands before the records that name them.
            peer: tuple[str, Body] = (self._name, Peer(checkpoint.origin, note))
            self._log.append([peer, *((self._name, record) for record in records)])
        self._edge, self._pending, self._state = edge, pending, state
        return len(records)

    def _go_on(self, history: Iterable[Row]) -> None:
        """Take up state and place from the last record of `history`; the source must be what it was then."""
        try:
            last, note = _last_step(history)
            if last is None:
                return
            seen = open_checkpoint(note, self._source_key, self._source_key.name)
        except InvalidData as error:
            raise self._stops(f"the twin's own last record does not say where it stood: {error}") from error
        self._state = last.state
        consumed = last.inputs[-1].index + 1
        self._edge.extend(leaf_hash(row.entry) for row in self._source.rows(0, consumed))
        edge = self._edge.copy()
        edge.extend(leaf_hash(row.entry) for row in self._source.rows(consumed, seen.size))
        if (edge.size, edge.root()) != (seen.size, seen.root):
            raise self._stops(f"its first {seen.size} records are not those that the twin has seen")

    def _open(self, row: Row) -> Body | None:
        """The body of a State; other kinds are named as inputs but drive nothing."""
        try:
            entry = decode_entry(row.entry)
            if entry.kind is not Kind.STATE:
                return None
            if row.body is None or commitment(row.salt, row.body) != entry.commitment:
                raise self._stops(f"record {row.index} does not open its commitment")
            return decode_body(entry.kind, row.body)
        except InvalidData as error:
            raise self._stops(f"record {row.index} cannot be read: {error}") from error

    def _stops(self, what: str) -> StoreError:
        return StoreError(
            f"the twin stops: source log {self._source_key.name}: {what}",
            "run `testbed verify` to see what was changed",
        )


def _last_step(history: Iterable[Row]) -> tuple[TwinRecord | None, bytes]:
    """The last twin record, None before the first, and the source's checkpoint that covers its inputs."""
    last: dict[Kind, Row] = {}
    for row in history:
        last[decode_entry(row.entry).kind] = row
    if Kind.TWIN not in last or Kind.PEER not in last:
        return None, b""
    record, peer = (decode_body(kind, last[kind].body or b"") for kind in (Kind.TWIN, Kind.PEER))
    if not isinstance(record, TwinRecord) or not isinstance(peer, Peer):
        raise InvalidData("not a twin record and its peer")
    return record, peer.checkpoint
