"""What a witness serves: add-checkpoint, its cosigned checkpoints and its mirrors (C2SP tlog-witness), as WSGI has it.

POST /add-checkpoint
GET  /HASH/checkpoint, /HASH/tile/...           HASH is the SHA-256 of the log's origin; tiles of hashes, no bundles
GET  /HASH/refused/N.theirs, N.ours, N.path     what it refused, from N = 0 on: see testbed/witness/memory.py
"""

import logging
import re
from collections.abc import Iterable, Mapping

from testbed.core.errors import InvalidData, StoreError
from testbed.merkle.tiles import parse_tile_path
from testbed.rig.log_files import Environment, LogFiles, StartResponse, respond
from testbed.rig.log_folder import CHECKPOINT
from testbed.witness.cosigner import Cosigner
from testbed.witness.memory import Memory, origin_hash
from testbed.witness.mirror import Mirror
from testbed.witness.request import MOST_BYTES, Answer

_LOG = logging.getLogger("testbed.witness")
_REFUSED = re.compile(r"refused/(0|[1-9][0-9]?)\.(theirs|ours|path)", re.ASCII)


class WitnessedLog:
    """One log as its witness shows it."""

    def __init__(self, origin: str, cosigner: Cosigner, mirror: Mirror, memory: Memory) -> None:
        self._origin = origin
        self._cosigner = cosigner
        self._mirror = mirror
        self._memory = memory

    def read(self, name: str) -> bytes | None:
        if name == CHECKPOINT:
            # What is on disk for good; a file that was only renamed is not.
            newest = self._cosigner.newest(self._origin)
            return None if newest is None else newest.note
        if _REFUSED.fullmatch(name):
            return self._memory.read(name)
        try:
            return self._mirror.tile(parse_tile_path(name))
        except InvalidData:
            return None


class WitnessPages:
    """The application of a witness. mirrors, memories: by origin."""

    def __init__(self, cosigner: Cosigner, mirrors: Mapping[str, Mirror], memories: Mapping[str, Memory]) -> None:
        self._cosigner = cosigner
        self._files = LogFiles(
            {
                origin_hash(origin): WitnessedLog(origin, cosigner, mirror, memories[origin])
                for origin, mirror in mirrors.items()
            }
        )

    def __call__(self, environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/add-checkpoint":
            return self._files(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            answer = Answer.refusal(405, "POST")
            return respond(environ, start_response, 405, answer.body, answer.content_type, [("Allow", "POST")])
        answer = self._add_checkpoint(environ)
        return respond(environ, start_response, answer.status, answer.body, answer.content_type)

    def _add_checkpoint(self, environ: Environment) -> Answer:
        length = str(environ.get("CONTENT_LENGTH") or "")
        if not (length.isascii() and length.isdecimal()):
            return Answer.refusal(411, "say how long the request is")
        if int(length[:20]) > MOST_BYTES:
            return Answer.refusal(413, f"at most {MOST_BYTES} bytes")
        body = environ["wsgi.input"].read(int(length))
        if len(body) != int(length):
            return Answer.refusal(400, "the request is cut off")
        try:
            return self._cosigner.add_checkpoint(body)
        except StoreError as error:
            _LOG.exception("nothing can be cosigned")
            return Answer.refusal(500, f"nothing was cosigned: {error.problem.rpartition(': ')[2]}")
