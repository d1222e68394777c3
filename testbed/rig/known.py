"""What the rooms below know that a bench file may name: the plant's parameters, the models and theirs."""

import dataclasses
from collections.abc import Mapping

from testbed.core.errors import UsageError
from testbed.model import registry
from testbed.plant.cell import CellParameters


def plant_parameters() -> list[str]:
    """Names that [plant.parameters] may set: the fields of the water cell's parameters."""
    return [field.name for field in dataclasses.fields(CellParameters)]


def plant_fault(parameters: Mapping[str, float]) -> UsageError | None:
    """Why no plant can be built from these parameters, None where one can. All names are known ones."""
    try:
        CellParameters(**parameters)
    except UsageError as error:
        return error
    return None


def model_parameters() -> dict[str, list[str]]:
    """Names that [twin.parameters] may set, by the name of the model."""
    return {name: list(registry.load(name).PARAMETERS) for name in registry.names()}
