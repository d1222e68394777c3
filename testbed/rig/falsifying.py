"""Puts a falsification together: which attack, on which log, at which place under an anchor."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from testbed.attacks import chain as chain_attacks
from testbed.attacks import published, records, resigned
from testbed.attacks.target import Falsified, Target, TargetChain, TargetLog
from testbed.chain.reading import iterate_steps
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import DataType, Value
from testbed.fieldbus.registers import encode
from testbed.keys.files import read_secret
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.locks import held_roles
from testbed.rig.paths import Paths
from testbed.rig.reading import tags_of
from testbed.store.sqlite import LogStore
from testbed.witness.memory import Memory
from testbed.witness.mirror import HASH_SIZE


class Place(Enum):
    """Which of the records that the newest anchor covers."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Request:
    """What to falsify. index wins over place; tag and value: for a changed value only; role: whose log.

    None stands for what is not said: the log that the kind is about, a middle record, tank2.level, another value.
    """

    kind: str
    role: str | None = None
    place: Place | None = None
    index: int | None = None
    tag: str | None = None
    value: Value | None = None


def target_of(bench: Bench) -> Target:
    """The bench as an attacker finds it. Raises UsageError while it runs, or where nothing was anchored."""
    running = held_roles(bench)
    if running:
        raise UsageError(f"the bench runs: {', '.join(running)}", "stop it first (Ctrl-C in its terminal)")
    paths, own = Paths(bench.data), read_dev_chain(Paths(bench.data))
    chain = TargetChain(
        folder=paths.role_folder("chain"),
        state=paths.chain_state,
        journal=paths.journal,
        key=read_secret(paths.key("anchor")),
        chain_id=own.chain_id,
        genesis_time_s=own.genesis_time_s,
        funded=own.funded,
    )
    logs = _logs(bench, paths)
    return Target(logs, logs[bench.gateway.name], logs[bench.twin.name], chain)


async def falsify(bench: Bench, request: Request) -> Falsified:
    """Do it. Raises UsageError, with nothing changed, where the request makes no sense for this bench."""
    target = target_of(bench)
    if request.kind not in _ATTACKS:
        raise UsageError(f"there is no falsification {request.kind!r}", f"choose one of {', '.join(_ATTACKS)}")
    only = bench.twin.name if request.kind == "twin-record" else bench.gateway.name
    role = request.role or only
    if role not in target.logs:
        raise UsageError(f"there is no log {role!r}", f"choose one of {', '.join(target.logs)}")
    _check_options(request, role, only, [name for name, log in target.logs.items() if log.tags])
    return await _ATTACKS[request.kind](target, target.logs[role], request)


def _check_options(request: Request, role: str, only: str, readers: list[str]) -> None:
    """Raises UsageError for an option that means nothing here."""
    if request.kind in _OF_ONE_LOG and role != only:
        others = ", ".join(kind for kind in _ATTACKS if kind not in _OF_ONE_LOG)
        raise UsageError(
            f"{request.kind} is about the log of {only}, so --log {role} means nothing",
            f"leave --log out; these take any: {others}",
        )
    if request.kind in _WITHOUT_PLACE and (request.place, request.index) != (None, None):
        others = ", ".join(kind for kind in _ATTACKS if kind not in _WITHOUT_PLACE)
        raise UsageError(f"{request.kind} has no --at and no --index", f"leave them out; these take them: {others}")
    if (request.kind not in _OF_VALUES or role not in readers) and (request.tag, request.value) != (None, None):
        raise UsageError(
            f"{request.kind} on the log of {role} has no --tag and no --to",
            f"leave them out; these take them, on the log of {' or '.join(readers)}: {', '.join(sorted(_OF_VALUES))}",
        )


def _wanted(log: TargetLog, request: Request) -> tuple[str, Value | None]:
    """The tag that is meant and its new value, of the tag's type. Raises UsageError for one that does not fit."""
    name, value = request.tag or _USUAL_TAG, request.value
    tag = next((tag for tag in log.tags if tag.name == name), None)
    if tag is None or value is None:  # an unknown tag is told of where the record is known
        return name, value
    try:
        if tag.type in (DataType.FLOAT32, DataType.FLOAT64) and type(value) is int:
            value = float(value)
        encode(tag, value)
    except (InvalidData, OverflowError):
        within = "true or false" if tag.type is DataType.BOOL else f"a number, such as one of {tag.low:g}..{tag.high:g}"
        raise UsageError(f"--to {value}: {name} is {tag.type.value}, which cannot hold it", f"give {within}") from None
    return name, value


