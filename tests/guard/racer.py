"""Reserves the bench of a folder as soon as the file `go` stands in it; prints whether it got it."""

import sys
import time
from pathlib import Path

from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import LeaseError
from testbed.guard.lease import Lease, Person


def main() -> None:
    folder, user, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    (folder / f"ready-{user}").touch()
    for number in range(rounds):
        while not (folder / f"go-{number}").exists():
            time.sleep(0.001)
        try:
            Lease.reserve(folder / str(number), Person(user, "lab", 1), 10**12, SystemClock(), SystemEntropy())
        except LeaseError:
            print(number, "lost", flush=True)
        else:
            print(number, "won", flush=True)


if __name__ == "__main__":
    main()
