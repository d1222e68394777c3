"""Signed checkpoints of a log: whose signature they bear, and whether one tree holds them all."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import LogKeys
from testbed.merkle.packed import BLOCK, Packed
from testbed.merkle.tree import CompactRange
from testbed.verify.evidence import LogEvidence


@dataclass(frozen=True, slots=True)
class Anchored:
    """One checkpoint of a log that the contract accepted: size, root, the signed note, and in which block.

    chain: the name of a further chain, "" for the first one.
    """

    size: int
    root: bytes
    note: bytes
    block: int
    chain: str = ""

    @property
    def place(self) -> str:
        return f"block {self.block}" + (f" of chain {self.chain}" if self.chain else "")


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint with a valid signature, and where it was found.

    own: by the log itself, not under an anchor; by: who else holds it, "" for the log itself.
    """

    checkpoint: Checkpoint
    where: str
    own: bool
    published: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A signed note about a log that somebody else holds, and where."""

    note: bytes
    where: str


@dataclass(frozen=True, slots=True)
class Growth:
    """agreed: the anchored sizes whose root is the log's; forked: signed checkpoints that lie off its tree."""

    agreed: tuple[int, ...]
    forked: tuple[Signed, ...]
    findings: tuple[Finding, ...]


def valid_checkpoints(
    keys: LogKeys, evidence: LogEvidence, anchored: Sequence[Anchored], notes: dict[bytes, Checkpoint]
) -> tuple[list[Signed], list[Finding]]:
    """Every checkpoint that the key signed which counts at its size, those of the store first.

    Each of the others is a finding; those of a revoked key are one together. notes: takes up every checkpoint by the
    bytes of its note, so that no signature is verified twice.
    """
    origin = keys.name
    signed: list[Signed] = []
    findings: list[Finding] = []
    void: list[tuple[int, str]] = []

    def take(where: str, size: int | None, note: bytes, what: What, layer: Layer, published: bool = False) -> None:
        try:
            found = notes.get(note) or open_checkpoint(note, keys, origin)
        except InvalidData as error:
            revoked, detail = _refused(note, keys, error)
            if revoked is not None:
                void.append((revoked, where))
            else:
                findings.append(Finding(what, layer, where, detail, origin=origin))
            return
        notes[note] = found
        if size is not None and found.size != size:
            detail = f"the checkpoint of size {found.size} stands in its place"
            findings.append(Finding(What.ALTERED, Layer.LOG, where, detail, origin=origin))
        own = layer is Layer.IDENTITY
        signed.append(Signed(found, where, own, published, by="" if own else "anchor"))

    for size, note in evidence.checkpoints:
        take(f"checkpoint of {origin}, size {size}", size, note, What.WRONG_KEY, Layer.IDENTITY)
    if evidence.published is not None:
        where = f"published checkpoint of {origin}{_claimed_size(evidence.published)}"
        take(where, None, evidence.published, What.WRONG_KEY, Layer.IDENTITY, published=True)
    for one in anchored:
        where = f"checkpoint of {origin}, size {one.size}, anchored in {one.place}"
        before = len(signed)
        take(where, None, one.note, What.SUBSTITUTED, Layer.ANCHOR)
        if len(signed) > before and signed[-1].checkpoint != Checkpoint(origin, one.size, one.root):
            detail = f"the contract accepted root {one.root.hex()}; no checkpoint with it was signed"
            findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, where, detail, origin=origin))
    if void:
        size, where = min(void)
        detail = (
            f"its key is revoked: what it signed beyond size {keys.revoked_beyond(keys.owner(size))} does not count"
            f" ({len(void)} checkpoint(s) in all)"
        )
        findings.append(Finding(What.WRONG_KEY, Layer.IDENTITY, where, detail, origin=origin))
    return signed, findings


def _refused(note: bytes, keys: LogKeys, error: InvalidData) -> tuple[int | None, str]:
    """Why a checkpoint does not count: its size where the key is revoked that signed it, and the reason in words."""
    with suppress(InvalidData):
        return open_checkpoint(note, keys.unrevoked, keys.name).size, ""
    for change in keys.changes:
        for key, when in ((change.old, "up to"), (change.new, "beyond")):
            with suppress(InvalidData):
                open_checkpoint(note, key, keys.name)
                return None, f"signed by the key that counts {when} size {change.first} only"
    return None, f"not signed by the key that is trusted: {error}"


def signed_elsewhere(keys: LogKeys, shown: Sequence[Shown], notes: dict[bytes, Checkpoint]) -> list[Signed]:
    """Those that the log's key signed; what it did not sign speaks against whoever holds it, and not here."""
    signed: list[Signed] = []
    for one in shown:
        with suppress(InvalidData):
            found = notes.get(one.note) or open_checkpoint(one.note, keys, keys.name)
            notes[one.note] = found
            where = f"checkpoint of {keys.name}, size {found.size}, in {one.where}"
            signed.append(Signed(found, where, own=False, by="receipt"))
    return signed


