"""Evidence files: one text that a stranger checks with nothing but a trust file. What is in one proves itself, or not.

    attestbed-evidence@v1
    # ...                                 commentary: lines for a person, which nothing that checks ever reads
    claim <what> <origin> [<index>]       what the file is to show; it must prove itself, whatever is claimed
    -----BEGIN KEY-CHANGE-----            where a log went on under another key: old, new and root key signed it
    <signed note, verbatim>               (keys/log_keys.py)
    -----END KEY-CHANGE-----
    -----BEGIN RECORD-----                a record and its proof; as many as the claim needs
    entry <base64>                        the leaf
    salt <base64>                         both are missing once the body is erased
    body <base64>

    <C2SP tlog-proof, verbatim>
    -----END RECORD-----
    -----BEGIN ANCHOR-----                what the contract accepted of the claim's log
    header <base64>                       the block's header, RLP
    slot <base64>                         EIP-1186 account and storage proof, RLP
    receipt <base64>                      receipt of the transaction, where the block holds no other one
    path <base64>                         consistency between this checkpoint and that of the claim's records

    <checkpoint, verbatim>
    -----END ANCHOR-----
    -----BEGIN RECEIPT-----               the record of the receipts' log that says so: as RECORD, and its body is made
    ...                                   of what stands under ANCHOR
    -----END RECEIPT-----
    -----BEGIN BLOCKS-----                headers, each the parent of the next one, from a beacon's up to the anchor's
    header <base64>
    -----END BLOCKS-----
    -----BEGIN TAGS-----                  the log's tag list, as its configuration record holds it
    data <base64>
    -----END TAGS-----
    -----BEGIN PARAMETERS-----            the parameters of the twin's model, likewise
    data <base64>
    -----END PARAMETERS-----
    -----BEGIN CHECKPOINT-----            of a fork: two checkpoints, the smaller one first
    <checkpoint, verbatim>
    -----END CHECKPOINT-----
    -----BEGIN PATH-----                  of a fork of two sizes: it rebuilds the larger root
    path <base64>
    -----END PATH-----
    digest <hex>                          SHA-256 of all lines but this and the commentary: finds idle damage only

Parts stand in this order, records by origin and index, key changes likewise. A text that is not the one way to write
what it says is refused.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from testbed.core.errors import InvalidData
from testbed.keys.encoding import check_text, from_base64, to_base64
from testbed.keys.log_keys import KeyChange, parse_key_change
from testbed.keys.note import split_note
from testbed.keys.tlog_proof import TlogProof, claimed_checkpoint, encode_tlog_proof, parse_tlog_proof

FIRST_LINE = "attestbed-evidence@v1"
MAX_FILE = 1 << 24
"""Bytes of a whole file."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_BEGIN = re.compile(r"-----BEGIN ([A-Z-]+)-----", re.ASCII)


class Claim(Enum):
    """What a file is to show."""

    RECORD = "record"
    FORKED = "forked"
    DIVERGED = "diverged"
    UNAPPROVED = "unapproved"
    SKIPPED = "skipped"
    INVENTED = "invented"


@dataclass(frozen=True, slots=True)
class ProvedRecord:
    """A record and its proof. salt, body: None once the body is erased."""

    entry: bytes
    salt: bytes | None
    body: bytes | None
    proof: TlogProof

    @property
    def place(self) -> tuple[str, int]:
        """Origin and index that it says it has."""
        return self.proof.claimed.origin, self.proof.index


@dataclass(frozen=True, slots=True)
class ProvedAnchor:
    """What the contract accepted. checkpoint: signed note; path: of consistency; receipt_proof: b"" for none.

    entry, salt, proof: of the record in the receipts' log, whose body consists of the same bytes.
    """

    checkpoint: bytes
    header: bytes
    slot_proof: bytes
    receipt_proof: bytes
    path: tuple[bytes, ...]
    entry: bytes
    salt: bytes
    proof: TlogProof


