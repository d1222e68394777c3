"""How far a bench is: read from its logs and journal, running or not."""

from dataclasses import dataclass

from testbed.chain.journal import read_journal
from testbed.core.errors import StoreError
from testbed.rig.bench import Bench
from testbed.rig.locks import role_names
from testbed.rig.paths import Paths
from testbed.rig.process import read_status
from testbed.store.sqlite import LogStore


@dataclass(frozen=True, slots=True)
class Progress:
    """states: logged by the gateway in this run; source, twin: sizes of the logs; height: of the chain."""

    states: int
    source: int
    twin: int
    anchored_source: int
    anchored_twin: int
    height: int
    anchors: int
    gas: int

    def line(self) -> str:
        """For a person, on one line."""
        gas = f"   gas per anchor {self.gas // self.anchors}" if self.anchors else ""
        return (
            f"source log {self.source} records ({self.anchored_source} anchored)   twin log {self.twin}"
            f" ({self.anchored_twin} anchored)   block {self.height}{gas}"
        )

    def facts(self) -> dict[str, int]:
        """For a machine."""
        return {name: int(getattr(self, name)) for name in self.__slots__}


def progress_of(bench: Bench) -> Progress:
    """Read how far the bench is: from its running roles, or from what they left."""
    paths = Paths(bench.data)
    source, twin = bench.reader.name, bench.twin.name
    anchor = read_status(bench, "anchor") or _left_behind(paths)
    return Progress(
        states=_number(read_status(bench, source).get("states")),
        source=_size(paths, source),
        twin=_size(paths, twin),
        anchored_source=_number(anchor.get(f"anchored {bench.origin(source)}")),
        anchored_twin=_number(anchor.get(f"anchored {bench.origin(twin)}")),
        height=_number(anchor.get("height")),
        anchors=_number(anchor.get("anchors")),
        gas=_number(anchor.get("gas")),
    )


def _left_behind(paths: Paths) -> dict[str, int | str]:
    """What the anchor's journal says, in the form of its status."""
    if not paths.journal.exists():
        return {}
    facts: dict[str, int | str] = {"anchors": 0, "gas": 0}
    for step in read_journal(paths.journal).steps:
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


def _size(paths: Paths, role: str) -> int:
    try:
        with LogStore.read(paths.log(role)) as store:
            newest = store.latest_checkpoint()
            return newest[0] if newest else 0
    except StoreError:
        return 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
