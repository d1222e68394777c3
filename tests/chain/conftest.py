import json
import runpy
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from testbed.chain.devnode import DevNode
from testbed.chain.registry import AnchorCall, address_of
from testbed.chain.rpc import Node

KEY = bytes([0x11]) * 32
CHAIN_ID = 31337
START_S = 1_700_000_000

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    """The committed chain: what a development node answered once."""
    return cast("dict[str, Any]", json.loads((ROOT / "tests/vectors/chain.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def recorder() -> dict[str, Any]:
    """Names of `record_chain.py`."""
    return runpy.run_path(str(HERE / "record_chain.py"))


@pytest.fixture(scope="session")
def vector_maker() -> dict[str, Any]:
    """Names of `make_vectors.py`."""
    return runpy.run_path(str(HERE / "make_vectors.py"))


@pytest.fixture(scope="session")
def calls(recorder: dict[str, Any]) -> list[AnchorCall]:
    """Four heads of one log, each with the proof that it grew."""
    return cast("list[AnchorCall]", recorder["calls"]())


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevNode]:
    """A development node on a port of its own."""
    running = await DevNode.start(tmp_path / "chain", CHAIN_ID, START_S, address_of(KEY))
    yield running
    await running.stop()


@pytest.fixture
async def node(dev: DevNode) -> AsyncIterator[Node]:
    """A client of that node."""
    async with Node(dev.url) as client:
        yield client


@pytest.fixture
def replay(recorded: dict[str, Any]) -> Callable[[Node, int], Awaitable[None]]:
    """Sends the first so many transactions of the committed chain, each at its timestamp."""

    async def send(client: Node, count: int) -> None:
        for block in recorded["blocks"][:count]:
            await client.set_next_timestamp(block["timestamp"])
            await client.wait_for_receipt(await client.send(bytes.fromhex(block["transaction"])))

    return send
