"""The evil twin: its owner runs another model under the approved one's name. Every hash and signature is right."""

from testbed.model.registry import Dynamics


class LyingDynamics:
    """A model that says a little more than it concludes: the last output is off by `by`, always."""

    def __init__(self, honest: Dynamics, by: float = 0.001) -> None:
        self._honest = honest
        self._by = by

    def initial(self, parameters: dict[str, float]) -> tuple[float, ...]:
        return self._honest.initial(parameters)

    def step(
        self, parameters: dict[str, float], state: tuple[float, ...], inputs: tuple[float | None, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        after, outputs = self._honest.step(parameters, state, inputs)
        return after, (*outputs[:-1], outputs[-1] + self._by)
