"""Compares a text file of a test run, line by line, with the hashes that were logged of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.finding import What


@dataclass(frozen=True, slots=True)
class LineEdit:
    """One difference. number: of the logged line, from 1; of an inserted one, of the line that it was put before."""

    what: What
    number: int


def compare_lines(logged: Sequence[bytes], found: Sequence[bytes]) -> list[LineEdit]:
    """What was done to the lines whose hashes were `logged` so that they are `found` now; [] where nothing was.

    Lines may be alike. What is the same at the beginning and at the end is not looked at again, so one edit is found in
    its place. O(n).
    """
    first = 0
    while first < min(len(logged), len(found)) and logged[first] == found[first]:
        first += 1
    last = 0
    while last < min(len(logged), len(found)) - first and logged[-1 - last] == found[-1 - last]:
        last += 1
    before, after = logged[first : len(logged) - last], found[first : len(found) - last]
    if not before and not after:
        return []
    if not before:
        return [LineEdit(What.INSERTED, first + 1)]
    # With as many lines as before, each is held against the one in its place.
    paired = len(before) == len(after)
    differ = [place for place, digest in enumerate(before) if not paired or digest != after[place]]
    gone = Counter(before) - Counter(after)
    new = Counter(after) - Counter(before)
    lost = [place for place in differ if before[place] in gone]
    if lost:
        what = What.ALTERED if new else What.DELETED
        return [LineEdit(what, first + place + 1) for place in lost]
    what = What.REORDERED if paired else What.INSERTED
    return [LineEdit(what, first + place + 1) for place in (differ if paired else differ[:1])]
