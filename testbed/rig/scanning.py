"""What `testbed scan` does: the way to a device as people type it, the scan itself, and the profile's file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ModbusTable
from testbed.fieldbus.modbus_scan import Wire, carry_out
from testbed.fieldbus.modbus_survey import UNITS_SERIAL, UNITS_TCP, Plan, Question, Survey, survey
from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp, Transport
from testbed.rig.draft import draft

if TYPE_CHECKING:
    from testbed.fieldbus.opcua_scan import Browsed

_MODBUS_PORT, _OPCUA_PORT = 502, 4840
_LONGEST_MS = 60_000


def place_of(where: str, default_port: int) -> tuple[str, int]:
    """Host and port of "HOST", "HOST:PORT" or "[v6]:PORT". Raises UsageError."""
    host, colon, port = where.rpartition(":")
    if not colon or where.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = where, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(letter.isspace() or letter == "/" for letter in host):
        raise UsageError(f"{where!r} is no host", "give HOST or HOST:PORT, such as 192.168.0.10:502")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise UsageError(f"{where!r}: {port!r} is no port", "give a port from 1 to 65535")
    return host, int(port)


def units_of(text: str) -> tuple[int, ...]:
    """Unit identifiers of "1,2,10-20", in that order. Raises UsageError."""
    found: dict[int, None] = {}
    for part in text.split(","):
        first, last = _span(part, 255, f"--units {text!r}", "1,2,10-20")
        found |= dict.fromkeys(range(first, last + 1))
    return tuple(found)


def addresses_of(texts: Sequence[str]) -> dict[ModbusTable, tuple[tuple[int, int], ...]]:
    """First and last addresses by table, of "holding_register:0-99" and the like. Raises UsageError."""
    found: dict[ModbusTable, tuple[tuple[int, int], ...]] = {}
    names = [table.value for table in ModbusTable]
    for text in texts:
        name, _, spans = text.partition(":")
        if name not in names:
            raise UsageError(f"--addresses {text!r}: there is no table {name!r}", f"take one of {', '.join(names)}")
        for part in spans.split(","):
            span = _span(part, 65535, f"--addresses {text!r}", f"{name}:0-99")
            found[ModbusTable(name)] = (*found.get(ModbusTable(name), ()), span)
    return found


def way_of(protocol: str, where: str, serial: tuple[int, str, int]) -> tuple[Transport, dict[str, object]]:
    """The way to a Modbus device, and what [plc.connect] says of it. serial: baud, parity, stop bits.

    Raises UsageError.
    """
    if protocol == "modbus-rtu":
        baud, parity, stop_bits = serial
        if not 300 <= baud <= 4_000_000:
            raise UsageError(f"--baud {baud}", "give the device's own, such as 9600 or 19200")
        keys = {"protocol": protocol, "device": where, "baud": baud, "parity": parity, "stop_bits": stop_bits}
        return Serial(where, baud, parity, stop_bits), keys
    host, port = place_of(where, _MODBUS_PORT)
    way = RtuOverTcp(host, port) if protocol == "modbus-rtu-tcp" else Tcp(host, port)
    return way, {"protocol": protocol, "host": host, "port": port}


def plan_of(protocol: str, units: str | None, addresses: Sequence[str], requests: int) -> Plan:
    """What is to be asked. Raises UsageError."""
    if requests < 1:
        raise UsageError(f"--requests {requests}", "allow one request or more")
    serial = protocol != "modbus-tcp"
    chosen = units_of(units) if units is not None else UNITS_SERIAL if serial else UNITS_TCP
    if serial and 0 in chosen:
        raise UsageError("--units: 0 is a broadcast on a serial line", "ask units from 1 on")
    return Plan(chosen, addresses_of(addresses), requests)


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is asked. timeout_ms: for an answer; pause_ms: between two requests. Raises UsageError."""

    timeout_ms: int
    pause_ms: int

    def __post_init__(self) -> None:
        if not (1 <= self.timeout_ms <= _LONGEST_MS and 0 <= self.pause_ms <= _LONGEST_MS):
            what = f"--timeout-ms {self.timeout_ms} --pause-ms {self.pause_ms}"
            raise UsageError(what, f"give times up to {_LONGEST_MS} ms, the timeout 1 or more")


