"""Checks one log: signatures, then the true leaves, then store, tiles and anchored sizes against them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import Genesis
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.tree import leaf_hash
from testbed.verify.checkpoints import Anchored, Signed, check_growth, check_length, prefix_roots, valid_checkpoints
from testbed.verify.copies import BlockCopy, LeafCopy
from testbed.verify.evidence import LogEvidence
from testbed.verify.location import Copy, true_leaves
from testbed.verify.records import Genuine, check_records
from testbed.verify.tiles import check_tiles, tile_hashes_of
from testbed.verify.trust import TrustedLog


@dataclass(slots=True)
class CheckedLog:
    """What the check of one log found.

    size: records under its newest valid checkpoint; leaves: their true hashes, None where not to be had;
    genuine: the records, by index, that are what the root says; agreed: the anchored sizes whose root is the log's own.
    """

    trusted: TrustedLog
    size: int = 0
    leaves: list[bytes | None] = field(default_factory=list)
    genuine: dict[int, Genuine] = field(default_factory=dict)
    agreed: tuple[int, ...] = ()
    findings: list[Finding] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.trusted.origin


def check_log(
    trusted: TrustedLog,
    simulated_allowed: bool,
    evidence: LogEvidence,
    anchored: Sequence[Anchored],
    mirror: Mapping[int, bytes],
) -> CheckedLog:
    """Check one log. anchored: what the contract accepted of it; mirror: leaf hashes by index that another log noted."""
    log = CheckedLog(trusted)
    if evidence.problem:
        log.findings.append(_open_question(What.UNREACHABLE, log.origin, evidence.problem))
        return log
    signed, found = valid_checkpoints(trusted, evidence, anchored)
    log.findings += found
    if not signed:
        log.findings.append(_open_question(What.MISSING, log.origin, "there is no valid checkpoint to check it by"))
        return log
    claimed = max((size for size, _ in evidence.checkpoints), default=0)
    log.findings += check_length(log.origin, claimed, anchored)
    # An anchored checkpoint beyond the log's own says that the log was cut off; its records are not to be had.
    within = [one for one in signed if one.checkpoint.size <= claimed] or signed
    head = max(within, key=lambda one: one.checkpoint.size).checkpoint
    log.size = head.size
    published = next((one.checkpoint.size for one in signed if one.published), None)
    stored = [leaf_hash(row.entry) for row in evidence.rows]
    copies = _copies(evidence, stored, published, mirror, head.size)
    log.leaves = true_leaves(head.size, head.root, copies)
    if None in log.leaves:
        log.leaves = _from_older_roots(log.leaves, signed, copies)
        log.findings.append(_lost(log, signed, stored))
    log.genuine, found = check_records(log.origin, log.leaves, evidence.rows, stored, max(head.size, claimed))
    log.findings += found
    if published is not None and evidence.tiles is not None:
        log.findings += check_tiles(log.origin, log.leaves[:published], evidence.tiles)
    log.agreed, found = check_growth(log.origin, log.leaves, signed, anchored)
    log.findings += found
    log.findings += _check_genesis(log, simulated_allowed)
    return log


def _copies(
    evidence: LogEvidence, stored: list[bytes], published: int | None, mirror: Mapping[int, bytes], size: int
) -> list[Copy]:
    copies: list[Copy] = [LeafCopy(stored)]
    by_index = {row.index: digest for row, digest in zip(evidence.rows, stored, strict=True)}
    if any(row.index != position for position, row in enumerate(evidence.rows)):
        copies.append(LeafCopy.sparse(size, by_index))
    if published is not None and evidence.tiles is not None:
        copies.append(LeafCopy(tile_hashes_of(evidence.tiles, 0, published)))
        blocks = tile_hashes_of(evidence.tiles, 1, published)
        copies.append(BlockCopy([block or bytes(32) for block in blocks]))
    if mirror:
        copies.append(LeafCopy.sparse(size, mirror))
    return copies


def _from_older_roots(
    leaves: list[bytes | None], signed: Sequence[Signed], copies: Sequence[Copy]
) -> list[bytes | None]:
    """Where the newest root leads nowhere, the largest older one that some copy still hashes to."""
    for one in sorted(signed, key=lambda one: one.checkpoint.size, reverse=True):
        older = true_leaves(one.checkpoint.size, one.checkpoint.root, copies)
        if None not in older:
            return [*older, *leaves[len(older) :]]
    return leaves


def _lost(log: CheckedLog, signed: Sequence[Signed], stored: Sequence[bytes]) -> Finding:
    """The finding for leaves that no copy has: as narrow as the signed checkpoints make it."""
    unknown = [index for index, leaf in enumerate(log.leaves) if leaf is None]
    first, last = unknown[0], unknown[-1]
    roots = prefix_roots(stored, {one.checkpoint.size for one in signed})
    failing = [one.checkpoint.size for one in signed if roots.get(one.checkpoint.size) != one.checkpoint.root]
    above = min((size for size in failing if size > first), default=last + 1)
    if above == first + 1:
        where, detail = f"record {first} of {log.origin}", "neither store nor tiles nor any mirror has what was signed"
        return Finding(What.ALTERED, Layer.LOG, where, detail, origin=log.origin, index=first)
    where = f"records {first} to {above - 1} of {log.origin}"
    detail = "store and tiles were both changed somewhere in this range: signed roots bound it, no copy narrows it"
    return Finding(What.ALTERED, Layer.LOG, where, detail, origin=log.origin)


def _check_genesis(log: CheckedLog, simulated_allowed: bool) -> list[Finding]:
    first = log.genuine.get(0)
    if first is None:
        return []
    body = first.body
    where = f"record 0 of {log.origin}"
    if not isinstance(body, Genesis) or body.log != log.origin:
        return [_identity(log, where, "the log does not begin with its own genesis record")]
    if body.schema != log.trusted.schema:
        return [_identity(log, where, "the log speaks of another tag list than the trust file names")]
    if body.simulated and not simulated_allowed:
        detail = "the records come from a virtual clock and a seed; the trust file allows no simulated bench"
        return [Finding(What.SIMULATED, Layer.IDENTITY, where, detail, Verdict.INCONCLUSIVE, log.origin, 0)]
    return []


def _identity(log: CheckedLog, where: str, detail: str) -> Finding:
    return Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, origin=log.origin, index=0)


def _open_question(what: What, origin: str, detail: str) -> Finding:
    return Finding(what, Layer.STORE, origin, detail, Verdict.INCONCLUSIVE, origin)
