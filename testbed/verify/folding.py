"""Folding: what only follows from another finding is not one of its own."""

from collections.abc import Callable, Iterable, Sequence

from testbed.core.finding import Finding, Layer, What
from testbed.verify.runs import in_runs, last_of

_SPEAKS_FOR_ANCHORS = {
    What.SUBSTITUTED,
    What.REWRITTEN,
    What.UNREACHABLE,
    What.BEHIND,
    What.FORKED,
    What.ROLLED_BACK,
}


def fold(findings: Sequence[Finding]) -> list[Finding]:
    """Drop what only repeats another finding, or is what it brings about. The order stays."""
    follows = _Followers(findings)
    return [one for one in findings if not any(rule(one) for rule in follows.rules)]


def bodies_in_runs(findings: Sequence[Finding]) -> list[Finding]:
    """Bodies of neighbours that are gone, and that no tombstone explains, as one finding a run; the others come first.

    Records that are false are folded where they are found; a body that is gone may be one that was erased.
    """
    gone: dict[str, list[Finding]] = {}
    others = []
    for one in findings:
        if (one.what, one.layer) == (What.MISSING, Layer.STORE) and one.index is not None:
            gone.setdefault(one.origin, []).append(one)
        else:
            others.append(one)
    return [*others, *(one for of_log in gone.values() for one in in_runs(of_log))]


class _Followers:
    """Which findings follow from others among `findings`."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._forked = {one.origin for one in findings if one.what is What.FORKED}
        self._exactly = {one.origin for one in findings if one.what is What.FORKED and one.index is not None}
        self._shown = _within_others(one for one in findings if one.what is What.FORKED and one.index is not None)
        cut_back = {one.origin for one in findings if one.what is What.ROLLED_BACK and one.layer is Layer.LOG}
        self._broken = self._forked | cut_back
        self._anchors = any(
            one.what in _SPEAKS_FOR_ANCHORS or (one.what is What.UNANCHORED and not one.origin) for one in findings
        )

    @property
    def rules(self) -> tuple[Callable[[Finding], bool], ...]:
        return (self._unanchored, self._again, self._forked_to_the_record, self._shorter_fork, self._of_a_broken_log)

    def _unanchored(self, one: Finding) -> bool:
        """A log without an anchor, where anchors are found false or missing already."""
        return one.what is What.UNANCHORED and bool(one.origin) and self._anchors

    def _again(self, one: Finding) -> bool:
        """Records that are shown to be others already: a twin and a witness may both show it."""
        return id(one) in self._shown

    def _forked_to_the_record(self, one: Finding) -> bool:
        """A fork, or a gap in its numbers, of a log that a twin or a mirror shows to be forked to the very record."""
        if one.origin not in self._exactly:
            return False
        return (one.what is What.FORKED and one.index is None) or (one.what, one.layer) == (What.SKIPPED, Layer.LOG)

    def _shorter_fork(self, one: Finding) -> bool:
        """A forked log is another one from that record on: how long it is says nothing more."""
        return one.what is What.ROLLED_BACK and one.layer is Layer.LOG and one.origin in self._forked

    def _of_a_broken_log(self, one: Finding) -> bool:
        """A log that was made anew or cut back lacks what it would have said."""
        lacks = one.what in (What.SILENT, What.STALLED) or (one.what, one.layer) == (What.MISSING, Layer.ANCHOR)
        return lacks and one.origin in self._broken


def _within_others(findings: Iterable[Finding]) -> set[int]:
    """Identities of the findings whose records lie within those of another one of their log."""
    order = [(one.origin, one.index or 0, -last_of(one), one) for one in findings]
    within: set[int] = set()
    reached: dict[str, int] = {}
    for origin, _, last, one in sorted(order, key=lambda span: span[:3]):
        if -last <= reached.get(origin, -1):
            within.add(id(one))
        reached[origin] = max(-last, reached.get(origin, -1))
    return within
