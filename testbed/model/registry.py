"""Finds models by the name of their file, such as "water_cell_v1", and names them by the hash of their source."""

import hashlib
import json
import re
from importlib import import_module, resources
from typing import Protocol, cast

from testbed.core.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]*_v[1-9][0-9]*")


class Dynamics(Protocol):
    """What of a model is run: the state that it begins with, and a pure step. The same inputs give the same bytes."""

    def initial(self, parameters: dict[str, float]) -> tuple[float, ...]:
        """The state before the first step."""
        ...

    def step(
        self, parameters: dict[str, float], state: tuple[float, ...], inputs: tuple[float | None, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """State and outputs after one scan; never raises, and neither holds NaN or infinity."""
        ...


class Model(Dynamics, Protocol):
    """A frozen model. INPUTS: the tags that it reads, in order; PARAMETERS: defaults; STATE and OUTPUTS: names."""

    NAME: str
    VERSION: int
    INPUTS: tuple[str, ...]
    PARAMETERS: dict[str, float]
    STATE: tuple[str, ...]
    OUTPUTS: tuple[str, ...]


def names() -> tuple[str, ...]:
    """All models, sorted."""
    files = (path.name for path in resources.files("testbed.model").iterdir())
    return tuple(sorted(file[:-3] for file in files if file.endswith(".py") and _NAME.fullmatch(file[:-3])))


def load(name: str) -> Model:
    """The model of that name. Raises UsageError where there is none."""
    _must_exist(name)
    return cast("Model", import_module(f"testbed.model.{name}"))


def source(name: str) -> bytes:
    """The model's file as it stands. Raises UsageError where there is none."""
    _must_exist(name)
    return (resources.files("testbed.model") / f"{name}.py").read_bytes()


def hash_of(text: bytes) -> bytes:
    """SHA-256 of a model's source with newlines as LF, so that a checkout's newline style does not change it."""
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).digest()


def model_hash(name: str) -> bytes:
    """What a twin record and a trust file call the model: `hash_of` its source."""
    return hash_of(source(name))


def frozen() -> dict[str, bytes]:
    """Hashes of the released versions, from `frozen.json`. A file that differs from its entry was edited in place."""
    text = (resources.files("testbed.model") / "frozen.json").read_text(encoding="utf-8")
    return {name: bytes.fromhex(digest) for name, digest in json.loads(text).items()}


def _must_exist(name: str) -> None:
    if name not in names():
        raise UsageError(f"no model {name!r}", f"the models are {', '.join(names())}")
