"""A node that prunes, lags or lies by omission: unknown, unreachable or behind, never clean and never an accusation.

A relay stands before a real node and edits its real answers.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from testbed.chain.registry import AnchorCall, anchor_transaction, log_id, slot_key
from testbed.core.errors import ChainError
from testbed.core.finding import Layer, Verdict, What
from tests.anchor.others import KEY, SOURCE, SUBMITTER, Bench, network

pytestmark = pytest.mark.asyncio(loop_scope="module")

Answer = dict[str, Any]
Edit = Callable[[dict[str, Any], Answer], Answer]
"""(request, answer) -> the answer that is passed on."""


@asynccontextmanager
async def relay(url: str, edit: Edit) -> AsyncIterator[str]:
    """Address of a node that answers as the one at `url`, but for what `edit` makes of it."""
    async with aiohttp.ClientSession() as session:

        async def pass_on(request: web.Request) -> web.Response:
            asked = await request.json()
            async with session.post(url, json=asked) as answer:
                document = await answer.json()
            return web.json_response(edit(asked, document))

        app = web.Application()
        app.router.add_post("/", pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anchored(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """Three anchors on a network of others, with blocks of somebody else between and above them."""
    folder = tmp_path_factory.mktemp("network")
    async with network(folder / "node") as url:
        bench = Bench(folder, url)
        await bench.start()
        for _ in range(3):
            await bench.round()
            await bench.mine_other()
        yield bench
        await bench.end()


def null(*methods: str) -> Edit:
    """No answer to these."""

    def edit(asked: dict[str, Any], answer: Answer) -> Answer:
        return {**answer, "result": None} if asked["method"] in methods else answer

    return edit


def result(method: str, value: object) -> Edit:
    """Always the same answer to this one."""

    def edit(asked: dict[str, Any], answer: Answer) -> Answer:
        return {**answer, "result": value} if asked["method"] == method else answer

    return edit


def pruned(asked: dict[str, Any], answer: Answer) -> Answer:
    """A node that keeps no states."""
    if asked["method"] != "eth_getProof":
        return answer
    return {"jsonrpc": "2.0", "id": answer.get("id"), "error": {"code": -32000, "message": "missing trie node"}}


def without_block(number: int) -> Edit:
    def edit(asked: dict[str, Any], answer: Answer) -> Answer:
        hidden = asked["method"] == "eth_getBlockByNumber" and asked["params"][0] == hex(number)
        return {**answer, "result": None} if hidden else answer

    return edit


def empty_proof(asked: dict[str, Any], answer: Answer) -> Answer:
    """Says that the account and its storage are not there, without the nodes that would show it."""
    if asked["method"] != "eth_getProof":
        return answer
    return {**answer, "result": {"accountProof": [], "storageProof": [{"proof": []}]}}


UNREACHABLE, BEHIND = (What.UNREACHABLE, Layer.CHAIN), (What.BEHIND, Layer.CHAIN)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (null("eth_getBlockByNumber"), UNREACHABLE),
        (null("eth_getCode"), UNREACHABLE),
        (null("eth_getStorageAt"), UNREACHABLE),
        (null("eth_chainId"), UNREACHABLE),
        (null("eth_getProof"), UNREACHABLE),
        (result("eth_getProof", []), UNREACHABLE),
        (result("eth_getBlockByNumber", []), UNREACHABLE),
        (result("eth_chainId", "0x1"), UNREACHABLE),
        (without_block(0), UNREACHABLE),
        (without_block(4), UNREACHABLE),
        (pruned, UNREACHABLE),
        (empty_proof, UNREACHABLE),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
async def test_what_is_left_out_is_unknown(anchored: Bench, edit: Edit, expected: tuple[What, Layer]) -> None:
    assert (await anchored.check()).findings == []
    async with relay(anchored.url, edit) as url:
        checked = await anchored.check(url=url)
    assert [(one.what, one.layer) for one in checked.findings] == [expected]
    assert {one.verdict for one in checked.findings} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("method", ["eth_getCode", "eth_getStorageAt"])
async def test_what_a_proof_shows_is_not_taken_from_the_nodes_word(anchored: Bench, method: str) -> None:
    """The node says that there is no contract, or nothing in its slot; its own proofs say otherwise."""
    said = "0x" if method == "eth_getCode" else "0x" + "00" * 32
    async with relay(anchored.url, result(method, said)) as url:
        checked = await anchored.check(url=url)
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 3}


@pytest.mark.parametrize("height", [0, 3, 6])
async def test_an_old_head_is_behind(anchored: Bench, height: int) -> None:
    block = await anchored.others.call("eth_getBlockByNumber", hex(height), False)

    def edit(asked: dict[str, Any], answer: Answer) -> Answer:
        if asked["method"] == "eth_getBlockByNumber" and asked["params"][0] == "latest":
            return {**answer, "result": block}
        if asked["method"] == "eth_blockNumber":
            return {**answer, "result": hex(height)}
        return answer

    async with relay(anchored.url, edit) as url:
        checked = await anchored.check(url=url)
    if height == 6:
        # Block 7 is of somebody else: nothing of the journal is missing.
        assert (checked.findings, checked.confirmed) == ([], {SOURCE.name: 3})
        return
    assert [(one.what, one.layer, one.verdict) for one in checked.findings] == [(*BEHIND, Verdict.INCONCLUSIVE)]
    assert checked.confirmed.get(SOURCE.name, 0) == {0: 0, 3: 1}[height]


async def test_another_genesis_is_another_node(anchored: Bench, tmp_path: Path) -> None:
    async with network(tmp_path / "other", anchored.chain_id, "--timestamp=1600000000") as url:
        checked = await anchored.check(url=url)
    assert [(one.what, one.layer, one.verdict) for one in checked.findings] == [(*UNREACHABLE, Verdict.INCONCLUSIVE)]
    assert checked.confirmed == {}


async def test_no_edited_header_is_taken(anchored: Bench) -> None:
    def edit(asked: dict[str, Any], answer: Answer) -> Answer:
        if asked["method"] == "eth_getBlockByNumber" and asked["params"][0] == hex(4):
            document = json.loads(json.dumps(answer))
            document["result"]["timestamp"] = "0x1"
            return dict(document)
        return answer

    async with relay(anchored.url, edit) as url:
        checked = await anchored.check(url=url)
    assert [(one.what, one.verdict) for one in checked.findings] == [(What.UNREACHABLE, Verdict.INCONCLUSIVE)]


@pytest.mark.parametrize(
    "edit",
    [null("eth_getTransactionReceipt"), pruned, empty_proof, null("eth_getProof"), without_block(2)],
    ids=lambda value: getattr(value, "__qualname__", None),
)
async def test_the_anchor_writes_down_nothing_that_it_was_not_shown(tmp_path: Path, edit: Edit) -> None:
    async with network(tmp_path / "node") as url:
        bench = Bench(tmp_path, url)
        await bench.start()
        async with relay(url, edit) as lying:
            bench.node.url = lying
            await bench.node.close()
            bench.commit()
            with pytest.raises(ChainError):
                await bench.anchorer.step()
            assert bench.steps()[-1].mined is None
            await bench.node.close()
        bench.node.url = url
        await bench.start()
        assert bench.steps()[-1].proved
        assert (await bench.check()).confirmed == {SOURCE.name: 1}
        await bench.end()


async def test_an_anchor_without_proof_is_covered_by_the_next(tmp_path: Path) -> None:
    """A node that had pruned the state when it was asked at last."""
    async with network(tmp_path / "node") as url:
        bench = Bench(tmp_path, url)
        await bench.start()
        async with relay(url, pruned) as lying:
            bench.node.url = lying
            await bench.node.close()
            bench.commit()
            with pytest.raises(ChainError, match="does not prove"):
                await bench.anchorer.step()
            await bench.others.call("anvil_mine", hex(64))
            await bench.start()
            step = bench.steps()[-1]
            assert step.anchors
            assert not step.proved
            await bench.node.close()
        bench.node.url = url
        findings = (await bench.check()).findings
        assert [(one.what, one.layer, one.verdict) for one in findings] == [
            (What.MISSING, Layer.ANCHOR, Verdict.INCONCLUSIVE)
        ]
        await bench.start()
        await bench.round()
        checked = await bench.check()
        assert (checked.findings, checked.confirmed) == ([], {SOURCE.name: 2})
        await bench.end()


async def test_a_stolen_key_shows_with_how_far_the_log_stands(tmp_path: Path) -> None:
    async with network(tmp_path / "node") as url:
        bench = Bench(tmp_path, url)
        await bench.start()
        await bench.round()
        bench.commit()
        await bench.anchorer.step()
        head = bench.sender.heads[SOURCE.name]
        # Over the tree of two records the thief knows one consistency proof: that of any third leaf.
        stolen = bytes.fromhex("77" * 32)
        root = hashlib.sha256(b"\x01" + head.root + stolen).digest()
        call = AnchorCall(SOURCE.name, head.size, head.root, head.time, head.size + 1, root, (stolen,))
        nonce = await bench.others.nonce(SUBMITTER)
        raw = anchor_transaction(KEY, bench.chain_id, nonce, bench.contract, call)
        receipt = await bench.others.wait_for_receipt(await bench.others.send(raw))
        assert receipt.succeeded
        (finding,) = (await bench.check()).findings
        assert (finding.what, finding.layer, finding.verdict) == (What.SUBSTITUTED, Layer.ANCHOR, Verdict.FALSIFIED)
        assert f"size {head.size}" in finding.where
        assert (await bench.check()).confirmed == {SOURCE.name: 2}
        bench.commit()
        with pytest.raises(ChainError, match="do not open the log's slot"):
            await bench.anchorer.step()
        assert await bench.others.storage(bench.contract, slot_key(log_id(SUBMITTER, SOURCE.name))) != bytes(32)
        await bench.end()
