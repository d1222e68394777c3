"""Who may use a shared bench, and until when: a file in a folder that all its users share.

Whoever looks or changes holds the folder's lock for an instant, so of two who reserve at once one wins. A lease ends by
its time or by its holder, never because somebody guesses that its holder is dead.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.errors import InvalidData, LeaseError, StoreError
from testbed.store.files import write_atomic

_FILE, _LOCK = "lease.json", "lease.lock"
_ASK = "ask them to run `testbed release`, or wait until their time is over"
_TRIES = 500
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. pid: of the process that speaks for them; it says who it was, not whether they are still there."""

    user: str
    host: str
    pid: int

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as it stands in the file. Times are UTC ns since 1970; token: 16 bytes in hex, of this very lease."""

    user: str
    host: str
    pid: int
    since_ns: int
    until_ns: int
    note: str
    token: str

    @property
    def person(self) -> Person:
        return Person(self.user, self.host, self.pid)

    def is_of(self, person: Person) -> bool:
        """Whether it is that person's, in whatever process."""
        return (self.user, self.host) == (person.user, person.host)

    def facts(self) -> dict[str, str | int]:
        """For machines. The token stays between file and holder."""
        return {name: value for name, value in asdict(self).items() if name != "token"}

    def __str__(self) -> str:
        note = f": {self.note}" if self.note else ""
        times = f"since {_utc(self.since_ns)} until {_utc(self.until_ns)}"
        return f"{self.person} (process {self.pid}) {times}{note}"


class Lease:
    """A lease that this process runs under."""

    def __init__(self, folder: Path, held: Held, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.held = held

    @classmethod
    def reserve(
        cls, folder: Path, person: Person, for_ns: int, clock: Clock, entropy: Entropy, note: str = ""
    ) -> "Lease":
        """Take the bench for `for_ns`, ns. Raises LeaseError that names its holder, StoreError."""
        with _locked(folder):
            now = clock.now_ns()
            if (found := _standing(folder, now)) is not None:
                raise LeaseError(f"the bench is reserved by {found}", _ASK)
            held = Held(person.user, person.host, person.pid, now, now + for_ns, note, entropy.take(16).hex())
            _write(folder, held)
        return cls(folder, held, clock)

    @classmethod
    def join(cls, folder: Path, person: Person, clock: Clock) -> "Lease | None":
        """The lease that this person reserved before, in whatever process; None where they hold none.

        Raises StoreError.
        """
        with _locked(folder):
            found = _standing(folder, clock.now_ns())
        return cls(folder, found, clock) if found is not None and found.is_of(person) else None

    def check(self) -> None:
        """Raises LeaseError once this lease is lost or over: whatever runs under it must end."""
        now = self._clock.now_ns()
        found = _read(self._folder)
        mend = "reserve the bench again with `testbed reserve`"
        if found is None:
            raise LeaseError("the lease of this bench was released while it was in use", mend)
        if found.token != self.held.token:
            raise LeaseError(f"the bench was taken while it was in use, by {found}", mend)
        self.held = found
        if now >= found.until_ns:
            raise LeaseError(f"the lease of this bench was over at {_utc(found.until_ns)}", mend)

    def extend(self, for_ns: int) -> None:
        """Hold it `for_ns` from now, ns. Raises as `check`: what is over is not extended."""
        with _locked(self._folder):
            self.check()
            self.held = replace(self.held, until_ns=self._clock.now_ns() + for_ns)
            _write(self._folder, self.held)

    def release(self) -> None:
        """Give the bench back; nothing happens where somebody else holds it by now."""
        with _locked(self._folder):
            found = _read(self._folder)
            if found is not None and found.token == self.held.token:
                (self._folder / _FILE).unlink(missing_ok=True)


def holder(folder: Path, clock: Clock) -> Held | None:
    """Who holds the bench now; None where nobody does. Raises StoreError for a file that cannot be read."""
    found = _read(folder)
    return found if found is not None and clock.now_ns() < found.until_ns else None


def refuse_reserved(folder: Path, person: Person, clock: Clock) -> None:
    """Raises LeaseError while somebody else holds the bench: called before every command. StoreError as `holder`."""
    found = holder(folder, clock)
    if found is not None and not found.is_of(person):
        raise LeaseError(f"the bench is reserved by {found}", _ASK)


def release(folder: Path, person: Person, clock: Clock, *, force: bool = False) -> Held | None:
    """End this person's lease, or with `force` anybody's; what was ended, None where nobody held the bench.

    Raises LeaseError where somebody else holds it, StoreError.
    """
    with _locked(folder):
        try:
            found = _standing(folder, clock.now_ns())
        except StoreError:
            if not force:
                raise
            found = None
        if found is not None and not (force or found.is_of(person)):
            raise LeaseError(f"the bench is reserved by {found}", "ask them, or take it from them with --force")
        (folder / _FILE).unlink(missing_ok=True)
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets go of it however the process ends. Raises StoreError."""
    path = folder / _LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", "name a folder that you may write to") from error
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE_S)  # it is held for an instant only
        else:
            raise StoreError(f"{path} is held all the time", "end the process that holds it")
        yield
    finally:
        os.close(descriptor)


def _standing(folder: Path, now_ns: int) -> Held | None:
    found = _read(folder)
    return found if found is not None and now_ns < found.until_ns else None


def _read(folder: Path) -> Held | None:
    path = folder / _FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}", "remove it with `testbed release --force`") from error
    try:
        return _parse(text)
    except InvalidData as error:
        raise StoreError(f"{path}: {error}", "remove it with `testbed release --force`") from error


def _parse(text: str) -> Held:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"not JSON: {error}") from error
    kinds = {field.name: field.type for field in fields(Held)}
    if not isinstance(said, dict) or said.keys() != kinds.keys():
        raise InvalidData("not a lease")
    for name, value in said.items():
        if type(value) is not kinds[name] or (type(value) is int and not 0 <= value < 2**62):
            raise InvalidData(f"not a lease: {name} is {str(value)[:40]!r}")
    return Held(**said)


def _write(folder: Path, held: Held) -> None:
    write_atomic(folder / _FILE, (json.dumps(asdict(held), indent=2) + "\n").encode(), durable=True)


def _utc(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
