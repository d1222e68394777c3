"""Checks the anchors: the journal against itself, the chain against the journal, the contract's slots against both."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.chain.proofs import header_fields
from testbed.chain.steps import Anchoring, Head, Mined
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.checkpoints import Anchored
from testbed.verify.evidence import ChainEvidence, Evidence
from testbed.verify.slots import check_slots
from testbed.verify.steps import Proven, check_steps
from testbed.verify.trust import TrustedChain


@dataclass(slots=True)
class CheckedChain:
    """What the check of the anchors found.

    anchored: by origin, in order, what the contract accepted; confirmed: the largest anchored size by origin that a
    reachable chain was seen to hold deep enough; held: by (origin, size), the blocks of anchors that the chain was seen
    to hold; accepted: all settled anchors by the journal, in its order, None where one of its steps is a finding;
    hashes: of blocks, by number, as the journal proves them; times: of every block that was seen, by its hash, s; gas:
    used by all anchors.
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
    journal = check_steps(trusted, evidence.journal, own_node=own_node)
    result.findings += journal.findings
    for anchoring, mined in journal.accepted:
        accepted = Anchored(anchoring.size, anchoring.root, anchoring.note, mined.height)
        result.anchored.setdefault(anchoring.origin, []).append(accepted)
        result.anchors += 1
        result.gas += mined.gas_used
    proven = journal.proven
    for one in proven:
        result.hashes.setdefault(one.mined.height, set()).add(one.mined.block_hash)
        result.times[one.mined.block_hash] = one.mined.timestamp
    if not result.findings:
        result.accepted = [(one.mined, one.anchoring) for one in proven if one.anchoring is not None and one.settled]
    if evidence.chain is None:
        result.findings.append(_open(What.UNREACHABLE, Layer.CHAIN, "chain", evidence.chain_problem))
        return result
    result.height = evidence.chain.height
    result.times |= {header.hash: header.timestamp for header in evidence.chain.blocks.values()}
    held = _check_blocks(trusted, proven, evidence.journal_head, evidence.chain, result)
    if held == len(proven):
        result.findings += check_slots(trusted, journal, evidence.journal, evidence.chain, own_node=own_node)
    for one in proven[:held]:
        if one.anchoring is None:
            continue
        result.held[one.anchoring.origin, one.anchoring.size] = one.mined
        if evidence.chain.height - one.mined.height + 1 >= trusted.confirmations:
            result.confirmed[one.anchoring.origin] = one.anchoring.size
    return result


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
    for held, (mined, _, settled, _) in enumerate(proven):
        found = chain.blocks.get(mined.height)
        # A block above that one was read later, as receipts and beacons name it: a node that is built again has got
        # there meanwhile, and its slots were read before.
        later = found is not None and mined.height > chain.height and found.hash == mined.block_hash
        if found is None and mined.height <= chain.height:
            detail = f"the node does not show it, and says that it has got to block {chain.height}"
            result.findings.append(_open(What.UNREACHABLE, Layer.CHAIN, f"block {mined.height}", detail))
            return held
        if found is None or later:
            detail = f"it ends there and agrees so far; the journal goes on to block {proven[-1][0].height}"
            result.findings.append(_open(What.BEHIND, Layer.CHAIN, f"block {chain.height}", detail))
            return held
        if found.hash != mined.block_hash and not settled:
            detail = (
                f"block {found.hash.hex()} stands there, and the journal's was not settled yet: the network took it"
                " back; the anchor brings its transaction into a block again when it runs"
            )
            result.findings.append(_open(What.BEHIND, Layer.CHAIN, f"block {mined.height}", detail))
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
    return len(proven)


def _open(what: What, layer: Layer, where: str, detail: str) -> Finding:
    return Finding(what, layer, where, detail, Verdict.INCONCLUSIVE)
