"""Makes a bench ready: keys, genesis, journal, and the trust file, once and all together."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import ARGUMENTS, DevNode, genesis_text
from testbed.chain.journal import Journal
from testbed.chain.registry import address_of, contract_address
from testbed.chain.rpc import Node
from testbed.chain.steps import Head
from testbed.core.bodies import SUCCEEDS, Event
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.errors import UsageError
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import write_secret
from testbed.keys.log_keys import ROOT
from testbed.model import registry
from testbed.record.schema import parameters_hash
from testbed.rig.bench import RECEIPTS, Bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.device_key import make_device
from testbed.rig.networks import network_head
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.rig.reading import schema_of
from testbed.rig.recipe import parameters_of
from testbed.rig.succession import Before, name_predecessors, successors_note, trusted_predecessors
from testbed.rig.trust import write_trust
from testbed.rig.trust_file import (
    Commands,
    Limits,
    Trust,
    TrustedBench,
    TrustedChain,
    TrustedFurtherChain,
    TrustedLog,
    TrustedModel,
    TrustedRoot,
)
from testbed.rig.trusted_witness import TrustedWitness, trusted_witness
from testbed.store.files import write_atomic

_LAG_S = 60.0
"""How far a twin may be behind before it counts as stalled, s."""


def check_fresh(bench: Bench, trust_file: Path) -> None:
    """Raises UsageError where a trust file, or keys or records of a bench, stand already."""
    paths, root = Paths(bench.data), root_file(trust_file)
    names = ("anchor", *bench.logs, *(witness.name for witness in bench.witnesses))
    for path in (trust_file, root, paths.plc_device_key, *(paths.key(name) for name in names)):
        if path.exists():
            mend = "keep it and go on with `testbed up`, or name another data folder in [bench] data"
            if not trust_file.exists():
                # Keys come before the trust file: an `init` was stopped between them, or the file was moved away.
                mend = f"put {trust_file} back; if there never was one, remove {bench.data} and {root}, and try again"
            raise UsageError(f"{path}: this bench was made ready before; nothing was written", mend)


def root_file(trust_file: Path) -> Path:
    """Where a bench's root key is put when it is made: beside the trust file, to be moved away."""
    return trust_file.with_name("root.key")


async def initialize(
    bench: Bench,
    trust_file: Path,
    clock: Clock,
    entropy: Entropy,
    *,
    simulated: bool,
    before: Before | None = None,
) -> Trust:
    """Make keys, genesis, journal and the operator's log, and write the trust file. Raises UsageError, ChainError.

    before: the bench that this one goes on for. The trust file comes last: without it nothing here counts as made.
    A chain of one's own is started once, for its genesis hash. Any other chain must be reachable.
    """
    check_fresh(bench, trust_file)
    paths = Paths(bench.data)
    secrets = {name: entropy.take(32) for name in ("anchor", *bench.logs)}
    submitter = address_of(secrets["anchor"])
    head = await _head(bench, paths, submitter, clock)
    further = {one.name: await network_head(one, bench.file, submitter) for one in bench.further_chains}
    for role, secret in secrets.items():
        write_secret(paths.key(role), secret)
    Journal.create(paths.journal, head).close()
    for name, further_head in further.items():
        Journal.create(paths.further_journal(name), further_head).close()
    if before is not None:
        await asyncio.to_thread(name_predecessors, paths, before)
    with operator_log(bench, clock, entropy, simulated=simulated) as log:
        # Opening it says what it has to say.
        if before is not None and before.operator is not None:
            said = successors_note(bench, before, before.operator, secrets)
            log.append([(bench.name, Event(clock.now_ns(), SUCCEEDS, said))])
    root = entropy.take(32)
    devices = make_device(bench, entropy)
    # The witnesses' come last: a bench that takes one in has the same other keys from the same seed.
    witnesses = tuple(make_witness(bench, witness.name, entropy) for witness in bench.witnesses)
    trust = _trust(bench, head, further, secrets, root, simulated=simulated)
    trust = trust.model_copy(update={"device": devices, "witness": witnesses})
    if before is not None:
        trust = trust.model_copy(update={"predecessor": trusted_predecessors(bench, before)})
    write_secret(root_file(trust_file), root)
    write_trust(trust_file, trust)
    return trust


