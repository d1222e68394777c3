"""A Modbus/TCP device that is not ours: modbus-serial from npm, holding a map that a test writes."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.judges.node import needs, script

needs_modbus_serial = needs("modbus-serial")


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
    file = folder / "map.json"
    file.write_text(json.dumps(units), encoding="utf-8")
    pipe = subprocess.PIPE
    command = (*script("modbus-map.js"), str(file))
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
