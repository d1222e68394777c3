"""A twin of any PLC, version 1: follows its records and counts them. Frozen: a change is a new file, the next number.

It reads no tag and computes nothing about the plant: what it proves is that the twin consumed every state in order.
`steps` is how many states it has consumed so far.
"""

NAME = "mirror"
VERSION = 1

INPUTS: tuple[str, ...] = ()
PARAMETERS: dict[str, float] = {}
STATE = ("steps",)
OUTPUTS = ("steps",)


def initial(parameters: dict[str, float]) -> tuple[float, ...]:  # noqa: ARG001 - every model is called so
    """Nothing consumed yet."""
    return (0.0,)


def step(
    parameters: dict[str, float],  # noqa: ARG001 - every model is called so
    state: tuple[float, ...],
    inputs: tuple[float | None, ...],  # noqa: ARG001 - likewise
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """One state more."""
    count = (state[0] + 1.0,)
    return count, count
