"""Checks the log of receipts: each proves by itself that the contract accepted a checkpoint, and in which block."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from testbed.chain.proofs import header_fields
from testbed.chain.receipts import ProvenReceipt, check_receipt
from testbed.chain.steps import Anchoring, Mined
from testbed.core.bodies import AnchorReceipt
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import LogKeys
from testbed.verify.evidence import ChainEvidence
from testbed.verify.log import CheckedLog
from testbed.verify.trust import TrustedChain

Accepted = Sequence[tuple[Mined, Anchoring]]
"""What the contract accepted by the journal, in its order: the steps whose proofs hold."""


def check_receipts(
    receipts: CheckedLog,
    trusted: TrustedChain,
    keys: Mapping[str, LogKeys],
    accepted: Accepted | None,
    chain: ChainEvidence | None,
    borne_out: Callable[[bytes], bool] = lambda _: False,
    *,
    settled: bool,
) -> tuple[list[Finding], list[ProvenReceipt]]:
    """Check each receipt by itself, against the journal's anchor in its place, and against the chain's blocks.

    keys: by origin. A receipt says what the contract accepted, so it may be of a key that was revoked later.
    accepted: None where the journal could not be read, or is a finding already; chain: None where it could not be read,
    or is a finding already. Returns also what is proved. The journal may be ahead of the receipts by its newest round;
    receipts of blocks above the chain's height came while the bench was read. A round anchors each log once at most.
    borne_out: whether others name a block, by its hash. settled: the journal did not grow meanwhile, so that every
    receipt should stand in it.
    """
    keys = {origin: all_.unrevoked for origin, all_ in keys.items()}
    wrong: list[tuple[What, Layer, int, str]] = []
    proved: list[ProvenReceipt] = []
    count = 0
    for record in receipts.of(Kind.RECEIPT):
        index, body = record.index, record.body
        if not isinstance(body, AnchorReceipt):
            continue
        place, count = count, count + 1
        if body.origin not in keys:
            # Not a log that the auditor asks about; it counts, so that the others keep their places.
            wrong += _of_another_log(index, place, body, accepted)
            continue
        try:
            proven = _proved_by_journal(body, keys, place, accepted) or _prove(body, trusted, keys)
        except InvalidData as error:
            wrong.append((What.SUBSTITUTED, Layer.ANCHOR, index, f"it does not prove what it says: {error}"))
            continue
        proved.append(proven)
        block = chain.blocks.get(proven.height) if chain is not None else None
        journal = accepted[place][0] if accepted is not None and place < len(accepted) else None
        # Where chain and journal are of one mind, and nobody else knows of that block, it is the receipt that is false.
        alone = journal is not None and block is not None and journal.block_hash == block.hash
        other = block is not None and block.hash != proven.block_hash
        if block is not None and other and not (alone and not borne_out(proven.block_hash)):
            said = f"block {block.hash.hex()} stands at height {proven.height}; its own header and proofs hold"
            wrong.append((What.REWRITTEN, Layer.CHAIN, index, said))
        elif block is not None and chain is not None and proven.height > chain.height:
            continue
        elif accepted is not None and len(receipts.genuine) == receipts.size:
            wrong += _against_journal(index, place, proven, accepted, settled=settled)
    findings = _missing(receipts, accepted[count:]) if accepted is not None else []
    if not wrong:
        return findings, proved
    what, layer, index, said = wrong[0]
    more = f"; {len(wrong) - 1} more receipt(s) are wrong as well" if len(wrong) > 1 else ""
    where = f"record {index} of {receipts.origin}"
    return [*findings, Finding(what, layer, where, said + more, Verdict.FALSIFIED, receipts.origin, index)], proved


def _proved_by_journal(
    body: AnchorReceipt, keys: Mapping[str, LogKeys], place: int, accepted: Accepted | None
) -> ProvenReceipt | None:
    """What the receipt proves where it is, to the byte, what the journal has in its place: that was proved already."""
    if accepted is None or place >= len(accepted) or body.origin not in keys:
        return None
    mined, anchoring = accepted[place]
    theirs = (anchoring.origin, anchoring.note, mined.header, mined.slot_proof)
    if (body.origin, body.checkpoint, body.header, body.slot_proof) != theirs:
        return None
    if body.receipt_proof not in (b"", mined.receipt):
        return None
    alone = bool(body.receipt_proof)
    return ProvenReceipt(
        body.origin, anchoring.size, anchoring.root, mined.height, mined.block_hash, mined.timestamp, alone
    )


def _prove(body: AnchorReceipt, trusted: TrustedChain, keys: Mapping[str, LogKeys]) -> ProvenReceipt:
    return prove_receipt(body, trusted, open_checkpoint(body.checkpoint, keys[body.origin], body.origin))


def prove_receipt(body: AnchorReceipt, trusted: TrustedChain, accepted: Checkpoint) -> ProvenReceipt:
    """What a receipt proves of `accepted`, by one of the slots that may hold it. Raises InvalidData."""
    *before, newest = trusted.slots(body.origin, accepted.size)
    for slot in before:
        # Where another account took over at this very size, it may be of either.
        with suppress(InvalidData):
            return check_receipt(body, trusted.contract, slot, trusted.code_hash, accepted.size, accepted.root)
    return check_receipt(body, trusted.contract, newest, trusted.code_hash, accepted.size, accepted.root)


def _of_another_log(
    index: int, place: int, body: AnchorReceipt, accepted: Accepted | None
) -> list[tuple[What, Layer, int, str]]:
    if accepted is None or place >= len(accepted) or accepted[place][1].origin == body.origin:
        return []
    said = f"it is of {body.origin}, and the journal has an anchor of {accepted[place][1].origin} in its place"
    return [(What.SUBSTITUTED, Layer.ANCHOR, index, said)]


def _missing(receipts: CheckedLog, owed: Accepted) -> list[Finding]:
    """Anchors without a receipt, beyond the newest round, whose receipts may be under way. Damage speaks for itself."""
    origins = [anchoring.origin for _, anchoring in owed]
    if len(receipts.genuine) != receipts.size or not receipts.size or len(set(origins)) == len(origins):
        return []
    mined = owed[0][0]
    detail = f"{len(owed)} anchors of the journal have no receipt, from block {mined.height} on: more than one round"
    return [Finding(What.MISSING, Layer.ANCHOR, receipts.origin, detail, Verdict.INCONCLUSIVE, receipts.origin)]


def _against_journal(
    index: int, place: int, proven: ProvenReceipt, accepted: Accepted, *, settled: bool
) -> list[tuple[What, Layer, int, str]]:
    if place >= len(accepted):
        block_hash = proven.block_hash
        if any(mined.block_hash == block_hash and one.origin == proven.origin for mined, one in accepted):
            said = f"the journal has this anchor once, and {len(accepted)} in all"
            return [(What.SUBSTITUTED, Layer.ANCHOR, index, said)]
        if not settled:
            return []
        said = f"the journal has {len(accepted)} anchors only: it was cut off, and this one is proved"
        return [(What.ROLLED_BACK, Layer.ANCHOR, index, said)]
    mined, anchoring = accepted[place]
    theirs = (anchoring.origin, anchoring.size, anchoring.root, header_fields(mined.header).hash)
    if (proven.origin, proven.size, proven.root, proven.block_hash) != theirs:
        said = f"the journal has size {anchoring.size} of {anchoring.origin}, block {mined.height}, in its place"
        return [(What.SUBSTITUTED, Layer.ANCHOR, index, said)]
    return []
