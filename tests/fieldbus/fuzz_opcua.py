"""Malformed OPC UA chunks over sockets: `fuzz_opcua.py PORT COUNT SEED [OPN]`. Ends with 0 once COUNT chunks are sent.

OPN: a file with the opening of an encrypted channel, as the server takes it; some of the chunks come of it.
It knows the protocol by itself, standard library only. A server may answer or hang up as it likes.
"""

import random
import socket
import struct
import sys
from pathlib import Path

HELLO = struct.pack("<4s6Ii", b"HELF", 32, 0, 65535, 65535, 0, 0, -1)
_POLICY = b"http://opcfoundation.org/UA/SecurityPolicy#None"
_NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
STRANGERS_ASK = (461, 467, 428, 422, 435, 452)
"""CreateSession, ActivateSession, GetEndpoints, FindServers, RegisterServer, CloseSecureChannel."""
CLIENTS_ASK = (631, 527, 533, 554, 712, 787, 793, 751, 763, 826, 832, 847, 664, 769, 473, 488, 494)
"""Read, Browse, BrowseNext, Translate, Call, subscriptions, monitored items, publish, history, nodes."""


def header(token: bytes = b"\0\0") -> bytes:
    return token + struct.pack("<qIIiI", 0, 1, 0, -1, 1000) + b"\0\0\0"


def opening() -> bytes:
    body = struct.pack("<BBH", 1, 0, 446) + header() + struct.pack("<IIIiI", 0, 0, 1, -1, 60_000)
    head = struct.pack("<i", len(_POLICY)) + _POLICY + struct.pack("<iiII", -1, -1, 1, 1)
    return struct.pack("<4sII", b"OPNF", 12 + len(head) + len(body), 0) + head + body


class Channel:
    """A connection with an open secure channel; with `session`, an activated one as well."""

    def __init__(self, port: int, session: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.token = b"\0\0"
        self.channel = 0
        self.sequence = 1
        self.socket.sendall(HELLO)
        self.receive()
        self.socket.sendall(opening())
        self.channel = int.from_bytes(self.receive()[8:12], "little")
        if session:
            create = struct.pack("<iiBIiii", -1, -1, 0, 0, -1, -1, -1) + struct.pack("<iiiiidI", *[-1] * 5, 6e4, 0)
            answer = self.ask(461, create)[24 + 4 + 24 :]
            self.token = answer[{0: 2, 1: 4}[answer[0]] :][: 1 + 2 + 4 + 32]
            self.ask(467, struct.pack("<iiii", -1, -1, -1, -1) + b"\0\0\0" + struct.pack("<ii", -1, -1))

    def receive(self) -> bytes:
        """One message; raises ConnectionError where the server hangs up."""
        data = b""
        while len(data) < 8 or len(data) < int.from_bytes(data[4:8], "little"):
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError
            data += more
        if data[:3] == b"ERR":
            raise ConnectionResetError
        return data

    def send(self, service: int, body: bytes, final: bytes = b"F") -> None:
        self.sequence += 1
        body = struct.pack("<BBH", 1, 0, service) + header(self.token) + body
        head = struct.pack("<3scIIIII", b"MSG", final, 24 + len(body), self.channel, 13, self.sequence, 1)
        self.socket.sendall(head + body)

    def ask(self, service: int, body: bytes) -> bytes:
        self.send(service, body)
        return self.receive()


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place : place + 4] = struct.pack("<I", rng.choice(_NUMBERS))
            case 2:
                del changed[place : place + rng.randint(1, 8)]
            case _:
                changed[place:place] = rng.randbytes(rng.randint(1, 8))
        if not changed:
            return b"\0"
    return bytes(changed)


def arguments(rng: random.Random) -> bytes:
    """Looks like parameters: lengths that lie, counts, bytes."""
    return b"".join(
        struct.pack("<I", rng.choice(_NUMBERS)) if rng.random() < 0.6 else rng.randbytes(rng.randint(1, 9))
        for _ in range(rng.randint(0, 12))
    )


def without_answers(rng: random.Random, secured: bytes) -> bytes:
    """What a stranger sends blindly."""
    match rng.randrange(5 if secured else 4):
        case 0:
            return rng.randbytes(rng.randint(1, 200))
        case 1:
            return mutated(rng, HELLO)
        case 2:
            kind = rng.choice((b"HEL", b"OPN", b"MSG", b"CLO", b"ACK", b"ERR", b"RHE"))
            body = rng.randbytes(rng.randint(0, 80))
            size = rng.choice((8 + len(body), *_NUMBERS))
            return HELLO + kind + rng.choice((b"F", b"C", b"A", b"?")) + struct.pack("<I", size) + body
        case 4:
            message = mutated(rng, secured)
            size = len(message) if rng.random() < 0.8 else rng.choice(_NUMBERS)
            return HELLO + b"OPNF" + struct.pack("<I", size) + message[8:]
        case _:
            return HELLO + mutated(rng, opening())


def talk(rng: random.Random, port: int, session: bool, left: int) -> int:
    """Malformed requests on one channel until the server hangs up; returns how many were sent."""
    sent = 0
    channel = Channel(port, session)
    asked = STRANGERS_ASK if not session or rng.random() < 0.1 else CLIENTS_ASK
    try:
        while sent < min(left, 40):
            channel.send(rng.choice(asked), arguments(rng), rng.choice((b"F", b"F", b"F", b"F", b"F", b"C", b"A")))
            sent += 1
            if sent % 8 == 0:
                channel.socket.settimeout(0.001)
                try:
                    while channel.socket.recv(65536):
                        pass
                except TimeoutError:
                    channel.socket.settimeout(10)
    except ConnectionError:
        pass
    channel.socket.close()
    return max(sent, 1)


def run(port: int, count: int, seed: int, secured: bytes = b"") -> None:
    rng = random.Random(seed)  # the same chunks every time
    sent = 0
    while sent < count:
        kind = rng.random()
        try:
            if kind < 0.03:
                sent += talk(rng, port, kind < 0.02, count - sent)
                continue
            with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
                sent += 1
                one.sendall(without_answers(rng, secured))
                if kind < 0.1:
                    one.shutdown(socket.SHUT_WR)
                    one.recv(1)
        except ConnectionRefusedError:
            raise  # the server is gone
        except ConnectionError:
            continue
    print(sent, flush=True)


if __name__ == "__main__":
    PORT, COUNT, SEED = map(int, sys.argv[1:4])
    run(PORT, COUNT, SEED, Path(sys.argv[4]).read_bytes() if sys.argv[4:] else b"")
