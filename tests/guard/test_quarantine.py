"""A bench in quarantine stays there, with its first cause, until it is lifted."""

from pathlib import Path

import pytest

from testbed.core.errors import Quarantined, StoreError, TestbedError
from testbed.guard.quarantine import Quarantine, lift, quarantine, quarantined, refuse_quarantined

NOW = 1_796_000_000 * 10**9


def test_a_bench_is_in_use_until_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "data" / "quarantine.json"
    assert quarantined(path) is None
    refuse_quarantined(path, "cell")
    quarantine(path, "pump.speed: 40, must be 0 to 1", NOW)
    assert quarantined(path) == Quarantine("pump.speed: 40, must be 0 to 1", NOW)
    with pytest.raises(Quarantined) as raised:
        refuse_quarantined(path, "cell")
    assert "cell" in raised.value.problem
    assert "pump.speed: 40" in raised.value.problem
    assert "2026-11-30T" in raised.value.problem
    assert "testbed recover" in raised.value.mend
    assert raised.value.exit_code == TestbedError.exit_code == 3
    lift(path)
    refuse_quarantined(path, "cell")
    lift(path)  # twice is fine


def test_the_first_cause_stays(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.json"
    first = quarantine(path, "the pump does not stop", NOW)
    assert quarantine(path, "no answer", NOW + 1) == first == quarantined(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"why": 3, "since_ns": 0}', '{"why": "x", "since_ns": -1}'])
def test_a_damaged_file_keeps_the_bench_out_of_use(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quarantine.json"
    path.write_text(text, encoding="utf-8")
    assert quarantined(path) is not None
    with pytest.raises(Quarantined):
        refuse_quarantined(path, "cell")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder", encoding="utf-8")
    with pytest.raises(StoreError):
        quarantine(tmp_path / "data" / "quarantine.json", "why", NOW)
