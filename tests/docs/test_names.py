"""What the documents name is there: files, rooms, make targets, commands."""

import re
from pathlib import Path

import pytest

from testbed.cli.parser import parser
from testbed.rig.bench import load_bench
from testbed.rig.bench_file import BenchFile

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "testbed/README.md", "hardware/README.md")
HOUSE = ROOT / "testbed/README.md"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def in_backticks(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(name))
    assert links or name == "README.md"
    assert [link for link in links if "://" not in link and not ((ROOT / name).parent / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_in_backticks_exist(name: str) -> None:
    """A name with a slash or an ending is a file, seen from the root or from testbed/; `.testbed/` is a bench's."""
    named = [one for one in in_backticks(text_of(name)) if re.fullmatch(r"[\w./-]+", one)]
    files = [one for one in named if re.search(r"\w/|\.(py|toml|md|json)$", one) and not one.startswith(("127.", "."))]
    made = {"bench.toml", "trust.toml", "manifest.json", "water-cell/gateway"}
    missing = [
        one for one in files if one not in made and not any((ROOT / at / one).exists() for at in ("", "testbed"))
    ]
    assert missing == []
    assert files or name == "README.md"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_and_commands_exist(name: str) -> None:
    text = text_of(name)
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ |=\d+ )make ([a-z]+)", text)) <= targets
    actions = parser()._actions  # the one place where argparse keeps its subcommands
    commands = {name for action in actions if isinstance(action.choices, dict) for name in action.choices}
    assert commands
    assert set(re.findall(r"(?:`|\$ )testbed ([a-z-]+)", text)) <= commands


def test_the_table_of_rooms_is_the_house() -> None:
    text = HOUSE.read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "testbed").glob("*/__init__.py")}
    (floors,) = re.findall(r"```text\n faces(.*?)```", text, re.DOTALL)
    named = set()
    for line in (" faces" + floors).splitlines():
        words = re.sub(r" {3,}.*", "", re.sub(r"^ *(faces|composition|stages|libraries|ground) +", "", line)).split()
        named |= set(words)
    assert named == rooms


def test_every_library_has_its_line() -> None:
    text = HOUSE.read_text(encoding="utf-8")
    (floor,) = re.findall(r"^ libraries (.*)$", text, re.MULTILINE)
    described = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert described == set(floor.split()) - {"plant"}


def test_the_tables_of_a_bench_file_are_those_that_exist() -> None:
    text = text_of("hardware/README.md")
    named = {one.strip("[]").partition(".")[0] for one in re.findall(r"`(\[+[\w.]+\]+)`", text)}
    assert named == set(BenchFile.model_fields)


def test_the_ports_of_the_default_bench_are_as_told() -> None:
    bench = load_bench(None)
    text = text_of("README.md")
    assert f"127.0.0.1:{bench.plc.modbus.port}" in text
    assert f"opc.tcp://127.0.0.1:{bench.plc.opcua.port}" in text
