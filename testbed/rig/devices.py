"""A connection to the physical PLC itself, by the protocol that [plc.connect] names.

A protocol's library is loaded where it is used: a process starts in a fraction of the time without the others.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder, Tag
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.registers import as_read
from testbed.rig.bench import Bench
from testbed.rig.bench_file import Connect

if TYPE_CHECKING:
    from testbed.fieldbus.modbus_transports import Transport
    from testbed.fieldbus.opcua_security import Credentials, Security

DEVICE = "device"
"""The way to a PLC that [plc.connect] describes, beside those by the bench's own servers."""

_MODBUS_PORT, _MODBUS_TLS_PORT, _OPCUA_PORT, _S7_PORT = 502, 802, 4840, 102


def device_of(bench: Bench) -> Controller:
    """The connection. Raises UsageError for an emulated PLC, and for certificates that do not serve."""
    connect = _connect(bench)
    if connect.protocol == "opcua":
        return _opcua(bench, connect)
    if connect.protocol == "s7":
        return _s7(bench, connect)
    return _modbus(bench, connect)


def device_tags(bench: Bench) -> tuple[Tag, ...]:
    """The tag list by which values of that connection are read: `device_of(bench).tags`, without connecting."""
    protocol = _connect(bench).protocol
    if protocol == "opcua":
        return as_read(bench.tags, scales=True)
    if protocol == "s7":
        return tuple(replace(tag, modbus=replace(tag.modbus, byte_order=ByteOrder.ABCD)) for tag in bench.tags)
    return bench.tags


def _connect(bench: Bench) -> Connect:
    if bench.plc.connect is None:
        raise UsageError(f"{bench.file}: {bench.plc.name} is emulated, there is no device", "take modbus or opcua")
    return bench.plc.connect


def _every(bench: Bench) -> dict[str, int]:
    """In which polls a tag is read, where that is not in each."""
    classes = {one.name: one.every for one in bench.plc.scan_class}
    return {tag.name: classes[tag.scan_class] for tag in bench.plc.tag if tag.scan_class is not None}


def _modbus(bench: Bench, connect: Connect) -> Controller:
    from testbed.fieldbus.modbus_client import ModbusController

    return ModbusController(
        bench.tags,
        transport_of(bench, connect),
        connect.unit,
        bench.scan_tag,
        bench.boot_tag,
        gap=connect.gap,
        most_registers=connect.most_registers,
        most_bits=connect.most_bits,
        pause=connect.pause_ms / 1000,
        timeout=connect.timeout_ms / 1000,
        period=min(reader.period_ms for reader in bench.readers) / 1000,
        every=_every(bench),
    )


def transport_of(bench: Bench, connect: Connect) -> "Transport":
    """The way to a Modbus device. Raises UsageError."""
    from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp, Tls

    host = connect.host or ""
    if connect.protocol == "modbus-rtu":
        return Serial(connect.device or "", connect.baud, connect.parity, connect.stop_bits)
    if connect.protocol == "modbus-rtu-tcp":
        return RtuOverTcp(host, connect.port or _MODBUS_PORT)
    if connect.protocol == "modbus-tls":
        certificate, key, trust = _papers(bench, connect)
        return Tls(host, connect.port or _MODBUS_TLS_PORT, certificate, key, trust)
    return Tcp(host, connect.port or _MODBUS_PORT)


def _opcua(bench: Bench, connect: Connect) -> Controller:
    from testbed.fieldbus.opcua_client import OpcUaReader

    path = f"/{connect.path.lstrip('/')}" if connect.path else ""
    return OpcUaReader(
        bench.tags,
        f"opc.tcp://{connect.host}:{connect.port or _OPCUA_PORT}{path}",
        bench.scan_tag,
        bench.boot_tag,
        namespace=connect.namespace or "",
        security=_security(bench, connect),
        every=_every(bench),
        scales=True,
        timeout=connect.timeout_ms / 1000,
    )


def _security(bench: Bench, connect: Connect) -> "Security":
    from testbed.fieldbus.opcua_security import Login, Security
    from testbed.keys.application import load_application
    from testbed.keys.trust import TrustList

    if connect.security == "None":
        return Security.none()
    certificate, key, trust = _papers(bench, connect)
    user: Login | Credentials | None = None
    if connect.user is not None and connect.password_file is not None:
        user = Login(connect.user, _password(bench.folder / connect.password_file))
    if connect.user_certificate is not None and connect.user_key is not None:
        user = load_application(bench.folder / connect.user_certificate, bench.folder / connect.user_key, person=True)
    return Security.secured(
        load_application(certificate, key),
        TrustList.load(trust),
        mode=connect.security,
        policy=connect.policy,
        user=user,
    )


def _s7(bench: Bench, connect: Connect) -> Controller:
    from testbed.fieldbus.s7_client import S7Controller

    return S7Controller(
        bench.tags,
        connect.host or "",
        connect.port or _S7_PORT,
        bench.scan_tag,
        bench.boot_tag,
        rack=connect.rack,
        slot=connect.slot,
        gap=connect.gap,
        pause=connect.pause_ms / 1000,
        timeout=connect.timeout_ms / 1000,
        every=_every(bench),
    )


def _papers(bench: Bench, connect: Connect) -> tuple[Path, Path, Path]:
    """Certificate, key and trusted certificates, as files; the bench file's check has seen that they are named."""
    names = (connect.certificate or "", connect.key or "", connect.trust or "")
    return (bench.folder / names[0], bench.folder / names[1], bench.folder / names[2])


def _password(path: Path) -> str:
    """The one line of a file that only its owner may read."""
    from testbed.keys.files import read_private

    try:
        return read_private(path, 1024).decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: no UTF-8 text", "write the password into the file, and nothing else") from error
