"""What the journal of a chain says, and the one form in which it stands: one JSON object a line.

Byte strings are lower-case hex without a prefix. A line is canonical: keys sorted, no spaces, ASCII; whatever decodes
but does not encode to the same bytes again is refused.
"""

import json
from dataclasses import dataclass
from typing import Any, cast

from eth_utils.crypto import keccak

from testbed.chain import ethrlp
from testbed.core.errors import InvalidData

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Head:
    """First line: the chain and the contract that the journal is about.

    genesis_hash: 32 bytes; node_version, arguments: of the development node, None and () on other networks;
    submitter, contract: addresses; confirmations: blocks, its own included, after which a block is settled: until then
    the network may take it back. With 1, and then the line does not say so, each block is settled when it is seen.
    """

    chain_id: int
    genesis_hash: bytes
    node_version: str | None
    arguments: tuple[str, ...]
    submitter: str
    contract: str
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class Anchoring:
    """What a transaction anchors. note: the signed checkpoint, verbatim; roots: 32 bytes; old_time: s."""

    origin: str
    old_size: int
    old_root: bytes
    old_time: int
    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before anything is sent.

    number: of the step, from 0; height: of the block that it will be in, or the lowest that it can be in where others
    send as well; parent_hash: of the block before that; timestamp: that the block will have, s, None where the network
    sets it; transaction: signed, as it is sent; anchored: None for the deployment.
    """

    number: int
    height: int
    parent_hash: bytes
    timestamp: int | None
    transaction: bytes
    anchored: Anchoring | None


@dataclass(frozen=True, slots=True)
class Mined:
    """Written when the block stands, before the next intent.

    header: RLP of the block header; receipt: as in the receipts trie; slot_proof: of the log's slot under that header,
    as `proofs.verify_slot` reads it, None for the deployment; timestamp: s.
    """

    number: int
    height: int
    block_hash: bytes
    header: bytes
    timestamp: int
    gas_used: int
    tx_hash: bytes
    slot_proof: bytes | None
    receipt: bytes

    @property
    def succeeded(self) -> bool:
        """Whether the transaction took effect: status 1 in the receipt, first of its fields behind the type byte."""
        fields = ethrlp.decode(self.receipt[1:], "receipt")
        return isinstance(fields, list) and fields[:1] == [b"\x01"]


@dataclass(frozen=True, slots=True)
class Version:
    """On a network of others: the open step's nonce, signed anew with a higher fee. Written before it is sent."""

    number: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """The open step is never mined: another transaction of the submitter's account took its nonce."""

    number: int


@dataclass(frozen=True, slots=True)
class Settled:
    """This step, and all before it, stand under so many blocks as the head asks for."""

    number: int


@dataclass(frozen=True, slots=True)
class Reorganised:
    """The network took back the block of this step, which was not settled: it and all later ones are open again.

    height: of the block that was taken back; block_hash: of the one that stands there now, None where none does.
    """

    number: int
    height: int
    block_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Successor:
    """From here on another account submits, on a network of others: the contract has other slots for it, which are
    empty. Steps that were open are never mined.
    """

    submitter: str


