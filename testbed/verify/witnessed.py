"""What witnesses saw: which checkpoints they cosigned, how far a quorum did, and what they kept against a log.

A checkpoint that a witness keeps was signed by the log's own key. It is held against the log's tree like an anchored
one, whoever may have put it there; only for the quorum it must bear a trusted witness' cosignature.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.cosignature import WitnessKey, open_cosigned
from testbed.keys.log_keys import LogKeys
from testbed.merkle.packed import Packed
from testbed.verify.checkpoints import Signed, prefix_roots
from testbed.verify.copies import LeafCopy
from testbed.verify.evidence import LogEvidence, MirrorEvidence
from testbed.verify.runs import in_runs
from testbed.verify.trust import Trust


@dataclass(frozen=True, slots=True)
class Kept:
    """What witnesses keep of one log. signed: checkpoints that its key signed; damaged: findings about their files."""

    signed: tuple[Signed, ...] = ()
    damaged: tuple[Finding, ...] = ()


class Seen(Protocol):
    """A log that was checked."""

    @property
    def keys(self) -> LogKeys: ...
    @property
    def leaves(self) -> Sequence[bytes | None]: ...


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How far one log was witnessed. size: records under a checkpoint that a quorum cosigned; by: witnesses that
    cosigned any of the log's checkpoints; waiting: records that wait for a quorum.
    """

    origin: str
    size: int
    by: int
    waiting: int


