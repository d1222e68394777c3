"""How a verdict and its findings are shown."""

from collections.abc import Sequence
from dataclasses import asdict

from testbed.cli.near import near
from testbed.core.finding import Finding, Verdict


def print_findings(verdict: Verdict, findings: Sequence[Finding]) -> None:
    """For a person: the verdict, and each finding under it."""
    print(verdict.value)
    for one in findings:
        print(f"  {near(f'{one.what.value}, layer {one.layer.value}: {one.where}')}\n      {near(one.detail)}")


def findings_as_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """For a machine."""
    return [
        {**asdict(one), "what": one.what.value, "layer": one.layer.value, "verdict": one.verdict.value}
        for one in findings
    ]
