"""Thousands of frames that are wrong in every way, over real sockets, at a server in a process of its own."""

import random
import socket
import struct
from contextlib import closing

import pytest

from tests.fieldbus.modbus_poller import Poller
from tests.fieldbus.processes import MIB, MOST_GROWTH, SOON, Served, needs_proc, resident, served

FRAMES, MANY = 2_000, 20_000
BURST = 10
"""Frames that are sent one behind the other, on average."""
FUNCTIONS = (1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43)


def malformed(chance: random.Random, transaction: int) -> tuple[bytes, bool]:
    """A frame that is wrong somewhere, and whether it must be answered."""
    function, protocol = chance.choice(FUNCTIONS), 0
    words = [
        chance.choice((0, 1, 2, 5, 19, 125, 126, 2000, 0x7FFF, 0xFF00, 0xFFFF)) for _ in range(chance.randrange(7))
    ]
    data = b"".join(word.to_bytes(2, "big") for word in words)
    match chance.randrange(6):
        case 0:  # noise behind a good header
            data = chance.randbytes(chance.randrange(253))
        case 1:  # a function that is not there
            function = chance.randrange(256)
        case 2:  # another protocol
            protocol = chance.randrange(1, 0x10000)
        case 3:  # more or fewer bytes than the function has
            data += chance.randbytes(chance.randrange(1, 200))
        case 4:  # a byte count that belongs to another quantity
            data = data[:8] + bytes((chance.randrange(256),)) + chance.randbytes(chance.randrange(100))
        case _:  # quantities and addresses beyond everything
            pass
    unit = chance.choice((0, 1, 1, 1, 9, 255))
    return struct.pack(">HHHBB", transaction, protocol, len(data) + 2, unit, function) + data, protocol == 0


def breaking(chance: random.Random) -> bytes:
    """A chunk behind which no frame can be found for certain."""
    transaction = chance.randrange(0x10000)
    match chance.randrange(4):
        case 0:  # noise
            return chance.randbytes(chance.randrange(1, 5000))
        case 1:  # a length that cannot be
            return struct.pack(">HHHB", transaction, 0, chance.choice((0, 1, 255, 0x7FFF, 0xFFFF)), 1) + bytes(300)
        case 2:  # a length that is not so
            return struct.pack(">HHHBB", transaction, 0, chance.randrange(2, 254), 1, 3) + chance.randbytes(600)
        case _:  # cut off
            whole, _ = malformed(chance, transaction)
            return whole[: chance.randrange(1, len(whole))]


def transactions(answers: bytes) -> list[int]:
    """The transactions of these answers, of which the last one may be cut off; fails for what is no answer."""
    found = []
    at = 0
    while len(answers) - at >= 9:
        transaction, protocol, length = struct.unpack_from(">HHH", answers, at)
        assert protocol == 0
        assert 3 <= length <= 254
        found.append(transaction)
        at += 6 + length
    return found


def send(port: int, burst: bytes, valid: Poller) -> bytes:
    """All that is answered to a burst on a connection of its own; the valid client polls while it is on its way."""
    answers = b""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
        try:
            connection.sendall(burst)
            valid.poll()
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(1 << 16):
                answers += more
        except TimeoutError:
            raise
        except OSError:
            pass  # the server ended the connection with bytes of this side unread, as it does for a wrong length
    return answers


@needs_proc
@pytest.mark.parametrize("frames", [FRAMES, pytest.param(MANY, marks=pytest.mark.long)])
def test_malformed_frames_neither_crash_nor_hang_nor_fill_the_server(frames: int) -> None:
    with served("serve_modbus.py", "cell") as server:
        _fuzz(server, frames)


def _fuzz(server: Served, least: int) -> None:
    chance = random.Random(20_000)
    valid = Poller(server.port)
    valid.poll()
    start = resident(server.pid)
    sent = 0
    while sent < least:
        frames = [malformed(chance, transaction) for transaction in range(chance.randrange(2 * BURST))]
        burst, due = b"".join(raw for raw, _ in frames), [at for at, (_, answered) in enumerate(frames) if answered]
        # What is wrong inside a frame is answered, each once and in order; without a break nothing comes behind it.
        assert transactions(send(server.port, burst, valid)) == due
        transactions(send(server.port, burst + breaking(chance), valid))
        transactions(send(server.port, breaking(chance), valid))
        sent += 2 * len(frames) + 2
    # Some of the frames are writes that fit; the PLC goes on.
    first = valid.scan
    while valid.scan == first:
        valid.poll()
    late = Poller(server.port)
    late.poll()
    late.close()
    valid.close()
    grown = resident(server.pid) - start
    print(f"{sent} frames: {grown / MIB:.1f} MiB more; slowest of {valid.polls} answers {valid.slowest:.3f} s")
    assert grown <= MOST_GROWTH
    assert valid.slowest < SOON
