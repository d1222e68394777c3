"""Where a Modbus device is reached, and how its frames travel there: small values that a driver is given."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.transport import CommParams, CommType

from testbed.core.errors import UsageError

TLS_PORT = 802
"""mbap/TLS (MODBUS/TCP Security Protocol Specification, section 6)."""
_BITS_OF_A_CHARACTER = 11
"""Start bit, eight data bits, parity or a second stop bit, stop bit (MODBUS over Serial Line V1.02, 2.5.1)."""
_LEAST_SILENCE_S = 0.00175
"""Above 19200 baud the silence between two frames does not become shorter (2.5.1.1)."""
_SILENT_CHARACTERS = 3.5


class Transport(Protocol):
    """One way to a device, or to several behind it.

    shared: all units hang on one line, on which one is asked after the other; byte_s: seconds that a byte takes;
    silence: s between two frames; framer: pymodbus's for its frames.
    """

    @property
    def shared(self) -> bool: ...
    @property
    def byte_s(self) -> float: ...
    @property
    def silence(self) -> float: ...
    @property
    def framer(self) -> type[FramerSocket | FramerRTU]: ...
    def __str__(self) -> str:
        """As a person would name it."""
        ...

    def params(self, timeout: float) -> CommParams:
        """What pymodbus is to open; timeout: s. Raises UsageError where files are missing or wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Tcp:
    """Modbus/TCP."""

    host: str
    port: int = 502
    shared = False
    byte_s = 0.0
    silence = 0.0
    framer = FramerSocket

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def params(self, timeout: float) -> CommParams:
        return CommParams(comm_type=CommType.TCP, host=self.host, port=self.port, timeout_connect=timeout)


@dataclass(frozen=True, slots=True)
class RtuOverTcp:
    """RTU frames through a serial device server, which puts them on its line as they are."""

    host: str
    port: int = 502
    shared = True
    byte_s = 0.0
    silence = 0.0
    framer = FramerRTU

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def params(self, timeout: float) -> CommParams:
        return CommParams(comm_type=CommType.TCP, host=self.host, port=self.port, timeout_connect=timeout)


@dataclass(frozen=True, slots=True)
class Tls:
    """Modbus/TCP Security: the frames of Modbus/TCP over TLS 1.2 or newer, with a certificate on both sides.

    certificate, key: PEM files of this client; trust: a PEM file, or a folder of them. Where it holds an authority, the
    server's certificate must also bear the name `host`; a device's own certificate is known by itself.
    """

    host: str
    port: int
    certificate: Path
    key: Path
    trust: Path
    shared = False
    byte_s = 0.0
    silence = 0.0
    framer = FramerSocket

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def params(self, timeout: float) -> CommParams:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        secure(context, self.certificate, self.key, self.trust)
        context.check_hostname = context.cert_store_stats()["x509_ca"] > 0
        return CommParams(
            comm_type=CommType.TLS, host=self.host, port=self.port, sslctx=context, timeout_connect=timeout
        )


@dataclass(frozen=True, slots=True)
class Serial:
    """A serial line, 8 data bits. device: as "/dev/ttyUSB0"; parity: "E", "O" or "N"; stop_bits: 1 or 2.

    19200 baud and even parity are what each device on a line can (MODBUS over Serial Line V1.02, 2.4.1 and 2.5.1).
    Raises UsageError.
    """

    device: str
    baud: int = 19200
    parity: str = "E"
    stop_bits: int = 1
    shared = True
    framer = FramerRTU

    def __post_init__(self) -> None:
        if self.parity not in ("E", "O", "N") or self.stop_bits not in (1, 2) or self.baud < 1:
            raise UsageError(
                f"{self.device}: baud {self.baud}, parity {self.parity!r}, stop bits {self.stop_bits}",
                'give a baud rate above 0, parity "E", "O" or "N", and 1 or 2 stop bits',
            )

    def __str__(self) -> str:
        return self.device

    @property
    def byte_s(self) -> float:
        return _BITS_OF_A_CHARACTER / self.baud

    @property
    def silence(self) -> float:
        return max(_LEAST_SILENCE_S, _SILENT_CHARACTERS * self.byte_s)

    def params(self, timeout: float) -> CommParams:
        return CommParams(
            comm_type=CommType.SERIAL,
            host=self.device,
            baudrate=self.baud,
            bytesize=8,
            parity=self.parity,
            stopbits=self.stop_bits,
            timeout_connect=timeout,
        )


def secure(context: ssl.SSLContext, certificate: Path, key: Path, trust: Path) -> None:
    """TLS 1.2 or newer, our certificate, and the other side's required. Raises UsageError for files that do not serve.

    A certificate that is trusted by itself needs no authority above it (R-05 and R-06 of the specification ask for
    X.509 on both sides, and leave it to the plant who issues them).
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"{certificate}, {key}: {error}", "name a certificate and its key without password, both PEM"
        ) from error
    try:
        files = sorted(one for one in trust.iterdir() if one.is_file()) if trust.is_dir() else [trust]
        for one in files:
            context.load_verify_locations(one)
    except (OSError, ValueError) as error:
        raise UsageError(f"{trust}: {error}", "name the other side's certificate, PEM, or a folder of them") from error
    if not context.cert_store_stats()["x509"]:
        raise UsageError(f"{trust}: no certificate in it", "put the other side's certificate there, PEM")
