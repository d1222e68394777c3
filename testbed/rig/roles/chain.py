"""The role `chain`: the bench's own development node."""

from pathlib import Path

from testbed.chain.devnode import DevNode
from testbed.chain.proofs import header_fields, verify_slot
from testbed.chain.reading import holds_block, read_tail
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, InvalidData, NodeUnreachable, StoreError
from testbed.rig.bench import Bench
from testbed.rig.dev_chain import read_dev_chain
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts
from testbed.store.files import write_atomic


class ChainRole:
    """The bench's own node. Its state file is a cache: used only if its newest block stands in the journal, and if its
    accounts are those that this block commits to.

    A node answers before its state file is loaded. Who sent it a block then would build on a chain that is going to be
    exchanged, so nobody may speak to it before the role says by its status that it runs.
    """

    period_s = 0.2

    def __init__(self, bench: Bench, port: int) -> None:
        self._paths = Paths(bench.data)
        self._own = read_dev_chain(self._paths)
        self._port = port
        self.set_aside = ""
        self.node: DevNode | None = None

    async def start(self) -> None:
        state = self._paths.chain_state
        node = await self._start()
        try:
            wrong = await self._load(node, state) if state.is_file() else ""
            if wrong:
                await node.stop()
                aside = state.with_name(f"{state.name}.rejected")
                state.replace(aside)
                self.set_aside = f"{wrong}: moved to {aside.name}, rebuilding"
                node = await self._start()
        except BaseException:
            await node.stop()
            raise
        self.node = node

    async def step(self) -> None:
        """Start the node again if it died. What it lost, the anchor sends again from the journal.

        Raises NodeUnreachable once before that, so that the role's status says that there is no node.
        """
        if self.node is None:
            await self.start()
        elif not self.node.running:
            node, self.node = self.node, None
            last = node.output.rpartition("\n")[2]
            await node.stop()
            raise NodeUnreachable(f"the development node ended: {last}", "it is started again")

    async def stop(self) -> None:
        if self.node is not None:
            if self.node.running and await self._has_blocks(self.node):
                write_atomic(self._paths.chain_state, await self.node.dump_state(), durable=True)
            await self.node.stop()

    @property
    def url(self) -> str:
        """Address of the running node."""
        if self.node is None:
            raise ChainError("the development node does not run yet", "start the chain role first")
        return self.node.url

    def facts(self) -> Facts:
        return {"url": self.url, "node": 0 if self.node is None else self.node.pid, "note": self.set_aside}

    async def _start(self) -> DevNode:
        own = self._own
        folder = self._paths.role_folder("chain")
        return await DevNode.start(folder, own.chain_id, own.genesis_time_s, own.funded, self._port)

    async def _load(self, node: DevNode, state: Path) -> str:
        """Load the state file; what is wrong with it, "" where it may be used."""
        try:
            await node.load_state(state)
        except NodeUnreachable:
            raise
        except ChainError as error:
            return f"the node does not take it ({error.problem})"
        return await self._disagreement(node)

    async def _has_blocks(self, node: DevNode) -> bool:
        """Whether there is anything to keep. A node that loads a state of its genesis block alone computes another base
        fee for the first block than one that starts from the genesis file: it could not be built again.
        """
        async with Node(node.url) as client:
            return await client.height() > 0

    async def _disagreement(self, node: DevNode) -> str:
        """Why what was loaded is not the chain of the journal, "" where it is."""
        try:
            async with Node(node.url) as client:
                head = await client.block("latest")
                if head is None or not holds_block(self._paths.journal, head.number, head.hash):
                    return "its newest block is not in the journal"
                contract = read_tail(self._paths.journal).head.contract
                # A node that is asked to dump its state while it mines puts the accounts of the next block beside the
                # blocks up to this one. Built upon, it would refuse for ever what the journal sends again.
                verify_slot(
                    header_fields(head.header_rlp), contract, bytes(32), await client.proof(contract, bytes(32))
                )
        except StoreError as error:
            return f"there is no journal to compare it with ({error.problem})"
        except InvalidData as error:
            return f"its accounts are not those of its newest block ({error})"
        return ""
