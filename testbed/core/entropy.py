"""Salts, keys and noise come from an injected source: the operating system's, or a seeded one under a virtual clock."""

import hashlib
import secrets
from typing import Protocol


class Entropy(Protocol):
    """Where unpredictable bytes come from."""

    def take(self, count: int) -> bytes:
        """`count` fresh bytes."""
        ...


class SystemEntropy:
    """The operating system's generator."""

    def take(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class SeededEntropy:
    """SHA-256 in counter mode over a seed and a label: the same stream every time. For simulated benches only."""

    def __init__(self, seed: int, label: str) -> None:
        self._key = hashlib.sha256(f"{seed}\n{label}".encode()).digest()
        self._counter = 0
        self._pool = b""

    def take(self, count: int) -> bytes:
        while len(self._pool) < count:
            self._pool += hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        taken, self._pool = self._pool[:count], self._pool[count:]
        return taken
