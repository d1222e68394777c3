"""Folding: a cause stays, what it brings about goes, and what has nothing to do with it stays as well."""

from dataclasses import replace

import pytest

from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.folding import fold

LOG, OTHER = "bench/gateway", "bench/twin"


def one(what: What, layer: Layer, origin: str = LOG, index: int | None = None) -> Finding:
    return Finding(what, layer, "there", "so", Verdict.FALSIFIED, origin, index)


FORK, EXACT = one(What.FORKED, Layer.LOG), one(What.FORKED, Layer.LOG, index=7)
SHORTER = one(What.ROLLED_BACK, Layer.LOG, index=9)


@pytest.mark.parametrize(
    ("cause", "follows"),
    [
        (EXACT, FORK),
        (EXACT, one(What.SKIPPED, Layer.LOG, index=8)),
        (FORK, SHORTER),
        (FORK, one(What.SILENT, Layer.GATEWAY)),
        (SHORTER, one(What.STALLED, Layer.TWIN)),
        (SHORTER, one(What.MISSING, Layer.ANCHOR)),
        (FORK, one(What.UNANCHORED, Layer.ANCHOR)),
    ],
)
def test_what_a_cause_brings_about_is_folded_into_it(cause: Finding, follows: Finding) -> None:
    assert fold([follows, cause]) == [cause]
    # Without the cause it stands for itself.
    assert fold([follows]) == [follows]


def test_another_log_has_to_speak_for_itself() -> None:
    elsewhere = [one(What.ROLLED_BACK, Layer.LOG, OTHER), one(What.SILENT, Layer.GATEWAY, OTHER)]
    assert fold([FORK, elsewhere[0]]) == [FORK, elsewhere[0]]
    assert fold([FORK, elsewhere[1]]) == [FORK, elsewhere[1]]


def test_two_causes_are_both_kept() -> None:
    both = [EXACT, one(What.ALTERED, Layer.STORE, index=3), one(What.DIVERGED, Layer.TWIN, OTHER, 4)]
    assert fold(both) == both


def test_records_that_a_twin_and_a_witness_both_show_are_one_finding() -> None:
    def forked(first: int, last: int, detail: str) -> Finding:
        where = f"records {first} to {last} of {LOG}"
        return Finding(What.FORKED, Layer.LOG, where, detail, origin=LOG, index=first)

    wide, narrow, apart = forked(5, 90, "a witness"), forked(7, 40, "a twin"), forked(80, 99, "another witness")
    assert fold([narrow, wide]) == [wide]
    assert fold([wide, replace(wide, detail="a twin")]) == [wide]
    assert fold([wide, apart]) == [wide, apart]
    assert fold([EXACT, wide]) == [wide]
