"""How far a bench is: read from its logs and journal, running or not."""

from dataclasses import dataclass

from testbed.chain.reading import summarize
from testbed.core.errors import InvalidData, StoreError
from testbed.rig.bench import Bench
from testbed.rig.locks import SUPERVISOR, is_held, role_names
from testbed.rig.paths import Paths
from testbed.rig.status import read_status
from testbed.store.sqlite import LogStore


@dataclass(frozen=True, slots=True)
class LogProgress:
    """One log: its name in the bench, how many records it has, and how many of them are anchored."""

    name: str
    size: int
    anchored: int


@dataclass(frozen=True, slots=True)
class Progress:
    """states: logged by the gateway in this run; logs: all of the bench; height: of the chain.

    problems: a sentence for each file that could not be read; its numbers are 0 then.
    """

    states: int
    logs: tuple[LogProgress, ...]
    height: int
    anchors: int
    gas: int
    problems: tuple[str, ...] = ()

    def line(self) -> str:
        """For a person, on one line."""
        gas = f"   gas per anchor {self.gas // self.anchors}" if self.anchors else ""
        logs = "   ".join(f"{log.name} {log.size} ({log.anchored} anchored)" for log in self.logs)
        return f"{logs}   block {self.height}{gas}"

    def facts(self) -> dict[str, object]:
        """The numbers, for a machine."""
        numbers = {"states": self.states, "height": self.height, "anchors": self.anchors, "gas": self.gas}
        return {**numbers, "logs": {log.name: {"size": log.size, "anchored": log.anchored} for log in self.logs}}


def progress_of(bench: Bench) -> Progress:
    """Read how far the bench is: from its running roles, or from what they left."""
    paths = Paths(bench.data)
    problems: list[str] = []
    anchor = read_status(bench, "anchor") or _left_behind(paths, problems)
    return Progress(
        states=_number(read_status(bench, bench.gateway.name).get("states")),
        logs=tuple(
            LogProgress(name, _size(bench, name, problems), _number(anchor.get(f"anchored {bench.origin(name)}")))
            for name in bench.logs
        ),
        height=_number(anchor.get("height")),
        anchors=_number(anchor.get("anchors")),
        gas=_number(anchor.get("gas")),
        problems=tuple(problems),
    )


def _left_behind(paths: Paths, problems: list[str]) -> dict[str, int | str]:
    """What the anchor's journal says, in the form of its status."""
    if not paths.journal.exists():
        return {}
    try:
        reached = summarize(paths.journal)
    except (StoreError, InvalidData) as error:
        problems.append(str(error))
        return {}
    heads = {f"anchored {origin}": head.size for origin, head in reached.heads.items()}
    height = 0 if reached.newest is None else reached.newest.height
    return {"height": height, "anchors": reached.anchors, "gas": reached.gas_used, **heads}


def running_roles(bench: Bench) -> dict[str, dict[str, int | str]]:
    """Every role with what it says of itself; empty for one that does not run."""
    return {role: read_status(bench, role) for role in role_names(bench)}


def _size(bench: Bench, role: str, problems: list[str]) -> int:
    path = Paths(bench.data).log(role)
    if not path.exists():
        return 0
    try:
        # A log that nobody writes is looked at without a trace. While a bench runs that would copy, again and again,
        # the whole log of a role that was killed and is down.
        runs = is_held(bench, bench.writer(role)) or is_held(bench, SUPERVISOR)
        with (LogStore.read if runs else LogStore.examine)(path) as store:
            newest = store.latest_checkpoint()
            return newest[0] if newest else 0
    except StoreError as error:
        problems.append(error.problem)
        return 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
