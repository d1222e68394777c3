"""Further chains: what stands on them is checked as on the first one, and every log is held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.core.finding import Finding
from testbed.verify.chain import CheckedChain, check_chain
from testbed.verify.checkpoints import Anchored
from testbed.verify.evidence import Evidence
from testbed.verify.trust import Trust


@dataclass(frozen=True, slots=True)
class FurtherStanding:
    """How far one further chain goes. height: None where it could not be read; confirmed: by origin, the largest size
    that it holds deep enough and whose root is the log's own.
    """

    name: str
    height: int | None
    anchors: int
    gas: int
    confirmed: Mapping[str, int]


def check_further(trust: Trust, evidence: Evidence) -> tuple[dict[str, CheckedChain], list[Finding]]:
    """Every further chain by its name, and what is found there. One that cannot be read is a finding: who trusts
    it does so for what it may show.
    """
    chains: dict[str, CheckedChain] = {}
    findings: list[Finding] = []
    nothing = Evidence({}, None, (), "it was not looked at", None, "it was not looked at")
    for one in trust.further:
        found = check_chain(one.chain, evidence.further.get(one.name, nothing))
        chains[one.name] = found
        findings += [replace(finding, where=f"{finding.where} of chain {one.name}") for finding in found.findings]
    return chains, findings


def anchored_there(chains: Mapping[str, CheckedChain], origin: str) -> list[Anchored]:
    """What the further chains accepted of a log."""
    return [replace(one, chain=name) for name, chain in chains.items() for one in chain.anchored.get(origin, [])]


def standings_of(
    chains: Mapping[str, CheckedChain], agreed: Mapping[str, Sequence[int]]
) -> tuple[FurtherStanding, ...]:
    """How far each goes. agreed: by origin, anchored sizes, of whatever chain, whose root is the log's own."""
    return tuple(
        FurtherStanding(name, chain.height, chain.anchors, chain.gas, _confirmed(chain, agreed))
        for name, chain in chains.items()
    )


def _confirmed(chain: CheckedChain, agreed: Mapping[str, Sequence[int]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for origin, up_to in chain.confirmed.items():
        own = {one.size for one in chain.anchored.get(origin, [])}
        sizes[origin] = max((size for size in agreed.get(origin, ()) if size in own and size <= up_to), default=0)
    return sizes