@dataclass(slots=True)
class CheckedWitnesses:
    """What the check of all witnesses found. trusted: how many the trust file names; read: how many were heard."""

    trusted: int = 0
    read: int = 0
    logs: tuple[Witnessed, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def kept_of(keys: LogKeys, evidence: LogEvidence, notes: dict[bytes, Checkpoint]) -> Kept:
    """Every checkpoint of a log that its witnesses keep. notes: takes them up, as those that were verified."""
    signed: list[Signed] = []
    damaged: list[Finding] = []
    for mirror in evidence.mirrors:
        for note in mirror.notes:
            where = f"checkpoint of {keys.name} that {mirror.witness} keeps"
            try:
                found = notes.get(note) or open_checkpoint(note, keys, keys.name)
            except InvalidData as error:
                # What a revoked key signed counts for nothing, and says nothing against whoever keeps it.
                if not _is_void(note, keys):
                    damaged.append(_damaged(keys.name, where, f"the log's key did not sign it: {error}"))
                continue
            notes[note] = found
            place = f"checkpoint of {keys.name}, size {found.size}, that {mirror.witness} keeps"
            signed.append(Signed(found, place, own=False, by=mirror.witness))
    return Kept(tuple(signed), tuple(damaged))


def _is_void(note: bytes, keys: LogKeys) -> bool:
    try:
        open_checkpoint(note, keys.unrevoked, keys.name)
    except InvalidData:
        return False
    return True


def mirrors_of(evidence: LogEvidence) -> list[LeafCopy]:
    """The witnesses' copies of a log's leaf hashes, trusted for nothing, as all copies are."""
    return [LeafCopy(mirror.leaves) for mirror in evidence.mirrors if len(mirror.leaves)]


def cut_off(origin: str, length: int, kept: Sequence[Signed]) -> list[Finding]:
    """A log is never shorter than what a witness saw of it. length: by its own checkpoints."""
    beyond = [one for one in kept if one.checkpoint.size > length]
    if not beyond:
        return []
    last = max(beyond, key=lambda one: one.checkpoint.size)
    detail = f"{last.where} is longer; the log's own checkpoints end at size {length}"
    where = f"{origin} from record {length} on"
    return [Finding(What.ROLLED_BACK, Layer.LOG, where, detail, origin=origin, index=length)]


def rewritten(origin: str, leaves: Packed, kept: Sequence[Signed], evidence: LogEvidence) -> list[Finding]:
    """The very records that are others now than a witness saw: for a log that lies off a checkpoint that was kept.

    A mirror counts where its hashes give the root of a checkpoint that the log's key signed.
    """
    signed = {(one.checkpoint.size, one.checkpoint.root) for one in kept}
    for mirror in evidence.mirrors:
        roots = prefix_roots(mirror.leaves, {size for size, _ in signed})
        proved = max((size for size, root in roots.items() if (size, root) in signed), default=0)
        if found := _differing(origin, leaves, mirror, proved):
            return found
    return []


def check_witnesses(trust: Trust, evidence: Mapping[str, LogEvidence], sound: Mapping[str, Seen]) -> CheckedWitnesses:
    """How far each log was cosigned. sound: by origin, those that neither forked nor were cut back.

    What lies off a log's tree, or beyond its end, was found when the log was checked; here it counts for nothing.
    """
    keys = tuple(witness.key for witness in trust.witnesses)
    result = CheckedWitnesses(len(keys))
    if not keys:
        return result
    # A folder of that name may be anybody's: whom it is read of, its cosignatures say.
    read: set[WitnessKey] = set()
    logs: list[Witnessed] = []
    for trusted in trust.logs:
        log = sound.get(trusted.origin)
        leaves = Packed.of(log.leaves) if log is not None else Packed(b"")
        known = next(leaves.unknown(), len(leaves))
        sizes: dict[WitnessKey, int] = {}
        for mirror in evidence.get(trusted.origin, LogEvidence(trusted.origin)).mirrors:
            own = 0
            for key, size in _cosigned(log.keys if log else LogKeys(trusted.key), mirror, keys, result.findings):
                read.add(key)
                if size <= known:
                    own = max(own, size)
                    sizes[key] = max(size, sizes.get(key, 0))
            result.findings += _spoiled(trusted.origin, mirror, leaves, own)
        quorum = sorted(sizes.values(), reverse=True)[len(keys) // 2 :]
        size = max(quorum, default=0)
        logs.append(Witnessed(trusted.origin, size, len(sizes), known - size))
    result.logs, result.read = tuple(logs), len(read)
    if len(read) <= len(keys) // 2:
        result.findings.append(_unreachable(trust, read, evidence))
    return result


def _cosigned(
    log: LogKeys, mirror: MirrorEvidence, keys: Sequence[WitnessKey], findings: list[Finding]
) -> Iterator[tuple[WitnessKey, int]]:
    """Who cosigned what size, by the checkpoints in one witness' files."""
    for note in mirror.notes:
        try:
            found = open_cosigned(note, [log], keys, log.name)
        except InvalidData as error:
            # Whether the log's own key has signed was looked at with the log.
            if "cosignature" in str(error):
                findings.append(_damaged(log.name, f"checkpoint of {log.name} that {mirror.witness} keeps", str(error)))
            continue
        for one in found.cosignatures:
            yield one.witness, found.checkpoint.size


def _spoiled(origin: str, mirror: MirrorEvidence, leaves: Packed, size: int) -> list[Finding]:
    """A mirror whose hashes are not those under the checkpoint that was cosigned: its file was changed."""
    size = min(size, len(mirror.leaves))
    index = mirror.leaves.common(leaves)
    if index >= size:
        return []
    where = f"record {index} of {origin} in the mirror of {mirror.witness}"
    return [_damaged(origin, where, "its hash is not the one under the checkpoint that was cosigned")]


def _differing(origin: str, leaves: Packed, mirror: MirrorEvidence, size: int) -> list[Finding]:
    size = min(size, len(leaves))
    indices: list[int] = []
    index = leaves.common(mirror.leaves)
    while index < size:
        if leaves[index] is not None:
            indices.append(index)
        index = leaves.common(mirror.leaves, index + 1)
    detail = f"its key signed another record here before, which {mirror.witness} saw under a checkpoint of size {size}"
    return in_runs(
        Finding(What.FORKED, Layer.LOG, f"record {index} of {origin}", detail, origin=origin, index=index)
        for index in indices
    )


def _unreachable(trust: Trust, read: set[WitnessKey], evidence: Mapping[str, LogEvidence]) -> Finding:
    names = [witness.name for witness in trust.witnesses if witness.key not in read]
    problems = {mirror.problem: None for log in evidence.values() for mirror in log.mirrors if mirror.problem}
    why = f": {'; '.join(problems)}" if problems else ""
    detail = f"of {len(trust.witnesses)} trusted, {len(read)} have cosigned anything that could be read, no quorum{why}"
    return Finding(What.UNREACHABLE, Layer.WITNESS, ", ".join(names), detail, Verdict.INCONCLUSIVE)


def _damaged(origin: str, where: str, detail: str) -> Finding:
    """What a witness keeps was changed: that says nothing against the log, and it is no witness any more."""
    return Finding(What.ALTERED, Layer.WITNESS, where, detail, Verdict.INCONCLUSIVE, origin)
