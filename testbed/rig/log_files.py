"""Logs as static files over HTTP, so that any client of C2SP tlog-tiles can read them; as WSGI has it (PEP 3333)."""

import gzip
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from testbed.core.errors import TestbedError

_LOG = logging.getLogger("testbed.serve")
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
_ENTRIES = "tile/entries/"
_REFUSED = re.compile(r"q=0(\.0{0,3})?")
"""A weight that says "not this one" (RFC 9110, section 12.4.2)."""

Environment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Shown(Protocol):
    """Something that has files by name, None where there is no such file."""

    def read(self, name: str) -> bytes | None: ...


class LogFiles:
    """The application. shown: what stands below each prefix, such as "water-cell/gateway".

    Nothing but the files that a log has can be named: a path is taken apart, never joined to a folder as it came.
    """

    def __init__(self, shown: Mapping[str, Shown]) -> None:
        self._shown = shown

    def __call__(self, environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return respond(environ, start_response, 405, b"GET or HEAD\n", _TEXT, [("Allow", "GET, HEAD")])
        path = str(environ.get("PATH_INFO", "")).removeprefix("/")
        if path == "":
            listed = "".join(f"{prefix}/\n" for prefix in self._shown)
            return respond(environ, start_response, 200, listed.encode(), _TEXT, [_brief()])
        try:
            found = self._find(path)
        except (OSError, TestbedError) as error:
            _LOG.warning("%s cannot be served: %s", path, error)
            return respond(environ, start_response, 500, b"cannot be read just now\n", _TEXT, [_brief()])
        if found is None:
            return respond(environ, start_response, 404, b"there is no such file\n", _TEXT, [_brief()])
        name, data = found
        if not name.startswith("tile/"):
            return respond(environ, start_response, 200, data, _TEXT, [_brief()])
        headers = [("Cache-Control", "public, max-age=31536000, immutable")]
        if name.startswith(_ENTRIES):
            headers.append(("Vary", "Accept-Encoding"))
            if _takes_gzip(environ):
                headers.append(("Content-Encoding", "gzip"))
                data = gzip.compress(data, mtime=0)
        return respond(environ, start_response, 200, data, _BYTES, headers)

    def _find(self, path: str) -> tuple[str, bytes] | None:
        for prefix, shown in self._shown.items():
            if path.startswith(f"{prefix}/"):
                name = path.removeprefix(f"{prefix}/")
                data = shown.read(name)
                return None if data is None else (name, data)
        return None


def respond(
    environ: Environment,
    start_response: StartResponse,
    status: int,
    body: bytes,
    content_type: str,
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Begin the response, and give the body unless only the head was asked for."""
    head = [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*head, ("X-Content-Type-Options", "nosniff")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _brief() -> tuple[str, str]:
    """A checkpoint changes; what is not there yet may come (C2SP tlog-tiles, "Checkpoints")."""
    return ("Cache-Control", "max-age=1")


def _takes_gzip(environ: Environment) -> bool:
    for part in str(environ.get("HTTP_ACCEPT_ENCODING", "")).lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";")
        if coding == "gzip":
            return not _REFUSED.fullmatch(weight)
    return False
