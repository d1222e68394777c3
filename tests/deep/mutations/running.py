"""Runs plans: draws them by seed, judges them, and says how each cell came out."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from testbed.core.finding import Finding, Verdict
from testbed.rig.auditing import approved_model
from testbed.verify.verdict import check
from tests.deep.mutations.cell import Cell, Draft, Plan
from tests.deep.mutations.expected import Kind
from tests.deep.mutations.facts import Facts


@dataclass(slots=True)
class Tally:
    """How a cell came out. kinds: expected ones by kind; wrong: those that did not come out as expected, in words."""

    cell: str
    kinds: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.kinds.values()) + len(self.wrong)


def drawn(cell: Cell, facts: Sequence[Facts], seed: int, count: int) -> list[tuple[Facts, Plan]]:
    """The plans of a cell: the same seed gives the same ones; none where no bench has a place for it.

    Nothing is changed yet.
    """
    fitting = [one for one in facts if cell.fits(one)]
    if not fitting:
        return []
    plans = []
    for number in range(count):
        rng = Random(f"{seed} {cell.name} {number}")
        ground = rng.choice(fitting)
        plans.append((ground, cell.plan(ground, rng)))
    return plans


def written(plans: Sequence[tuple[Facts, Plan]]) -> str:
    """What is going to be done and must be found, a line of JSON each."""
    lines = (
        {"number": number, "bench": facts.ground.name, "done": plan.said, "expected": plan.expected.as_json()}
        for number, (facts, plan) in enumerate(plans)
    )
    return "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)


Judged = tuple[Verdict, Sequence[Finding]]


def judge(facts: Facts, plan: Plan) -> Judged:
    """Do it on a copy, and check that."""
    draft = Draft(facts.ground)
    plan.change(draft)
    report = check(facts.ground.trust, draft.evidence(), approved_model).report
    return report.verdict, report.findings


def run(
    plans: Sequence[tuple[Facts, Plan]],
    tally: Tally,
    after: Callable[[Tally], None] = lambda _: None,
    by: Callable[[Facts, Plan], Judged] = judge,
) -> Tally:
    """Judge the plans of a cell that the tally has not yet; `after` hears of each."""
    for number in range(tally.count, len(plans)):
        facts, plan = plans[number]
        begun = time.monotonic()
        try:
            wrong = plan.expected.misses(*by(facts, plan))
        except Exception as error:  # noqa: BLE001 - a crash of the check is what is looked for
            wrong = f"it came to an end: {error!r}"
        if wrong:
            tally.wrong.append(f"{number} on {facts.ground.name}: {plan.said}: {wrong}")
        else:
            kind = plan.expected.kind.value
            tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
        tally.seconds += time.monotonic() - begun
        after(tally)
    return tally


def table(tallies: Sequence[Tally]) -> str:
    """A line a cell: mutations, as expected, pending, neutral, wrong; and the sum."""
    head = f"  {'layer / operation / attacker':76}{'mutations':>10}{'found':>7}{'pending':>9}{'neutral':>9}{'wrong':>7}"
    lines = [head, *(_line(one.cell, one.kinds, len(one.wrong)) for one in tallies)]
    total: Counter[str] = Counter()
    for one in tallies:
        total.update(one.kinds)
    lines.append(_line(f"{len(tallies)} cells", total, sum(len(one.wrong) for one in tallies)))
    return "\n".join(lines)


def _line(name: str, kinds: Mapping[str, int], wrong: int) -> str:
    counts = [kinds.get(kind.value, 0) for kind in Kind]
    return f"  {name:76}{sum(counts) + wrong:10}{counts[0]:7}{counts[1]:9}{counts[2]:9}{wrong:7}"
