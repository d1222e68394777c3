"""Signed checkpoints, stored and published, by somebody who can write the files and holds no key."""

import base64
from collections.abc import Callable
from random import Random

from testbed.core.finding import Layer, Verdict, What
from testbed.merkle.tiles import TILE_WIDTH, parse_tile_path, tile_path
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan, flipped
from tests.deep.mutations.expected import Sought, found, neutral
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.ground import tiles_of
from tests.deep.mutations.rows import other_log, some_log
from tests.deep.mutations.tiles import tile_name

# Stored checkpoints.


def _checkpoint(log: LogFacts, size: int) -> str:
    return f"checkpoint of {log.origin}, size {size}"


def wrong_key(log: LogFacts, size: int) -> Sought:
    return Sought(What.WRONG_KEY, Layer.IDENTITY, _checkpoint(log, size), log.origin)


def misplaced(log: LogFacts, size: int) -> Sought:
    return Sought(What.ALTERED, Layer.LOG, _checkpoint(log, size), log.origin)


def gone(log: LogFacts, sizes: list[int]) -> list[Sought]:
    """Stored checkpoints that others know to have been: published, or anchored."""
    known = {one.size for one in log.anchors} | {log.size}
    return [
        Sought(What.DELETED, Layer.STORE, _checkpoint(log, size), log.origin) for size in sorted(known & set(sizes))
    ]


def some_size(log: LogFacts, rng: Random) -> int:
    """The size of a stored checkpoint; every second time of one that is anchored or published, or stands beside one."""
    sizes = sorted(log.notes)
    known = {one.size for one in log.anchors} | {log.size}
    near = [size for at, size in enumerate(sizes) if known & set(sizes[max(0, at - 1) : at + 2])]
    return rng.choice(near if rng.random() < 0.5 else sizes)


