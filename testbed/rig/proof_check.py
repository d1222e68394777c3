"""Checks an evidence file: reads it and the auditor's trust file, and asks a node where the auditor names one."""

import asyncio
from contextlib import suppress
from pathlib import Path

from testbed.chain.proofs import header_fields
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, InvalidData, UsageError
from testbed.keys.evidence_file import MAX_FILE, EvidenceFile, is_evidence, parse_evidence
from testbed.rig.auditing import approved_model, auditor
from testbed.rig.trust import load_trust
from testbed.verify.proved import Proved, check_evidence
from testbed.verify.proved_anchor import NodeAnswer

_HIGHEST = 2**63 - 1
"""Block numbers above are no node's."""


def looks_like_evidence(path: Path) -> bool:
    """Whether a file says in its first line that it is an evidence file. Raises UsageError where it cannot be read."""
    return path.is_file() and is_evidence(_read(path, 64))


def read_evidence(path: Path) -> EvidenceFile:
    """The file. Raises UsageError where it cannot be read, InvalidData where it is damaged."""
    return parse_evidence(_read(path, MAX_FILE + 1))


def check_proof(file: EvidenceFile, trust: Path, node: str | None) -> Proved:
    """Check it. node: URL of one to be asked, None for none. Raises UsageError for a bad trust file."""
    trusted = auditor(load_trust(trust))
    answer = None
    if node is not None and file.anchor is not None:
        with suppress(InvalidData):  # a header that is none is a finding of the check
            answer = asyncio.run(_ask(node, header_fields(file.anchor.header).number))
    return check_evidence(file, trusted, approved_model, answer)


async def _ask(url: str, height: int) -> NodeAnswer:
    """What a node says of the block at that height."""
    try:
        async with Node(url) as node:
            genesis, block = await node.block(0), await node.block(min(height, _HIGHEST))
            newest = await node.height()
            return NodeAnswer(
                url=url,
                problem="" if genesis is not None else "it has no genesis block",
                chain_id=await node.chain_id(),
                genesis=b"" if genesis is None else genesis.hash,
                height=newest,
                block=None if block is None else block.hash,
            )
    except ChainError as error:
        return NodeAnswer(url, error.problem)
    except InvalidData as error:
        return NodeAnswer(url, f"it does not answer as a node should: {error}")


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", "name the file that `testbed prove` wrote"
        ) from None
