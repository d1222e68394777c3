"""A bench that anchors each state by itself, twenty blocks a second, is checked while it runs: nothing is falsified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.flow.live.conftest import MakeBench

pytestmark = pytest.mark.long


def test_an_honest_bench_is_never_called_falsified_while_it_runs(make_bench: MakeBench) -> None:
    bench = make_bench("bench")
    bench.edit(every="1")
    up = bench.up()
    up.wait_for(lambda status: status["logs"]["twin"]["anchored"] > 20)
    reports = [bench.verify() for _ in range(4)]
    assert [report["verdict"] for report in reports] == ["GENUINE"] * 4, [report["findings"] for report in reports]
    assert up.end() == 0
    assert bench.genuine()["anchors"] > reports[-1]["anchors"]
