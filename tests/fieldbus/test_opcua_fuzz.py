"""Thousands of malformed chunks over sockets: the server stays, stays small, and answers others meanwhile."""

import asyncio
import sys
import time
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import load_certificate, load_private_key
from asyncua.ua.ua_binary import struct_to_binary

from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.certificates import keep_certificate
from tests.fieldbus.opcua_reader import Reader
from tests.fieldbus.processes import HERE, MIB, MOST_GROWTH, SOON, needs_proc, resident, served

COUNT, MANY = 2_000, 20_000


async def secured_opening(certificate: Path, key: Path) -> bytes:
    """The opening of an encrypted channel, by a client that uses the server's own certificate."""
    own, mode = await load_certificate(certificate), ua.MessageSecurityMode.SignAndEncrypt
    policy = SecurityPolicyBasic256Sha256(own, own, await load_private_key(key), mode)  # type: ignore[no-untyped-call]  # of the library
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = mode
    request.Parameters.RequestedLifetime = ua.UInt32(60_000)
    request.Parameters.ClientNonce = bytes(range(32))
    kind: ua.MessageType = ua.MessageType.SecureOpen  # type: ignore[assignment]  # bytes, as the library wants them
    return SecureConnection(policy, TransportLimits()).message_to_binary(struct_to_binary(request), kind, 1)


@needs_proc
@pytest.mark.parametrize("count", [COUNT, pytest.param(MANY, marks=pytest.mark.long)])
async def test_thousands_of_malformed_chunks_harm_nobody(tmp_path: Path, count: int) -> None:
    certificate, key, opening = tmp_path / "plc.der", tmp_path / "plc.pem", tmp_path / "opening"
    keep_certificate(certificate, key, name="PLC", uri=APPLICATION_URI, hosts=("127.0.0.1",), now_ns=time.time_ns())
    opening.write_bytes(await secured_opening(certificate, key))
    with served("serve_opcua.py", str(certificate), str(key)) as server:
        async with Reader.at(server.port) as valid:
            await valid.newcomer()
            start = resident(server.pid)
            fuzz = await asyncio.create_subprocess_exec(
                *(sys.executable, str(HERE / "fuzz_opcua.py"), str(server.port), str(count), "2", str(opening)),
                stdout=asyncio.subprocess.PIPE,
            )
            told = asyncio.ensure_future(fuzz.communicate())
            await valid.read_until(told)
            output, _ = await told
            assert fuzz.returncode == 0
            assert int(output) >= count
            await valid.newcomer()
            grown = resident(server.pid) - start
            print(f"{int(output)} chunks: {grown / MIB:.1f} MiB more; {valid}")
            assert grown <= MOST_GROWTH
            assert valid.slowest < SOON
