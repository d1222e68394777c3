"""Speaks to the anchor registry: ids, slots, signed transactions, events and what a refusal means.

Everything here is pure. Ids and commitments are those of contracts/src/AnchorRegistry.sol; transactions are of type 2
(EIP-1559) and signed deterministically (RFC 6979), so the same arguments give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from testbed.chain import ethrlp
from testbed.chain.wire import Receipt
from testbed.core.errors import InvalidData

if TYPE_CHECKING:
    from eth_account import Account

_ANCHOR_TYPES = ("string", "uint64", "bytes32", "uint64", "uint64", "bytes32", "bytes32[]")
_ANCHOR_SELECTOR = keccak(text=f"anchor({','.join(_ANCHOR_TYPES)})")[:4]
_ANCHORED_TOPIC = keccak(text="Anchored(bytes32,uint64,bytes32,uint64)")
_ERRORS = {
    keccak(text=f"{name}({','.join(types)})")[:4]: (types, meaning)
    for name, types, meaning in (
        ("WrongPrevious", ("bytes32",), "the old values do not open the log's slot, which holds {0}"),
        ("NotGrown", ("uint64", "uint64"), "a head of {1} leaves does not grow one of {0}"),
        ("Inconsistent", ("uint64", "uint64"), "the proof does not show that {0} leaves are a prefix of the {1}"),
    )
}


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction may cost: gas in units, fees in wei per unit of gas."""

    gas: int
    max_fee_per_gas: int = 10_000_000_000
    max_priority_fee_per_gas: int = 1


DEPLOY_FEES = Fees(gas=1_500_000)
ANCHOR_FEES = Fees(gas=300_000)


@dataclass(frozen=True, slots=True)
class AnchorCall:
    """Arguments of `anchor`. The old values are zero for a first head; roots and proof: 32 bytes each; times: s."""

    origin: str
    old_size: int
    old_root: bytes
    old_time: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Anchored:
    """The contract's event. time: timestamp of the block, s."""

    log_id: bytes
    size: int
    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction, read back. to: None for a deployment; sender: recovered from the signature."""

    hash: bytes
    sender: str
    chain_id: int
    nonce: int
    to: str | None
    value: int
    data: bytes


def address_of(key: bytes) -> str:
    """Checksummed address (EIP-55) of a secp256k1 key of 32 bytes."""
    return str(_accounts().from_key(key).address)


def checksummed(address: str) -> str:
    """An address of 0x and 40 hexadecimal digits with its checksum (EIP-55)."""
    return to_checksum_address(_address(address))


def contract_address(submitter: str, nonce: int) -> str:
    """Checksummed address of the contract that `submitter` deploys with its transaction number `nonce`."""
    return to_checksum_address(keccak(ethrlp.encode([_address(submitter), ethrlp.integer(nonce)]))[12:])


def log_id(submitter: str, origin: str) -> bytes:
    """Id of a log: keccak256(abi.encode(address submitter, string origin))."""
    return keccak(encode(("address", "string"), (submitter, origin)))


def commitment(size: int, root: bytes, time: int) -> bytes:
    """What a log's slot holds: keccak256(abi.encode(uint64 size, bytes32 root, uint64 time))."""
    return keccak(encode(("uint64", "bytes32", "uint64"), (size, root, time)))


def slot_key(log: bytes) -> bytes:
    """Storage slot of a log: its place in the mapping at slot 0 (Solidity, "Layout of State Variables in Storage")."""
    return keccak(log + bytes(32))


def anchor_calldata(call: AnchorCall) -> bytes:
    """Calldata of `anchor`."""
    values = (call.origin, call.old_size, call.old_root, call.old_time, call.size, call.root, call.proof)
    return _ANCHOR_SELECTOR + encode(_ANCHOR_TYPES, values)


def decode_anchor(calldata: bytes) -> AnchorCall:
    """The arguments in the calldata of `anchor`. Raises InvalidData."""
    if calldata[:4] != _ANCHOR_SELECTOR:
        raise InvalidData("calldata is not that of anchor()")
    try:
        origin, old_size, old_root, old_time, size, root, proof = decode(_ANCHOR_TYPES, calldata[4:])
    except (DecodingError, ValueError, OverflowError) as error:
        raise InvalidData(f"arguments of anchor(): {error}") from error
    call = AnchorCall(origin, old_size, old_root, old_time, size, root, tuple(proof))
    if anchor_calldata(call) != calldata:
        raise InvalidData("arguments of anchor() are not in their canonical form")
    return call