@dataclass(frozen=True, slots=True)
class Step:
    """One block: what was meant, and what came of it; `mined` is None while that is open.

    versions: further transactions of the same nonce, as they were signed; dropped: it is never mined; settled: the
    network does not take it back any more, by the journal's word; reopened: its block was taken back once.
    """

    intent: Intent
    mined: Mined | None
    versions: tuple[bytes, ...] = ()
    dropped: bool = False
    settled: bool = True
    reopened: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is awaited of it."""
        return self.mined is not None or self.dropped

    @property
    def transactions(self) -> tuple[bytes, ...]:
        """Every signed version, in the order in which they were written."""
        return (self.intent.transaction, *self.versions)

    @property
    def sent(self) -> bytes:
        """The version that was mined; before that the newest one."""
        if self.mined is not None and self.versions:
            for transaction in self.transactions:
                if keccak(transaction) == self.mined.tx_hash:
                    return transaction
        return self.transactions[-1]

    @property
    def anchors(self) -> bool:
        """Whether the contract accepted a checkpoint by it. A receipt that cannot be read says nothing."""
        try:
            return self.intent.anchored is not None and self.mined is not None and self.mined.succeeded
        except InvalidData:
            return False

    @property
    def proved(self) -> bool:
        """Whether it anchors, and the journal has the proof. A node of others may have been late, or have none."""
        return self.anchors and self.mined is not None and self.mined.slot_proof is not None


Line = Head | Intent | Mined | Version | Dropped | Settled | Reorganised | Successor


def encode_line(line: Line) -> bytes:
    """One line with its line feed."""
    match line:
        case Head():
            document: dict[str, Any] = {
                "type": "head",
                "chain_id": line.chain_id,
                "genesis_hash": line.genesis_hash.hex(),
                "node_version": line.node_version,
                "arguments": list(line.arguments),
                "submitter": line.submitter,
                "contract": line.contract,
                **({} if line.confirmations == 1 else {"confirmations": line.confirmations}),
            }
        case Intent():
            document = {
                "type": "intent",
                "number": line.number,
                "height": line.height,
                "parent_hash": line.parent_hash.hex(),
                "timestamp": line.timestamp,
                "transaction": line.transaction.hex(),
                "anchored": None if line.anchored is None else _anchoring_document(line.anchored),
            }
        case Mined():
            document = {
                "type": "mined",
                "number": line.number,
                "height": line.height,
                "block_hash": line.block_hash.hex(),
                "header": line.header.hex(),
                "timestamp": line.timestamp,
                "gas_used": line.gas_used,
                "tx_hash": line.tx_hash.hex(),
                "slot_proof": None if line.slot_proof is None else line.slot_proof.hex(),
                "receipt": line.receipt.hex(),
            }
        case Version():
            document = {"type": "version", "number": line.number, "transaction": line.transaction.hex()}
        case Dropped():
            document = {"type": "dropped", "number": line.number}
        case Settled():
            document = {"type": "settled", "number": line.number}
        case Successor():
            document = {"type": "successor", "submitter": line.submitter}
        case Reorganised():
            block_hash = None if line.block_hash is None else line.block_hash.hex()
            document = {
                "type": "reorganised",
                "number": line.number,
                "height": line.height,
                "block_hash": block_hash,
            }
    return _dump(document)


def decode_line(data: bytes) -> Line:
    """Read one line with its line feed. Raises InvalidData."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"not a JSON object on one line: {error}") from error
    if not isinstance(document, dict):
        raise InvalidData("not a JSON object")
    fields = _Fields(cast("dict[str, Any]", document))
    line: Line
    match fields.text("type"):
        case "head":
            line = Head(
                chain_id=fields.number("chain_id"),
                genesis_hash=fields.hex("genesis_hash", 32),
                node_version=fields.text("node_version") if fields.has("node_version") else None,
                arguments=fields.texts("arguments"),
                submitter=fields.text("submitter"),
                contract=fields.text("contract"),
                confirmations=fields.number("confirmations") if fields.given("confirmations") else 1,
            )
        case "intent":
            line = Intent(
                number=fields.number("number"),
                height=fields.number("height"),
                parent_hash=fields.hex("parent_hash", 32),
                timestamp=fields.number("timestamp") if fields.has("timestamp") else None,
                transaction=fields.hex("transaction"),
                anchored=_anchoring(fields.mapping("anchored")) if fields.has("anchored") else None,
            )
        case "mined":
            line = Mined(
                number=fields.number("number"),
                height=fields.number("height"),
                block_hash=fields.hex("block_hash", 32),
                header=fields.hex("header"),
                timestamp=fields.number("timestamp"),
                gas_used=fields.number("gas_used"),
                tx_hash=fields.hex("tx_hash", 32),
                slot_proof=fields.hex("slot_proof") if fields.has("slot_proof") else None,
                receipt=fields.hex("receipt"),
            )
        case "version":
            line = Version(fields.number("number"), fields.hex("transaction"))
        case "dropped":
            line = Dropped(fields.number("number"))
        case "settled":
            line = Settled(fields.number("number"))
        case "successor":
            line = Successor(fields.text("submitter"))
        case "reorganised":
            line = Reorganised(
                number=fields.number("number"),
                height=fields.number("height"),
                block_hash=fields.hex("block_hash", 32) if fields.has("block_hash") else None,
            )
        case other:
            raise InvalidData(f"{other!r} is no type of line")
    # One form, and exact keys: what was read, written again, must be the line.
    if encode_line(line) != data:
        raise InvalidData("not the canonical form of its line, or with keys that do not belong there")
    return line


class _Fields:
    """Typed access to a JSON object; InvalidData names the key."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def given(self, key: str) -> bool:
        return key in self._document

    def has(self, key: str) -> bool:
        if key not in self._document:
            raise InvalidData(f"{key} is missing")
        return self._document[key] is not None

    def number(self, key: str) -> int:
        value = self._document.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
            raise InvalidData(f"{key} is not a number of 64 bits")
        return value

    def text(self, key: str) -> str:
        value = self._document.get(key)
        if not isinstance(value, str):
            raise InvalidData(f"{key} is not a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._document.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidData(f"{key} is not a list of texts")
        return tuple(value)

    def hex(self, key: str, size: int | None = None) -> bytes:
        # Spaces and capitals pass here, and fail where the line is written again.
        try:
            data = bytes.fromhex(self.text(key))
        except ValueError as error:
            raise InvalidData(f"{key} is not hex") from error
        if size not in (None, len(data)):
            raise InvalidData(f"{key} is not {size} bytes in hex")
        return data

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._document.get(key)
        if not isinstance(value, dict):
            raise InvalidData(f"{key} is not an object")
        return cast("dict[str, Any]", value)


def _anchoring_document(anchored: Anchoring) -> dict[str, Any]:
    return {
        "origin": anchored.origin,
        "old_size": anchored.old_size,
        "old_root": anchored.old_root.hex(),
        "old_time": anchored.old_time,
        "size": anchored.size,
        "root": anchored.root.hex(),
        "note": anchored.note.hex(),
    }


def _anchoring(document: dict[str, Any]) -> Anchoring:
    fields = _Fields(document)
    return Anchoring(
        origin=fields.text("origin"),
        old_size=fields.number("old_size"),
        old_root=fields.hex("old_root", 32),
        old_time=fields.number("old_time"),
        size=fields.number("size"),
        root=fields.hex("root", 32),
        note=fields.hex("note"),
    )


def _dump(document: object) -> bytes:
    return _ENCODER.encode(document).encode("ascii") + b"\n"
