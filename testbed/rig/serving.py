"""Serves the logs of a bench over HTTP: under `testbed up` in threads of the supervisor, or by `testbed serve-log`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.cosignature import WitnessKey
from testbed.keys.note import SignatureLine, add_lines, split_note
from testbed.rig.bench import Bench
from testbed.rig.log_files import LogFiles, Shown
from testbed.rig.log_folder import CHECKPOINT, LogFolder
from testbed.rig.pages_server import PagesServer
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from testbed.rig.trusted_witness import TrustedWitness
from testbed.witness.memory import origin_hash


class CosignedFolder:
    """A published log whose newest checkpoint carries what witnesses of this bench have cosigned of it already.

    cosigned: each witness with the file in which it keeps its newest cosigned checkpoint of this log. Nothing waits.
    """

    def __init__(self, folder: Path, cosigned: Sequence[tuple[WitnessKey, Path]]) -> None:
        self._log = LogFolder(folder)
        self._cosigned = cosigned

    def read(self, name: str) -> bytes | None:
        data = self._log.read(name)
        if name != CHECKPOINT or data is None:
            return data
        with suppress(InvalidData):
            text, _ = split_note(data)
            return add_lines(data, [line for key, file in self._cosigned for line in _lines_of(text, key, file)])
        return data


def _lines_of(text: str, key: WitnessKey, file: Path) -> list[SignatureLine]:
    """The valid cosignatures of this very checkpoint: with one that fails, clients would refuse all of it."""
    with suppress(OSError, InvalidData):
        theirs, lines = split_note(file.read_bytes())
        own = [line for line in lines if line.identity == (key.name, key.key_id)]
        if theirs == text:
            for line in own:
                key.verify(text, line.signature)
            return own
    return []


def logs_of(bench: Bench) -> Mapping[str, Shown]:
    """Every log of a bench by its origin, with the cosignatures of the witnesses that its trust file names."""
    paths = Paths(bench.data)
    keys = {one.name: WitnessKey.parse(one.key) for one in _witnesses(bench)}
    return {
        bench.origin(log): CosignedFolder(
            paths.tlog(log),
            [
                (key, paths.role_folder(name) / origin_hash(bench.origin(log)) / CHECKPOINT)
                for name, key in keys.items()
            ],
        )
        for log in bench.logs
    }


@contextmanager
def serve_logs(bench: Bench, *, always: bool = False) -> Iterator[str | None]:
    """Meanwhile the logs are served, in threads of their own; the address, None where the bench does not want that.

    always: as `testbed serve-log` does, whatever [serve] says. Raises UsageError where the port is taken.
    """
    serve = bench.serve
    if not (serve.enabled or always):
        yield None
        return
    try:
        server = PagesServer(serve.host, serve.port, LogFiles(logs_of(bench)))
    except OSError as error:
        mend = "end the program that holds it, or move all ports with --port-shift 100"
        raise UsageError(f"serve {serve.host}:{serve.port}: {error.strerror or error}", mend) from None
    with server:
        yield f"http://{serve.host}:{serve.port}"


def _witnesses(bench: Bench) -> Sequence[TrustedWitness]:
    return load_trust(bench.trust_file).witness if bench.trust_file.exists() else ()
