"""Reads a node's JSON: strict hex, and headers and receipts in the RLP form that they are hashed in.

Sources: Ethereum JSON-RPC specification; Yellow Paper, section 4.4; EIP-1559, 4895, 4844, 4788 and 7685 for the later
header fields; EIP-2718 for typed receipts.
"""

import re
from dataclasses import dataclass
from typing import Any, cast

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from testbed.chain import ethrlp
from testbed.core.errors import ChainError

_QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")

# Order of the header's fields; size in bytes, None for a quantity, -1 for data of any length.
_HEADER = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
)
# Each of these came with a fork, and none without those before it.
_HEADER_LATER = (
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block whose header was found to hash to its hash.

    timestamp: s since 1970; transactions: their hashes; base_fee: wei per unit of gas, None before EIP-1559.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    header_rlp: bytes
    transactions: tuple[bytes, ...]
    base_fee: int | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """An event in a receipt. address: 20 bytes; topics: 32 bytes each."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction.

    contract: checksummed address of what it deployed; encoded: the bytes that stand in the receipts trie (EIP-2718).
    """

    tx_hash: bytes
    succeeded: bool
    gas_used: int
    block_number: int
    block_hash: bytes
    contract: str | None
    logs: tuple[Log, ...]
    encoded: bytes


def number(what: str, value: object) -> int:
    """A QUANTITY."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise ChainError(f"{what}: {value!r} is no quantity")
    return int(value, 16)


def data(what: str, value: object, size: int = -1) -> bytes:
    """DATA of `size` bytes, of any length for -1."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise ChainError(f"{what}: {value!r} is no hex data")
    raw = bytes.fromhex(value[2:])
    if size not in (-1, len(raw)):
        raise ChainError(f"{what}: {len(raw)} bytes, not {size}")
    return raw


def mapping(what: str, value: object) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ChainError(f"{what}: {value!r} is no object")
    return cast("dict[str, Any]", value)


def sequence(what: str, value: object) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise ChainError(f"{what}: {value!r} is no array")
    return value


def block(answer: object) -> Block:
    """A block without the bodies of its transactions. Raises ChainError unless the header hashes to the hash."""
    fields = mapping("block", answer)
    header = encode_header(fields)
    block_hash = data("hash", fields.get("hash"), 32)
    if keccak(header) != block_hash:
        raise ChainError(f"block {fields.get('number')}: its header hashes to {keccak(header).hex()}, not to its hash")
    return Block(
        number=number("number", fields["number"]),
        hash=block_hash,
        parent_hash=data("parentHash", fields["parentHash"], 32),
        timestamp=number("timestamp", fields["timestamp"]),
        header_rlp=header,
        transactions=tuple(
            data("transactions", item, 32) for item in sequence("transactions", fields.get("transactions"))
        ),
        base_fee=None if fields.get("baseFeePerGas") is None else number("baseFeePerGas", fields["baseFeePerGas"]),
    )


def encode_header(fields: dict[str, Any]) -> bytes:
    """RLP of a block header, from its JSON."""
    present = [entry for entry in _HEADER_LATER if fields.get(entry[0]) is not None]
    return ethrlp.encode([_item(name, size, fields.get(name)) for name, size in (*_HEADER, *present)])


def receipt(answer: object) -> Receipt:
    """A receipt with the bytes that it was hashed as (EIP-2718)."""
    fields = mapping("receipt", answer)
    status = number("status", fields.get("status"))
    logs = tuple(_log(item) for item in sequence("logs", fields.get("logs")))
    payload = ethrlp.encode(
        [
            ethrlp.integer(status),
            ethrlp.integer(number("cumulativeGasUsed", fields.get("cumulativeGasUsed"))),
            data("logsBloom", fields.get("logsBloom"), 256),
            [[log.address, list(log.topics), log.data] for log in logs],
        ]
    )
    kind = number("type", fields.get("type"))
    contract = fields.get("contractAddress")
    return Receipt(
        tx_hash=data("transactionHash", fields.get("transactionHash"), 32),
        succeeded=status == 1,
        gas_used=number("gasUsed", fields.get("gasUsed")),
        block_number=number("blockNumber", fields.get("blockNumber")),
        block_hash=data("blockHash", fields.get("blockHash"), 32),
        contract=None if contract is None else to_checksum_address(data("contractAddress", contract, 20)),
        logs=logs,
        encoded=payload if kind == 0 else bytes([kind]) + payload,
    )


def slot_proof(answer: object) -> bytes:
    """The nodes of an eth_getProof of one slot (EIP-1186), as `proofs.verify_slot` reads them.

    What the answer claims beside them (value, balance, hashes) is not kept: the nodes prove it or something else.
    """
    fields = mapping("eth_getProof", answer)
    slots = sequence("storageProof", fields.get("storageProof"))
    if len(slots) != 1:
        raise ChainError(f"eth_getProof: proofs of {len(slots)} slots, not of one")
    lists = (fields.get("accountProof"), mapping("storageProof", slots[0]).get("proof"))
    return ethrlp.encode([[data("eth_getProof", node) for node in sequence("eth_getProof", nodes)] for nodes in lists])


def _log(answer: object) -> Log:
    fields = mapping("log", answer)
    return Log(
        address=data("address", fields.get("address"), 20),
        topics=tuple(data("topics", item, 32) for item in sequence("topics", fields.get("topics"))),
        data=data("data", fields.get("data")),
    )


def _item(name: str, size: int | None, value: object) -> bytes:
    return ethrlp.integer(number(name, value)) if size is None else data(name, value, size)
