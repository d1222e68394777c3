"""What the twin runs, as the bench file says."""

from testbed.fieldbus.readings import readings_of
from testbed.model import registry
from testbed.record.schema import parameters_hash
from testbed.rig.bench import Bench
from testbed.twin.mirror import Recipe


def parameters_of(bench: Bench) -> dict[str, float]:
    """The model's parameters: its defaults, and what the bench file says otherwise."""
    return {**registry.load(bench.twin.model).PARAMETERS, **bench.twin.parameters}


def recipe_of(bench: Bench) -> Recipe:
    """The twin's recipe."""
    model = registry.load(bench.twin.model)
    parameters = parameters_of(bench)
    return Recipe(
        model=model,
        model_hash=registry.model_hash(bench.twin.model),
        parameters=parameters,
        parameters_hash=parameters_hash(parameters),
        readings=readings_of(bench.tags, model.INPUTS),
    )
