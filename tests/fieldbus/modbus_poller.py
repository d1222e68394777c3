"""A Modbus client of a few lines that polls the water cell and must always be answered."""

import socket
import struct
import time


class Poller:
    """scan: the counter of the last scan that it saw; slowest: the longest wait for an answer, s."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._transaction = 0
        self.scan = -1
        self.polls = 0
        self.slowest = 0.0

    def poll(self) -> None:
        """Read the inputs of the cell; its scan counter never goes back."""
        asked = time.monotonic()
        self._transaction = (self._transaction + 1) & 0xFFFF
        self._socket.sendall(struct.pack(">HHHBBHH", self._transaction, 0, 6, 1, 4, 0, 20))
        answer = b""
        while len(answer) < 49:
            more = self._socket.recv(49 - len(answer))
            assert more
            answer += more
        self.slowest = max(self.slowest, time.monotonic() - asked)
        self.polls += 1
        assert answer[:9] == struct.pack(">HHHBBB", self._transaction, 0, 43, 1, 4, 40)
        scan = int.from_bytes(answer[9:13], "big")
        assert scan >= self.scan
        self.scan = scan

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