def check_stored(origin: str, stored: Collection[int], signed: Sequence[Signed], length: int) -> list[Finding]:
    """A checkpoint that was published, cosigned or anchored was stored. stored: sizes of those that the store has."""
    have = {*stored, *(one.checkpoint.size for one in signed if one.own and not one.published)}
    gone = {one.checkpoint.size for one in signed if one.checkpoint.size <= length} - have
    detail = "it was published, cosigned or anchored, and the store has it no longer"
    return [
        Finding(What.DELETED, Layer.STORE, f"checkpoint of {origin}, size {size}", detail, origin=origin)
        for size in sorted(gone)
    ]


def prefix_roots(leaves: Packed, sizes: Collection[int]) -> dict[int, bytes]:
    """Roots of the tree at `sizes`, in one pass; a size that needs an unknown leaf is left out."""
    known = next(leaves.unknown(), len(leaves))
    roots: dict[int, bytes] = {}
    # At the last edge between blocks, and within the block behind it.
    base = CompactRange()
    edge = base.copy()
    for size in sorted({size for size in sizes if 0 <= size <= known}):
        if edge.size // BLOCK < size // BLOCK:
            for block in range(base.size // BLOCK, size // BLOCK):
                base.append_peak(leaves.tree.blocks.leaf(block), BLOCK)
            edge = base.copy()
        edge.extend(one for one in leaves[edge.size : size] if one is not None)
        roots[size] = edge.root()
    return roots


def check_growth(origin: str, leaves: Packed, signed: Sequence[Signed], anchored: Sequence[Anchored]) -> Growth:
    """Whether the log's tree holds every checkpoint that was ever signed. One finding names the first that lies off."""
    findings: list[Finding] = []
    roots = prefix_roots(leaves, {one.checkpoint.size for one in signed} | {one.size for one in anchored})
    agreed = tuple(one.size for one in anchored if roots.get(one.size) == one.root)
    forked = [one for one in signed if roots.get(one.checkpoint.size, one.checkpoint.root) != one.checkpoint.root]
    if forked:
        first = min(forked, key=lambda one: one.checkpoint.size)
        held = _held(first, signed, roots)
        detail = (
            f"its key signed root {first.checkpoint.root.hex()} and, over other records, a log whose root at this size"
            f" is {roots[first.checkpoint.size].hex()}; the first other record is one of {_range(held, first)}"
            f" ({len({one.checkpoint for one in forked})} signed checkpoint(s) in all lie off the log)"
        )
        findings.append(Finding(What.FORKED, Layer.LOG, first.where, detail, origin=origin))
    return Growth(agreed, tuple(forked), tuple(findings))


def _held(forked: Signed, signed: Sequence[Signed], roots: Mapping[int, bytes]) -> int:
    """The largest size below a forked one up to which the log is what it was, by the same holder or by receipts.

    What anchors say of a log that was made anew with its chain is what they were made to say: they count where no
    receipt speaks of the log.
    """
    others = "receipt" if any(one.by == "receipt" for one in signed) else "anchor"
    sizes = (
        one.checkpoint.size
        for one in signed
        if one.by in (forked.by, others) and one.by and roots.get(one.checkpoint.size) == one.checkpoint.root
    )
    return max((size for size in sizes if size < forked.checkpoint.size), default=0)


def _range(held: int, forked: Signed) -> str:
    last = forked.checkpoint.size - 1
    if held == last:
        return f"records {held} to {last}, which is one"
    return f"records {held} to {last}: a range between two signed sizes, which no copy narrows"


def check_length(origin: str, stored: int, anchored: Sequence[Anchored]) -> list[Finding]:
    """A log is never shorter than what was anchored of it. stored: how long it is by its own checkpoints."""
    beyond = [one for one in anchored if one.size > stored]
    if not beyond:
        return []
    first = min(beyond, key=lambda one: one.size)
    detail = f"size {first.size} was anchored in {first.place}; the log's own checkpoints end at size {stored}"
    where = f"{origin} from record {stored} on"
    return [Finding(What.ROLLED_BACK, Layer.LOG, where, detail, origin=origin, index=stored)]


def _claimed_size(note: bytes) -> str:
    """ ", size N" as an unverified note claims it, for naming it in a finding; empty where it claims none."""
    lines = note.split(b"\n")
    return f", size {int(lines[1])}" if len(lines) > 1 and lines[1].isdigit() and len(lines[1]) < 20 else ""
