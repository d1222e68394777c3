"""What a doctor looks at: each check finds nothing, or a problem with its mend."""

import shutil
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import anvil_program
from testbed.chain.reading import summarize
from testbed.chain.registry import address_of
from testbed.core.errors import InvalidData, StoreError, TestbedError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.files import read_secret
from testbed.rig.bench import Bench
from testbed.rig.bench_file import FurtherChain
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.device_diagnosis import diagnose_device
from testbed.rig.diagnosed import Diagnosis
from testbed.rig.locks import held_roles, is_held
from testbed.rig.log_keys import log_keys
from testbed.rig.networks import look_at_network
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports, listeners
from testbed.rig.readiness import check_trusted
from testbed.store.sqlite import LogStore

_ENOUGH_BYTES = 500 * 2**20


async def diagnose(bench: Bench) -> list[Diagnosis]:
    """Every check, in the order in which a bench needs them. Never raises for what it finds."""
    found: list[Diagnosis] = []
    checks: list[tuple[str, Callable[[Bench], Awaitable[str]]]] = [
        ("python", _python),
        ("bench file", _bench),
        ("disk", _disk),
        ("chain", _node),
        ("ports", _ports),
    ]
    if bench.plc.kind == "physical" and not (bench.trust_file.exists() or Paths(bench.data).journal.exists()):
        checks.append(("ledger", _no_ledger))
    else:
        checks += [
            ("keys", _keys),
            ("trust file", _trust),
            ("journal", _journal),
            *((f"chain {one.name}", partial(_further, chain=one)) for one in bench.further_chains),
            ("genesis", _genesis),
            ("logs", _logs),
        ]
    for name, look in checks:
        try:
            found.append(Diagnosis(name, await look(bench)))
        except TestbedError as error:
            found.append(Diagnosis(name, error.problem, error.mend or "see the message"))
        except InvalidData as error:
            found.append(Diagnosis(name, str(error), "run `testbed verify` to see what was changed"))
    if bench.plc.kind == "physical":
        found += await diagnose_device(bench)
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
    return await look_at_network(bench, bench.chain)


async def _further(bench: Bench, chain: FurtherChain) -> str:
    return await look_at_network(bench, chain)


async def _ports(bench: Bench) -> str:
    if held_roles(bench):
        return f"in use by this bench: {', '.join(held_roles(bench))}"
    await check_ports(bench)
    return ", ".join(f"{place.key} {place.host}:{place.port}" for place in listeners(bench))


async def _no_ledger(bench: Bench) -> str:
    return f"not begun; `testbed init --bench {bench.file}` makes keys and trust file once its runs are to be proved"


async def _keys(bench: Bench) -> str:
    names = ("anchor", *bench.logs, *(witness.name for witness in bench.witnesses))
    for name in names:
        read_secret(Paths(bench.data).key(name))
    return f"{', '.join(names)}: there, and closed to others"


async def _trust(bench: Bench) -> str:
    trust = check_trusted(bench)
    submitter = address_of(read_secret(Paths(bench.data).key("anchor")))
    if submitter.lower() != trust.chain.submitter.lower():
        mend = "take the trust file that `testbed init` wrote for these keys"
        raise TestbedError(f"{bench.trust_file} trusts another submitter than {submitter}, whose key is here", mend)
    if trust.chain.code != "0x" + load_artifact().code_hash.hex():
        mend = "verify with the version of attestbed that made the bench"
        raise TestbedError(f"{bench.trust_file} trusts another contract than this version deploys", mend)
    return f"{bench.trust_file}: {len(trust.log)} logs, contract {trust.chain.contract}"


async def _journal(bench: Bench) -> str:
    path = Paths(bench.data).journal
    if not path.exists():
        raise TestbedError(f"{path}: there is no journal", "make the bench ready with `testbed init`")
    return f"{summarize(path).steps} blocks"


async def _genesis(bench: Bench) -> str:
    if bench.chain.kind != "anvil":
        return "somebody else's"
    own = read_dev_chain(Paths(bench.data))
    return f"chain {own.chain_id}"


async def _logs(bench: Bench) -> str:
    found = []
    for role in bench.logs:
        path = Paths(bench.data).log(role)
        if not path.exists():
            found.append(f"{role} has not begun")
            continue
        with (LogStore.read if is_held(bench, bench.writer(role)) else LogStore.examine)(path) as store:
            newest = store.latest_checkpoint()
            if newest is None:
                raise StoreError(f"{path}: a log without a checkpoint", "run `testbed verify` to see what was changed")
            open_checkpoint(newest[1], log_keys(bench, role), bench.origin(role))
        found.append(f"{role} {newest[0]} records")
    return ", ".join(found)
