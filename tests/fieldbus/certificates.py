"""Certificates for the tests of TLS. The keys are made once in a process: that takes a while."""

import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

from testbed.keys.certificates import keep_certificate

_KEPT = tempfile.TemporaryDirectory(prefix="certificates-")


def certified(folder: Path, name: str, role: str = "") -> tuple[Path, Path]:
    """`name`.pem and `name`.key in the folder: certificate and key of an application of this machine."""
    certificate, key = _made(name, role)
    return Path(shutil.copy(certificate, folder)), Path(shutil.copy(key, folder))


@cache
def _made(name: str, role: str) -> tuple[Path, Path]:
    folder = Path(tempfile.mkdtemp(dir=_KEPT.name))
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    hosts = ("127.0.0.1", "localhost")
    keep_certificate(
        certificate, key, name=name, uri=f"urn:attestbed:{name}", hosts=hosts, now_ns=time.time_ns(), role=role
    )
    return certificate, key
