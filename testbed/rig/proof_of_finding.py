"""Makes an evidence file of a falsification that `testbed verify` found."""

from collections.abc import Iterator
from dataclasses import replace

from testbed.core.bodies import Peer
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, UsageError
from testbed.core.finding import Finding, Layer, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.evidence_file import Claim, EvidenceFile, Fork
from testbed.merkle.packed import Packed
from testbed.rig.bench import Bench
from testbed.rig.proof_words import commentary
from testbed.rig.proving import Prover
from testbed.verify.log import CheckedLog
from testbed.verify.verdict import Checked

_STEPS = {
    What.DIVERGED: Claim.DIVERGED,
    What.UNAPPROVED: Claim.UNAPPROVED,
    What.SKIPPED: Claim.SKIPPED,
    What.INVENTED: Claim.INVENTED,
}
_WHY_NOT = {
    Layer.STORE: "a wrong body beside a right leaf can be made up by anybody, and so can a missing one: only who looks"
    " into the store itself sees it",
    Layer.LOG: "a tile, a checkpoint or a record that is damaged or missing bears nobody's signature that says so",
    Layer.IDENTITY: "a signature that does not hold can be made up by anybody",
    Layer.ANCHOR: "it needs the journal, the receipts and the chain, which no file of this kind holds yet",
    Layer.CHAIN: "only the chain itself shows what stands on it: prove a record that it anchored, and check that file"
    " with --node URL",
}


def prove_finding(bench: Bench, checked: Checked, number: int) -> EvidenceFile:
    """The evidence of finding `number`, counted from 1 as they are listed. Raises UsageError where none can be made."""
    findings = checked.report.findings
    if not 1 <= number <= len(findings):
        listed = "; ".join(f"{place} is {one.what.value}, {one.where}" for place, one in enumerate(findings, 1))
        raise UsageError(f"there is no finding {number}", listed or "there is none at all: prove a record instead")
    finding = findings[number - 1]
    if finding.what is What.FORKED:
        return _prove_fork(bench, checked, finding)
    if finding.layer is Layer.TWIN and finding.what in _STEPS and finding.index is not None:
        with Prover(bench) as prover:
            return prover.prove(finding.origin, finding.index, _STEPS[finding.what])
    said = f"{finding.what.value}, layer {finding.layer.value}: {finding.where}"
    why = _WHY_NOT.get(
        finding.layer, "it follows from what several logs say together, and no file of this kind holds that"
    )
    raise UsageError(f"no file can prove this to a stranger: {said}", f"give access to the bench: {why}")


def _prove_fork(bench: Bench, checked: Checked, finding: Finding) -> EvidenceFile:
    """Two checkpoints by the log's key that no one tree holds. Raises UsageError where the bench has only one side."""
    log = checked.logs[finding.origin]
    notes = dict(log.notes)
    for note in _kept(checked, log):
        notes.setdefault(note, open_checkpoint(note, log.keys, log.origin))
    fork = _two_roots(notes) or _off_the_tree(log, notes)
    if fork is None:
        mend = "keep both sides: whoever has the other log can show its leaf hashes"
        raise UsageError(f"{finding.where}: no path between the two checkpoints is to be had here", mend)
    with Prover(bench) as prover:
        changes = prover.key_changes([log.origin])
    file = EvidenceFile(claim=Claim.FORKED, origin=log.origin, index=None, fork=fork, key_changes=changes)
    return replace(file, commentary=commentary(file))


def _kept(checked: Checked, source: CheckedLog) -> Iterator[bytes]:
    """Checkpoints of `source` that other logs keep and that its key signed."""
    for other in checked.logs.values():
        for found in other.of(Kind.PEER):
            if isinstance(found.body, Peer) and found.body.origin == source.origin:
                note = found.body.checkpoint
                try:
                    open_checkpoint(note, source.keys, source.origin)
                except InvalidData:
                    continue
                yield note


def _two_roots(notes: dict[bytes, Checkpoint]) -> Fork | None:
    """Two checkpoints of one size."""
    by_size: dict[int, tuple[bytes, bytes]] = {}
    for note, one in sorted(notes.items()):
        root, other = by_size.setdefault(one.size, (one.root, note))
        if root != one.root:
            return Fork((other, note), ())
    return None


def _off_the_tree(log: CheckedLog, notes: dict[bytes, Checkpoint]) -> Fork | None:
    """A checkpoint that is not on the log's tree, and the smallest one above it that is."""
    known = log.leaves.index(None) if None in log.leaves else len(log.leaves)
    tree = Packed.of(log.leaves[:known]).tree
    within = sorted(((one.size, note, one.root) for note, one in notes.items() if 0 < one.size <= tree.size))
    on_tree = [(size, note) for size, note, root in within if tree.root(size) == root]
    for size, note, root in within:
        above = next(((larger, other) for larger, other in on_tree if larger > size), None)
        if tree.root(size) != root and above is not None:
            return Fork((note, above[1]), tuple(tree.fork_path(size, above[0])))
    return None
