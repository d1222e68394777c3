"""`make judges` says what it lacks, and CI runs it beside the checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_without_the_packages_and_without_apt_it_names_them_and_ends_with_2(root: Path, tmp_path: Path) -> None:
    command = (sys.executable, str(root / ".ci/judges.py"))
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    packages = "gcc pkg-config mbpoll libmodbus-dev libc6-dev golang-go golang-golang-x-mod-dev"
    assert f"mend: run `apt-get install {packages}` as root" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("checked", "judged", "code"), [(0, 0, 0), (1, 0, 1), (0, 2, 2), (3, 2, 3)])
def test_ci_runs_both_and_fails_with_either(root: Path, tmp_path: Path, checked: int, judged: int, code: int) -> None:
    make = tmp_path / "make"
    make.write_text(
        f'#!/bin/sh\necho "made $1"\ntest "$1" = check && exit {checked}\nexit {judged}\n', encoding="utf-8"
    )
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([str(root / ".ci/run")], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split("\n")) == (code, ["made check", "made judges", ""])
