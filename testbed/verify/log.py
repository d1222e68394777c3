"""Checks one log: signatures, then the true leaves, then store, tiles and anchored sizes against them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import Genesis
from testbed.core.checkpoint import Checkpoint
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.merkle.tiles import TILE_WIDTH
from testbed.merkle.tree import leaf_hash
from testbed.verify.checkpoints import (
    Anchored,
    Signed,
    check_growth,
    check_length,
    check_stored,
    prefix_roots,
    valid_checkpoints,
)
from testbed.verify.copies import BlockCopy, LeafCopy
from testbed.verify.evidence import LogEvidence
from testbed.verify.location import Copy, leaves_by_roots, true_leaves
from testbed.verify.records import Genuine, check_records
from testbed.verify.tiles import check_tiles, tile_hashes_of
from testbed.verify.trust import TrustedLog

_SLACK = 65_536
"""Records that a checkpoint may speak of beyond all that there are copies for, before it is not followed any more."""


@dataclass(slots=True)
class CheckedLog:
    """What the check of one log found.

    size: records under its newest valid checkpoint; leaves: their true hashes, None where not to be had;
    genuine: the records, by index, that are what the root says; agreed: the anchored sizes whose root is the log's own;
    notes: every checkpoint with a valid signature, by the bytes of its signed note.
    """

    trusted: TrustedLog
    size: int = 0
    leaves: list[bytes | None] = field(default_factory=list)
    genuine: dict[int, Genuine] = field(default_factory=dict)
    agreed: tuple[int, ...] = ()
    notes: dict[bytes, Checkpoint] = field(default_factory=dict)
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
    """Check one log. anchored: what the contract accepted of it; mirror: leaf hashes by index that a twin noted."""
    log = CheckedLog(trusted)
    if evidence.problem:
        log.findings.append(_open_question(What.UNREACHABLE, Layer.STORE, log.origin, evidence.problem))
        return log
    signed, found = valid_checkpoints(trusted, evidence, anchored, log.notes)
    log.findings += found
    if evidence.published is None:
        log.findings.append(_open_question(What.MISSING, Layer.LOG, log.origin, "no checkpoint file is published"))
    stored = [leaf_hash(row.entry) for row in evidence.rows]
    signed, found = _within_reach(log.origin, signed, evidence, len(mirror))
    log.findings += found
    if not signed:
        detail = "there is no valid checkpoint to check it by"
        log.findings.append(_open_question(What.MISSING, Layer.STORE, log.origin, detail))
        return log
    claims = [size for size, _ in evidence.checkpoints]
    # Rows under a checkpoint that is damaged count; a checkpoint over rows that are not there does not.
    claimed = max(claims, default=0)
    own = max((one.checkpoint.size for one in signed if one.own), default=len(stored))
    length = max(own, min(claimed, len(stored)))
    log.findings += check_length(log.origin, length, anchored)
    log.findings += check_stored(log.origin, claims, signed, length)
    # An anchored checkpoint beyond the log's own says that the log was cut off; its records are not to be had.
    within = [one for one in signed if one.checkpoint.size <= length] or signed
    head = max(within, key=lambda one: one.checkpoint.size).checkpoint
    log.size = head.size
    published = next((one.checkpoint.size for one in signed if one.published), None)
    copies = _copies(evidence, stored, published, mirror, head.size)
    log.leaves = true_leaves(head.size, head.root, copies)
    if None in log.leaves:
        log.leaves = _from_older_roots(log.leaves, within, copies)
    if None in log.leaves:
        log.findings.append(_lost(log, within, stored))
    log.genuine, found = check_records(log.origin, log.leaves, evidence.rows, stored, max(head.size, claimed))
    log.findings += found
    growth = check_growth(log.origin, log.leaves, signed, anchored)
    if published is not None and evidence.tiles is not None and not any(one.published for one in growth.forked):
        log.findings += check_tiles(log.origin, log.leaves[:published], evidence.tiles)
    log.agreed = growth.agreed
    log.findings += growth.findings
    log.findings += _check_genesis(log, simulated_allowed)
    log.findings += _check_sequence(log)
    return log


def _within_reach(
    origin: str, signed: Sequence[Signed], evidence: LogEvidence, noted: int
) -> tuple[list[Signed], list[Finding]]:
    """The checkpoints over no more records than can be there: a key can sign for any number."""
    reach = len(evidence.rows) + TILE_WIDTH * len(evidence.tiles or {}) + noted + _SLACK
    beyond = [one for one in signed if one.checkpoint.size > reach]
    findings = []
    if beyond:
        first = min(beyond, key=lambda one: one.checkpoint.size)
        detail = f"it speaks of {first.checkpoint.size} records; the log holds {len(evidence.rows)}"
        findings.append(Finding(What.DELETED, Layer.STORE, first.where, detail, origin=origin))
    return [one for one in signed if one.checkpoint.size <= reach], findings


def _copies(
    evidence: LogEvidence, stored: list[bytes], published: int | None, mirror: Mapping[int, bytes], size: int
) -> list[Copy]:
    copies: list[Copy] = [LeafCopy(stored)]
    by_index = {row.index: digest for row, digest in zip(evidence.rows, stored, strict=True)}
    if any(row.index != position for position, row in enumerate(evidence.rows)):
        copies.append(LeafCopy.sparse(size, by_index))
    if len(stored) != size:
        # Where records are missing or extra, those behind them stand as far from the end as they should.
        copies.append(LeafCopy.sparse(size, dict(enumerate(stored, size - len(stored)))))
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
    roots: dict[int, set[bytes]] = {}
    for one in signed:
        roots.setdefault(one.checkpoint.size, set()).add(one.checkpoint.root)
    whole = [copy.leaves(0, copy.size) or () for copy in copies if isinstance(copy, LeafCopy)]
    return leaves_by_roots(leaves, roots, whole)


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


def _check_sequence(log: CheckedLog) -> list[Finding]:
    """Each source is counted from 0 without gaps: a writer that leaves one out signs for its own omission."""
    expected: dict[str, int] = {}
    for index in range(log.size):
        found = log.genuine.get(index)
        if found is None:
            # What is not to be had is a finding of its own, and nothing can be counted behind it.
            return []
        entry = found.entry
        due = expected.get(entry.source, 0)
        if entry.seq != due:
            where = f"record {index} of {log.origin}"
            detail = f"it is number {entry.seq} of {entry.source}, and {due} is next: its writer left records out"
            return [Finding(What.SKIPPED, Layer.LOG, where, detail, origin=log.origin, index=index)]
        expected[entry.source] = due + 1
    return []


def _identity(log: CheckedLog, where: str, detail: str) -> Finding:
    return Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, origin=log.origin, index=0)


def _open_question(what: What, layer: Layer, origin: str, detail: str) -> Finding:
    return Finding(what, layer, origin, detail, Verdict.INCONCLUSIVE, origin)
