"""How a physical PLC is reached: which keys each protocol needs and takes, and what its tags need."""

from collections.abc import Iterator

from testbed.rig.bench_errors import Problem, unknown
from testbed.rig.bench_file import Connect, Plc, TagTable
from testbed.rig.toml_file import Loc

_SOCKET = {"host", "port"}
_MODBUS = {"unit", "timeout_ms", "pause_ms", "gap", "most_registers", "most_bits"}
_LINE = {"device", "baud", "parity", "stop_bits"}
_PAPERS = {"certificate", "key", "trust"}
_TAKES: dict[str, set[str]] = {
    "modbus-tcp": _SOCKET | _MODBUS,
    "modbus-tls": _SOCKET | _MODBUS | _PAPERS,
    "modbus-rtu": _LINE | _MODBUS,
    "modbus-rtu-tcp": _SOCKET | _MODBUS,
    "opcua": _SOCKET
    | _PAPERS
    | {"timeout_ms", "path", "security", "policy", "namespace", "user", "password_file"}
    | {"user_certificate", "user_key"},
    "s7": _SOCKET | {"timeout_ms", "pause_ms", "rack", "slot", "gap"},
}
_NEEDS = {
    "modbus-tcp": ("host",),
    "modbus-tls": ("host", "certificate", "key", "trust"),
    "modbus-rtu": ("device",),
    "modbus-rtu-tcp": ("host", "port"),
    "opcua": ("host", "namespace"),
    "s7": ("host",),
}
_EXAMPLES = {
    "host": '"192.168.0.10"',
    "port": "a port",
    "device": '"/dev/ttyUSB0"',
    "certificate": '"client.pem"',
    "key": '"client.key"',
    "trust": '"server.pem", the certificate of the PLC',
    "namespace": '"urn:...", as the PLC\'s server names the namespace of its tags',
    "password_file": '"password.txt"',
    "user_certificate": '"person.pem", the certificate of the person',
    "user_key": '"person.key", the key of that certificate',
    "user": "the name that the password belongs to",
}


def check_connect(loc: Loc, plc: Plc) -> Iterator[Problem]:
    """All faults of how one PLC is reached; `loc` is its table."""
    classes = [scan_class.name for scan_class in plc.scan_class]
    for position, tag in enumerate(plc.tag):
        here = (*loc, "tag", position)
        if tag.scan_class is not None and tag.scan_class not in classes:
            mend = unknown(tag.scan_class, classes) if classes else "describe it as [[plc.scan_class]]"
            yield Problem((*here, "scan_class"), f'there is no scan class "{tag.scan_class}"', mend)
    if plc.kind == "emulated":
        yield from _emulated(loc, plc)
    elif plc.connect is None:
        mend = 'add [plc.connect] with protocol = "modbus-tcp" and host = "..."'
        yield Problem((*loc, "connect"), "is missing", mend)
    else:
        yield from _keys((*loc, "connect"), plc.connect)
        for position, tag in enumerate(plc.tag):
            yield from _place((*loc, "tag", position), tag, plc.connect.protocol)


def _emulated(loc: Loc, plc: Plc) -> Iterator[Problem]:
    for key in ("connect", "bridge", "scan_class"):
        if key in plc.model_fields_set:
            mend = f'leave {key} out, or write kind = "physical"'
            yield Problem((*loc, key), 'kind = "emulated" has no use for it', mend)
    for position, tag in enumerate(plc.tag):
        here = (*loc, "tag", position)
        if tag.s7:
            yield Problem((*here, "s7"), "an emulated PLC has no S7 addresses", "leave s7 out")
        if tag.modbus is not None and tag.modbus.unit is not None:
            yield Problem((*here, "modbus", "unit"), "an emulated PLC is one unit", "leave unit out")


def _keys(loc: Loc, connect: Connect) -> Iterator[Problem]:
    protocol, given = connect.protocol, connect.model_fields_set - {"protocol"}
    for key in sorted(given - _TAKES[protocol]):
        yield Problem((*loc, key), f'protocol = "{protocol}" has no use for it', f"leave {key} out")
    needs = list(_NEEDS[protocol])
    if protocol == "opcua" and connect.security != "None":
        needs += ["certificate", "key", "trust"]
    if protocol == "opcua" and (connect.user is None) != (connect.password_file is None):
        needs.append("password_file" if connect.password_file is None else "user")
    if protocol == "opcua" and (connect.user_certificate is None) != (connect.user_key is None):
        needs.append("user_key" if connect.user_key is None else "user_certificate")
    for key in needs:
        if getattr(connect, key) is None:
            yield Problem((*loc, key), "is missing", f"add {key} = {_EXAMPLES[key]}")
    if connect.user is not None and connect.user_certificate is not None:
        yield Problem((*loc, "user_certificate"), "there is a user with a password already", "take one of the two")
    if protocol == "opcua" and connect.security == "None":
        if connect.user is not None:
            yield Problem((*loc, "user"), "a password must not travel unencrypted", 'write security = "SignAndEncrypt"')
        for key in sorted((_PAPERS | {"user_certificate", "user_key"}) & given):
            yield Problem((*loc, key), 'security = "None" has no use for it', f"leave {key} out")


def _place(here: Loc, tag: TagTable, protocol: str) -> Iterator[Problem]:
    if protocol.startswith("modbus") and tag.modbus is None:
        mend = 'add modbus = { table = "holding_register", address = ... }'
        yield Problem((*here, "modbus"), "is missing", mend)
    if protocol == "s7" and not tag.s7:
        yield Problem((*here, "s7"), "is missing", 'add s7 = "DB1.DBD0", the address in the PLC')
    if protocol != "s7" and tag.s7:
        yield Problem((*here, "s7"), f'protocol = "{protocol}" has no use for it', "leave s7 out")
    if tag.modbus is not None and tag.modbus.unit is not None and not protocol.startswith("modbus"):
        yield Problem((*here, "modbus", "unit"), f'protocol = "{protocol}" has no units', "leave unit out")
