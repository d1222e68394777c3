"""A serial line between two pseudo-terminals, for who opens either end by its path. It has no line time."""

import os
import selectors
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Spoil = Callable[[bytes], bytes]
"""What becomes of bytes on their way."""


@dataclass(frozen=True, slots=True)
class Cable:
    """near, far: paths of the two ends; both may be opened, closed and opened again."""

    near: str
    far: str


def _as_they_are(data: bytes) -> bytes:
    return data


@contextmanager
def cable(to_far: Spoil = _as_they_are, to_near: Spoil = _as_they_are) -> Iterator[Cable]:
    """Two ends, and a thread that carries bytes from one to the other, as `to_far` and `to_near` let them pass."""
    near_inner, near = os.openpty()
    far_inner, far = os.openpty()
    stop_read, stop = os.pipe()
    for end in (near, far):  # held open here, so that an end may be closed and opened again
        tty.setraw(end)

    def carry() -> None:
        ways = {near_inner: (far_inner, to_far), far_inner: (near_inner, to_near)}
        with selectors.DefaultSelector() as selector:
            for end in (*ways, stop_read):
                selector.register(end, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if stop_read in ready:
                    return
                for end in ready:
                    to, spoil = ways[end]
                    if data := spoil(os.read(end, 4096)):
                        os.write(to, data)

    carrier = threading.Thread(target=carry, name="cable")
    carrier.start()
    try:
        yield Cable(os.ttyname(near), os.ttyname(far))
    finally:
        os.write(stop, b".")
        carrier.join()
        for end in (near_inner, near, far_inner, far, stop_read, stop):
            os.close(end)
