"""Idle connections: `flood.py PORT COUNT HEX` makes them, each says the bytes HEX, and holds them until its input ends.

It prints "connected" once all are made. A server may close them as it likes.
"""

import resource
import socket
import sys

SPARE = 64
"""Files that the process has open beside its connections."""


def main(port: int, count: int, said: bytes) -> None:
    """Hold the connections."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + SPARE, most))
    held = []
    for _ in range(count):
        held.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        try:
            held[-1].sendall(said)
        except ConnectionError:
            continue
    print("connected", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
