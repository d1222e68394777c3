"""What a supervisor knows of its roles: how often each was started again, what it said last, whether it is down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from testbed.rig.bench import Bench
from testbed.rig.locks import SUPERVISOR, role_names
from testbed.rig.status import read_status


@dataclass(frozen=True, slots=True)
class Supervised:
    """One role. restarts: how often it was started again; words: its last ones when it died, "" if it never did.

    down: it cannot be kept alive. It is still tried, now and then.
    """

    restarts: int = 0
    words: str = ""
    down: bool = False


class Supervises(Protocol):
    """Whoever keeps roles alive."""

    def supervised(self) -> Mapping[str, Supervised]:
        """Every role of the bench; may be called from any thread."""
        ...


def restarts_of(roles: Mapping[str, Supervised]) -> int:
    """All restarts."""
    return sum(role.restarts for role in roles.values())


def down_of(roles: Mapping[str, Supervised]) -> dict[str, str]:
    """The roles that are down, with their last words."""
    return {name: role.words for name, role in roles.items() if role.down}


def supervision_line(roles: Mapping[str, Supervised]) -> str:
    """For a person, to be put behind another line; "" where nothing ever died."""
    restarts, down = restarts_of(roles), down_of(roles)
    return (f"   restarts {restarts}" if restarts else "") + (f"   down: {', '.join(down)}" if down else "")


def supervision_facts(roles: Mapping[str, Supervised]) -> dict[str, object]:
    """For a machine: restarts of all roles together, and by role; last words of those that died; who is down."""
    return {
        "restarts": restarts_of(roles),
        "restarted": {name: role.restarts for name, role in roles.items() if role.restarts},
        "last_words": {name: role.words for name, role in roles.items() if role.words},
        "down": list(down_of(roles)),
    }


def to_status(roles: Mapping[str, Supervised]) -> dict[str, int | str]:
    """The form in which it stands in the supervisor's status file."""
    facts: dict[str, int | str] = {"restarts": restarts_of(roles), "down": " ".join(down_of(roles))}
    for name, role in roles.items():
        if role.restarts:
            facts[f"restarts {name}"] = role.restarts
        if role.words:
            facts[f"words {name}"] = role.words
    return facts


def read_supervision(bench: Bench) -> dict[str, Supervised]:
    """What the running supervisor of a bench says; nothing died where none runs."""
    said = read_status(bench, SUPERVISOR)
    down = str(said.get("down", "")).split()
    return {
        name: Supervised(
            restarts=count if isinstance(count := said.get(f"restarts {name}"), int) else 0,
            words=str(said.get(f"words {name}", "")),
            down=name in down,
        )
        for name in role_names(bench)
    }
