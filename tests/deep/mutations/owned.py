"""A log by the one who holds its key: changed, and everything from there on signed anew, published anew.

What must be found follows from what others hold of it: anchors, checkpoints that other logs keep, the twin's inputs.
"""

from collections.abc import Sequence
from dataclasses import replace

from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Row
from testbed.core.finding import Layer, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.entry import commitment, decode_entry, encode_entry
from testbed.verify.evidence import LogEvidence
from tests.deep.mutations.cell import Draft, renumber
from tests.deep.mutations.expected import Sought, records
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import GATEWAY, tiles_of


def resigned(draft: Draft, origin: str, rows: Sequence[Row], first: int, shift: int = 0) -> LogEvidence:
    """The log with these records, of which those below `first` are as they were.

    shift: by how much the commits behind it have moved. The last checkpoint covers all that is there.
    """
    old = draft.logs[origin]
    changed = list(rows)
    renumber(changed)
    tree = Tree(leaf_hash(row.entry) for row in changed)
    notes = {size: note for size, note in old.checkpoints if size <= min(first, len(changed))}
    sizes = {size + shift for size, _ in old.checkpoints if size > first} | {len(changed)}
    for size in sorted(sizes):
        if first < size <= len(changed) or size == len(changed):
            checkpoint = Checkpoint(origin, size, tree.root(size))
            notes.setdefault(size, sign_checkpoint(checkpoint, draft.ground.keys[origin]))
    return replace(
        old,
        rows=tuple(changed),
        checkpoints=tuple(sorted(notes.items())),
        published=notes[len(changed)],
        tiles=tiles_of(changed),
    )


def counted(rows: Sequence[Row]) -> list[Row]:
    """The same records, each source counted from 0 without gaps, as a writer counts them."""
    due: dict[str, int] = {}
    done = []
    for row in rows:
        entry = decode_entry(row.entry)
        number = due.get(entry.source, 0)
        due[entry.source] = number + 1
        done.append(row if entry.seq == number else replace(row, entry=encode_entry(replace(entry, seq=number))))
    return done


def with_body(row: Row, body: bytes, salt: bytes) -> Row:
    """The record with another body or salt, committed to."""
    entry = replace(decode_entry(row.entry), commitment=commitment(salt, body))
    return Row(row.index, encode_entry(entry), salt, body)


def exact(facts: Facts, origin: str, changed: Sequence[int], size: int) -> list[int]:
    """Which of the records at `changed`, in a log that now has `size`, somebody shows to have been others.

    A witness shows all that it saw. The twin shows what it named as its inputs, where it keeps a signed checkpoint over
    them that the log's tree can be held against.
    """
    if not changed:
        return []
    seen = facts[origin].witnessed
    if seen:
        return [index for index in sorted(changed) if index < min(seen, size)]
    if origin != GATEWAY:
        return []
    shown = max((held for _, _, held in facts.kept[origin] if min(changed) < held <= size), default=0)
    return [index for index in sorted(set(changed) & facts.consumer.keys()) if index < shown]


def forks(facts: Facts, origin: str, changed: Sequence[int], size: int) -> list[Sought]:
    """What others can show of a log that now has `size` records, other ones at the indices `changed`.

    Where a witness or the twin knows what was there, the place is exact; else it is what an anchor, or a checkpoint
    that another log keeps, bounds. A log that was not changed below its end, and is shorter, was rolled back.
    """
    log = facts[origin]
    kept = sorted(held for _, _, held in facts.kept[origin])
    anchored = [one.size for one in log.anchors]
    if shown := exact(facts, origin, changed, size):
        return records(What.FORKED, Layer.LOG, origin, shown)
    if changed:
        first = min(changed)
        anchor = next((one for one in log.anchors if first < one.size <= size), None)
        if anchor is not None:
            held = max((one for one in anchored if one <= first), default=0)
            where = f"checkpoint of {origin}, size {anchor.size}, anchored in block {anchor.block}"
            return [Sought(What.FORKED, Layer.LOG, where, origin, None, f"records {held} to {anchor.size - 1}")]
        over = [held for held in kept if first < held <= size]
        if over:
            return [Sought(What.FORKED, Layer.LOG, f"checkpoint of {origin}, size {min(over)}", origin)]
    if max([*anchored, *kept, log.witnessed], default=0) > size:
        return [Sought(What.ROLLED_BACK, Layer.LOG, f"{origin} from record {size} on", origin, size)]
    return []
