"""Pages are run: every console block, in order, in one folder, compared line by line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cli.main import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
AUDITOR = ROOT / "testbed" / "verify" / "README.md"


@pytest.mark.parametrize("page", [README, AUDITOR], ids=["readme", "auditor"])
def test_what_a_page_shows_is_what_is_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TESTBED_PORT_SHIFT", raising=False)
    monkeypatch.delenv("TESTBED_BENCH", raising=False)
    commands = list(_console(page.read_text(encoding="utf-8")))
    assert len(commands) >= 4
    for command, shown in commands:
        name, *arguments = shlex.split(command)
        assert name == "testbed"
        main(arguments)
        printed = capsys.readouterr().out
        pattern = "".join(_pattern(line) for line in shown)
        assert re.fullmatch(pattern, _masked(printed)), f"$ {command}\n{printed}"


def test_a_line_that_is_not_printed_is_noticed() -> None:
    shown = ["one", "...", "took 1.5 s"]
    pattern = "".join(_pattern(line) for line in shown)
    assert re.fullmatch(pattern, _masked("one\ntwo\ntook 0.3 s\n"))
    assert not re.fullmatch(pattern, _masked("one\ntwo\ntook 3 m\n"))
    assert not re.fullmatch(pattern, _masked("two\none\ntook 0.3 s\n"))


def test_the_story_of_the_demo_is_the_one_that_is_told() -> None:
    """Its figures differ from run to run; its sentences and commands are those of the code."""
    (story,) = re.findall(r"```text\n\$ make demo\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    told = (ROOT / "testbed/cli/demo.py").read_text(encoding="utf-8")
    sentences = re.findall(r"^\N{EM DASH}\N{EM DASH} (.*)$", story, re.MULTILINE)
    assert len(sentences) == 3
    assert [line for line in sentences if line not in told] == []


def _console(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of the console blocks with the lines under it."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        assert block.startswith("$ ")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown.splitlines()


def _masked(text: str) -> str:
    """How long something took is not for the README to promise."""
    return re.sub(r"\d+(\.\d+)? s\b", "# s", text)


def _pattern(line: str) -> str:
    return r"(?:.*\n)*?" if line == "..." else re.escape(_masked(line)) + r"\n"
