"""Whether a bench may start: made ready, what its trust file says, not simulated, and with its ports free."""

from collections.abc import Iterator

from testbed.core.errors import UsageError
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import read_secret
from testbed.model import registry
from testbed.record.schema import parameters_hash
from testbed.rig.bench import Bench
from testbed.rig.bench_errors import Problem
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.locks import check_not_running
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import check_real
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports
from testbed.rig.reading import schema_of
from testbed.rig.recipe import parameters_of
from testbed.rig.trust import load_trust, model_table, witness_table
from testbed.rig.trust_file import Trust, TrustedModel
from testbed.rig.trusted_witness import trusted_witness

_PATIENCE_S = 2.0
"""Ports of processes that were just killed are free again after an instant."""


async def check_ready(bench: Bench) -> None:
    """Raises UsageError for the first thing that keeps the bench from starting well; starts and writes nothing."""
    if not bench.trust_file.exists():
        raise UsageError(f"{bench.trust_file}: this bench was not made ready yet", "run `testbed init` once")
    check_not_running(bench)
    check_trusted(bench)
    check_real(bench)
    await check_ports(bench, patience_s=_PATIENCE_S)


def check_trusted(bench: Bench) -> Trust:
    """The trust file, which trusts what this bench is going to do. Raises UsageError that names both files."""
    trust = load_trust(bench.trust_file)
    for problem in _disagreements(bench, trust):
        raise UsageError(f"{bench.file}: {problem.loc[0]} {problem.what} {bench.trust_file}", problem.mend)
    return trust


def _disagreements(bench: Bench, trust: Trust) -> Iterator[Problem]:
    yield from _logs(bench, trust)
    yield from _chain(bench, trust)
    yield from _model(bench, trust)
    yield from _witnesses(bench, trust)


def _logs(bench: Bench, trust: Trust) -> Iterator[Problem]:
    trusted = {log.origin: log for log in trust.log}
    undo = "was it changed since `testbed init`? Undo that, or make a new bench in another data folder"
    for role in bench.logs:
        key = next(
            (f"{table}.name" for table in ("operator", "twin") if getattr(bench, table).name == role), "reader.name"
        )
        reads = next((reader for reader in bench.readers if reader.name == role), None)
        schema = "" if reads is None else schema_of(bench, reads).hex()
        origin = bench.origin(role)
        log = trusted.get(origin)
        if log is None:
            named = "bench.name" if trust.bench.name != bench.name else key
            yield Problem((named,), f'makes a log "{origin}", which is not in', undo)
        elif log.key != log_keys(bench, role).begun.encode():
            mend = "take the trust file that `testbed init` wrote for these keys"
            yield Problem((key,), f"has a key in {Paths(bench.data).key(role)} that is not the one in", mend)
        elif (log.schema_hash or "") != schema:
            mend = (
                "[[plc.tag]] was changed since `testbed init`: undo it, or make a new bench in another data folder:"
                " a log has one list of tags for life"
            )
            yield Problem(
                ("plc.tag",), f"gives the tag list {schema[:16]}..., which is not the schema of {origin} in", mend
            )


def _chain(bench: Bench, trust: Trust) -> Iterator[Problem]:
    undo = "was it changed since `testbed init`? Undo that, or make a new bench in another data folder"
    if bench.chain.chain_id != trust.chain.id:
        yield Problem(("chain.chain_id",), f"= {bench.chain.chain_id} is not the chain {trust.chain.id} of", undo)
    elif bench.chain.kind == "anvil" and (made := read_dev_chain(Paths(bench.data)).chain_id) != trust.chain.id:
        mend = "restore the file from a backup, or make a new bench in another data folder"
        what = f"has a genesis file for chain {made}, {Paths(bench.data).chain_genesis}, which is not the chain of"
        yield Problem(("chain",), what, mend)


def _witnesses(bench: Bench, trust: Trust) -> Iterator[Problem]:
    trusted = {witness.name: witness.key for witness in trust.witness}
    for witness in bench.witnesses:
        key = Paths(bench.data).key(witness.name)
        if not key.exists():
            mend = (
                f"make its key with `testbed init --witness {witness.name}`, and add what it prints to the trust file"
            )
            yield Problem(("witness.name",), f'"{witness.name}" has no key yet, and none stands in', mend)
            continue
        seed = read_secret(key)
        mine = trusted_witness(witness.name, SigningKey.from_seed(bench.origin(witness.name), seed))
        approve = f"have the auditor trust it: add to {bench.trust_file}\n{witness_table(mine)}"
        if trusted.get(witness.name) != mine.key:
            yield Problem(("witness.name",), f'"{witness.name}" signs with a key that does not stand in', approve)


def _model(bench: Bench, trust: Trust) -> Iterator[Problem]:
    mine = TrustedModel(
        name=bench.twin.model,
        hash=registry.model_hash(bench.twin.model).hex(),
        parameters=parameters_hash(parameters_of(bench)).hex(),
    )
    if any((model.hash, model.parameters) == (mine.hash, mine.parameters) for model in trust.model):
        return
    approve = f"or have the auditor approve it: add to {bench.trust_file}\n{model_table(mine)}"
    if any(model.hash == mine.hash for model in trust.model):
        mend = f"[twin.parameters] was changed since `testbed init`: undo it, {approve}"
        yield Problem(("twin.parameters",), "are none that stand in", mend)
    else:
        mend = f"twin.model, or this version's file of it, was changed since `testbed init`: undo it, {approve}"
        yield Problem(("twin.model",), f'"{mine.name}" is no model that stands in', mend)
