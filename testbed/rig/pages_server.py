"""A small web server beside a running bench: threads of its own, and bounds on what its clients can take."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

_MOST_CLIENTS = 16
_PATIENCE_S = 10.0
_LONGEST_S = 60.0

_Request: TypeAlias = Any  # a socket, whose type the libraries' stubs disagree about
Application = Callable[..., Iterable[bytes]]
"""As WSGI has it (PEP 3333)."""


class PagesServer(socketserver.ThreadingMixIn, WSGIServer):
    """Serves a WSGI application from `with` on until its end. Raises OSError where the port is taken.

    More than 16 clients at once are turned away, and one that is silent for 10 s, or takes 60 s in all, is left: a
    bench that is looked at must not run out of threads or descriptors.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        application: Application,
        patience_s: float = _PATIENCE_S,
        longest_s: float = _LONGEST_S,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._patience_s = patience_s
        self._longest_s = longest_s
        self._ends: dict[_Request, float] = {}
        self._places = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__((host, port), _Handler)
        self.set_app(application)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def server_bind(self) -> None:
        # Not HTTPServer's own, which asks the name service who we are, and that may take its time.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def __enter__(self) -> "PagesServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: _Request, client_address: object) -> None:
        request.settimeout(self._patience_s)
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._ends[request] = time.monotonic() + self._longest_s
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had
            self._ends.pop(request, None)
            self._places.release()
            raise

    def process_request_thread(self, request: _Request, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ends.pop(request, None)
            self._places.release()

    def service_actions(self) -> None:
        """Between two requests, and each 0.1 s: hang up on those that have taken too long."""
        now = time.monotonic()
        for request, end in list(self._ends.items()):
            if now > end:
                with suppress(OSError):  # it has ended just now
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: _Request, client_address: object) -> None:
        """A client that left amid its answer is none of our affair."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        """No line for each request."""
