"""Exports a proved record as a COSE statement with a receipt. It is signed here and now, with the log's own key."""

from testbed.core.errors import UsageError
from testbed.keys.evidence_file import EvidenceFile
from testbed.record.cose import Included, encode_receipt, encode_statement
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.log_keys import signing_key


def cose_statement(bench: Bench, file: EvidenceFile) -> bytes:
    """The statement of the record that the file is about. Raises UsageError where there is none, or no key."""
    subject = next((one for one in file.records if one.place == (file.origin, file.index)), None)
    if subject is None:
        raise UsageError("a COSE statement is about one record", "leave --cose out, or name a record")
    checkpoint = subject.proof.claimed
    if checkpoint.size == 1:
        raise UsageError(f"{file.origin} holds one record, and RFC 9942 cannot show the only leaf of a tree", "wait")
    name = next(name for name in bench.logs if bench.origin(name) == file.origin)
    key = signing_key(bench, name)
    kid, entry = key.verifier().key_id, decode_entry(subject.entry)
    about = f"{entry.source}/{entry.seq}"
    place = Included(checkpoint.size, subject.proof.index, subject.proof.path, checkpoint.root)
    receipt = encode_receipt(place, file.origin, about, kid, key.sign)
    return encode_statement(subject.entry, file.origin, about, kid, key.sign, [receipt])
