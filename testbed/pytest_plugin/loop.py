"""One event loop in a thread of its own: tests are synchronous, wires are not."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from typing import Any, TypeVar

from testbed.core.errors import DeviceError

_T = TypeVar("_T")
_CLOSING_S = 5.0


class Loop:
    """Runs coroutines for a thread that waits for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="testbed wires", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T], most_s: float | None = None) -> _T:
        """The result of `work`. Raises DeviceError when it takes longer than `most_s`, s on the wall.

        Whatever ends the waiting, as Ctrl-C does, ends the work as well.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(most_s)
        except NotInTime:
            if future.done():
                raise  # the work itself raised it
            raise DeviceError(
                f"not done within {most_s:g} s", "look whether the PLC and its network are well"
            ) from None
        finally:
            if not future.done():
                future.cancel()
                with suppress(CancelledError, Exception):
                    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(_CLOSING_S)

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside; end it with `end`."""

        async def start() -> "asyncio.Task[None]":
            return asyncio.get_running_loop().create_task(work)

        return self.run(start(), _CLOSING_S)

    def end(self, task: "asyncio.Task[None]") -> None:
        """Cancel what runs beside, and wait for its end. What it had raised before is not raised again."""

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSING_S)

        self.run(stop(), 2 * _CLOSING_S)

    def close(self) -> None:
        """End the loop; what still runs in it is cancelled."""

        async def cancel_all() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=_CLOSING_S)

        with suppress(DeviceError):
            self.run(cancel_all(), 2 * _CLOSING_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSING_S)
        if not self._thread.is_alive():
            self._loop.close()
