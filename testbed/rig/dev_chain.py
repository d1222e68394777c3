"""What makes a bench's own chain, from its genesis file."""

import json
from dataclasses import dataclass

from testbed.core.errors import UsageError
from testbed.rig.paths import Paths


@dataclass(frozen=True, slots=True)
class DevChain:
    """What makes a bench's own chain: chain id, genesis time in s, and the one funded account."""

    chain_id: int
    genesis_time_s: int
    funded: str


def read_dev_chain(paths: Paths) -> DevChain:
    """The bench's own chain, from its genesis file. Raises UsageError where there is none."""
    try:
        document = json.loads(paths.chain_genesis.read_text(encoding="utf-8"))
        (funded,) = document["alloc"]
        return DevChain(int(document["config"]["chainId"]), int(document["timestamp"], 16), str(funded))
    except FileNotFoundError:
        raise UsageError(f"{paths.chain_genesis}: there is no genesis file", "run `testbed init`") from None
    except (ValueError, KeyError, TypeError) as error:
        mend = "restore the file from a backup, or make a new bench in another data folder"
        raise UsageError(f"{paths.chain_genesis}: not a genesis file: {error!r}", mend) from None
