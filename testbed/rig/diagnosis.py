"""What a doctor looks at: each check finds nothing, or a problem with its mend."""

import asyncio
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import anvil_program
from testbed.chain.journal import read_journal
from testbed.chain.rpc import Node
from testbed.core.errors import InvalidData, TestbedError
from testbed.keys.files import read_secret
from testbed.rig.bench import Bench
from testbed.rig.locks import held_roles, role_names
from testbed.rig.logs import signing_key
from testbed.rig.paths import Paths
from testbed.rig.trust import Trust, load_trust

_ENOUGH_BYTES = 500 * 2**20


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: its name, what it saw, and the mend where that is a problem."""

    name: str
    seen: str
    mend: str = ""

    @property
    def healthy(self) -> bool:
        return not self.mend


async def diagnose(bench: Bench) -> list[Diagnosis]:
    """Every check, in the order in which a bench needs them. Never raises for what it finds."""
    found: list[Diagnosis] = []
    checks: list[tuple[str, Callable[[Bench], Awaitable[str]]]] = [
        ("python", _python),
        ("bench file", _bench),
        ("disk", _disk),
        ("chain", _node),
        ("ports", _ports),
        ("keys", _keys),
        ("trust file", _trust),
        ("journal", _journal),
    ]
    for name, look in checks:
        try:
            found.append(Diagnosis(name, await look(bench)))
        except TestbedError as error:
            found.append(Diagnosis(name, error.problem, error.mend or "see the message"))
        except InvalidData as error:
            found.append(Diagnosis(name, str(error), "run `testbed verify` to see what was changed"))
    return found


async def _python(_: Bench) -> str:
    return f"{sys.version.split()[0]} in {sys.prefix}"


async def _bench(bench: Bench) -> str:
    return f"{bench.file}: {len(bench.tags)} tags"


async def _disk(bench: Bench) -> str:
    folder = bench.data
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < _ENOUGH_BYTES:
        raise TestbedError(f"{folder}: {free >> 20} MiB free", "make room, or name another folder in [bench] data")
    return f"{folder}: {free >> 20} MiB free"


async def _node(bench: Bench) -> str:
    if bench.chain.kind == "anvil":
        return f"own node, {anvil_program().name}"
    async with Node(bench.chain.url) as node:
        return f"{bench.chain.url}: {await node.version()}, block {await node.height()}"


async def _ports(bench: Bench) -> str:
    wanted = {"plc.modbus": (bench.plc.modbus.host, bench.plc.modbus.port)}
    if bench.plc.opcua.enabled:
        wanted["plc.opcua"] = (bench.plc.opcua.host, bench.plc.opcua.port)
    if bench.chain.kind == "anvil":
        wanted["chain"] = (bench.chain.host, bench.chain.port)
    if held_roles(bench):
        return f"in use by this bench: {', '.join(held_roles(bench))}"
    for key, address in wanted.items():
        try:
            await asyncio.to_thread(_bind, address)
        except OSError as error:
            mend = "end the program that holds it, or move all ports with --port-shift 100"
            raise TestbedError(f"{key} {address[0]}:{address[1]}: {error.strerror}", mend) from error
    return ", ".join(f"{key} {host}:{port}" for key, (host, port) in wanted.items())


def _bind(address: tuple[str, int]) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


async def _keys(bench: Bench) -> str:
    roles = [role for role in role_names(bench) if role not in ("plc", "chain")]
    for role in roles:
        read_secret(Paths(bench.data).key(role))
    return f"{', '.join(roles)}: there, and closed to others"


async def _trust(bench: Bench) -> str:
    trust: Trust = load_trust(bench.trust_file)
    for role in (bench.reader.name, bench.twin.name):
        key = signing_key(bench, role).verifier().encode()
        if key not in [log.key for log in trust.log]:
            mend = "verify with the trust file that `testbed init` wrote for these keys"
            raise TestbedError(f"{bench.trust_file} does not trust the key of {bench.origin(role)}", mend)
    if trust.chain.code != "0x" + load_artifact().code_hash.hex():
        mend = "verify with the version of attestbed that made the bench"
        raise TestbedError(f"{bench.trust_file} trusts another contract than this version deploys", mend)
    return f"{bench.trust_file}: {len(trust.log)} logs, contract {trust.chain.contract}"


async def _journal(bench: Bench) -> str:
    path = Paths(bench.data).journal
    if not path.exists():
        raise TestbedError(f"{path}: there is no journal", "make the bench ready with `testbed init`")
    contents = read_journal(path)
    return f"{len(contents.steps)} blocks"
