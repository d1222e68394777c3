"""From a bench file to a connection: to the bench's own servers, or to the physical PLC itself."""

from typing import TYPE_CHECKING

from testbed.core.errors import UsageError
from testbed.fieldbus.controller import Controller
from testbed.rig.bench import Bench
from testbed.rig.devices import DEVICE, device_of

if TYPE_CHECKING:
    from testbed.fieldbus.modbus_client import ModbusController
    from testbed.fieldbus.opcua_client import OpcUaReader

PROMPT_S = 1.0
"""How long a PLC may take for an answer, s."""
PATIENT_S = 60.0
"""The same under a virtual clock, in which no time passes: how busy this machine is must not decide what is logged."""
# A protocol's library is loaded where it is used: a process starts in a fraction of the time without the others.


def controller_of(bench: Bench, by: str) -> Controller:
    """A connection to the PLC. by: "modbus" or "opcua", the bench's own servers, or "device".

    Raises UsageError where the bench has no such way.
    """
    if by == DEVICE:
        return device_of(bench)
    if by not in ("modbus", "opcua"):
        raise UsageError(f"no way to a PLC is called {by!r}", "take modbus, opcua or device")
    if not bench.serves:
        raise UsageError(
            f"{bench.file}: {bench.plc.name} is on no server of the bench's own", "take device, or write bridge = true"
        )
    return modbus_reader(bench) if by == "modbus" else opcua_reader(bench)


def modbus_reader(
    bench: Bench, host: str | None = None, port: int | None = None, timeout: float = PROMPT_S
) -> "ModbusController":
    """A Modbus connection to the bench's own server, or to what stands in front of it. timeout: s for each answer."""
    from testbed.fieldbus.modbus_client import ModbusController
    from testbed.fieldbus.modbus_transports import Tcp

    plc = bench.plc
    return ModbusController(
        bench.shown,
        Tcp(host or plc.modbus.host, port or plc.modbus.port),
        plc.modbus.unit,
        bench.scan_tag,
        bench.boot_tag,
        timeout=timeout,
    )


def opcua_reader(
    bench: Bench, host: str | None = None, port: int | None = None, timeout: float = PROMPT_S
) -> "OpcUaReader":
    """As `modbus_reader`, by OPC UA."""
    from testbed.fieldbus.opcua_client import OpcUaReader
    from testbed.fieldbus.opcua_security import Security

    plc = bench.plc
    url = f"opc.tcp://{host or plc.opcua.host}:{port or plc.opcua.port}/attestbed"
    namespace = f"urn:attestbed:{plc.name}"
    # The bench's own server, on this machine.
    security = Security.none()
    return OpcUaReader(
        bench.shown, url, bench.scan_tag, bench.boot_tag, namespace=namespace, security=security, timeout=timeout
    )
