"""Chains that somebody else runs: what a journal about one begins with, and who sends to it."""

from testbed.anchor.network import GWEI, NetworkSender, Terms
from testbed.chain.artifact import load_artifact
from testbed.chain.journal import Journal
from testbed.chain.registry import address_of, checksummed, contract_address
from testbed.chain.rpc import Node
from testbed.chain.steps import Head
from testbed.core.clock import Clock
from testbed.core.errors import UsageError
from testbed.keys.files import read_secret
from testbed.rig.bench import Bench
from testbed.rig.bench_file import Chain, FurtherChain
from testbed.rig.paths import Paths


async def network_head(chain: Chain | FurtherChain, file: str, submitter: str) -> Head:
    """Ask the node what it is. file: the bench file's name, for messages.

    Raises UsageError where it is another chain, or has not the contract that it should; ChainError where it is silent.
    """
    async with Node(chain.url) as node:
        genesis, chain_id = await node.block(0), await node.chain_id()
        if genesis is None or chain_id != chain.chain_id:
            mend = f"set chain_id = {chain_id} for it in {file}, or name another node"
            raise UsageError(f"{chain.url} is chain {chain_id}, not {chain.chain_id}", mend)
        if chain.contract:
            contract = checksummed(chain.contract)
            if await node.code_hash(contract) != load_artifact().code_hash:
                mend = "copy the address from the trust file of the bench that deployed it, or leave contract out"
                raise UsageError(f"at {contract} of {chain.url} stands no contract of this version", mend)
        else:
            contract = contract_address(submitter, await node.nonce(submitter))
    return Head(chain_id, genesis.hash, None, (), submitter, contract, chain.confirmations)


async def look_at_network(bench: Bench, chain: Chain | FurtherChain) -> str:
    """What a person wants to know of it. Raises ChainError, UsageError for what would keep the anchor from working."""
    paths, name = Paths(bench.data), chain.name if isinstance(chain, FurtherChain) else ""
    async with Node(chain.url) as node:
        if (found := await node.chain_id()) != chain.chain_id:
            mend = f"set chain_id = {found} for it in {bench.file}, or name another node"
            raise UsageError(f"{chain.url} is chain {found}, not {chain.chain_id}", mend)
        said = f"{chain.url}: {await node.version()}, block {await node.height()}"
        if not paths.key("anchor").exists():
            return said
        account = address_of(submitter_secret(paths, name))
        balance = await node.balance(account)
    if balance == 0:
        raise UsageError(
            f"{said}; the anchor's account {account} has no ether", "send it some: it pays for the anchors"
        )
    return f"{said}; the anchor's account {account} has {balance / 10**18:.6f} ether"


def submitter_secret(paths: Paths, chain: str) -> bytes:
    """The key of the account that submits on a chain: a further one's name, "" for the first."""
    taken_over = paths.submitter_key(chain)
    return read_secret(taken_over if taken_over.exists() else paths.key("anchor"))


def network_sender(
    chain: Chain | FurtherChain, node: Node, journal: Journal, key: bytes, clock: Clock
) -> NetworkSender:
    """The journal's writer. key: the submitter's, 32 bytes."""
    return NetworkSender(node, journal, key, clock, Terms(most_per_gas=int(chain.max_fee_gwei * GWEI)))
