"""The trust file: what an auditor takes for granted. Public keys and hashes only; it never comes from the evidence.

load_trust(path)            read and check one
render_trust(trust)         its text, with comments; loads back to an equal value
write_trust(path, trust)    write one where none stands
"""

import json
from collections.abc import Iterator
from pathlib import Path

from testbed.core.errors import UsageError
from testbed.rig.bench_errors import Section, check_file
from testbed.rig.toml_file import TomlFile, parse_toml, read_toml
from testbed.rig.trust_checks import check_trust
from testbed.rig.trust_file import Submitter, Trust, TrustedModel
from testbed.rig.trusted_witness import TrustedWitness
from testbed.store.files import write_new


def load_trust(path: Path) -> Trust:
    """Read and check a trust file. Raises UsageError that names file, line, key and mend for every problem."""
    mend = "name the auditor's trust file, or let `testbed init` write one beside the bench file"
    return _check(read_toml(path, "trust file", mend))


def parse_trust(text: str, label: str = "trust.toml") -> Trust:
    """As load_trust, for the text of a file that messages call `label`."""
    return _check(parse_toml(text, label))


def write_trust(path: Path, trust: Trust) -> None:
    """Write a new trust file, on disk when this returns.

    Raises UsageError where one stands: trust is not replaced behind an auditor's back.
    """
    try:
        write_new(path, render_trust(trust).encode())
    except FileExistsError:
        mend = "keep it, or move it away yourself if it is to be trusted no longer"
        raise UsageError(f"{path}: a trust file stands here already; nothing was written", mend) from None
    except OSError as error:
        mend = "name a place that you may write to"
        raise UsageError(f"{path}: cannot be written: {error.strerror}", mend) from None


def render_trust(trust: Trust) -> str:
    """The text of a trust file, with comments; parse_trust gives back an equal value."""
    blocks = [_HEAD, _block("[bench]", _BENCH, trust.bench)]
    blocks += [_block("[[log]]", _LOG if first else "", log) for first, log in _with_first(trust.log)]
    blocks += [] if trust.root is None else [_block("[root]", _ROOT, trust.root)]
    blocks += [_block("[[revoked]]", _REVOKED if first else "", one) for first, one in _with_first(trust.revoked)]
    blocks += [_block("[[device]]", _DEVICE if first else "", one) for first, one in _with_first(trust.device)]
    before = _with_first(trust.predecessor)
    blocks += [_block("[[predecessor]]", _PREDECESSOR if first else "", one) for first, one in before]
    blocks.append(_block("[chain]", _CHAIN, trust.chain))
    further = _with_first(trust.further_chain)
    blocks += [_block("[[further_chain]]", _FURTHER if first else "", one) for first, one in further]
    blocks += [_block("[[submitter]]", _SUBMITTER if first else "", s) for first, s in _with_first(trust.submitter)]
    blocks += [_block("[[model]]", _MODEL if first else "", model) for first, model in _with_first(trust.model)]
    blocks += [_block("[[witness]]", _WITNESS if first else "", one) for first, one in _with_first(trust.witness)]
    blocks.append(_block("[commands]", _COMMANDS, trust.commands))
    blocks.append(_block("[limits]", _LIMITS, trust.limits))
    return "\n".join(blocks)


def model_table(model: TrustedModel) -> str:
    """The table that approves one model more."""
    return _block("[[model]]", "", model).rstrip("\n")


def submitter_table(submitter: Submitter) -> str:
    """The table of one account that took over."""
    return _block("[[submitter]]", "", submitter).rstrip("\n")


def witness_table(witness: TrustedWitness) -> str:
    """The table that trusts one witness more."""
    return _block("[[witness]]", "", witness).rstrip("\n")


_HEAD = """\
# What the auditor trusts. Nothing in it is secret, and nothing in it may come from the evidence that it judges:
# keep it where the people who run the bench cannot change it.
"""
_BENCH = "# simulated = true would let through logs that say themselves that no real clock drove them.\n"
_LOG = """\
# Each log, under the only key that may sign for it. schema: hash of the tag list that its first record must name.
# follows: the log whose records a twin's records must follow from. reads: the PLC that a gateway or reader reads.
"""
_ROOT = """\
# The root key is kept offline. A log goes on under another key only from where this one has signed the change.
"""
_REVOKED = """\
# Keys that others may have got hold of: what such a key signed beyond so many records of its log does not count.
"""
_DEVICE = """\
# PLCs that sign each scan under a key of their own. A state of theirs without their signature is "stripped"; states of
# a PLC that is not named here rest on the word of whoever read it.
"""
_PREDECESSOR = """\
# Logs for which these go on, up to where they are trusted: the first record of the successor must say the same, and the
# operator before must have signed it.
"""
_CHAIN = """\
# The chain that anchors are on, by its id and the hash of its first block; the contract, by address and hash of its
# code; and the one account whose anchors count. confirmations: blocks after which an anchor counts, its own included.
"""
_FURTHER = (
    "# Chains that all logs are anchored on as well. What one of them shows to be false counts as on the first.\n"
)
_SUBMITTER = "# Accounts that anchor in the place of the one above, whose key was stolen: each a log, from a size on.\n"
_MODEL = "# Models that a twin may run: SHA-256 of the source, and of the parameters.\n"
_WITNESS = """\
# Witnesses: they cosign what they have seen of the logs. What more than half of them cosigned counts as witnessed.
"""
_COMMANDS = """\
# Set-points, modes and manual outputs: a change without a command in the operator's log is "unexplained".
# momentary: those that the PLC takes back by itself, as a push button.
"""
_LIMITS = """\
# heartbeat_s: a log that is silent for longer is "silent", s. twin_lag: records that a twin may be behind. missed:
# share of scans that a reader may have missed by its own word. Two readers of a PLC without a scan counter may be
# skew_s apart in time, and deadband apart in value, as a share of the tag's range.
"""


def _with_first(items: tuple[Section, ...]) -> Iterator[tuple[bool, Section]]:
    return ((position == 0, item) for position, item in enumerate(items))


def _block(header: str, comment: str, section: Section) -> str:
    values = section.model_dump(by_alias=True)
    return comment + "\n".join([header, *(f"{key} = {_toml(value)}" for key, value in values.items())]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but TOML wants DEL escaped as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def _check(file: TomlFile) -> Trust:
    return check_file(file, Trust, check_trust)
