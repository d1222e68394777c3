"""Bench files by which the same process suite reaches the same emulated PLC, each by another way.

Where the way leads to a box on a wire, an emulated PLC stands in for it ([test] stands_in): the bench knows it as a
physical one then, by [plc.connect], and starts it for the tests.
"""

import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from testbed.core.clock import SystemClock
from testbed.core.tags import DataType
from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.certificates import keep_certificate
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text

SCALE = 10.0
"""Seconds of the plant in one of the wall: a scan each 10 ms, which every wire here can follow."""
HOST = "127.0.0.1"


def in_process(folder: Path) -> Path:
    """No wire, and virtual time."""
    return _written(folder / "bench.toml", _own(default_text()), "in-process")


def modbus(folder: Path) -> Path:
    """The bench's own Modbus TCP server."""
    return _written(folder / "bench.toml", _own(default_text()), "modbus")


def modbus_tls(folder: Path) -> Path:
    """The bench's own Modbus/TCP Security server, with certificates on both sides."""
    text = _own(default_text().replace("[plc.opcua]\n", "[plc.tls]\nenabled = true\nport = 5802\n\n[plc.opcua]\n"))
    return _written(folder / "bench.toml", text, "modbus-tls")


def modbus_rtu(folder: Path) -> Path:
    """A serial line between two pseudo-terminals; whoever runs the suite holds it up.

    Each request waits for silence on the line, so the tags stand close together: two requests read all of a scan before
    it ends.
    """
    near, far = (folder / "line").read_text(encoding="utf-8").split()
    line = f'[plc.serial]\ndevice = "{far}"\nother_end = "{near}"\nbaud = 115200\nparity = "N"\n\n[plc.opcua]\n'
    text = default_text().replace("[plc.opcua]\n", line)
    text = _moved(text, "input_register", "holding_register", 20)
    text = _moved(text, "discrete_input", "coil", 4)
    return _written(folder / "bench.toml", _own(text), "modbus-rtu")


def _moved(text: str, table: str, into: str, by: int) -> str:
    """All tags of one Modbus table in another one, `by` addresses further up."""

    def moved(found: re.Match[str]) -> str:
        return f'table = "{into}", address = {int(found[1]) + by}'

    return re.sub(rf'table = "{table}", address = (\d+)', moved, text)


def opcua_own(folder: Path) -> Path:
    """The bench's own OPC UA server, SignAndEncrypt and nothing else."""
    text = _own(default_text().replace("[plc.opcua]\n", '[plc.opcua]\nsecurity = "SignAndEncrypt"\n'))
    return _written(folder / "bench.toml", text, "opcua")


def opcua(folder: Path) -> Path:
    """A box by OPC UA, SignAndEncrypt, with the box's certificate as the only one that is trusted."""
    box = _box(folder)
    server, secret = (
        folder / "box" / ".testbed" / "plc" / "opcua.der",
        folder / "box" / ".testbed" / "plc" / "opcua.pem",
    )
    server.parent.mkdir(parents=True, mode=0o700)
    _certificate(server, secret, APPLICATION_URI)
    _certificate(folder / "client.der", folder / "client.pem", "urn:attestbed:tests")
    connect = f"""\
protocol = "opcua"
host = "{HOST}"
port = {_port(box, "plc.opcua")}
path = "attestbed"
namespace = "urn:attestbed:cell"
certificate = "client.der"
key = "client.pem"
trust = "box/.testbed/plc/opcua.der"
"""
    return _written(folder / "bench.toml", _physical(connect), "device", "box/bench.toml")


def modbus_device(folder: Path) -> Path:
    """A box by Modbus TCP, without servers of the bench."""
    return _written(folder / "bench.toml", _physical(_to_box(_box(folder))), "device", "box/bench.toml")


def bridge(folder: Path) -> Path:
    """A box by Modbus TCP, which the bench shows on a Modbus TCP server of its own."""
    text = _physical(_to_box(_box(folder)), "bridge = true\n")
    text = text.replace("[safety]\n", '[safety]\npolicy = "policy.toml"\n')
    bench = _written(folder / "bench.toml", text, "modbus", "box/bench.toml")
    rules = [
        f'[[allow]]\ntag = "{tag.name}"\n' + ("" if tag.type is DataType.BOOL else f"range = [{tag.low}, {tag.high}]\n")
        for tag in load_bench(None).tags
        if tag.writable
    ]
    (folder / "policy.toml").write_text("\n".join(rules), encoding="utf-8")
    return bench


TRANSPORTS: dict[str, Callable[[Path], Path]] = {
    "in process": in_process,
    "modbus tcp": modbus,
    "modbus tcp, to a box": modbus_device,
    "modbus/tcp security": modbus_tls,
    "modbus rtu, a pty pair": modbus_rtu,
    "opc ua, signed and encrypted": opcua_own,
    "the same, to a box": opcua,
    "through the bridge": bridge,
}
"""Each makes its bench in an empty folder, and gives the bench file."""


def _own(text: str) -> str:
    """The bench file with ports that nobody uses now."""
    with ExitStack() as stack:
        for key in re.findall(r"^port = \d+", text, flags=re.MULTILINE):
            free = stack.enter_context(socket.socket())  # all at once, so that no two are the same
            free.bind((HOST, 0))
            text = text.replace(key, f"port = {free.getsockname()[1]}", 1)
    return text


def _box(folder: Path) -> Path:
    path = folder / "box" / "bench.toml"
    path.parent.mkdir()
    return _written(path, _own(default_text()), "modbus")


def _to_box(box: Path) -> str:
    return f'protocol = "modbus-tcp"\nhost = "{HOST}"\nport = {_port(box, "plc.modbus")}\n'


def _physical(connect: str, more: str = "") -> str:
    """The water cell as a box on a wire."""
    text = _own(default_text())
    if not more:
        text = re.sub(r'^protocol = "(modbus|opcua)"$', 'protocol = "device"', text, flags=re.MULTILINE)
    text = text.replace('kind = "emulated" ', f'kind = "physical"\n{more}#', 1)
    text = text.replace('program = "water-cell"\n', "", 1)
    return text.replace("[plc.modbus]\n", f"[plc.connect]\n{connect}\n[plc.modbus]\n", 1)


def _written(path: Path, text: str, by: str, stands_in: str = "") -> Path:
    table = f'\n[test]\nby = "{by}"\ntime_scale = {SCALE}\nstands_in = "{stands_in}"\n'
    path.write_text(text + table, encoding="utf-8")
    return path


def _port(path: Path, table: str) -> int:
    found = re.search(rf"^\[{re.escape(table)}\]\n(?:(?!\[).*\n)*?port = (\d+)", path.read_text(), flags=re.MULTILINE)
    if found is None:
        raise AssertionError(f"no port under [{table}] of {path}")
    return int(found.group(1))


def _certificate(certificate: Path, key: Path, uri: str) -> None:
    hosts, now_ns = ("localhost", HOST), SystemClock().now_ns()
    keep_certificate(certificate, key, name="tests", uri=uri, hosts=hosts, now_ns=now_ns)
