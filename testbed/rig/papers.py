"""Certificates of the bench's own servers and of the bench as their client: made once, then kept."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.core.clock import SystemClock
from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.certificates import keep_certificate
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths

CLIENT_URI = "urn:attestbed:bench"
"""What the bench calls itself where it is a client."""
OPERATOR = "operator"
"""The role of that client: it may write."""


def keep_papers(bench: Bench) -> None:
    """Make what is missing: for OPC UA, and where the bench file asks for secured servers for those as well.

    Clients know a server by its certificate, so it stays. Making an RSA key may take a second. Raises UsageError where
    what stands there does not serve.
    """
    paths, plc = Paths(bench.data), bench.plc
    now_ns = SystemClock().now_ns()
    with _alone(paths.role_folder("plc")):
        keep_certificate(
            paths.plc_certificate,
            paths.plc_certificate_key,
            name="Attestbed PLC",
            uri=APPLICATION_URI,
            hosts=("localhost", "127.0.0.1", plc.opcua.host),
            now_ns=now_ns,
        )
        if plc.tls.enabled:
            keep_certificate(
                paths.tls_certificate,
                paths.tls_key,
                name="Attestbed PLC",
                uri=APPLICATION_URI,
                hosts=("localhost", "127.0.0.1", plc.tls.host),
                now_ns=now_ns,
            )
        if plc.tls.enabled or plc.opcua.security != "None":
            paths.clients.mkdir(exist_ok=True)
            keep_certificate(
                paths.client_certificate,
                paths.client_key,
                name="Attestbed bench",
                uri=CLIENT_URI,
                hosts=("localhost",),
                now_ns=now_ns,
                role=OPERATOR,
            )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The PLC and those who read it start at the same time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
