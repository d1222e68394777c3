"""Second checkpoints, signed by a log's own key beside the first, and what witnesses keep: notes and hashes."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.merkle.packed import Packed
from testbed.verify.evidence import MirrorEvidence
from tests.deep.mutations.cell import BYTES, KEY, Cell, Draft, Plan, flipped
from tests.deep.mutations.expected import Expected, Sought, found, neutral
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.rows import other_log, some_log


def _forked(facts: Facts, log: LogFacts, size: int, where: str) -> Expected:
    """A root at a size that is not the log's: what differs lies behind the last size that others hold as it is."""
    del facts
    held = max((one.size for one in log.anchors if one.size < size), default=0)
    return found(Sought(What.FORKED, Layer.LOG, where, log.origin, None, f"records {held} to {size - 1}"))


def _second(draft: Draft, log: LogFacts, size: int, root: bytes) -> bytes:
    return sign_checkpoint(Checkpoint(log.origin, size, root), draft.ground.keys[log.origin])


def _in_store(facts: Facts, rng: Random) -> Plan:
    log, root = some_log(facts, rng, 4), rng.randbytes(32)
    size = rng.choice([log.size, log.confirmed, rng.randrange(1, log.size), rng.choice(list(log.notes))])

    def apply(draft: Draft) -> None:
        notes = draft.notes(log.origin)
        notes[:] = [pair for pair in notes if pair[0] != size] + [(size, _second(draft, log, size, root))]

    said = f"another root signed for size {size} of {log.origin}, in the store"
    return Plan(said, apply, _forked(facts, log, size, f"checkpoint of {log.origin}, size {size}"))


def _published(facts: Facts, rng: Random) -> Plan:
    log, root = some_log(facts, rng, 4), rng.randbytes(32)

    def apply(draft: Draft) -> None:
        draft.publish(log.origin, _second(draft, log, log.size, root))

    said = f"another root signed for size {log.size} of {log.origin}, published"
    return Plan(said, apply, _forked(facts, log, log.size, f"published checkpoint of {log.origin}, size {log.size}"))


def _beyond(facts: Facts, rng: Random) -> Plan:
    """A checkpoint over records that nobody has: the store lacks what the log's key signed for."""
    log, root = some_log(facts, rng, 4), rng.randbytes(32)
    size = log.size + rng.choice((1, 2, 3, 200))

    def apply(draft: Draft) -> None:
        draft.notes(log.origin).append((size, _second(draft, log, size, root)))

    where = f"records {log.size} to {size - 1} of {log.origin}" if size > log.size + 1 else ""
    sought = Sought(What.DELETED, Layer.STORE, where or f"record {log.size} of {log.origin}", log.origin, log.size)
    return Plan(f"{log.origin} signs for {size} records, and has {log.size}", apply, found(sought))


# Witnesses.

Note = Callable[[Random, bytes], bytes]


def witnessed(facts: Facts) -> bool:
    return any(log.mirrors for log in facts.logs.values())


def _mirror(draft: Draft, log: LogFacts, mirror: MirrorEvidence | None) -> None:
    draft.put(replace(draft.logs[log.origin], mirrors=() if mirror is None else (mirror,)))


def _altered(log: LogFacts, where: str) -> Sought:
    return Sought(What.ALTERED, Layer.WITNESS, where, log.origin)


def _note_wrong(log: LogFacts) -> Expected:
    where = f"checkpoint of {log.origin} that {log.mirrors[0].witness} keeps"
    return found(_altered(log, where), verdict=Verdict.INCONCLUSIVE)


_WAITS = "a log that no witness has cosigned is listed as one that waits: nothing else rests on it"


def _in_note(change: Note, done: str) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng)
        (mirror,) = log.mirrors
        at = rng.randrange(len(mirror.notes))
        notes = list(mirror.notes)
        notes[at] = change(rng, notes[at])
        changed = replace(mirror, notes=tuple(notes))
        said = f"{done} in a checkpoint of {log.origin} that {mirror.witness} keeps"
        return Plan(said, lambda draft: _mirror(draft, log, changed), _note_wrong(log))

    return plan


