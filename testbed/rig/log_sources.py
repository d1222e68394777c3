"""Where a witness and an auditor read a log: its folder on this machine, or a log server elsewhere."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from testbed.core.errors import UsageError
from testbed.rig.log_folder import CHECKPOINT, LogFolder
from testbed.witness.follower import Source, Unread

_TIMEOUT_S = 5.0
_BUDGET_S = 60.0
"""How long one look at a log may take, from its checkpoint to the next one."""
_PIECE = 1 << 16
_GONE = (404, 410)


class FolderSource:
    """A log in the folder that its publisher writes."""

    def __init__(self, folder: Path) -> None:
        self._log = LogFolder(folder)

    def read(self, name: str, most: int) -> bytes | None:
        try:
            data = self._log.read(name)
        except OSError as error:
            raise Unread(f"{error.filename}: {error.strerror}") from error
        if data is not None and len(data) > most:
            raise Unread(f"{self._log.folder / name}: more than {most} bytes")
        return data


class HttpSource:
    """A log on a server, below a prefix such as "http://lab-host:8090/water-cell/gateway". Redirects are not followed.

    timeout_s: for each piece of an answer; budget_s: from one checkpoint to the next, so that nobody who sends drop by
    drop holds a witness up.
    """

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S, budget_s: float = _BUDGET_S) -> None:
        self.url = url.rstrip("/")
        self._parts = _checked(self.url)
        self._timeout_s = timeout_s
        self._budget_s = budget_s
        self._deadline = 0.0
        self._connection: http.client.HTTPConnection | None = None

    def read(self, name: str, most: int) -> bytes | None:
        if name == CHECKPOINT or not self._deadline:
            self._deadline = time.monotonic() + self._budget_s
        # Against one that sends a head letter by letter: each of them is in time.
        watchdog = threading.Timer(max(0.0, self._deadline - time.monotonic()), self._hang_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._get(name, most)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            what = str(error) or type(error).__name__
            raise Unread(f"{self.url}/{name}: {what}") from error
        except Unread:
            self.close()
            raise
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """Let go of the connection; the next reading makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hang_up(self) -> None:
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _get(self, name: str, most: int) -> bytes | None:
        if self._connection is None:
            self._connection = self._connect()
        path = f"{quote(self._parts.path)}/{name}"
        self._connection.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "attestbed"})
        response = self._connection.getresponse()
        data = b""
        while len(data) <= most and (piece := response.read1(_PIECE)):
            data += piece
            self._check_time()
        self._check_time()
        if len(data) > most:
            raise Unread(f"{self.url}/{name}: more than {most} bytes")
        response.close()
        if response.status in _GONE:
            return None
        if response.status != http.client.OK:
            raise Unread(f"{self.url}/{name}: the server answers {response.status} {response.reason}")
        promised = response.getheader("Content-Length")
        if promised is not None and promised != str(len(data)):
            raise Unread(f"{self.url}/{name}: the answer is cut off")
        return data

    def _check_time(self) -> None:
        """What ended because nobody waits any longer looks like an answer that is whole."""
        if time.monotonic() >= self._deadline:
            raise Unread(f"{self.url}: it takes longer than {self._budget_s:g} s")

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


def is_url(place: str) -> bool:
    """Whether it is a server, and no folder."""
    return place.startswith(("http://", "https://"))


def source_at(place: str, origin: str) -> Source:
    """A log below a place: a server's prefix or a folder, in which each log stands under its own name."""
    return HttpSource(f"{place.rstrip('/')}/{origin}") if is_url(place) else FolderSource(Path(place) / origin)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is none
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query:
            return parts
    except ValueError:
        pass
    raise UsageError(f"{url} is no address of a log server", 'write it as "http://host:port" or "https://host/prefix"')
