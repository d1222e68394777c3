"""Runs of pytest within a test: each in a folder of its own, with a bench file where it needs one."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

# Loaded here once: a run within a test forgets what it has loaded itself, and loads it again each time.
from testbed.pytest_plugin import capturing, keeper, measuring, plant, plc, telling, twin  # noqa: F401
from testbed.rig import emulation  # noqa: F401
from testbed.rig.default import default_text

Runs = Callable[..., pytest.RunResult]
NO_ONE = '[plc.connect]\nprotocol = "modbus-tcp"\nhost = "127.0.0.1"\nport = {}\ntimeout_ms = 200\n'


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs tests that are given as text: `inner(text, "--option", ...)`."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    for name in ("BENCH", "SEED", "TIME_SCALE", "REQUIRE_HARDWARE", "ALLOW_PHYSICAL", "ALLOW_WRITES", "EVIDENCE_DIR"):
        monkeypatch.delenv(f"TESTBED_{name}", raising=False)

    def run(text: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(text)
        return pytester.runpytest("-p", "no:cacheprovider", *options)

    return run


@pytest.fixture
def bench_file(pytester: pytest.Pytester) -> Callable[[str, str], Path]:
    """Writes the packaged bench file, edited: `bench_file(old, new)`, and a table behind it."""

    def write(old: str = "", new: str = "", more: str = "") -> Path:
        text = default_text()
        assert old in text
        path = pytester.path / "bench.toml"
        path.write_text(text.replace(old, new, 1) + more, encoding="utf-8")
        return path

    return write


@pytest.fixture
def box_file(pytester: pytest.Pytester) -> Path:
    """A bench whose PLC is a box, at an address where nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (
        default_text().replace('kind = "emulated" ', 'kind = "physical" #', 1).replace('program = "water-cell"\n', "")
    )
    text = text.replace("[plc.modbus]\n", NO_ONE.format(port) + "[plc.modbus]\n", 1)
    for protocol in ("modbus", "opcua"):
        text = text.replace(f'\nprotocol = "{protocol}"\n', '\nprotocol = "device"\n')
    text = text.replace("signs = true", "signs = false", 1)
    path = pytester.path / "box.toml"
    path.write_text(text, encoding="utf-8")
    return path
