"""Slither's findings about the contract are those that contracts/SLITHER.md answers. `make judges` runs this."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from testbed.chain.compile import CONTRACTS, node_folder
from tests.debian import environment

pytestmark = pytest.mark.judges


def test_every_finding_is_answered_and_every_answer_has_its_finding(tmp_path: Path) -> None:
    packaged = sorted((CONTRACTS / "node_modules/@foundry-rs").glob("forge-*/bin"))
    path = [str(environment.PYTHON.parent), *map(str, packaged[:1]), str(node_folder()), os.environ["PATH"]]
    # Slither cleans what forge has built, so it gets sources of its own.
    for name in ("src", "foundry.toml", "solc", "node_modules"):
        (tmp_path / name).symlink_to(CONTRACTS / name)
    report = tmp_path / "slither.json"
    command = ("slither", ".", "--json", str(report))
    variables = {**os.environ, "PATH": os.pathsep.join(path)}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert report.is_file(), done.stderr
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["success"], document["error"]
    found = sorted(_name(one) for one in document["results"].get("detectors", []))
    answers = (CONTRACTS / "SLITHER.md").read_text(encoding="utf-8")
    assert found == sorted(re.findall(r"^## (.+)$", answers, re.MULTILINE))


def _name(finding: dict[str, object]) -> str:
    elements = finding["elements"]
    assert isinstance(elements, list)
    fields = elements[0]["type_specific_fields"]
    return f"{finding['check']}: {fields['parent']['name']}.{fields['signature']}"
