"""Runs every check in turn, the tests last, and fails if one of them did. Arguments go to pytest.

A check that fails does not stop the next, so that one run shows all there is to mend.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
FORGE = (sys.executable, str(ROOT / ".ci" / "forge.py"))

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", (str(BIN / "ruff"), "check", "--quiet", ".")),
    ("ruff format --check", (str(BIN / "ruff"), "format", "--quiet", "--check", ".")),
    ("mypy", (sys.executable, "-m", "mypy", "--no-error-summary")),
    ("lint-imports", (str(BIN / "lint-imports"), "--no-logo")),
    ("forge fmt --check", (*FORGE, "fmt", "--check")),
    ("forge test", (*FORGE, "test")),
    ("forge snapshot --check", (*FORGE, "snapshot", "--match-contract", "AnchorGasTest", "--check")),
)


def main(arguments: list[str]) -> int:
    """0 when every check and every test passed."""
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    # Before the tests, so that pytest has the last word.
    print(f"check: failed: {', '.join(failed)}" if failed else "check: all passed, now the tests", flush=True)
    tests = (sys.executable, "-m", "pytest", "-m", "not deep and not judges", *arguments)
    code = subprocess.run(tests, cwd=ROOT, check=False).returncode
    return code or bool(failed)


def _passes(name: str, command: tuple[str, ...]) -> bool:
    print(f"check: {name}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"check: {name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s", flush=True)
    return code == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
