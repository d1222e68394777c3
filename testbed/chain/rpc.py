"""A thin JSON-RPC client: what a role asks an Ethereum node, and nothing more.

No answer is `NodeUnreachable`, an error object is `Rejected`, an answer that makes no sense is `ChainError`: none of
the three says anything about the chain itself. Numbers and hex strings are as the Ethereum JSON-RPC specification has
them.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from eth_typing import URI
from eth_utils.crypto import keccak
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from testbed.chain import wire
from testbed.chain.wire import Block, Receipt
from testbed.core.errors import ChainError, NodeUnreachable, Rejected

_HALF_MINUTE = 30.0


class Reverted(Rejected):
    """The contract refused a call. `data` is what it answered: selector and arguments of a custom error."""

    def __init__(self, problem: str, data: bytes) -> None:
        super().__init__(problem)
        self.data = data


class Node:
    """One node, reached over HTTP. Use it as an asynchronous context manager, or call `close`."""

    def __init__(self, url: str, timeout_s: float = _HALF_MINUTE) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._provider: AsyncHTTPProvider | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. The next call opens another one."""
        provider, self._provider = self._provider, None
        if provider is not None:
            await provider.disconnect()

    async def call(self, method: str, *params: object) -> object:
        """The `result` of one JSON-RPC request. Raises NodeUnreachable, Rejected (Reverted), ChainError."""
        provider = self._provider or await self._open()
        try:
            # web3 says that this is a mapping of its own making; what it is comes from the other side of a wire.
            answer = cast("object", await provider.make_request(RPCEndpoint(method), list(params)))
        except (aiohttp.ClientConnectionError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise NodeUnreachable(
                f"{self.url} did not answer {method}: {cause}", "start the node, or wait for it"
            ) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise ChainError(
                f"{self.url} did not answer {method} as JSON-RPC: {error}", "check that this is the address of a node"
            ) from error
        if not isinstance(answer, dict) or ("error" in answer) == ("result" in answer):
            raise ChainError(f"{self.url} did not answer {method} as JSON-RPC: {answer!r}")
        if "error" in answer:
            raise _refusal(method, answer["error"])
        return answer["result"]

    async def chain_id(self) -> int:
        return wire.number("eth_chainId", await self.call("eth_chainId"))

    async def version(self) -> str:
        """Name and version of the node's software."""
        return str(await self.call("web3_clientVersion"))

    async def height(self) -> int:
        """Number of the newest block."""
        return wire.number("eth_blockNumber", await self.call("eth_blockNumber"))

    async def block(self, number: int | str) -> Block | None:
        """The block at that height, or at a name such as "latest"; None where the chain is shorter.

        The header is put together from the answer and must hash to the block hash in it, else ChainError.
        """
        at = hex(number) if isinstance(number, int) else number
        answer = await self.call("eth_getBlockByNumber", at, False)
        return None if answer is None else wire.block(answer)

    async def block_by_hash(self, block_hash: bytes) -> Block | None:
        """The block with that hash, None where the node has none."""
        answer = await self.call("eth_getBlockByHash", "0x" + block_hash.hex(), False)
        return None if answer is None else wire.block(answer)

    async def storage(self, address: str, slot: bytes, block: str = "latest") -> bytes:
        """A storage slot's 32 bytes."""
        answer = await self.call("eth_getStorageAt", address, "0x" + slot.hex(), block)
        return wire.data("eth_getStorageAt", answer, 32)

    async def code(self, address: str) -> bytes:
        """The code at an address, empty where no contract stands."""
        return wire.data("eth_getCode", await self.call("eth_getCode", address, "latest"))

    async def code_hash(self, address: str) -> bytes:
        """keccak256 of the code at an address, 32 bytes: what its account holds (EIP-1052)."""
        return keccak(await self.code(address))

    async def nonce(self, address: str, block: int | str = "latest") -> int:
        """Number of transactions that the account has had mined, up to a block."""
        at = hex(block) if isinstance(block, int) else block
        answer = await self.call("eth_getTransactionCount", address, at)
        return wire.number("eth_getTransactionCount", answer)

    async def simulate(self, sender: str, to: str, data: bytes) -> bytes:
        """Run a call on the newest state without a transaction. Raises Reverted with the contract's answer."""
        request = {"from": sender, "to": to, "data": "0x" + data.hex()}
        return wire.data("eth_call", await self.call("eth_call", request, "latest"))

    async def balance(self, address: str) -> int:
        """What the account has, wei."""
        return wire.number("eth_getBalance", await self.call("eth_getBalance", address, "latest"))

    async def estimate(self, sender: str, to: str | None, data: bytes) -> int:
        """Gas that a transaction would use now. to: None for a deployment. Raises Reverted, Rejected."""
        request = {"from": sender, "data": "0x" + data.hex(), **({} if to is None else {"to": to})}
        return wire.number("eth_estimateGas", await self.call("eth_estimateGas", request))

    async def tip(self) -> int:
        """What the node holds to be a fair tip, wei per unit of gas; 1 gwei where it does not say."""
        try:
            return wire.number("eth_maxPriorityFeePerGas", await self.call("eth_maxPriorityFeePerGas"))
        except Rejected:
            return 10**9

    async def send(self, raw: bytes) -> bytes:
        """Hand in a signed transaction; its hash. It need not be mined yet."""
        answer = wire.data("eth_sendRawTransaction", await self.call("eth_sendRawTransaction", "0x" + raw.hex()), 32)
        if answer != keccak(raw):
            raise ChainError(f"{self.url} names another hash than that of the transaction sent: {answer.hex()}")
        return answer

    async def transaction(self, tx_hash: bytes) -> dict[str, Any] | None:
        """A transaction as the node describes it, None where it knows none."""
        answer = await self.call("eth_getTransactionByHash", "0x" + tx_hash.hex())
        return None if answer is None else wire.mapping("eth_getTransactionByHash", answer)

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """The receipt of a mined transaction, None while there is none."""
        answer = await self.call("eth_getTransactionReceipt", "0x" + tx_hash.hex())
        return None if answer is None else wire.receipt(answer)

    async def wait_for_receipt(self, tx_hash: bytes, within_s: float = _HALF_MINUTE) -> Receipt:
        """The receipt, as soon as there is one. Raises NodeUnreachable when time is over: the outcome is unknown."""
        deadline = time.monotonic() + within_s
        pause = 0.001
        while (found := await self.receipt(tx_hash)) is None:
            if time.monotonic() > deadline:
                raise NodeUnreachable(
                    f"{self.url} did not mine {tx_hash.hex()} within {within_s} s", "look at the node; then ask again"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.1)
        return found

    async def proof(self, address: str, slot: bytes, block: str = "latest") -> bytes:
        """Account and storage proof of one slot (EIP-1186), unchecked, as `proofs.verify_slot` reads it."""
        return wire.slot_proof(await self.call("eth_getProof", address, ["0x" + slot.hex()], block))

    async def set_next_timestamp(self, seconds: int) -> None:
        """Timestamp of the next block, s since 1970; not before the newest block's. Development nodes only."""
        await self.call("evm_setNextBlockTimestamp", seconds)

    async def set_storage(self, address: str, slot: bytes, value: bytes) -> None:
        """Overwrite a storage slot without a transaction: a falsification. Anvil only."""
        await self.call("anvil_setStorageAt", address, "0x" + slot.hex(), "0x" + value.hex())

    async def _open(self) -> AsyncHTTPProvider:
        # web3's own session opens a connection for every request and repeats requests by itself. This one keeps the
        # connection, and whether to repeat is the caller's decision.
        provider = AsyncHTTPProvider(
            URI(self.url),
            request_kwargs={"timeout": aiohttp.ClientTimeout(total=self._timeout_s)},
            exception_retry_configuration=None,
        )
        self._provider = provider
        await provider.cache_async_session(aiohttp.ClientSession(raise_for_status=True))
        return provider


def _refusal(method: str, error: object) -> Rejected:
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
    problem = f"{method}: {fields.get('message', fields)}"
    data = fields.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return Reverted(problem, wire.data(method, data))
    return Rejected(problem)
