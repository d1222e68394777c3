"""What a running role says of itself, in a file beside its lock."""

import asyncio
import json
import os
from collections.abc import Mapping

from testbed.core.bodies import Beacon
from testbed.rig.bench import Bench
from testbed.rig.locks import is_held
from testbed.rig.paths import Paths
from testbed.store.files import write_atomic

_STATUS_S = 0.5
_HASH_DIGITS = 64


class Status:
    """The role's status file: written when something changes, at most each half second."""

    def __init__(self, bench: Bench, role: str) -> None:
        self._path = Paths(bench.data).status(role)
        self._last = ("", -1.0)
        self.clear()  # a killed process left its own

    def write(self, state: str, problem: str, facts: Mapping[str, int | str]) -> None:
        now = asyncio.get_running_loop().time()
        if state == self._last[0] and now - self._last[1] < _STATUS_S:
            return
        self._last = (state, now)
        document = {"pid": os.getpid(), "state": state, "problem": problem, **facts}
        write_atomic(self._path, json.dumps(document).encode())

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def read_status(bench: Bench, role: str) -> dict[str, int | str]:
    """What a role says of itself; empty where it does not run, whatever a killed one left behind."""
    if not is_held(bench, role):
        return {}
    try:
        found = json.loads(Paths(bench.data).status(role).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def running_node(bench: Bench) -> str | None:
    """Address of the bench's own node, None where its role does not run."""
    url = read_status(bench, "chain").get("url")
    return None if url is None else str(url)


def newest_block(bench: Bench) -> Beacon | None:
    """The newest block that the running anchor has on record, None where it has none or does not run."""
    status = read_status(bench, "anchor")
    height, block = status.get("height"), str(status.get("block", ""))
    if not isinstance(height, int) or len(block) != _HASH_DIGITS:
        return None
    return Beacon(bench.chain.chain_id, height, bytes.fromhex(block))
