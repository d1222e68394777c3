"""From a bench file to a connection: to the bench's own servers, or to the physical PLC itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from testbed.core.errors import UsageError
from testbed.fieldbus.controller import Controller
from testbed.rig.bench import Bench
from testbed.rig.devices import DEVICE, device_of
from testbed.rig.paths import Paths

if TYPE_CHECKING:
    from testbed.fieldbus.modbus_client import ModbusController
    from testbed.fieldbus.modbus_transports import Transport
    from testbed.fieldbus.opcua_client import OpcUaReader
    from testbed.fieldbus.signed_frames import SignedFrames

PROMPT_S = 1.0
"""How long a PLC may take for an answer, s."""
PATIENT_S = 60.0
"""The same under a virtual clock, in which no time passes: how busy this machine is must not decide what is logged."""
# A protocol's library is loaded where it is used: a process starts in a fraction of the time without the others.


def controller_of(bench: Bench, by: str) -> Controller:
    """A connection to the PLC. by: "modbus", "modbus-tls", "modbus-rtu" or "opcua", the bench's own servers, or
    "device".

    Raises UsageError where the bench has no such way.
    """
    if by == DEVICE:
        return device_of(bench)
    own: dict[str, Callable[[Bench], Controller]] = {
        "modbus": modbus_reader,
        "modbus-tls": _by_tls,
        "modbus-rtu": _by_line,
        "opcua": opcua_reader,
    }
    if by not in own:
        raise UsageError(f"no way to a PLC is called {by!r}", f"take {', '.join(own)} or {DEVICE}")
    if not bench.serves:
        raise UsageError(
            f"{bench.file}: {bench.plc.name} is on no server of the bench's own", "take device, or write bridge = true"
        )
    return own[by](bench)


def modbus_reader(
    bench: Bench,
    host: str | None = None,
    port: int | None = None,
    timeout: float = PROMPT_S,
    frames: "SignedFrames | None" = None,
) -> "ModbusController":
    """A Modbus connection to the bench's own server, or to what stands in front of it.

    timeout: s for each answer; frames: signed ones that are to be read along.
    """
    from testbed.fieldbus.modbus_transports import Tcp

    plc = bench.plc
    return _modbus(bench, Tcp(host or plc.modbus.host, port or plc.modbus.port), plc.modbus.unit, timeout, frames)


def opcua_reader(
    bench: Bench,
    host: str | None = None,
    port: int | None = None,
    timeout: float = PROMPT_S,
    frames: "SignedFrames | None" = None,
) -> "OpcUaReader":
    """As `modbus_reader`, by OPC UA."""
    from testbed.fieldbus.opcua_client import OpcUaReader
    from testbed.fieldbus.opcua_security import Security

    plc = bench.plc
    url = f"opc.tcp://{host or plc.opcua.host}:{port or plc.opcua.port}/attestbed"
    namespace = f"urn:attestbed:{plc.name}"
    security = Security.none()  # the bench's own server, on this machine
    if plc.opcua.security != "None":
        from testbed.keys.application import load_application
        from testbed.keys.trust import TrustList
        from testbed.rig.papers import keep_papers

        keep_papers(bench)
        paths = Paths(bench.data)
        own = load_application(paths.client_certificate, paths.client_key)
        security = Security.secured(own, TrustList.load(paths.plc_certificate), mode=plc.opcua.security)
    return OpcUaReader(
        bench.shown,
        url,
        bench.scan_tag,
        bench.boot_tag,
        namespace=namespace,
        security=security,
        timeout=timeout,
        frames=frames,
    )


def _by_tls(bench: Bench) -> "ModbusController":
    from testbed.fieldbus.modbus_transports import Tls
    from testbed.rig.papers import keep_papers

    plc, paths = bench.plc, Paths(bench.data)
    if not plc.tls.enabled:
        raise UsageError(
            f"{bench.file}: {plc.name} has no Modbus/TCP Security server", "add enabled = true to [plc.tls]"
        )
    keep_papers(bench)
    way = Tls(plc.tls.host, plc.tls.port, paths.client_certificate, paths.client_key, paths.tls_certificate)
    return _modbus(bench, way, plc.modbus.unit, PROMPT_S)


def _by_line(bench: Bench) -> "ModbusController":
    from testbed.fieldbus.modbus_transports import Serial

    serial = bench.plc.serial
    if serial is None or not serial.other_end:
        raise UsageError(f"{bench.file}: the bench is at no serial line", "add other_end = ... to [plc.serial]")
    way = Serial(serial.other_end, serial.baud, serial.parity, serial.stop_bits)
    return _modbus(bench, way, serial.unit, PROMPT_S)


def _modbus(
    bench: Bench, way: "Transport", unit: int, timeout: float, frames: "SignedFrames | None" = None
) -> "ModbusController":
    from testbed.fieldbus.modbus_client import ModbusController

    return ModbusController(bench.shown, way, unit, bench.scan_tag, bench.boot_tag, timeout=timeout, frames=frames)
