"""What the twin runs, from the bench file; and the same again for a verifier, from hashes and logged bytes."""

from collections.abc import Sequence

from testbed.core.tags import Tag
from testbed.fieldbus.readings import readings_of
from testbed.model import registry
from testbed.record.schema import decode_parameters, parameters_hash
from testbed.rig.bench import Bench
from testbed.twin.mirror import Recipe
from testbed.verify.replay import ApprovedModel


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


def approved_model(model_hash: bytes, parameters: bytes, tags: Sequence[Tag]) -> ApprovedModel | None:
    """The frozen model with that hash, ready to be run again; None where this version has no such model."""
    for name in registry.names():
        if registry.model_hash(name) == model_hash:
            model = registry.load(name)
            return ApprovedModel(model, decode_parameters(parameters), readings_of(tags, model.INPUTS))
    return None
