"""Checks the anchors: the journal against itself, the chain against the journal, the contract's slots against both."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.chain import ethrlp
from testbed.chain.proofs import header_fields, verify_receipt, verify_slot, verify_transaction
from testbed.chain.registry import commitment, decode_anchor, log_id, read_transaction, slot_key
from testbed.chain.steps import Anchoring, Head, Mined, Step
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.checkpoints import Anchored
from testbed.verify.evidence import ChainEvidence, Evidence
from testbed.verify.trust import TrustedChain


@dataclass(slots=True)
class CheckedChain:
    """What the check of the anchors found.

    anchored: by origin, in order, what the contract accepted; confirmed: the largest anchored size by origin that a
    reachable chain was seen to hold deep enough; held: by (origin, size), the blocks of anchors that the chain was seen
    to hold; accepted: all anchors by the journal, in its order, None where one of its steps is a finding; hashes: of
    blocks, by number, as the journal proves them; times: of every block that was seen, by its hash, s; gas: used by all
    anchors.
    """

    anchored: dict[str, list[Anchored]] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, int], Mined] = field(default_factory=dict)
    accepted: list[tuple[Mined, Anchoring]] | None = None
    hashes: dict[int, set[bytes]] = field(default_factory=dict)
    times: dict[bytes, int] = field(default_factory=dict)
    height: int | None = None
    anchors: int = 0
    gas: int = 0
    findings: list[Finding] = field(default_factory=list)


def slot_of(trusted: TrustedChain, origin: str) -> bytes:
    """Storage slot of a log in the trusted contract."""
    return slot_key(log_id(trusted.submitter, origin))


def check_chain(trusted: TrustedChain, evidence: Evidence) -> CheckedChain:
    """Check journal, blocks and slots. What the journal says counts only where its proofs hold."""
    result = CheckedChain()
    if evidence.journal_head is None:
        detail = evidence.journal_problem or "there is no journal: nothing was anchored"
        result.findings.append(_open(What.UNANCHORED, Layer.ANCHOR, "journal", detail))
        return result
    foreign = _foreign(trusted, evidence.journal_head)
    if foreign:
        result.findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, "head of the journal", foreign))
        return result
    own_node = evidence.journal_head.node_version is not None
    proven, doubtful = _check_journal(trusted, evidence.journal, result, own_node=own_node)
    for mined, _ in proven:
        result.hashes.setdefault(mined.height, set()).add(mined.block_hash)
        result.times[mined.block_hash] = mined.timestamp
    if not result.findings:
        result.accepted = [(mined, anchoring) for mined, anchoring in proven if anchoring is not None]
    if evidence.chain is None:
        result.findings.append(_open(What.UNREACHABLE, Layer.CHAIN, "chain", evidence.chain_problem))
        return result
    result.height = evidence.chain.height
    result.times |= {header.hash: header.timestamp for header in evidence.chain.blocks.values()}
    held = _check_blocks(trusted, proven, evidence.journal_head, evidence.chain, result)
    if held == len(proven):
        _check_slots(proven, doubtful, evidence.journal, evidence.chain, result)
    for mined, anchoring in proven[:held]:
        if anchoring is None:
            continue
        result.held[anchoring.origin, anchoring.size] = mined
        if evidence.chain.height - mined.height + 1 >= trusted.confirmations:
            result.confirmed[anchoring.origin] = anchoring.size
    return result


Proven = tuple[Mined, Anchoring | None]


def _foreign(trusted: TrustedChain, head: Head) -> str:
    claims = (
        ("chain id", head.chain_id, trusted.chain_id),
        ("genesis hash", head.genesis_hash.hex(), trusted.genesis.hex()),
        ("contract", head.contract.lower(), trusted.contract.lower()),
        ("submitter", head.submitter.lower(), trusted.submitter.lower()),
    )
    return "; ".join(
        f"{name} is {found}, the trust file has {right}" for name, found, right in claims if found != right
    )


def _check_journal(
    trusted: TrustedChain, steps: Sequence[Step], result: CheckedChain, *, own_node: bool
) -> tuple[list[Proven], set[str]]:
    """The mined steps whose proofs hold, and the origins whose newest step is none of them."""
    proven: list[Proven] = []
    doubtful: set[str] = set()
    for step in steps:
        if step.mined is None:
            continue
        anchoring = step.intent.anchored
        try:
            _check_claims(step, step.mined, own_node=own_node)
            if step.mined.succeeded and _prove(trusted, step, step.mined, own_node=own_node):
                proven.append((step.mined, step.intent.anchored))
        except InvalidData as error:
            where = f"step {step.intent.number} of the journal, block {step.mined.height}"
            result.findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, where, f"its proofs do not hold: {error}"))
            doubtful |= {anchoring.origin} if anchoring is not None else set()
            continue
        if anchoring is not None and step.mined.succeeded:
            one = Anchored(anchoring.size, anchoring.root, anchoring.note, step.mined.height)
            result.anchored.setdefault(anchoring.origin, []).append(one)
            doubtful.discard(anchoring.origin)
            result.anchors += 1
            result.gas += step.mined.gas_used
    return proven, doubtful


def _check_claims(step: Step, mined: Mined, *, own_node: bool) -> None:
    """Raises InvalidData where the journal says more than its proofs: old values, gas, or a failure that was none."""
    anchoring = step.intent.anchored
    if anchoring is not None:
        call = decode_anchor(read_transaction(step.intent.transaction).data)
        old = (anchoring.old_size, anchoring.old_root, anchoring.old_time)
        if (call.old_size, call.old_root, call.old_time) != old:
            raise InvalidData("the transaction names other old values")
    if own_node:
        verify_receipt(header_fields(mined.header), mined.receipt)
        fields = ethrlp.decode(mined.receipt[1:], "receipt")
        # The block's one transaction used all of its cumulative gas.
        if isinstance(fields, bytes) or fields[1] != ethrlp.integer(mined.gas_used):
            raise InvalidData("the receipt names other gas")


def _prove(trusted: TrustedChain, step: Step, mined: Mined, *, own_node: bool) -> bool:
    """Raises InvalidData unless header, transaction, receipt and slot of a step belong together.

    own_node: a block of the bench's own node holds one transaction. Where others send as well, header and slot speak.
    """
    header = header_fields(mined.header)
    if header.hash != mined.block_hash or header.number != mined.height or header.timestamp != mined.timestamp:
        raise InvalidData("the header is not that of the block")
    transaction = read_transaction(step.intent.transaction)
    if transaction.hash != mined.tx_hash or transaction.sender.lower() != trusted.submitter.lower():
        raise InvalidData("the transaction is not the submitter's")
    if own_node:
        verify_transaction(header, step.intent.transaction)
        verify_receipt(header, mined.receipt)
    anchoring = step.intent.anchored
    if anchoring is None:
        return True
    call = decode_anchor(transaction.data)
    if (call.origin, call.size, call.root) != (anchoring.origin, anchoring.size, anchoring.root):
        raise InvalidData("the transaction anchors something else")
    if (transaction.to or "").lower() != trusted.contract.lower():
        raise InvalidData("the transaction goes to another contract")
    if mined.slot_proof is None:
        raise InvalidData("there is no proof of the slot")
    proof = verify_slot(header, trusted.contract, slot_of(trusted, anchoring.origin), mined.slot_proof)
    if proof.value != commitment(anchoring.size, anchoring.root, header.timestamp):
        raise InvalidData("the slot under the header holds something else")
    if proof.code_hash != trusted.code_hash:
        raise InvalidData("the contract under the header has other code")
    return True


def _check_blocks(
    trusted: TrustedChain, proven: Sequence[Proven], head: Head, chain: ChainEvidence, result: CheckedChain
) -> int:
    """How many of the proven steps the chain holds, from the first on. The lowest other block is the finding.

    Another version of the node may make another block of the same transaction; of another one it never makes the same.
    """
    if chain.chain_id != trusted.chain_id or chain.genesis != trusted.genesis:
        detail = f"chain {chain.chain_id} with genesis {chain.genesis.hex()} is not the trusted one"
        if head.node_version is None:
            # On a network of somebody else's, that is the answer of another network's node.
            detail += ": another node was asked"
            result.findings.append(_open(What.UNREACHABLE, Layer.CHAIN, "chain", detail))
            return 0
        result.findings.append(Finding(What.REWRITTEN, Layer.CHAIN, "block 0", detail))
        return 0
    for held, (mined, _) in enumerate(proven):
        found = chain.blocks.get(mined.height)
        # A block above that one was read later, as receipts and beacons name it: a node that is built again has got
        # there meanwhile, and its slots were read before.
        later = found is not None and mined.height > chain.height and found.hash == mined.block_hash
        if found is None or later:
            detail = f"it ends there and agrees so far; the journal goes on to block {proven[-1][0].height}"
            result.findings.append(_open(What.BEHIND, Layer.CHAIN, f"block {chain.height}", detail))
            return held
        if found.hash != mined.block_hash:
            same = found.transactions_root == header_fields(mined.header).transactions_root
            if same and head.node_version is not None and head.node_version != chain.version:
                detail = (
                    f"the same transaction makes another block there, by {chain.version}; the journal was written with"
                    f" {head.node_version}: check with that version"
                )
                result.findings.append(_open(What.UNREACHABLE, Layer.CHAIN, f"block {mined.height}", detail))
                return held
            detail = (
                f"block {found.hash.hex()} stands there; the receipt of that height, whose header and proofs hold,"
                f" is of block {mined.block_hash.hex()} ({len(proven) - held} receipt(s) from there on)"
            )
            result.findings.append(Finding(What.REWRITTEN, Layer.CHAIN, f"block {mined.height}", detail))
            return held
    if chain.code_hash != trusted.code_hash:
        detail = f"the code at {trusted.contract} hashes to {chain.code_hash.hex()}, not to what is trusted"
        result.findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, f"contract {trusted.contract}", detail))
    return len(proven)


def _check_slots(
    proven: Sequence[Proven], doubtful: set[str], steps: Sequence[Step], chain: ChainEvidence, result: CheckedChain
) -> None:
    """Every slot that was read holds what was accepted last, or nothing where nothing was.

    doubtful: origins whose newest step is a finding already, so what their slots should hold is not known.
    """
    last = {anchoring.origin: (mined, anchoring) for mined, anchoring in proven if anchoring is not None}
    newest = {step.intent.anchored.origin: step for step in steps if step.intent.anchored is not None}
    for origin, found in chain.slots.items():
        mined, anchoring = last.get(origin, (None, None))
        right = bytes(32)
        if mined is not None and anchoring is not None:
            right = commitment(anchoring.size, anchoring.root, mined.timestamp)
        if found == right or origin in doubtful:
            continue
        step = newest.get(origin)
        if step is not None and step.mined is None and step.intent.anchored is not None:
            # Sent, and mined before the journal could say so: the anchor goes on from here when it starts again.
            meant, time = step.intent.anchored, step.intent.timestamp
            if time is not None and found == commitment(meant.size, meant.root, time):
                continue
            if time is None:
                detail = f"step {step.intent.number} of the journal is open: start the anchor once to close it"
                result.findings.append(_open(What.UNANCHORED, Layer.ANCHOR, f"slot of {origin}", detail))
                continue
        where = f"slot of {origin}, size {anchoring.size if anchoring is not None else 0}"
        accepted = f"what it accepted in block {mined.height}" if mined is not None else "anything in the journal"
        detail = f"the contract holds {found.hex()}, which is not the commitment to {accepted}"
        result.findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, where, detail, origin=origin))


def _open(what: What, layer: Layer, where: str, detail: str) -> Finding:
    return Finding(what, layer, where, detail, Verdict.INCONCLUSIVE)