def _text_flipped(rng: Random, note: bytes) -> bytes:
    text, gap, lines = note.partition(b"\n\n")
    return flipped(rng, text) + gap + lines


def _signature_flipped(which: int) -> Note:
    """A bit of a signature, behind its key's id: 0 is the log's, 1 the witness'."""

    def change(rng: Random, note: bytes) -> bytes:
        text, gap, rest = note.partition(b"\n\n")
        lines = rest.split(b"\n")
        name, _, blob = lines[which].rpartition(b" ")
        raw = base64.b64decode(blob)
        lines[which] = name + b" " + base64.b64encode(raw[:4] + flipped(rng, raw[4:]))
        return text + gap + b"\n".join(lines)

    return change


def _cut(rng: Random, note: bytes) -> bytes:
    return note[: rng.randrange(note.index(b"\n\n"))]


def _foreign_note(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    (mirror,) = log.mirrors
    theirs = other_log(facts, rng, log)
    changed = replace(mirror, notes=theirs.mirrors[0].notes)
    said = f"{mirror.witness} keeps checkpoints of {theirs.origin} as those of {log.origin}"
    expected = found(*_note_wrong(log).sought * len(changed.notes), verdict=Verdict.INCONCLUSIVE)
    return Plan(said, lambda draft: _mirror(draft, log, changed), expected)


def _without_cosignature(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    (mirror,) = log.mirrors
    changed = replace(mirror, notes=tuple(note[: note.rstrip(b"\n").rindex(b"\n") + 1] for note in mirror.notes))
    said = f"the cosignatures of {mirror.witness} for {log.origin} taken away"
    return Plan(said, lambda draft: _mirror(draft, log, changed), neutral(_WAITS))


def _older_note(facts: Facts, rng: Random) -> Plan:
    """What the log signed once, without a cosignature: that the witness saw more since is not to be seen."""
    log = some_log(facts, rng, 4)
    (mirror,) = log.mirrors
    size = rng.choice(list(log.notes))
    changed = replace(mirror, notes=(log.notes[size],), leaves=mirror.leaves[:size])
    said = f"{mirror.witness} set back to size {size} of {log.origin}"
    return Plan(said, lambda draft: _mirror(draft, log, changed), neutral(_WAITS))


def _no_mirror(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    said = f"what {log.mirrors[0].witness} keeps of {log.origin} taken away"
    return Plan(said, lambda draft: _mirror(draft, log, None), neutral(_WAITS))


def _no_mirrors(facts: Facts, rng: Random) -> Plan:
    del rng

    def apply(draft: Draft) -> None:
        for log in facts.logs.values():
            _mirror(draft, log, None)

    sought = Sought(What.UNREACHABLE, Layer.WITNESS, "witness")
    return Plan("all that the witness keeps taken away", apply, found(sought, verdict=Verdict.INCONCLUSIVE))


Leaves = Callable[[Facts, Random, LogFacts, list[bytes]], tuple[str, list[bytes], int | None]]


def _in_leaves(change: Leaves) -> Callable[[Facts, Random], Plan]:
    """A plan that gives the witness other hashes; the first that is wrong is named, None: there are fewer."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng, 4)
        (mirror,) = log.mirrors
        done, leaves, wrong = change(facts, rng, log, list(log.leaves[: len(mirror.leaves)]))
        changed = replace(mirror, leaves=Packed.of(leaves))
        where = f"record {wrong} of {log.origin} in the mirror of {mirror.witness}"
        fewer = "a mirror that is shorter than what was cosigned still says nothing false"
        expected = neutral(fewer) if wrong is None else found(_altered(log, where), verdict=Verdict.INCONCLUSIVE)
        said = f"{done} in what {mirror.witness} keeps of {log.origin}"
        return Plan(said, lambda draft: _mirror(draft, log, changed), expected)

    return plan


def _leaf_flipped(_: Facts, rng: Random, log: LogFacts, leaves: list[bytes]) -> tuple[str, list[bytes], int | None]:
    index = log.place(rng, len(leaves))
    leaves[index] = flipped(rng, leaves[index])
    return f"a bit of hash {index}", leaves, index


def _leaf_deleted(_: Facts, rng: Random, log: LogFacts, leaves: list[bytes]) -> tuple[str, list[bytes], int | None]:
    index = log.place(rng, len(leaves) - 1)
    del leaves[index]
    return f"hash {index} taken out", leaves, index


def _leaf_inserted(_: Facts, rng: Random, log: LogFacts, leaves: list[bytes]) -> tuple[str, list[bytes], int | None]:
    index = log.place(rng, len(leaves))
    leaves.insert(index, rng.randbytes(32))
    return f"a hash put in at {index}", leaves, index


def _leaves_swapped(_: Facts, rng: Random, log: LogFacts, leaves: list[bytes]) -> tuple[str, list[bytes], int | None]:
    one, other = sorted(rng.sample(range(len(leaves)), 2))
    leaves[one], leaves[other] = leaves[other], leaves[one]
    del log
    return f"hashes {one} and {other} exchanged", leaves, one


def _leaves_cut(_: Facts, rng: Random, log: LogFacts, leaves: list[bytes]) -> tuple[str, list[bytes], int | None]:
    size = log.place(rng, len(leaves))
    return f"cut to {size} hashes", leaves[:size], None


def _foreign_leaves(facts: Facts, rng: Random, log: LogFacts, _: list[bytes]) -> tuple[str, list[bytes], int | None]:
    theirs = other_log(facts, rng, log)
    return f"the hashes of {theirs.origin}", list(theirs.leaves), 0


def _refused(facts: Facts, rng: Random) -> Plan:
    """The log's key signed another root, the witness refused it and keeps it: the log is as it was again."""
    log, root = some_log(facts, rng, 4), rng.randbytes(32)
    (mirror,) = log.mirrors
    size = rng.randrange(1, log.size + 1)

    def apply(draft: Draft) -> None:
        note = _second(draft, log, size, root)
        _mirror(draft, log, replace(mirror, notes=(*mirror.notes, note)))

    said = f"{mirror.witness} keeps another root that {log.origin} signed for size {size}"
    where = f"checkpoint of {log.origin}, size {size}, that {mirror.witness} keeps"
    return Plan(said, apply, _forked(facts, log, size, where))


_MIRRORS = "witness mirrors"


def _cells(names: Sequence[tuple[str, str, Callable[[Facts, Random], Plan]]]) -> list[Cell]:
    return [Cell(_MIRRORS, operation, attacker, plan, witnessed) for operation, attacker, plan in names]


CELLS = [
    Cell("stored checkpoints", "sign another root", KEY, _in_store),
    Cell("stored checkpoints", "sign for more than there is", KEY, _beyond),
    Cell("published checkpoint", "sign another root", KEY, _published),
    *_cells(
        [
            ("checkpoint: flip a bit", BYTES, _in_note(_text_flipped, "a bit of the text")),
            ("checkpoint: flip a bit of the log's signature", BYTES, _in_note(_signature_flipped(0), "a bit")),
            ("checkpoint: flip a bit of the cosignature", BYTES, _in_note(_signature_flipped(1), "a bit")),
            ("checkpoint: truncate", BYTES, _in_note(_cut, "the end cut off")),
            ("checkpoint: move across logs", BYTES, _foreign_note),
            ("checkpoint: take the cosignature away", BYTES, _without_cosignature),
            ("checkpoint: roll back", BYTES, _older_note),
            ("checkpoint: a second one that was refused", KEY, _refused),
            ("hashes: flip a bit", BYTES, _in_leaves(_leaf_flipped)),
            ("hashes: delete", BYTES, _in_leaves(_leaf_deleted)),
            ("hashes: insert", BYTES, _in_leaves(_leaf_inserted)),
            ("hashes: swap", BYTES, _in_leaves(_leaves_swapped)),
            ("hashes: truncate the tail", BYTES, _in_leaves(_leaves_cut)),
            ("hashes: move across logs", BYTES, _in_leaves(_foreign_leaves)),
            ("take away one log's", BYTES, _no_mirror),
            ("take away", BYTES, _no_mirrors),
        ]
    ),
]
