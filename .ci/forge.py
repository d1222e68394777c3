"""Runs npm's forge in contracts/ with the arguments given, and a `node` for the compiler on its PATH."""

import os
import shutil
import subprocess
import sys

from testbed.chain.compile import CONTRACTS, node_folder


def main(arguments: list[str]) -> int:
    """forge's exit code; 1 where there is no forge or no node."""
    # npm installs the package of this machine only, so there is one at most.
    packaged = sorted((CONTRACTS / "node_modules/@foundry-rs").glob("forge-*/bin/forge"))
    forge = str(packaged[0]) if packaged else shutil.which("forge")
    node = node_folder()
    if forge is None or node is None:
        missing = "forge" if forge is None else "node"
        print(f"the program `{missing}` is missing\n  mend: run `make setup`; it says what it lacks", file=sys.stderr)
        return 1
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}{os.pathsep}{node}"}
    return subprocess.run([forge, *arguments], cwd=CONTRACTS, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