def deploy_transaction(key: bytes, chain_id: int, nonce: int, bytecode: bytes, fees: Fees = DEPLOY_FEES) -> bytes:
    """A signed deployment, ready to send."""
    return _signed(key, chain_id, nonce, None, bytecode, fees)


def anchor_transaction(
    key: bytes, chain_id: int, nonce: int, contract: str, call: AnchorCall, fees: Fees = ANCHOR_FEES
) -> bytes:
    """A signed call of `anchor`, ready to send."""
    return _signed(key, chain_id, nonce, contract, anchor_calldata(call), fees)


def read_transaction(raw: bytes) -> Transaction:
    """A signed transaction of type 2, with its sender. Raises InvalidData."""
    fields = _fields(raw)
    try:
        sender = str(_accounts().recover_transaction(raw))
    except Exception as error:  # eth_account and eth_keys share no base class
        raise InvalidData(f"transaction: {error}") from error
    chain_id, nonce, _, _, _, to, value, data = cast("list[bytes]", fields[:8])
    if len(to) not in (0, 20):
        raise InvalidData("transaction: the recipient is not an address")
    return Transaction(
        hash=keccak(raw),
        sender=sender,
        chain_id=int.from_bytes(chain_id, "big"),
        nonce=int.from_bytes(nonce, "big"),
        to=to_checksum_address(to) if to else None,
        value=int.from_bytes(value, "big"),
        data=data,
    )


def fees_of(raw: bytes) -> Fees:
    """What a transaction of type 2 may cost. Raises InvalidData."""
    fields = _fields(raw)
    tip, fee, gas = (int.from_bytes(item, "big") for item in cast("list[bytes]", fields[2:5]))
    return Fees(gas, fee, tip)


def with_fees(key: bytes, raw: bytes, fees: Fees) -> bytes:
    """The same transaction, signed for other fees."""
    same = read_transaction(raw)
    return _signed(key, same.chain_id, same.nonce, same.to, same.data, fees)


def anchored_event(receipt: Receipt, contract: str) -> Anchored | None:
    """The contract's event in a receipt; None where there is not exactly one of it."""
    found = [
        log
        for log in receipt.logs
        if log.address == _address(contract) and len(log.topics) == 2 and log.topics[0] == _ANCHORED_TOPIC
    ]
    if len(found) != 1 or len(found[0].data) != 96:
        return None
    try:
        size, root, time = decode(("uint64", "bytes32", "uint64"), found[0].data)
    except DecodingError:
        return None
    return Anchored(found[0].topics[1], size, root, time)


def explain(revert_data: bytes) -> str:
    """What a refusal by the contract means, in words."""
    types, meaning = _ERRORS.get(revert_data[:4], ((), ""))
    if not meaning:
        return f"refused without a known reason: {revert_data.hex() or 'no data'}"
    try:
        values = decode(types, revert_data[4:])
    except DecodingError:
        return f"refused with a reason that cannot be read: {revert_data.hex()}"
    return meaning.format(*(value.hex() if isinstance(value, bytes) else value for value in values))


def _fields(raw: bytes) -> list[ethrlp.Item]:
    if raw[:1] != b"\x02":
        raise InvalidData("not a transaction of type 2")
    fields = ethrlp.decode(raw[1:], "transaction")
    if isinstance(fields, bytes) or [type(item) for item in fields] != [bytes] * 8 + [list] + [bytes] * 3:
        raise InvalidData("transaction: not the 12 fields of EIP-1559")
    return list(fields)


def _signed(key: bytes, chain_id: int, nonce: int, to: str | None, data: bytes, fees: Fees) -> bytes:
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "value": 0,
        "data": data,
        "gas": fees.gas,
        "maxFeePerGas": fees.max_fee_per_gas,
        "maxPriorityFeePerGas": fees.max_priority_fee_per_gas,
    }
    if to is not None:
        fields["to"] = to
    return bytes(_accounts().from_key(key).sign_transaction(fields).raw_transaction)


def _accounts() -> type[Account]:
    # To load it takes longer than all else that `testbed status` does, and whoever reads a journal signs nothing.
    from eth_account import Account

    return Account


def _address(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
