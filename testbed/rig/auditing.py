"""Puts a verification together: trust file, files of the bench, and a node: the running one or a private one."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from testbed.chain.devnode import DevNode
from testbed.chain.rpc import Node
from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import TestbedError, UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.readings import readings_of
from testbed.keys.cosignature import WitnessKey
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import Revoked
from testbed.model import registry
from testbed.record.manifest import MANIFEST
from testbed.record.schema import decode_parameters
from testbed.rig import trust_file
from testbed.rig.bench import Bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.paths import Paths
from testbed.rig.status import running_node
from testbed.rig.trust import load_trust
from testbed.rig.witness_reading import read_witnesses
from testbed.verify.evidence import Evidence
from testbed.verify.gather import gather
from testbed.verify.replay import ApprovedModel
from testbed.verify.report import CheckedReport, check_report
from testbed.verify.trust import (
    Agreement,
    FurtherChain,
    LogRole,
    Succeeded,
    Trust,
    TrustedChain,
    TrustedCommands,
    TrustedDevice,
    TrustedLog,
    TrustedModel,
    TrustedSubmitter,
    TrustedWitness,
)
from testbed.verify.verdict import Checked, check
from testbed.verify.work import ALONE, Work


async def audit(bench: Bench, trust: Path, work: Work = ALONE, witnesses: Sequence[str] = ()) -> Checked:
    """Check a bench against a trust file. Writes nothing into the bench. Raises UsageError for a bad trust file.

    witnesses: folders or addresses of witnesses that stand elsewhere than beside the bench's logs.
    """
    trusted = auditor(load_trust(trust))
    if trusted.bench != bench.name:
        raise UsageError(
            f"{trust} is about bench {trusted.bench!r}, and {bench.file} is {bench.name!r}",
            "name the trust file and the bench file of one bench",
        )
    return check(trusted, await evidence_of(bench, trusted, witnesses), approved_model, work)


async def audit_report(bench: Bench, trust: Path, report: Path, work: Work = ALONE) -> tuple[CheckedReport, Checked]:
    """Check the report of a test run, a folder or its manifest, and the bench that it stands on. Writes nothing.

    Raises UsageError for a bad trust file, and where there is no report.
    """
    files = read_report(report)
    checked = await audit(bench, trust, work)
    return check_report(auditor(load_trust(trust)), checked, files), checked


def read_report(report: Path) -> dict[str, bytes]:
    """Every file of a report by its name, seen from the report's folder."""
    folder = report if report.is_dir() else report.parent
    if report != folder and (report.name != MANIFEST or not report.is_file()):
        mend = f"name the folder that a test run left, or its {MANIFEST}"
        raise UsageError(f"{report} is no report of a test run", mend)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    runs = sorted({name.partition("/")[0] for name in files if name.endswith(f"/{MANIFEST}")})
    if not files or (MANIFEST not in files and runs):
        there = f"there are {', '.join(runs)}" if runs else "a test run leaves one where --evidence-dir says"
        raise UsageError(f"{folder} holds no report itself", f"name the folder of one run: {there}")
    return files


async def evidence_of(bench: Bench, trusted: Trust, witnesses: Sequence[str] = ()) -> Evidence:
    """Everything of a bench that a check against `trusted` reads. witnesses: folders or addresses of some elsewhere."""
    paths = Paths(bench.data)
    folders = {bench.origin(name): (paths.log(name), paths.tlog(name)) for name in bench.logs}
    # Witnesses first: whatever they cosigned was in the logs before.
    kept = await asyncio.to_thread(read_witnesses, bench, trusted, witnesses)
    further = {one.name: await _further(bench, trusted, one) for one in trusted.further}
    async with _node(bench, paths) as (node, problem):
        evidence = await gather(trusted, folders, paths.journal, node, problem)
    logs = {origin: replace(log, mirrors=kept.get(origin, ())) for origin, log in evidence.logs.items()}
    return replace(evidence, logs=logs, further=further)


async def _further(bench: Bench, trusted: Trust, further: FurtherChain) -> Evidence:
    """Journal and chain of a further chain. It is read before the logs, so that they cover what it names."""
    journal = Paths(bench.data).further_journal(further.name)
    about = replace(trusted, chain=further.chain)
    named = next((one for one in bench.further_chains if one.name == further.name), None)
    if named is None:
        problem = f"{bench.file} has no [[further_chain]] of the name {further.name}, so its node is not known"
        return await gather(about, {}, journal, None, problem)
    async with Node(named.url) as node:
        return await gather(about, {}, journal, node, "")


