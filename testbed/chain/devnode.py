"""A development node as a process of its own: anvil, with a genesis that always has the same hash.

Reproducible: genesis document, chain id and hardfork are fixed, every block's timestamp is set by the caller, and
blocks are mined only for transactions. So the same signed transactions at the same timestamps give the same hashes.
"""

import asyncio
import contextlib
import json
import os
import platform
import re
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Self

from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, NodeUnreachable, UsageError

ARGUMENTS = (
    "--hardfork=cancun",
    "--accounts=0",
    "--prune-history",
    "--transaction-block-keeper=64",  # of older blocks the headers alone: it would grow by 20 kB a block
    "--disable-default-create2-deployer",
    "--no-cors",
    "--no-request-size-limit",
    "--host=127.0.0.1",
    "--color=never",
)
"""What decides how the node behaves, the same for every bench; folder and port are added when it is started."""

GAS_LIMIT = 30_000_000
BALANCE_WEI = 10**24
_CHECKOUT = Path(__file__).parents[2]
_MEND = "run `make testbed` in a checkout of the project"
_START_S = 20.0
_STOP_S = 5.0
_LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)")

# Becomes the node after asking the kernel to kill it with its parent, prctl(2) PR_SET_PDEATHSIG. A function run between
# fork and exec would do the same, but is not safe in a process with threads. The parent may have died already: then its
# process id is no longer that of the parent.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def anvil_program() -> Path:
    """The native program: npm's in the checkout, else `anvil` on PATH. Raises UsageError."""
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    packaged = _CHECKOUT / "contracts/node_modules/@foundry-rs" / f"anvil-{system}-{machine}" / "bin/anvil"
    if packaged.exists():
        return packaged
    found = shutil.which("anvil")
    if found is None:
        raise UsageError("no development node: the program `anvil` is missing", _MEND)
    return Path(found)


def genesis_document(chain_id: int, genesis_time_s: int, funded: str) -> dict[str, Any]:
    """The genesis block as JSON: one funded account and nothing else. genesis_time_s: s since 1970."""
    return {
        "alloc": {funded.lower(): {"balance": hex(BALANCE_WEI)}},
        "config": {"chainId": chain_id},
        "difficulty": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "timestamp": hex(genesis_time_s),
    }


def genesis_text(chain_id: int, genesis_time_s: int, funded: str) -> str:
    """The genesis file."""
    return json.dumps(genesis_document(chain_id, genesis_time_s, funded), indent=1, sort_keys=True) + "\n"


class DevNode:
    """A running node. It ends with `stop`; on Linux also with the thread that started it, however that ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.url = ""
        self.version = ""
        self._process = process
        self._output = b""
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Output is always taken, so that the node never waits for its reader.
        self._drain = asyncio.create_task(self._read_output())

    @classmethod
    async def start(
        cls,
        folder: Path,
        chain_id: int,
        genesis_time_s: int,
        funded: str,
        port: int = 0,
        state: Path | None = None,
    ) -> Self:
        """Start a node that keeps its files in `folder`; port 0 takes a free one; `state` is a dumped state to load.

        Returns once it answers. Raises UsageError where there is no program, ChainError where it does not come up.
        """
        program = anvil_program()
        genesis = folder / "genesis.json"
        await asyncio.to_thread(_place, genesis, genesis_text(chain_id, genesis_time_s, funded))
        command = [
            str(program),
            *ARGUMENTS,
            f"--chain-id={chain_id}",
            f"--timestamp={genesis_time_s}",
            f"--init={genesis}",
            f"--cache-path={folder / 'cache'}",
            f"--port={port}",
        ]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        node = cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        )
        try:
            await node._wait_until_ready(chain_id, port)
            if state is not None:
                await node.load_state(state)
        except BaseException:
            await node.stop()
            raise
        return node

    @property
    def pid(self) -> int:
        """Process id of the node itself."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait until the process has ended, for whatever reason; its exit status, negative for a signal."""
        return await self._process.wait()

    @property
    def output(self) -> str:
        """The end of what the node has printed."""
        return self._output.decode(errors="replace").strip()

    async def dump_state(self) -> bytes:
        """All blocks and the state, as a file that `load_state` takes."""
        async with Node(self.url) as node:
            state = await node.call("anvil_dumpState")
        if not isinstance(state, str) or not state.startswith("0x"):
            raise ChainError("anvil_dumpState did not answer with a state")
        return bytes.fromhex(state[2:])

    async def load_state(self, path: Path) -> None:
        """Load what `dump_state` gave. The caller compares the newest block's hash with its journal."""
        state = await asyncio.to_thread(path.read_bytes)
        async with Node(self.url) as node:
            with warnings.catch_warnings():
                # aiohttp finds a body of more than 1 MiB too long to be handed over at once. This one goes to loopback.
                warnings.simplefilter("ignore", ResourceWarning)
                loaded = await node.call("anvil_loadState", "0x" + state.hex())
            if loaded is not True:
                raise ChainError(f"the node did not load {path}", "delete the file: it is rebuilt from the journal")

    async def stop(self) -> None:
        """End the process: asked first, killed after 5 s. May be called again."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        await self._drain
        self._port.cancel()

    async def _wait_until_ready(self, chain_id: int, port: int) -> None:
        deadline = time.monotonic() + _START_S
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({ended, self._port}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
            if self._port.done():
                self.url = f"http://127.0.0.1:{self._port.result()}"
                async with Node(self.url, timeout_s=2.0) as node:
                    while not ended.done() and time.monotonic() < deadline:
                        try:
                            answered = await node.chain_id()
                        except NodeUnreachable:
                            await asyncio.sleep(0.01)
                            continue
                        if answered != chain_id:
                            raise ChainError(f"the node has chain id {answered}, not {chain_id}")
                        self.version = await node.version()
                        # Nobody reads a line for every request; the node need not write them.
                        await node.call("anvil_setLoggingEnabled", False)
                        return
        finally:
            ended.cancel()
        if not self.running:
            await self._drain
        last = "\n  ".join(self.output.splitlines()[-5:])
        what = "ended while it started" if not self.running else f"did not answer within {_START_S:.0f} s"
        mend = f"is port {port} in use? choose another one" if port else "see its own words above"
        raise ChainError(f"the development node {what}; its last words:\n  {last}", mend)

    async def _read_output(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        while chunk := await stream.read(65_536):
            self._output = (self._output + chunk)[-4096:]
            found = None if self._port.done() else _LISTENING.search(self._output)
            # Only once the line is whole: a number may have arrived in part.
            if found and b"\n" in self._output[found.end() :]:
                self._port.set_result(int(found[1]))


def _place(genesis: Path, text: str) -> None:
    """Write the genesis file, unless it stands there: then a kill at this instant has nothing to tear."""
    if genesis.is_file() and genesis.read_text(encoding="utf-8") == text:
        return
    genesis.parent.mkdir(parents=True, exist_ok=True)
    genesis.write_text(text, encoding="utf-8")
