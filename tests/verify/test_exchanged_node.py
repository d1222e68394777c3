"""A node that is exchanged while it is read: nobody is accused of what the reading itself brought about."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from testbed.chain.devnode import DevNode
from testbed.chain.reading import read_journal
from testbed.chain.rpc import Node
from testbed.chain.steps import Step
from testbed.chain.wire import Block
from testbed.core.finding import Verdict, What
from testbed.rig.auditing import approved_model, auditor
from testbed.rig.bench import Bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from testbed.verify.gather import gather
from testbed.verify.verdict import Report, check


class Restarted(Node):
    """A node that its role starts again, empty, while it is read."""

    def __init__(self, url: str, next_url: str) -> None:
        super().__init__(url)
        self._next_url = next_url

    async def version(self) -> str:
        await self.close()
        self.url = self._next_url
        return await super().version()


class BuiltAgain(Node):
    """A node that is sent its lost blocks again while it is read: `left`, once its slots were read."""

    def __init__(self, url: str, left: Sequence[Step]) -> None:
        super().__init__(url)
        self._left = left
        self._looks = 0

    async def block(self, number: int | str) -> Block | None:
        found = await super().block(number)
        self._looks += number == "latest"
        if self._looks == 2:
            self._looks += 1
            await send_again(self, self._left)
        return found


async def send_again(node: Node, steps: Sequence[Step]) -> None:
    for step in steps:
        await node.set_next_timestamp(step.intent.timestamp or 0)
        await node.wait_for_receipt(await node.send(step.intent.transaction))


async def report_by(bench: Bench, node: Node) -> Report:
    paths = Paths(bench.data)
    # Witnesses are read by somebody else.
    trusted = replace(auditor(load_trust(bench.trust_file)), witnesses=())
    folders = {bench.origin(role): (paths.log(role), paths.tlog(role)) for role in bench.logs}
    return check(trusted, await gather(trusted, folders, paths.journal, node, ""), approved_model).report


async def test_a_node_that_lost_its_blocks_while_it_was_read_falsifies_nothing(bench: Bench, tmp_path: Path) -> None:
    paths, own = Paths(bench.data), read_dev_chain(Paths(bench.data))
    whole = await DevNode.start(
        tmp_path / "whole", own.chain_id, own.genesis_time_s, own.funded, state=paths.chain_state
    )
    empty = await DevNode.start(tmp_path / "empty", own.chain_id, own.genesis_time_s, own.funded)
    try:
        async with Node(whole.url) as node:
            assert (await report_by(bench, node)).verdict is Verdict.GENUINE
        async with Restarted(whole.url, empty.url) as node:
            report = await report_by(bench, node)
    finally:
        await whole.stop()
        await empty.stop()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {finding.what for finding in report.findings} <= {What.BEHIND, What.UNREACHABLE}


async def test_a_node_that_is_built_again_while_it_is_read_falsifies_nothing(bench: Bench, tmp_path: Path) -> None:
    own, steps = read_dev_chain(Paths(bench.data)), read_journal(Paths(bench.data).journal).steps
    half = len(steps) // 2
    fresh = await DevNode.start(tmp_path / "fresh", own.chain_id, own.genesis_time_s, own.funded)
    try:
        async with BuiltAgain(fresh.url, steps[half:]) as node:
            await send_again(node, steps[:half])
            report = await report_by(bench, node)
            assert {finding.what for finding in report.findings} == {What.BEHIND}
            assert report.verdict is Verdict.INCONCLUSIVE
            # It has all of them now.
            assert (await report_by(bench, node)).verdict is Verdict.GENUINE
    finally:
        await fresh.stop()


class Anchoring(Node):
    """A node whose bench goes on: the anchor writes down its newest block once the journal and the chain were read."""

    def __init__(self, url: str, journal: Path, height: int) -> None:
        super().__init__(url)
        self._journal = journal
        self._height = height
        self._whole = journal.read_bytes()
        journal.write_bytes(b"".join(self._whole.splitlines(keepends=True)[:-1]))

    async def block(self, number: int | str) -> Block | None:
        if number == self._height:
            self._journal.write_bytes(self._whole)
        return await super().block(number)


async def test_a_receipt_that_came_while_the_bench_was_read_says_nothing_of_its_journal(
    bench: Bench, tmp_path: Path
) -> None:
    paths, own = Paths(bench.data), read_dev_chain(Paths(bench.data))
    node = await DevNode.start(tmp_path / "node", own.chain_id, own.genesis_time_s, own.funded, state=paths.chain_state)
    try:
        async with Node(node.url) as asked:
            newest = await asked.block("latest")
        assert newest is not None
        async with Anchoring(node.url, paths.journal, newest.number) as going_on:
            report = await report_by(bench, going_on)
        assert [str(one) for one in report.findings] == []
        # Where nobody writes it any more, the same journal was cut.
        paths.journal.write_bytes(b"".join(paths.journal.read_bytes().splitlines(keepends=True)[:-1]))
        async with Node(node.url) as asked:
            report = await report_by(bench, asked)
        assert What.ROLLED_BACK in {one.what for one in report.findings}
    finally:
        await node.stop()