def make_witness(bench: Bench, name: str, entropy: Entropy) -> TrustedWitness:
    """Make the key of one witness, where it will run; what trust files are to say of it. Raises UsageError."""
    names = [witness.name for witness in bench.witnesses]
    if name not in names:
        mend = f"choose one of {', '.join(names)}" if names else f'add [[witness]] with name = "{name}" to it'
        raise UsageError(f"{bench.file}: there is no witness {name!r}", mend)
    secret = entropy.take(32)
    write_secret(Paths(bench.data).key(name), secret)
    return trusted_witness(name, SigningKey.from_seed(bench.origin(name), secret))


async def _head(bench: Bench, paths: Paths, submitter: str, clock: Clock) -> Head:
    if bench.chain.kind == "url":
        return await network_head(bench.chain, bench.file, submitter)
    text = genesis_text(bench.chain.chain_id, clock.now_ns() // 10**9, submitter)
    await asyncio.to_thread(write_atomic, paths.chain_genesis, text.encode(), durable=True)
    own = read_dev_chain(paths)
    node_process = await DevNode.start(paths.role_folder("chain"), own.chain_id, own.genesis_time_s, own.funded)
    try:
        async with Node(node_process.url) as node:
            genesis = await node.block(0)
            version = await node.version()
    finally:
        await node_process.stop()
    if genesis is None:
        raise UsageError("the development node has no genesis block", "run `testbed doctor`")
    return Head(own.chain_id, genesis.hash, version, ARGUMENTS, submitter, contract_address(submitter, 0))


def _trust(
    bench: Bench, head: Head, further: dict[str, Head], secrets: dict[str, bytes], root: bytes, *, simulated: bool
) -> Trust:
    scans_per_s = 1000.0 / min(bench.plc.scan_ms, bench.gateway.period_ms)
    return Trust(
        bench=TrustedBench(name=bench.name, simulated=simulated),
        log=tuple(_log(bench, name, secrets[name]) for name in bench.logs),
        root=TrustedRoot(key=SigningKey.from_seed(bench.origin(ROOT), root).verifier().encode()),
        chain=TrustedChain(**_chain(head, bench.chain.confirmations)),
        further_chain=tuple(
            TrustedFurtherChain(name=one.name, **_chain(further[one.name], one.confirmations))
            for one in bench.further_chains
        ),
        model=(
            TrustedModel(
                name=bench.twin.model,
                hash=registry.model_hash(bench.twin.model).hex(),
                parameters=parameters_hash(parameters_of(bench)).hex(),
            ),
        ),
        commands=Commands(tags=_commanded(bench), momentary=bench.momentary),
        limits=Limits(heartbeat_s=max(10.0, 10 * bench.log.heartbeat_s), twin_lag=max(100, int(scans_per_s * _LAG_S))),
    )


def _chain(head: Head, confirmations: int) -> dict[str, Any]:
    return {
        "id": head.chain_id,
        "genesis": "0x" + head.genesis_hash.hex(),
        "contract": head.contract,
        "code": "0x" + load_artifact().code_hash.hex(),
        "submitter": head.submitter,
        "confirmations": confirmations,
    }


def _commanded(bench: Bench) -> tuple[str, ...]:
    """What only a logged command may change. A heartbeat is none: it changes all the time."""
    return tuple(tag.name for tag in bench.tags if tag.writable and tag.name not in bench.heartbeats)


def _log(bench: Bench, name: str, secret: bytes) -> TrustedLog:
    origin = bench.origin(name)
    key = SigningKey.from_seed(origin, secret).verifier().encode()
    if name == bench.twin.name:
        return TrustedLog(origin=origin, role="twin", key=key, follows=bench.origin(bench.twin.follows))
    if name == RECEIPTS:
        return TrustedLog(origin=origin, role="receipts", key=key)
    if name == bench.operator.name:
        return TrustedLog(origin=origin, role="operator", key=key)
    reader = bench.reader(name)
    role: Literal["gateway", "reader"] = "gateway" if name == bench.gateway.name else "reader"
    return TrustedLog(origin=origin, role=role, key=key, schema=schema_of(bench, reader).hex(), reads=reader.plc)
