"""A further chain of the role `anchor`: its rounds go on beside those of the first one, which never waits for them."""

import asyncio
import logging
from contextlib import suppress

from testbed.core.errors import ChainError
from testbed.rig.roles.chain_anchor import ChainAnchor

_LOG = logging.getLogger("testbed")
_RETRY_S = 5.0
_LAST_S = 10.0
"""How long the last round may take when the role ends, s; what it leaves is sent when the role starts again."""


class Further:
    """problem: why the last round was not done, in words.

    waits: under a virtual clock each round is waited for, as nothing else goes on meanwhile.
    """

    def __init__(self, name: str, chain: ChainAnchor, *, waits: bool) -> None:
        self.name = name
        self.problem = ""
        self.chain = chain
        self._waits = waits
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def step(self) -> None:
        """Begin a round unless one is under way. Raises what ended the last one, unless it was the chain's fault."""
        if self._waits:
            await self._round(flush=False)
            return
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
        if self._task is None and asyncio.get_running_loop().time() >= self._not_before:
            self._task = asyncio.create_task(self._round(flush=False))

    async def stop(self) -> None:
        """A last round, as far as it goes in some seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._last_round(), None if self._waits else _LAST_S)
        await self.chain.close()

    async def _last_round(self) -> None:
        if self._task is not None:
            await self._task
        await self._round(flush=True)

    async def _round(self, *, flush: bool) -> None:
        try:
            await self.chain.step(flush=flush)
            self.problem = ""
        except ChainError as error:
            if error.problem != self.problem:
                _LOG.warning("further chain %s: %s", self.name, error.problem)
            self.problem = error.problem
            self._not_before = asyncio.get_running_loop().time() + _RETRY_S
