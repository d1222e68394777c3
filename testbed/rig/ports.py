"""The ports that a bench listens on, and whether they are free."""

import asyncio
import socket
from dataclasses import dataclass

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench

_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Listener:
    """One place that a role listens on. key: where the bench file says so."""

    role: str
    key: str
    host: str
    port: int


def listeners(bench: Bench) -> tuple[Listener, ...]:
    """Every place that roles of the bench listen on."""
    plc, chain = bench.plc, bench.chain
    found = [Listener("plc", "plc.modbus", plc.modbus.host, plc.modbus.port)] if bench.serves else []
    if bench.serves and plc.opcua.enabled:
        found.append(Listener("plc", "plc.opcua", plc.opcua.host, plc.opcua.port))
    if bench.serves and plc.tls.enabled:
        found.append(Listener("plc", "plc.tls", plc.tls.host, plc.tls.port))
    if chain.kind == "anvil":
        found.append(Listener("chain", "chain", chain.host, chain.port))
    if bench.pages.enabled:
        found.append(Listener("supervisor", "pages", bench.pages.host, bench.pages.port))
    if bench.serve.enabled:
        found.append(Listener("supervisor", "serve", bench.serve.host, bench.serve.port))
    found += [Listener(one.name, f"witness {one.name}", one.host, one.port) for one in bench.witnesses]
    return tuple(found)


async def check_ports(bench: Bench, role: str | None = None, patience_s: float = 0.0) -> None:
    """Raises UsageError for a port of the bench, or of one role, that is not free within `patience_s`."""
    places = [place for place in listeners(bench) if role in (None, place.role)]
    deadline = asyncio.get_running_loop().time() + patience_s
    for place in places:
        while (refusal := await asyncio.to_thread(_refusal, place)) is not None:
            if asyncio.get_running_loop().time() >= deadline:
                mend = "end the program that holds it, or move all ports with --port-shift 100"
                raise UsageError(f"{place.key} {place.host}:{place.port}: {refusal}", mend)
            await asyncio.sleep(_PAUSE_S)


def _refusal(place: Listener) -> str | None:
    """Why nobody can listen there now, None where one can."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((place.host, place.port))
    except OSError as error:
        return error.strerror or str(error)
    return None
