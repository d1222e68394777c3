"""The bench that ships with the package, for those who bring none."""

from importlib import resources

from testbed.rig.toml_file import TomlFile, parse_toml

LABEL = "testbed/rig/water_cell.toml"


def default_text() -> str:
    """The default bench file, with its comments."""
    return resources.files("testbed.rig").joinpath("water_cell.toml").read_text(encoding="utf-8")


def default_file() -> TomlFile:
    """The default bench file, parsed."""
    return parse_toml(default_text(), LABEL)
