"""python-snap7's S7 server in another process: `serve_s7.py KIND [PORT]` prints its port and ends when its input does.

still: DB1 with 400 bytes, DB2 with 10, DB3 with 100, and 32 of inputs, outputs and memory; zero until they are written.
counting: DB1 with a 32-bit counter and 300 more numbers that all equal it; it goes on each 5 ms.
closed: still, but nobody is allowed to read or write, as where PUT/GET is not permitted.
"""

import logging
import struct
import sys
import threading
from typing import Any

from snap7.server import Server
from snap7.type import SrvArea

NUMBERS = 300
SCAN_S = 0.005
BIT = 1
PUT_GET_OFF = 0x8104


class Controller(Server):
    """The server as it is, but that a bit is written as a bit.

    python-snap7 3.3 puts the byte 00 or 01 in place of the whole byte in which the bit stands. No controller does so.
    """

    def _parse_address_specification(self, addr_spec: bytes) -> dict[str, Any]:
        found = super()._parse_address_specification(addr_spec)
        return {**found, "bit": addr_spec[11] & 7} if found.get("word_len") == BIT else found

    def _handle_write_area(self, request: dict[str, Any], client_address: tuple[str, int]) -> bytes:
        at = request["parameters"]["address_spec"]
        area = self.memory_areas.get((at.get("area"), at.get("db_number")))
        if "bit" in at and area is not None and at["start"] < len(area):
            rest = area[at["start"]] & ~(1 << at["bit"])
            request["data"]["data"] = bytes([rest | request["data"]["data"][0] << at["bit"]])
        return super()._handle_write_area(request, client_address)


class Closed(Controller):
    """It answers whoever connects, and refuses all else."""

    def _handle_read_area(self, request: dict[str, Any], client_address: tuple[str, int]) -> bytes:
        del client_address
        return self._build_error_response(request, PUT_GET_OFF)

    def _handle_write_area(self, request: dict[str, Any], client_address: tuple[str, int]) -> bytes:
        return self._handle_read_area(request, client_address)


def main(kind: str, port: int) -> None:
    """Serve."""
    logging.disable(logging.CRITICAL)
    server = Closed(log=False) if kind == "closed" else Controller(log=False)
    counts = kind == "counting"
    block = bytearray(4 * (NUMBERS + 1) if counts else 400)
    server.register_area(SrvArea.DB, 1, block)
    server.register_area(SrvArea.DB, 2, bytearray(10))
    server.register_area(SrvArea.DB, 3, bytearray(100))
    for area in (SrvArea.PE, SrvArea.PA, SrvArea.MK):
        server.register_area(area, 0, bytearray(32))
    server.start_to("127.0.0.1", port)
    assert server.server_socket is not None
    print(server.server_socket.getsockname()[1], flush=True)
    ended = threading.Event()

    def scan() -> None:
        lock = next(lock for (_, db), lock in server.area_locks.items() if db == 1)
        number = 0
        while not ended.wait(SCAN_S):
            number += 1
            with lock:
                block[:] = struct.pack(">I", number) * (NUMBERS + 1)

    scanning = threading.Thread(target=scan, daemon=True)
    if counts:
        scanning.start()
    sys.stdin.read()
    ended.set()
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
