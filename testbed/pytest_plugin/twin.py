"""The fixture `twin`: what the twin's model says for what the PLC shows.

The frozen model runs beside the test on the scans that the test sees, from the bench's own recipe; where the bench
runs under `testbed up`, its twin log is read instead, as that is the twin.
"""

from collections.abc import Callable, Sequence

from testbed.core.bodies import State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.errors import DeviceError, UsageError
from testbed.fieldbus.readings import readings_of
from testbed.model import registry
from testbed.pytest_plugin.line import Line
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.station import Station
from testbed.pytest_plugin.turn import Turn
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.locks import is_held
from testbed.rig.paths import Paths
from testbed.rig.recipe import parameters_of
from testbed.store.sqlite import LogStore

Outputs = Callable[[], tuple[float, ...]]
_LOOK_BACK = 256
_GAP, _MOST_GAP_S = "gap.limit", 60.0


class Twin:
    """The outputs of the newest step, by name."""

    def __init__(self, names: Sequence[str], outputs: Outputs) -> None:
        self._names = tuple(names)
        self._outputs = outputs

    def __getitem__(self, tag: str) -> float:
        """What the model predicted for a tag, in its unit."""
        return self.output(f"predicted.{tag}")

    def residual(self, tag: str) -> float:
        """What was measured, less what was predicted."""
        return self.output(f"residual.{tag}")

    def output(self, name: str) -> float:
        """Any output of the model. Raises UsageError with those that there are."""
        if name not in self._names:
            raise UsageError(f"the twin's model has no output {name!r}", f"it has {', '.join(self._names)}")
        return self._outputs()[self._names.index(name)]


class Beside:
    """Runs the model on each scan that the line sees. A watcher of the line.

    time_scale: how much faster than the wall the plant is. So much longer in plant time is what a wire may miss before
    the model begins anew.
    """

    def __init__(self, bench: Bench, line: Line, time_scale: float = 1.0) -> None:
        self._model = registry.load(bench.twin.model)
        self._parameters = parameters_of(bench)
        if _GAP in self._parameters and time_scale > 1.0:
            self._parameters[_GAP] = min(self._parameters[_GAP] * time_scale, _MOST_GAP_S)
        self._read = readings_of(line.tags, self._model.INPUTS)
        self._state = self._model.initial(self._parameters)
        self._outputs: tuple[float, ...] | None = None
        self.twin = Twin(self._model.OUTPUTS, self._newest)

    def __call__(self, sample: Sample) -> None:
        poll = sample.poll
        state = State(poll.boot, poll.scan, poll.device_time_ns, sample.time_ns, poll.values, poll.statuses)
        self._state, self._outputs = self._model.step(self._parameters, self._state, self._read(state))

    def _newest(self) -> tuple[float, ...]:
        if self._outputs is None:
            raise DeviceError("the twin has seen no scan yet", "read or wait for something first")
        return self._outputs


def twin_of(station: Station, turn: Turn) -> Twin:
    """The twin for one test."""
    if station.owned is None and is_held(station.bench, station.bench.twin.name):
        return _logged_twin(station.bench)
    scale = 1.0 if station.in_process else station.settings.time_scale
    beside = Beside(station.bench, turn.line, scale)
    turn.line.watchers.append(beside)
    turn.run(turn.line.pass_scans(1))
    return beside.twin


def _logged_twin(bench: Bench) -> Twin:
    """The twin of a bench that runs, as its log says."""

    def newest() -> tuple[float, ...]:
        with LogStore.read(Paths(bench.data).log(bench.twin.name)) as store:
            checkpoint = store.latest_checkpoint()
            size = 0 if checkpoint is None else checkpoint[0]
            rows = list(store.rows(max(0, size - _LOOK_BACK), size))
        for row in reversed(rows):
            if row.body is not None and decode_entry(row.entry).kind is Kind.TWIN:
                body = decode_body(Kind.TWIN, row.body)
                if isinstance(body, TwinRecord):
                    return body.outputs
        raise DeviceError(f"the log of {bench.twin.name} has no twin record yet", "wait until the twin has caught up")

    return Twin(registry.load(bench.twin.model).OUTPUTS, newest)