async def scan_modbus(
    way: Transport,
    keys: dict[str, object],
    plan: Plan,
    manner: Manner,
    command: str,
    told: Callable[[Question, int], None],
) -> tuple[Survey, str]:
    """Scan one device; what was seen, and the drafted profile. told: before each question, with how many went before.

    Raises DeviceError where none answers.
    """
    wire = Wire(way, manner.timeout_ms / 1000, manner.pause_ms / 1000)
    try:
        await wire.open()
        seen = await carry_out(survey(plan), wire, told)
    finally:
        wire.close()
    if not seen.units:
        asked = ", ".join(str(unit) for unit in plan.units)
        raise DeviceError(
            f"{way}: connected, and none of the units {asked} answers",
            "name others with --units, wait longer with --timeout-ms, or look at baud, parity and wiring of a serial"
            " line",
        )
    return seen, draft(seen, keys, command)


@dataclass(frozen=True, slots=True)
class Papers:
    """Files for a secured OPC UA channel: this bench's certificate and key, and whom it trusts."""

    certificate: Path
    key: Path
    trust: Path


def server_of(where: str) -> tuple[str, dict[str, object]]:
    """The address of an OPC UA server as people type it, and what [plc.connect] says of it. Raises UsageError."""
    host_port, _, path = where.removeprefix("opc.tcp://").partition("/")
    host, port = place_of(host_port, _OPCUA_PORT)
    keys: dict[str, object] = {"protocol": "opcua", "host": host, "port": port}
    if path:
        keys["path"] = path
    shown = f"[{host}]" if ":" in host else host
    return f"opc.tcp://{shown}:{port}" + (f"/{path}" if path else ""), keys


async def scan_opcua(
    url: str,
    keys: dict[str, object],
    papers: Papers | None,
    manner: Manner,
    requests: int,
    command: str,
    told: Callable[[int], None],
) -> tuple["Browsed", str]:
    """Browse a server; what was seen, and the drafted profile. Raises DeviceError, UsageError."""
    # Its library takes a while to load, which a Modbus scan is spared.
    from testbed.fieldbus.opcua_scan import browse
    from testbed.fieldbus.opcua_security import Security
    from testbed.keys.application import load_application
    from testbed.keys.trust import TrustList
    from testbed.rig.draft_opcua import draft_opcua

    if requests < 1:
        raise UsageError(f"--requests {requests}", "allow one request or more")
    if papers is None:
        security = Security.none()
        keys = {**keys, "security": "None"}
    else:
        own = load_application(papers.certificate, papers.key)
        security = Security.secured(own, TrustList.load(papers.trust))
        keys |= {"certificate": str(papers.certificate), "key": str(papers.key), "trust": str(papers.trust)}
    seen = await browse(url, security, manner.timeout_ms / 1000, requests, told)
    return seen, draft_opcua(seen, keys, command)


def keep(text: str, file: Path) -> None:
    """Write a profile. Raises UsageError where there is something already: it may have been edited."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{file}: there is such a file already", "name a new one with --out") from None


def _span(text: str, most: int, what: str, example: str) -> tuple[int, int]:
    first, dash, last = text.strip().partition("-")
    numbers = [part for part in (first, last if dash else first) if part.isascii() and part.isdigit() and len(part) < 6]
    if len(numbers) != 2 or not int(numbers[0]) <= int(numbers[1]) <= most:
        raise UsageError(f"{what} is no list of numbers up to {most}", f"write it as {example}")
    return int(numbers[0]), int(numbers[1])
