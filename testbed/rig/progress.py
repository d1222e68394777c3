"""How far a bench is: read from its logs and journal, running or not."""

from dataclasses import dataclass

from testbed.chain.journal import read_journal
from testbed.core.errors import InvalidData, StoreError
from testbed.rig.bench import Bench
from testbed.rig.locks import is_held, role_names
from testbed.rig.paths import Paths
from testbed.rig.status import read_status
from testbed.store.sqlite import LogStore


@dataclass(frozen=True, slots=True)
class Progress:
    """states: logged by the gateway in this run; source, twin: sizes of the logs; height: of the chain.

    problems: a sentence for each file that could not be read; its numbers are 0 then.
    """

    states: int
    source: int
    twin: int
    anchored_source: int
    anchored_twin: int
    height: int
    anchors: int
    gas: int
    problems: tuple[str, ...] = ()

    def line(self) -> str:
        """For a person, on one line."""
        gas = f"   gas per anchor {self.gas // self.anchors}" if self.anchors else ""
        return (
            f"source log {self.source} records ({self.anchored_source} anchored)   twin log {self.twin}"
            f" ({self.anchored_twin} anchored)   block {self.height}{gas}"
        )

    def facts(self) -> dict[str, int]:
        """The numbers, for a machine."""
        return {name: int(getattr(self, name)) for name in self.__slots__ if name != "problems"}


def progress_of(bench: Bench) -> Progress:
    """Read how far the bench is: from its running roles, or from what they left."""
    paths = Paths(bench.data)
    source, twin = bench.reader.name, bench.twin.name
    problems: list[str] = []
    anchor = read_status(bench, "anchor") or _left_behind(paths, problems)
    return Progress(
        states=_number(read_status(bench, source).get("states")),
        source=_size(bench, source, problems),
        twin=_size(bench, twin, problems),
        anchored_source=_number(anchor.get(f"anchored {bench.origin(source)}")),
        anchored_twin=_number(anchor.get(f"anchored {bench.origin(twin)}")),
        height=_number(anchor.get("height")),
        anchors=_number(anchor.get("anchors")),
        gas=_number(anchor.get("gas")),
        problems=tuple(problems),
    )


def _left_behind(paths: Paths, problems: list[str]) -> dict[str, int | str]:
    """What the anchor's journal says, in the form of its status."""
    if not paths.journal.exists():
        return {}
    facts: dict[str, int | str] = {"anchors": 0, "gas": 0}
    try:
        steps = read_journal(paths.journal).steps
    except (StoreError, InvalidData) as error:
        problems.append(str(error))
        return {}
    for step in steps:
        if step.mined is None:
            continue
        facts["height"] = step.mined.height
        if step.intent.anchored is not None:
            facts[f"anchored {step.intent.anchored.origin}"] = step.intent.anchored.size
            facts["anchors"] = _number(facts["anchors"]) + 1
            facts["gas"] = _number(facts["gas"]) + step.mined.gas_used
    return facts


def running_roles(bench: Bench) -> dict[str, dict[str, int | str]]:
    """Every role with what it says of itself; empty for one that does not run."""
    return {role: read_status(bench, role) for role in role_names(bench)}


def _size(bench: Bench, role: str, problems: list[str]) -> int:
    path = Paths(bench.data).log(role)
    if not path.exists():
        return 0
    try:
        # A log that nobody writes is looked at without a trace.
        with (LogStore.read if is_held(bench, role) else LogStore.examine)(path) as store:
            newest = store.latest_checkpoint()
            return newest[0] if newest else 0
    except StoreError as error:
        problems.append(error.problem)
        return 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