def in_one_note(change: Callable[[Random, bytes], bytes], done: str) -> Callable[[Facts, Random], Plan]:
    """A plan that gives one stored checkpoint other bytes: the key has not signed those."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng)
        size = some_size(log, rng)
        note = change(rng, log.notes[size])

        def apply(draft: Draft) -> None:
            _put_note(draft, log, size, note)

        return Plan(f"{done} in the {_checkpoint(log, size)}", apply, found(wrong_key(log, size)))

    return plan


def _put_note(draft: Draft, log: LogFacts, size: int, note: bytes) -> None:
    notes = draft.notes(log.origin)
    notes[:] = [pair for pair in notes if pair[0] != size] + [(size, note)]


def other_field(rng: Random, note: bytes) -> bytes:
    """Another size or root in a note, its signature as it was."""
    lines = note.split(b"\n")
    if rng.random() < 0.5:
        lines[1] = b"%d" % (int(lines[1]) + rng.choice((1, 2, 100)))
    else:
        lines[2] = base64.b64encode(flipped(rng, base64.b64decode(lines[2])))
    return b"\n".join(lines)


def cut(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _with_byte(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.choice((b"0", b"A", b"\n", b" ", b"\xff")) + data[at:]


def _delete_note(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    size = some_size(log, rng)

    def apply(draft: Draft) -> None:
        notes = draft.notes(log.origin)
        notes[:] = [pair for pair in notes if pair[0] != size]

    why = "it was neither published nor anchored: the tree that later checkpoints sign holds all that it said"
    sought = gone(log, [size])
    return Plan(f"the {_checkpoint(log, size)} deleted", apply, found(*sought) if sought else neutral(why))


def _cut_notes(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    sizes = sorted(log.notes)
    first = rng.choice([0, len(sizes) - 1, rng.randrange(len(sizes)), rng.randrange(len(sizes))])

    def apply(draft: Draft) -> None:
        del draft.notes(log.origin)[first:]

    said = f"checkpoints of {log.origin} from size {sizes[first]} on deleted"
    return Plan(said, apply, found(*gone(log, sizes[first:])))


def _new_note(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    free = [size for size in (*range(1, log.size), log.size + 1, log.size + 1000, 2**40) if size not in log.notes]
    size = rng.choice(free)
    if rng.random() < 0.5:
        old = some_size(log, rng)
        note, sought = log.notes[old], misplaced(log, size)
    else:
        note, sought = rng.randbytes(rng.randrange(60)), wrong_key(log, size)
    return Plan(f"a {_checkpoint(log, size)} made up", lambda draft: _put_note(draft, log, size, note), found(sought))


def _copied_note(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    size, other = rng.sample(sorted(log.notes), 2)
    said = f"the {_checkpoint(log, size)} is a copy of that of size {other}"
    return Plan(said, lambda draft: _put_note(draft, log, size, log.notes[other]), found(misplaced(log, size)))


def _exchanged_notes(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    one, other = rng.sample(sorted(log.notes), 2)

    def apply(draft: Draft) -> None:
        _put_note(draft, log, one, log.notes[other])
        _put_note(draft, log, other, log.notes[one])

    said = f"the checkpoints of {log.origin} of sizes {one} and {other} exchanged"
    return Plan(said, apply, found(misplaced(log, one), misplaced(log, other)))


def _foreign_note(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    other = other_log(facts, rng, log)
    size, note = some_size(log, rng), rng.choice(list(other.notes.values()))
    said = f"the {_checkpoint(log, size)} is one of {other.origin}"
    return Plan(said, lambda draft: _put_note(draft, log, size, note), found(wrong_key(log, size)))


# The published checkpoint.


def _published_by(change: Callable[[Random, bytes], bytes], done: str) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng)
        note = change(rng, log.published)
        sought = Sought(What.WRONG_KEY, Layer.IDENTITY, f"published checkpoint of {log.origin}", log.origin)
        said = f"{done} in the published checkpoint of {log.origin}"
        return Plan(said, lambda draft: draft.publish(log.origin, note), found(sought))

    return plan


def _unpublished(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    sought = Sought(What.MISSING, Layer.LOG, log.origin, log.origin)
    said = f"the published checkpoint of {log.origin} deleted"
    expected = found(sought, verdict=Verdict.INCONCLUSIVE)
    return Plan(said, lambda draft: draft.publish(log.origin, None), expected)


def _foreign_published(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    other = other_log(facts, rng, log)
    sought = Sought(What.WRONG_KEY, Layer.IDENTITY, f"published checkpoint of {log.origin}", log.origin)
    said = f"{log.origin} publishes the checkpoint of {other.origin}"
    return Plan(said, lambda draft: draft.publish(log.origin, other.published), found(sought))


def _older_published(facts: Facts, rng: Random) -> Plan:
    """An old checkpoint file, the tiles left: those that are half full now were not so then."""
    log = some_log(facts, rng, 4)
    size = rng.choice(sorted(log.notes)[:-1])
    asked = _paths(size)
    lacks = [path for path in asked if path not in log.tiles]

    def apply(draft: Draft) -> None:
        draft.publish(log.origin, log.notes[size])
        tiles = draft.tiles(log.origin)
        for path in [path for path in tiles if path not in asked]:
            del tiles[path]  # not asked for, so not read

    sought = [Sought(What.MISSING, Layer.LOG, tile_name(log, parse_tile_path(path)), log.origin) for path in lacks]
    expected = found(*sought, verdict=Verdict.INCONCLUSIVE) if sought else neutral(_LAGS)
    return Plan(f"{log.origin} publishes its checkpoint of size {size} again", apply, expected)


def _older_folder(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    size = rng.choice(sorted(log.notes)[:-1])
    tiles = tiles_of(log.rows[:size])

    def apply(draft: Draft) -> None:
        draft.publish(log.origin, log.notes[size])
        draft.tiles(log.origin).clear()
        draft.tiles(log.origin).update(tiles)

    return Plan(f"the published folder of {log.origin} as it was at size {size}", apply, neutral(_LAGS))


_LAGS = "a publisher may be behind its store at any time: all that is published is true, and the store has the rest"


def _another_signer(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    line = "— a.witness/x " + base64.b64encode(rng.randbytes(4 + 72)).decode() + "\n"
    note = log.published + line.encode()
    why = "a signature by a key that nobody trusts here is ignored (C2SP signed-note): witnesses add such lines"
    said = f"a signature by somebody else under the published checkpoint of {log.origin}"
    return Plan(said, lambda draft: draft.publish(log.origin, note), neutral(why))


def _paths(size: int) -> list[str]:
    """What a log of that size has to offer: from the numbers alone."""
    paths = [
        tile_path(level, n, min(TILE_WIDTH, count - n * TILE_WIDTH))
        for level, count in ((level, size >> (8 * level)) for level in range(8))
        for n in range(-(-count // TILE_WIDTH))
    ]
    paths += [path.replace("tile/0/", "tile/entries/") for path in paths if path.startswith("tile/0/")]
    return paths


_NOTES, _PUBLISHED = "stored checkpoints", "published checkpoint"

CELLS = [
    Cell(_NOTES, "flip a bit", BYTES, in_one_note(flipped, "a bit")),
    Cell(_NOTES, "change a value", BYTES, in_one_note(other_field, "another size or root")),
    Cell(_NOTES, "truncate", BYTES, in_one_note(cut, "the end cut off")),
    Cell(_NOTES, "insert a byte", BYTES, in_one_note(_with_byte, "a byte more")),
    Cell(_NOTES, "delete", BYTES, _delete_note),
    Cell(_NOTES, "insert", BYTES, _new_note),
    Cell(_NOTES, "duplicate", BYTES, _copied_note),
    Cell(_NOTES, "swap", BYTES, _exchanged_notes),
    Cell(_NOTES, "truncate the tail", BYTES, _cut_notes),
    Cell(_NOTES, "move across logs", BYTES, _foreign_note),
    Cell(_PUBLISHED, "flip a bit", BYTES, _published_by(flipped, "a bit")),
    Cell(_PUBLISHED, "change a value", BYTES, _published_by(other_field, "another size or root")),
    Cell(_PUBLISHED, "truncate", BYTES, _published_by(cut, "the end cut off")),
    Cell(_PUBLISHED, "insert", BYTES, _published_by(_with_byte, "a byte more")),
    Cell(_PUBLISHED, "delete", BYTES, _unpublished),
    Cell(_PUBLISHED, "move across logs", BYTES, _foreign_published),
    Cell(_PUBLISHED, "roll back", BYTES, _older_published),
    Cell(_PUBLISHED, "roll back, with its tiles", BYTES, _older_folder),
    Cell(_PUBLISHED, "add a signature", BYTES, _another_signer),
]
