"""Where somebody dishonest could sit in a lock-step bench. This one sits there and leaves everything as it is."""

from dataclasses import dataclass

from testbed.acquire.gateway import Reader, Sink


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the PLC listens on this machine."""

    modbus: int
    opcua: int


class Meddler:
    """Whoever has a hand in a run; one that has overrides what it needs.

    at: name of the reader whose place it takes, or on whose wire it sits; "" for none.
    """

    at = ""

    async def begin(self, ports: Ports) -> None:
        """Called once the PLC listens, before anybody reads it."""

    async def reader_port(self, port: int) -> int:
        """Where that reader connects instead of the PLC's `port`."""
        return port

    async def operator_port(self, port: int) -> int:
        """Where the operator's commands are sent instead of the PLC's `port`, which is Modbus."""
        return port

    def reader(self, reader: Reader) -> Reader:
        """What that reader polls instead of its connection."""
        return reader

    def sink(self, sink: Sink) -> Sink:
        """Where that reader's records go instead of its log."""
        return sink

    async def before(self, scan: int) -> None:
        """Called before the PLC goes through the scan of that number."""

    async def close(self) -> None:
        """Called when no role runs any more."""


HONEST = Meddler()
