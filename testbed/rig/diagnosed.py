"""What a doctor found, by one check or by one reading of a device."""

from dataclasses import dataclass, field

from testbed.core.tags import Tag


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: its name, what it saw, and the mend where that is a problem."""

    name: str
    seen: str
    mend: str = ""

    @property
    def healthy(self) -> bool:
        return not self.mend


@dataclass(slots=True)
class Seen:
    """One reading of all tags. values: raw, of those that could be read; faults: what is wrong, each with its mend;
    remarks: what works, and could be read with less.
    """

    values: dict[Tag, bytes] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
