"""What one check of a doctor found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: its name, what it saw, and the mend where that is a problem."""

    name: str
    seen: str
    mend: str = ""

    @property
    def healthy(self) -> bool:
        return not self.mend