def _at(log: TargetLog, request: Request) -> int:
    """The record that is meant: the first, a middle or the last one that only the newest anchor covers."""
    if request.index is not None:
        return request.index
    if not log.sizes:
        raise UsageError(f"{log.origin} was not anchored yet", "run the bench longer, or name a record with --index")
    first, last = (log.sizes[-2] if len(log.sizes) > 1 else 0), log.sizes[-1] - 1
    return {Place.FIRST: first, Place.MIDDLE: (first + last) // 2, Place.LAST: last}[request.place or Place.MIDDLE]


async def _value(_: Target, log: TargetLog, request: Request) -> Falsified:
    return records.change_value(log, _at(log, request), *_wanted(log, request))


async def _delete(_: Target, log: TargetLog, request: Request) -> Falsified:
    return records.delete(log, _at(log, request))


async def _insert(_: Target, log: TargetLog, request: Request) -> Falsified:
    return records.insert(log, _at(log, request))


async def _swap(_: Target, log: TargetLog, request: Request) -> Falsified:
    return records.swap(log, _at(log, request))


async def _tile(_: Target, log: TargetLog, request: Request) -> Falsified:
    return published.change_tile(log, _at(log, request))


async def _upper_tile(_: Target, log: TargetLog, request: Request) -> Falsified:
    count = published.published_size(log) >> 8
    chosen = {Place.FIRST: 0, Place.MIDDLE: (count - 1) // 2, Place.LAST: count - 1}[request.place or Place.MIDDLE]
    return published.change_upper_tile(log, 1, max(chosen if request.index is None else request.index, 0))


async def _checkpoint(_: Target, log: TargetLog, request: Request) -> Falsified:
    with LogStore.read(log.store) as store:
        found = store.next_checkpoint(_at(log, request))
    if found is None:
        raise UsageError(f"{log.origin} has no checkpoint over that record", "choose a smaller --index")
    return published.change_checkpoint(log, found[0])


async def _twin_record(target: Target, _: TargetLog, request: Request) -> Falsified:
    return resigned.rewrite_twin_record(target.twin, _nearest(target.twin, request, Kind.TWIN))


async def _source_record(target: Target, _: TargetLog, request: Request) -> Falsified:
    index = _nearest(target.source, request, Kind.STATE)
    return resigned.rewrite_state(target.source, index, *_wanted(target.source, request))


async def _forged_frame(target: Target, _: TargetLog, request: Request) -> Falsified:
    index = _nearest(target.source, request, Kind.STATE)
    return resigned.forge_frame(target.source, index, *_wanted(target.source, request))


async def _stripped_frame(target: Target, _: TargetLog, request: Request) -> Falsified:
    return resigned.strip_frame(target.source, _nearest(target.source, request, Kind.STATE))


def _nearest(log: TargetLog, request: Request, kind: Kind) -> int:
    """The record that is meant, or the nearest of that kind: the place may hold one of another kind."""
    wanted = _at(log, request)
    if request.index is not None:
        return wanted
    with LogStore.read(log.store) as store:
        rows = [row.index for row in store.rows(0, log.sizes[-1]) if decode_entry(row.entry).kind is kind]
    return min(rows, key=lambda index: abs(index - wanted), default=wanted)


async def _slot(target: Target, log: TargetLog, _: Request) -> Falsified:
    return await chain_attacks.change_slot(target.chain, log.origin)


async def _chain(target: Target, log: TargetLog, request: Request) -> Falsified:
    heights = chain_attacks.anchored_heights(target.chain, log.origin)
    if not heights:
        raise UsageError(f"{log.origin} was not anchored yet", "run the bench longer")
    chosen = {Place.FIRST: heights[0], Place.MIDDLE: heights[len(heights) // 2], Place.LAST: heights[-1]}
    return await chain_attacks.rewrite_chain(
        target.chain, chosen[request.place or Place.MIDDLE] if request.index is None else request.index
    )


Attack = Callable[[Target, TargetLog, Request], Awaitable[Falsified]]

_ATTACKS: dict[str, Attack] = {
    "value": _value,
    "delete": _delete,
    "insert": _insert,
    "swap": _swap,
    "tile": _tile,
    "upper-tile": _upper_tile,
    "checkpoint": _checkpoint,
    "twin-record": _twin_record,
    "source-record": _source_record,
    "forged-frame": _forged_frame,
    "stripped-frame": _stripped_frame,
    "slot": _slot,
    "chain": _chain,
}
"""What does each kind of `testbed.attacks.kinds`."""

_OF_ONE_LOG = frozenset({"twin-record", "source-record", "forged-frame", "stripped-frame"})
_OF_VALUES = frozenset({"value", "source-record", "forged-frame"})
_WITHOUT_PLACE = frozenset({"slot"})
_USUAL_TAG = "tank2.level"


def _mirrored(bench: Bench, paths: Paths, origin: str) -> int:
    """How many records of a log the witnesses of this bench have mirrored."""
    files = [Memory(paths.role_folder(witness.name), origin).leaves for witness in bench.witnesses]
    return max((file.stat().st_size // HASH_SIZE for file in files if file.exists()), default=0)


def _logs(bench: Bench, paths: Paths) -> dict[str, TargetLog]:
    """Every log of the bench by name."""
    sizes: dict[str, list[int]] = {bench.origin(name): [] for name in bench.logs}
    for step in iterate_steps(paths.journal):
        if step.mined is not None and step.intent.anchored is not None:
            sizes[step.intent.anchored.origin].append(step.intent.anchored.size)
    tags = {reader.name: tags_of(bench, reader) for reader in bench.readers}
    return {
        name: TargetLog(
            origin=bench.origin(name),
            store=paths.log(name),
            published=paths.tlog(name),
            key_seed=read_secret(paths.key(name)),
            sizes=tuple(sizes[bench.origin(name)]),
            tags=tags.get(name, ()),
            witnessed=_mirrored(bench, paths, bench.origin(name)),
        )
        for name in bench.logs
    }