def auditor(file: trust_file.Trust) -> Trust:
    """The trust file's content as the values that checks work with."""
    return Trust(
        bench=file.bench.name,
        simulated=file.bench.simulated,
        logs=tuple(
            TrustedLog(
                origin=log.origin,
                role=LogRole(log.role),
                key=VerifierKey.parse(log.key),
                schema=bytes.fromhex(log.schema_hash) if log.schema_hash else bytes(32),
                follows=log.follows or None,
                reads=log.reads or None,
            )
            for log in file.log
        ),
        chain=_chain(file.chain, file, ""),
        further=tuple(FurtherChain(one.name, _chain(one, file, one.name)) for one in file.further_chain),
        models=tuple(
            TrustedModel(model.name, bytes.fromhex(model.hash), bytes.fromhex(model.parameters)) for model in file.model
        ),
        heartbeat_ns=int(file.limits.heartbeat_s * 1e9),
        twin_lag=file.limits.twin_lag,
        commands=TrustedCommands(file.commands.tags, file.commands.momentary),
        agreement=Agreement(int(file.limits.skew_s * 1e9), file.limits.deadband, file.limits.missed),
        root=None if file.root is None else VerifierKey.parse(file.root.key),
        witnesses=tuple(TrustedWitness(one.name, WitnessKey.parse(one.key)) for one in file.witness),
        succeeded=tuple(_succeeded(one) for one in file.predecessor),
        revoked=tuple(Revoked(VerifierKey.parse(one.key), one.size) for one in file.revoked),
        devices=tuple(TrustedDevice(device.plc, VerifierKey.parse(device.key)) for device in file.device),
    )


def _chain(chain: trust_file.TrustedChain, file: trust_file.Trust, name: str) -> TrustedChain:
    return TrustedChain(
        chain_id=chain.id,
        genesis=bytes.fromhex(chain.genesis[2:]),
        contract=chain.contract,
        code_hash=bytes.fromhex(chain.code[2:]),
        submitter=chain.submitter,
        confirmations=chain.confirmations,
        successors=tuple(
            TrustedSubmitter(one.origin, one.size, one.address) for one in file.submitter if one.chain == name
        ),
    )


def _succeeded(one: trust_file.Predecessor) -> Succeeded:
    operator = VerifierKey.parse(one.operator) if one.operator else None
    return Succeeded(Checkpoint(one.origin, one.size, bytes.fromhex(one.root)), one.successor, operator)


@asynccontextmanager
async def _node(bench: Bench, paths: Paths) -> AsyncIterator[tuple[Node | None, str]]:
    """The bench's chain: a node elsewhere, the bench's own while it runs, or a private one over its state file."""
    if bench.chain.kind == "url":
        async with Node(bench.chain.url) as node:
            yield node, ""
        return
    running = running_node(bench)
    if running is not None:
        async with Node(running) as node:
            yield node, ""
        return
    if not paths.chain_state.is_file():
        yield None, "the bench's node does not run and left no state: `testbed up` rebuilds it from the journal"
        return
    with tempfile.TemporaryDirectory(prefix="testbed-verify-") as name:
        folder = Path(name)
        state = await asyncio.to_thread(shutil.copyfile, paths.chain_state, folder / "state")
        try:
            own = read_dev_chain(paths)
            private = await DevNode.start(folder, own.chain_id, own.genesis_time_s, own.funded, state=state)
        except TestbedError as error:
            yield None, f"no node could be started over {paths.chain_state}: {error.problem}"
            return
        try:
            async with Node(private.url) as node:
                yield node, ""
        finally:
            await private.stop()


def approved_model(model_hash: bytes, parameters: bytes, tags: Sequence[Tag]) -> ApprovedModel | None:
    """The frozen model with that hash, ready to be run again; None where this version has no such model."""
    for name in registry.names():
        if registry.model_hash(name) == model_hash:
            model = registry.load(name)
            return ApprovedModel(model, decode_parameters(parameters), readings_of(tags, model.INPUTS))
    return None
