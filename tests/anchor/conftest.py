from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.chain.devnode import DevNode
from testbed.chain.registry import address_of


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevNode]:
    """A development node whose one funded account is that of the anchor."""
    running = await DevNode.start(tmp_path / "chain", 31337, 1_700_000_000, address_of(bytes([0x11]) * 32))
    yield running
    await running.stop()
