"""Checks what a node says against a block header: storage slots (EIP-1186) and receipts.

Pure. The header stands for itself: its RLP hashes to the block hash that receipts and beacons carry. Every function
raises InvalidProof (or InvalidData for a header that is none) and takes nothing from the node on trust.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from eth_utils.crypto import keccak
from trie.exceptions import BadTrieProof, InvalidNode, ValidationError
from trie.hexary import HexaryTrie

from testbed.chain import ethrlp
from testbed.core.errors import InvalidData, InvalidProof

# Sizes of the fixed fields of a header by position (Yellow Paper, section 4.4); the others are quantities or free data.
_HASHES = (0, 1, 3, 4, 5, 13)
_QUANTITIES = (7, 8, 9, 10, 11)
_FIELDS = range(15, 22)


@dataclass(frozen=True, slots=True)
class Header:
    """What a block header says. hash: keccak256 of its RLP; timestamp: s since 1970."""

    hash: bytes
    number: int
    parent_hash: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class ProvenSlot:
    """A slot's 32 bytes under a header's state root, and the code hash of the account that it belongs to."""

    value: bytes
    code_hash: bytes


def header_fields(header_rlp: bytes) -> Header:
    """Read a header from its RLP. Raises InvalidData unless it is in its one canonical form."""
    fields = ethrlp.decode(header_rlp, "header")
    if (
        not isinstance(fields, list)
        or len(fields) not in _FIELDS
        or not all(isinstance(item, bytes) for item in fields)
    ):
        raise InvalidData("header: not the fields of a block header")
    items = cast("list[bytes]", fields)
    if any(len(items[place]) != 32 for place in _HASHES):
        raise InvalidData("header: a hash is not of 32 bytes")
    if any(items[place][:1] == b"\x00" or len(items[place]) > 32 for place in _QUANTITIES):
        raise InvalidData("header: a quantity has leading zeros or is too long")
    if (len(items[2]), len(items[6]), len(items[14])) != (20, 256, 8):
        raise InvalidData("header: beneficiary, bloom or nonce of a wrong length")
    return Header(
        hash=keccak(header_rlp),
        number=int.from_bytes(items[8], "big"),
        parent_hash=items[0],
        state_root=items[3],
        transactions_root=items[4],
        receipts_root=items[5],
        timestamp=int.from_bytes(items[11], "big"),
    )


def verify_slot(header: Header, contract: str, slot: bytes, proof: bytes) -> ProvenSlot:
    """The value of `slot` of `contract` under the header's state root. An empty slot is proved as 32 zero bytes.

    proof: RLP of [account proof nodes, storage proof nodes] from the root downwards (EIP-1186). Raises InvalidProof.
    """
    account_nodes, slot_nodes = _node_lists(proof)
    account = _decode(_walk(header.state_root, bytes.fromhex(contract.removeprefix("0x")), account_nodes), "account")
    if not isinstance(account, list) or [type(item) for item in account] != [bytes] * 4:
        raise InvalidProof("account: not the four fields of an account")
    _, _, storage_root, code_hash = cast("list[bytes]", account)
    stored = _walk(storage_root, slot, slot_nodes)
    value = _decode(stored, "slot") if stored else b""
    if not isinstance(value, bytes) or len(value) > 32 or value[:1] == b"\x00":
        raise InvalidProof("slot: not a value of at most 32 bytes without leading zeros")
    return ProvenSlot(value.rjust(32, b"\x00"), code_hash)


def verify_absent(header: Header, contract: str, proof: bytes) -> None:
    """Is there no account at that address under the header's state root? Raises InvalidProof.

    proof: as for `verify_slot`, whose nodes for the account end where it would hang.
    """
    nodes, _ = _node_lists(proof)
    if _walk(header.state_root, bytes.fromhex(contract.removeprefix("0x")), nodes):
        raise InvalidProof("there is an account at the address")


def verify_receipt(header: Header, receipt: bytes) -> None:
    """Is `receipt` (as it stands in the trie, EIP-2718) the only one of the block? Raises InvalidProof."""
    if _root_of_one(receipt) != header.receipts_root:
        raise InvalidProof(f"the receipt is not the one of block {header.number}: its root is not the receipts root")


def verify_transaction(header: Header, transaction: bytes) -> None:
    """Is `transaction` (signed, as sent) the only one of the block? Raises InvalidProof."""
    if _root_of_one(transaction) != header.transactions_root:
        raise InvalidProof(f"the transaction is not the one of block {header.number}")


def _root_of_one(value: bytes) -> bytes:
    """Root of the trie that holds `value` at index 0 and nothing else."""
    trie: Any = HexaryTrie({})  # untyped in part
    trie[ethrlp.encode(ethrlp.integer(0))] = value
    return cast("bytes", trie.root_hash)


def _walk(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """Value at keccak256(key) under `root`, b"" where there is none. Each node must hang under the one before it."""
    above = root
    for node in nodes:
        if keccak(node) not in above:
            raise InvalidProof("a node of the proof does not hang under the one before it")
        above = node
    trie: Any = HexaryTrie  # untyped in part
    items = [_decode(node, "node of the proof") for node in nodes]
    try:
        return cast("bytes", trie.get_from_proof(root, keccak(key), items))
    except (BadTrieProof, InvalidNode, ValidationError, KeyError, TypeError, ValueError) as error:
        raise InvalidProof(f"the proof does not reach its key: {error}") from error


def _decode(data: bytes, what: str) -> ethrlp.Item:
    try:
        return ethrlp.decode(data, what)
    except InvalidData as error:
        raise InvalidProof(str(error)) from error


def _node_lists(proof: bytes) -> tuple[list[bytes], list[bytes]]:
    lists = _decode(proof, "slot proof")
    if (
        isinstance(lists, bytes)
        or len(lists) != 2
        or any(isinstance(nodes, bytes) or not all(isinstance(node, bytes) for node in nodes) for nodes in lists)
    ):
        raise InvalidProof("slot proof: not two lists of nodes")
    account_nodes, slot_nodes = cast("list[list[bytes]]", lists)
    return account_nodes, slot_nodes
