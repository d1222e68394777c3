"""Whether there is a way to a device: its name resolves or its file can be opened, and its port answers."""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from testbed.core.errors import DeviceError

DEFAULT_PORTS = {"modbus-tcp": 502, "modbus-rtu-tcp": 502, "modbus-tls": 802, "opcua": 4840, "s7": 102}


async def resolve(host: str) -> str:
    """The address that `host` stands for. Raises DeviceError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeviceError(
            f"{host}: no such name: {error.strerror or error}",
            "correct plc.connect.host, or write the device's address in digits",
        ) from None
    address = str(found[0][4][0])
    return address if address == host else f"{host} is {address}"


def look_at_file(device: str) -> str:
    """A serial device that can be opened. Raises DeviceError."""
    path = Path(device)
    try:
        mode = path.stat().st_mode
    except OSError:
        there = sorted(str(one) for one in Path("/dev").glob("tty[UA][SC][BM]*"))
        others = f"; there is {', '.join(there)}" if there else "; /dev/serial/by-id names what is plugged in"
        raise DeviceError(f"{device}: there is no such device", f"plug the adapter in{others}") from None
    if not stat.S_ISCHR(mode):
        raise DeviceError(f"{device}: not a serial device", "name one in plc.connect.device, such as /dev/ttyUSB0")
    if not os.access(path, os.R_OK | os.W_OK):
        mend = "join the group that owns it, mostly: sudo usermod -aG dialout $USER; then log in again"
        raise DeviceError(f"{device}: you may not read and write it", mend)
    return f"{device} may be opened"


async def knock(host: str, port: int, patience: float) -> str:
    """A port that somebody listens at. patience: s. Raises DeviceError that says why nobody does."""
    place = f"{host}:{port}"
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        mend = "is it switched on, and on this network? A firewall that drops what it does not like looks the same"
        raise DeviceError(f"{place}: no answer within {patience:g} s", mend) from None
    except ConnectionRefusedError:
        mend = "switch the device's server for this protocol on, or correct plc.connect.port"
        raise DeviceError(f"{place}: the device is there, and nobody listens at this port", mend) from None
    except OSError as error:
        mend = "look at cable, switch and netmask: this machine has no way there"
        raise DeviceError(f"{place}: {error.strerror or error}", mend) from None
    writer.close()
    with suppress(OSError):  # it hung up first, which is fine
        await writer.wait_closed()
    return f"{place} answers"