@dataclass(frozen=True, slots=True)
class Fork:
    """Two signed checkpoints, the smaller first, and the hashes that rebuild the larger root; none for equal sizes."""

    checkpoints: tuple[bytes, bytes]
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A whole file. origin, index: what the claim is about, no index for a fork; blocks: headers, RLP.

    key_changes: signed notes; commentary: lines without their marks; tags, parameters: encoded, None where the file
    holds none.
    """

    claim: Claim
    origin: str
    index: int | None
    records: tuple[ProvedRecord, ...] = ()
    anchor: ProvedAnchor | None = None
    blocks: tuple[bytes, ...] = ()
    tags: bytes | None = None
    parameters: bytes | None = None
    fork: Fork | None = None
    key_changes: tuple[bytes, ...] = ()
    commentary: tuple[str, ...] = ()


def encode_evidence(file: EvidenceFile) -> bytes:
    """The one text of a file; raises InvalidData for what none can say."""
    _check(file)
    subject = [] if file.index is None else [str(file.index)]
    lines = [FIRST_LINE, " ".join(["claim", file.claim.value, file.origin, *subject])]
    for note in file.key_changes:
        lines += _part("KEY-CHANGE", _lines(note))
    for record in file.records:
        opening = [] if record.salt is None or record.body is None else [_data("salt", record.salt)]
        opening += [] if record.body is None else [_data("body", record.body)]
        lines += _part("RECORD", [_data("entry", record.entry), *opening, "", *_lines(encode_tlog_proof(record.proof))])
    if file.anchor is not None:
        lines += _anchor_parts(file.anchor)
    if file.blocks:
        lines += _part("BLOCKS", [_data("header", header) for header in file.blocks])
    for name, data in (("TAGS", file.tags), ("PARAMETERS", file.parameters)):
        lines += [] if data is None else _part(name, [_data("data", data)])
    if file.fork is not None:
        for checkpoint in file.fork.checkpoints:
            lines += _part("CHECKPOINT", _lines(checkpoint))
        lines += _part("PATH", [_data("path", node) for node in file.fork.path]) if file.fork.path else []
    lines.append(f"digest {_digest(lines)}")
    lines[1:1] = ["# " + line if line else "#" for line in file.commentary]
    data = _joined(lines)
    if len(data) > MAX_FILE:
        raise InvalidData(f"evidence: {len(data)} bytes, more than {MAX_FILE}")
    return data


def parse_evidence(data: bytes) -> EvidenceFile:
    """The file of a text; raises InvalidData, which names the line, unless `encode_evidence` gives back these bytes.

    Nothing is verified yet but the digest.
    """
    if len(data) > MAX_FILE:
        raise InvalidData(f"evidence: {len(data)} bytes, more than {MAX_FILE}")
    try:
        text = check_text(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidData(f"evidence: not UTF-8: {error}") from error
    lines = _Lines(text)
    if lines.take() != FIRST_LINE:
        raise lines.fault(f"the first line is not {FIRST_LINE}")
    commentary: list[str] = []
    while lines.next().startswith("#"):
        commentary.append(lines.take()[1:].removeprefix(" "))
    lines.check_digest()
    found = _body(lines, tuple(commentary))
    if encode_evidence(found) != data:
        raise InvalidData("evidence: not the one way to write what it says")
    return found


def is_evidence(start: bytes) -> bool:
    """Whether a file that begins so says that it is an evidence file."""
    return start.startswith(FIRST_LINE.encode() + b"\n")


def _check(file: EvidenceFile) -> None:
    """Raises InvalidData for what the text could not say, or would say in another way."""
    if (file.claim is Claim.FORKED) != (file.fork is not None) or (file.index is None) != (file.fork is not None):
        raise InvalidData("evidence: a fork is claimed without an index and with two checkpoints, and nothing else is")
    if file.index is not None and not 0 <= file.index < 2**63:
        raise InvalidData(f"evidence: index {file.index} is not 0..2**63 - 1")
    if not file.origin or any(char.isspace() or char < " " for char in file.origin):
        raise InvalidData(f"evidence: not the name of a log: {file.origin!r}")
    places = [record.place for record in file.records]
    if places != sorted(set(places)):
        raise InvalidData("evidence: records are not in the order of origin and index, each once")
    changes = [(change.origin, change.first) for change in map(_key_change, file.key_changes)]
    if changes != sorted(set(changes)):
        raise InvalidData("evidence: changes of keys are not in the order of origin and index, each once")
    for record in file.records:
        if (record.salt is None) != (record.body is None):
            raise InvalidData("evidence: salt and body go together")
    for line in file.commentary:
        if "\n" in line:
            raise InvalidData("evidence: a line of commentary holds a newline")
    if file.fork is not None:
        smaller, larger = (claimed_checkpoint(note) for note in file.fork.checkpoints)
        if (smaller.size, file.fork.checkpoints[0]) >= (larger.size, file.fork.checkpoints[1]):
            raise InvalidData("evidence: the checkpoints of a fork are not in the order of their size, or are the same")


def _key_change(note: bytes) -> KeyChange:
    """What a note says of a change, whoever signed it."""
    return parse_key_change(split_note(note)[0])


def _anchor_parts(anchor: ProvedAnchor) -> list[str]:
    claimed_checkpoint(anchor.checkpoint)
    proofs = [("header", anchor.header), ("slot", anchor.slot_proof)]
    proofs += [("receipt", anchor.receipt_proof)] if anchor.receipt_proof else []
    proofs += [("path", node) for node in anchor.path]
    head = [_data(name, data) for name, data in proofs]
    record = [_data("entry", anchor.entry), _data("salt", anchor.salt), "", *_lines(encode_tlog_proof(anchor.proof))]
    return [*_part("ANCHOR", [*head, "", *_lines(anchor.checkpoint)]), *_part("RECEIPT", record)]


def _part(name: str, lines: list[str]) -> list[str]:
    if any(line.startswith("-----") for line in lines):
        raise InvalidData(f"evidence: a line of {name} looks like the border of a part")
    return [f"-----BEGIN {name}-----", *lines, f"-----END {name}-----"]


def _data(name: str, data: bytes) -> str:
    if not data:
        raise InvalidData(f"evidence: {name} of no bytes")
    return f"{name} {to_base64(data)}"


def _lines(data: bytes) -> list[str]:
    """The lines of a text that ends in a newline."""
    return check_text(data.decode())[:-1].split("\n")


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256(_joined(lines)).hexdigest()


class _Lines:
    """The lines of a file, one after another, and how far one has come."""

    def __init__(self, text: str) -> None:
        self._lines = text[:-1].split("\n")
        self._place = 0

    def next(self) -> str:
        """The line that comes next, "" behind the last one."""
        return self._lines[self._place] if self._place < len(self._lines) else ""

    def take(self) -> str:
        line = self.next()
        if self._place == len(self._lines):
            raise self.fault("the file ends too early")
        self._place += 1
        return line

    def check_digest(self) -> None:
        """Raises InvalidData unless the last line is the digest of the first one and of all that is still to come."""
        counted = [self._lines[0], *self._lines[self._place : -1]]
        if self._lines[-1] != f"digest {_digest(counted)}":
            raise InvalidData("evidence: its last line is not the digest of those above: it was changed, or cut off")

    def part(self, name: str) -> list[str] | None:
        """The lines within the next part, None where it is another one."""
        if self.next() != f"-----BEGIN {name}-----":
            return None
        self.take()
        lines: list[str] = []
        while not self.next().startswith("-----"):
            lines.append(self.take())
        if self.take() != f"-----END {name}-----":
            raise self.fault(f"the part {name} does not end")
        return lines

    def fault(self, what: str) -> InvalidData:
        return InvalidData(f"evidence, line {min(self._place + 1, len(self._lines))}: {what}")


def _body(lines: _Lines, commentary: tuple[str, ...]) -> EvidenceFile:
    words = lines.take().split(" ")
    known = {claim.value: claim for claim in Claim}
    if len(words) not in (3, 4) or words[0] != "claim" or words[1] not in known:
        raise lines.fault("no claim that is known")
    if len(words) == 4 and not _NUMBER.fullmatch(words[3]):
        raise lines.fault("the claim names no record")
    try:
        changes = tuple(map(_joined, _parts(lines, "KEY-CHANGE")))
        records = tuple(map(_record, _parts(lines, "RECORD")))
        anchor = _anchor(lines)
        blocks = tuple(_values(lines.part("BLOCKS"), "header"))
        tags, parameters = (next(iter(_values(lines.part(name), "data")), None) for name in ("TAGS", "PARAMETERS"))
        fork = _fork(lines)
    except InvalidData as error:
        raise error if str(error).startswith("evidence, line") else lines.fault(str(error)) from error
    if not lines.next().startswith("digest "):
        part = _BEGIN.fullmatch(lines.next())
        raise lines.fault(f"the part {part[1]} has no place here" if part else "neither a part nor the digest")
    index = int(words[3]) if len(words) == 4 else None
    return EvidenceFile(
        known[words[1]], words[2], index, records, anchor, blocks, tags, parameters, fork, changes, commentary
    )


def _parts(lines: _Lines, name: str) -> Iterator[list[str]]:
    while (part := lines.part(name)) is not None:
        yield part


def _record(part: list[str]) -> ProvedRecord:
    fields, rest = _fields(part)
    entry, salt, body = (fields.pop(name, [None])[0] for name in ("entry", "salt", "body"))
    if entry is None or fields:
        raise InvalidData("a record is an entry, salt and body, and its proof")
    return ProvedRecord(entry, salt, body, parse_tlog_proof(_joined(rest)))


def _anchor(lines: _Lines) -> ProvedAnchor | None:
    part = lines.part("ANCHOR")
    if part is None:
        return None
    receipt = lines.part("RECEIPT")
    if receipt is None:
        raise InvalidData("no receipt of the anchor")
    fields, checkpoint = _fields(part)
    record = _record(receipt)
    try:
        (header,), (slot,), (proof,) = fields.pop("header"), fields.pop("slot"), fields.pop("receipt", [b""])
    except (KeyError, ValueError) as error:
        raise InvalidData("an anchor is a header and the proof of a slot, and what goes with them") from error
    path = tuple(fields.pop("path", ()))
    if fields or record.salt is None or record.body is not None:
        raise InvalidData("an anchor's parts are not those of an anchor")
    return ProvedAnchor(_joined(checkpoint), header, slot, proof, path, record.entry, record.salt, record.proof)


def _fork(lines: _Lines) -> Fork | None:
    notes = [_joined(part) for part in _parts(lines, "CHECKPOINT")]
    if not notes:
        return None
    if len(notes) != 2:
        raise InvalidData("a fork is two checkpoints")
    return Fork((notes[0], notes[1]), tuple(_values(lines.part("PATH"), "path")))


def _fields(part: list[str]) -> tuple[dict[str, list[bytes]], list[str]]:
    """Named bytes above the first empty line of a part, and the lines below it."""
    end = part.index("") if "" in part else len(part)
    fields: dict[str, list[bytes]] = {}
    for line in part[:end]:
        name, _, data = line.partition(" ")
        fields.setdefault(name, []).append(from_base64(data))
    return fields, part[end + 1 :]


def _values(part: list[str] | None, name: str) -> list[bytes]:
    """The bytes of a part whose lines all have that name."""
    if part is None:
        return []
    fields, rest = _fields(part)
    values = fields.pop(name, [])
    if fields or rest or not values:
        raise InvalidData(f"a part with something else than {name}")
    return values
