"""The compiled contract as it is committed, so that a bench needs no compiler."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

ARTIFACT_NAME = "AnchorRegistry.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    abi: its interface as the Solidity ABI specification has it; bytecode: what a deployment carries;
    runtime: what then stands at the address; compiler: full version; settings: the compiler's, as JSON text.
    """

    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    compiler: str
    settings: str

    @property
    def code_hash(self) -> bytes:
        """keccak256 of the runtime code, 32 bytes: what the account of the contract holds (EIP-1052)."""
        return keccak(self.runtime)


@cache
def load_artifact() -> Artifact:
    """The committed artifact of the anchor registry."""
    document = json.loads((files("testbed.chain") / ARTIFACT_NAME).read_text(encoding="utf-8"))
    return Artifact(
        abi=tuple(document["abi"]),
        bytecode=bytes.fromhex(document["bytecode"]),
        runtime=bytes.fromhex(document["runtime"]),
        compiler=document["compiler"],
        settings=json.dumps(document["settings"], sort_keys=True),
    )
