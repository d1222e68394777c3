"""A Modbus RTU server on a serial line, in front of a process image: the requests of modbus_requests.py.

It answers its own unit, does what a broadcast says without an answer, and lets other units' traffic pass. A line that
is lost, a converter that was pulled out, is opened again as soon as it is there.
"""

import asyncio
import logging
import termios
from collections.abc import Callable, Sequence
from typing import cast

from pymodbus.transport.serialtransport import create_serial_connection

from testbed.core.errors import UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.modbus_identity import DeviceIdentity
from testbed.fieldbus.modbus_memory import Memory
from testbed.fieldbus.modbus_requests import Requests
from testbed.fieldbus.modbus_station import RtuStation
from testbed.fieldbus.modbus_transports import Serial
from testbed.fieldbus.signed_frames import FrameSource
from testbed.fieldbus.source import ImageSource

_log = logging.getLogger(__name__)

MOST_UNIT = 247
"""Units of devices on a line (MODBUS over Serial Line V1.02, section 2.2)."""
_AGAIN_S = 0.5
_LEAST_SILENCE_S = 0.005
"""A USB converter keeps bytes back for some milliseconds."""


class ModbusSerialServer:
    """Serves `tags` of `source` as unit `unit` (1..247) on `line`; frames: the signed ones of a PLC that signs.

    Raises UsageError where tags do not fit the tables, and on `start` where the line cannot be opened.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        source: ImageSource,
        line: Serial,
        unit: int = 1,
        *,
        identity: DeviceIdentity | None = None,
        frames: FrameSource | None = None,
    ) -> None:
        if not 1 <= unit <= MOST_UNIT:
            raise UsageError(f"Modbus unit {unit}", f"give a unit from 1 to {MOST_UNIT} on a serial line")
        requests = Requests(Memory(tags, source, frames), identity or DeviceIdentity())
        self._station = RtuStation(requests, unit, max(_LEAST_SILENCE_S, line.silence))
        self._line = line
        self._wire: _Wire | None = None
        self._again: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return."""
        try:
            await self._open()
        except (OSError, termios.error) as error:  # the last: a line does not take its settings
            raise UsageError(
                f"cannot open {self._line}: {error}",
                "check the device's name and settings, and that nobody else holds it; a pseudo-terminal has no parity",
            ) from error

    async def stop(self) -> None:
        """Leave the line; stopping twice is fine."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
            self._opening = None
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.close()

    async def _open(self) -> None:
        loop, line = asyncio.get_running_loop(), self._line
        wire = _Wire(self._station, loop, self._lost)
        await create_serial_connection(loop, lambda: wire, line.device, line.baud, 8, line.parity, line.stop_bits, 0)
        await wire.opened
        self._wire = wire

    def _lost(self) -> None:
        if self._wire is not None:
            _log.warning("modbus: %s is lost", self._line)
            self._wire = None
            self._open_later()

    def _open_later(self) -> None:
        self._again = asyncio.get_running_loop().call_later(_AGAIN_S, self._try_to_open)

    def _try_to_open(self) -> None:
        self._again = None
        self._opening = asyncio.get_running_loop().create_task(self._open())
        self._opening.add_done_callback(self._tried)

    def _tried(self, opening: "asyncio.Task[None]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is not None:
            self._open_later()


class _Wire(asyncio.Protocol):
    """The line while it is open."""

    def __init__(self, station: RtuStation, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._station = station
        self._loop = loop
        self._lost = lost
        self._frames = station.frames()
        self._transport: asyncio.Transport | None = None
        self._silent: asyncio.TimerHandle | None = None
        self.opened: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # lost is lost
        self._cancel()
        self._transport = None
        self._lost()

    def data_received(self, data: bytes) -> None:
        while data:
            room = self._frames.room()
            taken, data = data[: len(room)], data[len(room) :]
            room[: len(taken)] = taken
            self._frames.add(len(taken))
            while (frame := self._frames.take()) is not None:
                self._write(self._station.answer(frame, may_write=True))
        self._cancel()
        if self._frames.held:
            self._silent = self._loop.call_later(self._station.silence, self._fell_silent)

    def close(self) -> None:
        self._cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _fell_silent(self) -> None:
        self._silent = None
        frame = self._frames.quiet()
        if frame is not None:
            self._write(self._station.answer(frame, may_write=True))

    def _write(self, answer: bytes | None) -> None:
        if answer and self._transport is not None:
            self._transport.write(answer)

    def _cancel(self) -> None:
        if self._silent is not None:
            self._silent.cancel()
            self._silent = None
