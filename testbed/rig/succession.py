"""A bench that goes on for another one: its logs are new, and name up to where those before are trusted.

After a stolen submitter key, whose owner can stop every anchor, or a log that is lost. Bodies that are lost stay lost:
tiles and mirrors hold hashes. What was proved of the old bench stays proved by its own trust file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import UsageError
from testbed.keys.checkpoint import checkpoint_text
from testbed.keys.ed25519 import SigningKey
from testbed.keys.succession import Succession, sign_succession
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench
from testbed.rig.log_keys import signing_key
from testbed.rig.paths import Paths
from testbed.rig.trust_file import Predecessor
from testbed.store.files import write_atomic
from testbed.verify.verdict import Checked, Report


@dataclass(frozen=True, slots=True)
class Before:
    """The bench before. logs: by role, up to where each is trusted; operator: its key, None where it is lost."""

    report: Report
    logs: dict[str, Checkpoint]
    operator: SigningKey | None


async def bench_before(bench: Bench, old: Bench, trust: Path) -> Before:
    """Check the bench before against its own trust file, and take of each log what a confirmed anchor covers.

    Of a log that is lost, the newest checkpoint that the chain was seen to hold. Raises UsageError where the new bench
    has the old one's name, and where nothing is trusted of any log.
    """
    if bench.name == old.name:
        mend = f"name it otherwise under [bench] in {bench.file}, such as {old.name}-2"
        raise UsageError(f"a successor needs a name of its own, and both benches are {old.name!r}", mend)
    checked = await audit(old, trust)
    found = {role: _trusted_up_to(checked, old.origin(role)) for role in bench.logs if role in old.logs}
    logs = {role: checkpoint for role, checkpoint in found.items() if checkpoint is not None}
    if not logs:
        raise UsageError(f"{old.file}: no record of this bench is proved", "make a bench without a predecessor")
    try:
        operator = signing_key(old, old.operator.name)
    except UsageError:
        operator = None
    return Before(checked.report, logs, operator)


def name_predecessors(paths: Paths, before: Before) -> None:
    """Leave with each role what the first record of its log is going to say."""
    for role, checkpoint in before.logs.items():
        write_atomic(paths.predecessor(role), checkpoint_text(checkpoint).encode(), durable=True)


def successors_note(bench: Bench, before: Before, operator: SigningKey, secrets: Mapping[str, bytes]) -> bytes:
    """What the operator before says of the new logs. secrets: of the new keys, by role."""
    keys = {role: SigningKey.from_seed(bench.origin(role), secrets[role]).verifier() for role in before.logs}
    return sign_succession([Succession(one, keys[role]) for role, one in before.logs.items()], operator)


def trusted_predecessors(bench: Bench, before: Before) -> tuple[Predecessor, ...]:
    """What the trust file says of the logs before."""
    operator = "" if before.operator is None else before.operator.verifier().encode()
    return tuple(
        Predecessor(
            origin=one.origin, size=one.size, root=one.root.hex(), successor=bench.origin(role), operator=operator
        )
        for role, one in before.logs.items()
    )


def _trusted_up_to(checked: Checked, origin: str) -> Checkpoint | None:
    standing = next((one for one in checked.report.standings if one.origin == origin), None)
    anchored = checked.chain.anchored.get(origin, [])
    if standing is None or not anchored:
        return None
    sizes = [standing.confirmed] if standing.confirmed else []
    if not checked.logs[origin].size:  # lost: what it was stands on the chain
        sizes = [one.size for one in anchored if (origin, one.size) in checked.chain.held][-1:]
    return next((Checkpoint(origin, one.size, one.root) for one in anchored if one.size in sizes), None)
