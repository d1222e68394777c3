"""What can be typed behind `testbed scan`."""

import argparse
from pathlib import Path
from typing import Any

_EPILOG = """\
tables of --addresses: holding_register, input_register, coil, discrete_input
Without --addresses the search begins where makers let their maps begin, and goes on from each address that can be read.
An OPC UA server is browsed as it lets anybody in; --certificate, --key and --trust ask for SignAndEncrypt.
Exit 0 where something answered, 3 where nothing did.
"""
SCAN: dict[str, Any] = {
    "description": "Finds which units of a device answer, who they are, and what of them can be read, and drafts a\n"
    "bench file for it. Asks one thing at a time, and never writes: Modbus functions 1 to 4 and 43/14, or\n"
    "OPC UA browse and read.",
    "epilog": _EPILOG,
    "formatter_class": argparse.RawDescriptionHelpFormatter,
}
"""What its help says around the options."""


def add_scan_options(command: argparse.ArgumentParser) -> None:
    """All but --json."""
    command.add_argument("where", metavar="HOST[:PORT]", help="where it listens, or the serial device: /dev/ttyUSB0")
    command.add_argument(
        "--protocol",
        choices=("modbus-tcp", "modbus-rtu-tcp", "modbus-rtu", "opcua"),
        default="modbus-tcp",
        metavar="NAME",
        help="modbus-tcp (default), modbus-rtu-tcp, modbus-rtu (a serial line), opcua",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write the drafted profile here; must be new")
    command.add_argument("--units", metavar="LIST", help="Modbus units to ask, such as 1,2,10-20 or 1-247")
    command.add_argument(
        "--addresses",
        action="append",
        default=[],
        metavar="TABLE:FIRST-LAST",
        help="look at each of these addresses of a table, and at nothing else; may be given several times",
    )
    for name, default, what in (
        ("--requests", 2000, "ask at most so many times in all"),
        ("--timeout-ms", 1000, "wait so long for an answer"),
        ("--pause-ms", 10, "pause between two Modbus requests"),
        ("--baud", 19200, "of a serial line"),
    ):
        command.add_argument(name, type=int, default=default, metavar="N", help=f"{what} (default: {default})")
    command.add_argument("--parity", choices=("N", "E", "O"), default="E", help="of a serial line (default: E)")
    command.add_argument("--stop-bits", type=int, choices=(1, 2), default=1, help="of a serial line (default: 1)")
    for name, what in (
        ("--certificate", "this bench's certificate, PEM"),
        ("--key", "its key, PEM"),
        ("--trust", "the server's certificate, or a folder of them"),
    ):
        command.add_argument(name, type=Path, metavar="FILE", help=f"of OPC UA: {what}")
