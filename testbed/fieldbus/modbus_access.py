"""Who may come in and who may write, where a Modbus server speaks TLS (MODBUS/TCP Security Protocol Specification).

Every client shows a certificate that the server trusts. The role in it decides: reading is free to all of them, and
writing to the roles that are named here. A client without a role has the role "" (section 8.4), which is not named.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import InvalidData
from testbed.fieldbus.modbus_transports import secure

WRITES = frozenset((5, 6, 15, 16, 22, 23))
"""Functions that change something. Who may not is told 01, as if there was no such function (section 8.4)."""


@dataclass(frozen=True, slots=True)
class Access:
    """certificate, key: PEM files of the server; trust: certificates of its clients, a PEM file or a folder of them.

    role_of: the role in a certificate (DER); it raises InvalidData where that is malformed; writers: roles that may
    write.
    """

    certificate: Path
    key: Path
    trust: Path
    role_of: Callable[[bytes], str]
    writers: frozenset[str] = frozenset(("operator", "engineer"))

    def context(self) -> ssl.SSLContext:
        """Raises UsageError for files that do not serve."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure(context, self.certificate, self.key, self.trust)
        return context

    def may_write(self, client: bytes | None) -> bool:
        """Whether the owner of this certificate (DER) may."""
        if client is None:
            return False
        try:
            return self.role_of(client) in self.writers
        except InvalidData:
            return False
