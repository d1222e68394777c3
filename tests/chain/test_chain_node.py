"""The development node as a process, and the client that speaks to it."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.chain import wire
from testbed.chain.devnode import ARGUMENTS, DevNode
from testbed.chain.registry import address_of
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, NodeUnreachable, Rejected

Replay = Callable[[Node, int], Awaitable[None]]
FUNDED = address_of(bytes([0x11]) * 32)
CHAIN_ID = 31337
START_S = 1_700_000_000


async def test_the_committed_chain_comes_out_again(
    tmp_path: Path, recorded: dict[str, Any], recorder: dict[str, Any]
) -> None:
    assert await recorder["record"](tmp_path) == recorded


async def test_another_genesis_time_gives_another_genesis(tmp_path: Path, recorded: dict[str, Any]) -> None:
    dev = await DevNode.start(tmp_path, CHAIN_ID, START_S + 1, FUNDED)
    try:
        async with Node(dev.url) as client:
            genesis = await client.block(0)
    finally:
        await dev.stop()
    assert genesis is not None
    assert genesis.timestamp == START_S + 1
    assert genesis.hash.hex() != recorded["genesis_hash"]


async def test_a_dumped_state_brings_all_blocks_back(
    tmp_path: Path, node: Node, dev: DevNode, replay: Replay, recorded: dict[str, Any]
) -> None:
    state = tmp_path / "state"
    await replay(node, 3)
    state.write_bytes(await dev.dump_state())
    second = await DevNode.start(tmp_path / "second", CHAIN_ID, START_S, FUNDED, state=state)
    try:
        async with Node(second.url) as client:
            assert await client.height() == 3
            found = [await client.block(height) for height in range(4)]
            assert [block.hash.hex() for block in found if block] == [
                recorded["genesis_hash"],
                *(block["hash"] for block in recorded["blocks"][:3]),
            ]
            # And the chain goes on as if nothing had been between.
            block = recorded["blocks"][3]
            await client.set_next_timestamp(block["timestamp"])
            receipt = await client.wait_for_receipt(await client.send(bytes.fromhex(block["transaction"])))
            assert receipt.block_hash.hex() == block["hash"]
    finally:
        await second.stop()


async def test_a_damaged_state_is_refused(tmp_path: Path, node: Node, dev: DevNode, replay: Replay) -> None:
    state = tmp_path / "state"
    await replay(node, 1)
    state.write_bytes(await dev.dump_state())
    state.write_bytes(state.read_bytes()[:-20])
    with pytest.raises(ChainError):
        await DevNode.start(tmp_path / "second", CHAIN_ID, START_S, FUNDED, state=state)


async def test_what_the_client_reads(node: Node, dev: DevNode, replay: Replay, recorded: dict[str, Any]) -> None:
    assert await node.chain_id() == CHAIN_ID
    assert dev.version == await node.version() == "anvil/v1.7.1"
    assert await node.block(1) is None
    assert await node.code(recorded["contract"]) == b""
    await replay(node, 2)
    assert await node.height() == 2
    assert await node.nonce(recorded["submitter"]) == 2
    block = await node.block(2)
    assert block is not None
    assert block == await node.block("latest")
    assert block == await node.block_by_hash(block.hash)
    assert await node.block_by_hash(bytes(32)) is None
    (tx_hash,) = block.transactions
    transaction = await node.transaction(tx_hash)
    assert transaction is not None
    assert transaction["blockNumber"] == "0x2"
    assert await node.receipt(bytes(32)) is None


async def test_time_does_not_go_back(node: Node, replay: Replay) -> None:
    await replay(node, 2)
    with pytest.raises(Rejected):
        await node.set_next_timestamp(START_S)
    await node.set_next_timestamp(START_S + 2)


async def test_a_block_that_is_not_its_hash_is_refused(node: Node) -> None:
    answer = wire.mapping("block", await node.call("eth_getBlockByNumber", "0x0", False))
    wire.block(answer)
    root = answer["stateRoot"]
    answer["stateRoot"] = root[:-1] + format(int(root[-1], 16) ^ 1, "x")
    with pytest.raises(ChainError, match="hashes to"):
        wire.block(answer)


async def test_the_same_transaction_twice_is_refused(node: Node, replay: Replay) -> None:
    await replay(node, 1)
    with pytest.raises(Rejected, match="nonce too low"):
        await replay(node, 1)


async def test_an_unknown_method_is_refused(node: Node) -> None:
    with pytest.raises(Rejected, match="eth_noSuchThing"):
        await node.call("eth_noSuchThing")


async def test_a_client_can_be_closed_and_used_again(node: Node) -> None:
    await node.close()
    assert await node.height() == 0
    await node.close()
    await node.close()


async def test_no_answer_is_unreachable(dev: DevNode) -> None:
    await dev.stop()
    async with Node(dev.url) as client:
        with pytest.raises(NodeUnreachable, match="eth_blockNumber"):
            await client.height()


async def test_an_answer_that_never_comes_is_unreachable() -> None:
    async with serving(None) as url, Node(url, timeout_s=0.1) as client:
        with pytest.raises(NodeUnreachable):
            await client.height()


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"jsonrpc":"2.0","id":0,"result":"12"}', b'{"result":"0x01"}', b'{"result":3}']
)
async def test_a_server_that_is_no_node_is_a_chain_error(body: bytes) -> None:
    async with serving(body) as url, Node(url, timeout_s=5) as client:
        with pytest.raises(ChainError) as caught:
            await client.height()
    assert not isinstance(caught.value, NodeUnreachable | Rejected)


async def test_a_port_in_use_is_named_with_the_nodes_own_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ChainError, match=rf"(?is)in use.*mend: is port {port} in use"):
            await DevNode.start(tmp_path, CHAIN_ID, START_S, FUNDED, port=port)


async def test_a_node_takes_the_port_that_it_is_given(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    dev = await DevNode.start(tmp_path, CHAIN_ID, START_S, FUNDED, port=port)
    try:
        assert dev.url == f"http://127.0.0.1:{port}"
    finally:
        await dev.stop()


async def test_stop_ends_the_process_and_may_be_repeated(dev: DevNode) -> None:
    assert is_running(dev.pid)
    await dev.stop()
    await dev.stop()
    assert not dev.running
    assert not is_running(dev.pid)


def test_the_fixed_arguments_hold_no_folder_and_no_port() -> None:
    assert not [argument for argument in ARGUMENTS if "/" in argument or "port" in argument]


CHILD = """
import asyncio, sys
from pathlib import Path
from testbed.chain.devnode import DevNode

async def main():
    dev = await DevNode.start(Path(sys.argv[1]), 31337, 1_700_000_000, "0x" + "11" * 20)
    print(dev.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
async def test_a_killed_parent_takes_its_node_along(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_running(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"node {pid} outlived its parent"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(body: bytes | None) -> AsyncIterator[str]:
    """Address of an HTTP server that answers one request with `body`, or not at all."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if body is not None:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await served.wait()


def is_running(pid: int) -> bool:
    """Is there such a process, other than as a zombie that nobody has collected yet?"""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return state != "Z"
