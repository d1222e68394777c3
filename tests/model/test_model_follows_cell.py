"""The twin's model beside the emulated cell, whose code it does not share: close while all is well, apart when not."""

import pytest

from testbed.core.tags import Value
from testbed.model.registry import load
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

MODEL = load("water_cell_v1")


def watch(
    scans: int, after: int = 0, written: tuple[str, Value] | None = None, **disturbance: float
) -> dict[str, float]:
    """Outputs of the model after `scans` undisturbed scans and `after` disturbed ones; residuals: largest since 100.

    written: a tag that is written, and what, between the two.
    """
    plc = Emulator(load_bench(None).tags, CellParameters(noise=0.0002), seed=11)
    state = outputs = MODEL.initial(MODEL.PARAMETERS)
    largest = dict.fromkeys(MODEL.OUTPUTS, 0.0)
    for index in range(scans + after):
        if index == scans:
            plc.disturb(**disturbance)
            if written is not None:
                plc.image.write(*written)
        plc.scan()
        snapshot = plc.image.snapshot()
        state, outputs = MODEL.step(MODEL.PARAMETERS, state, tuple(float(snapshot[name]) for name in MODEL.INPUTS))
        if index > 100:
            for name, value in zip(MODEL.OUTPUTS, outputs, strict=True):
                largest[name] = max(largest[name], abs(value))
    result = dict(zip(MODEL.OUTPUTS, outputs, strict=True))
    return result | {name: value for name, value in largest.items() if name.startswith("residual")}


def test_a_healthy_cell_is_predicted() -> None:
    outputs = watch(6000)
    assert outputs["quality"] == 0.0
    assert outputs["residual.tank1.level"] < 0.003
    assert outputs["residual.tank2.level"] < 0.003
    assert outputs["residual.pump.flow"] < 0.02
    assert outputs["residual.tank2.temperature"] < 0.3
    assert abs(outputs["leak.estimate"]) < 0.003
    assert abs(outputs["water.drift"]) < 0.0002


@pytest.mark.parametrize("written", [("estop.pressed", True), ("watchdog.limit_ms", 500)])
def test_a_cell_that_is_stopped_is_predicted_as_well(written: tuple[str, Value]) -> None:
    outputs = watch(1500, 1500, written)
    assert outputs["quality"] == 0.0
    assert outputs["residual.tank1.level"] < 0.003
    assert outputs["residual.tank2.level"] < 0.003
    assert outputs["residual.tank2.temperature"] < 0.3
    assert abs(outputs["predicted.pump.flow"]) < 0.01


def test_a_leak_is_told_from_a_worn_pump() -> None:
    leaking = watch(1500, 2500, leak=0.1)
    worn = watch(1500, 2500, wear=0.2)
    assert 0.09 < leaking["leak.estimate"] < 0.11
    assert leaking["residual.pump.flow"] < 0.02
    assert abs(worn["leak.estimate"]) < 0.003
    assert worn["residual.pump.flow"] > 0.08
