"""A profile drafted from an OPC UA server: names that a tag may have, nodes that the driver finds again."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from testbed.core.identity import Identity
from testbed.core.tags import DataType
from testbed.fieldbus.opcua_scan import Browsed, Variable
from testbed.rig.bench import load_bench
from testbed.rig.draft_opcua import draft_opcua, tag_name, unique

NAME = r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*"


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_browse_names_make_a_tag_name(path: list[str]) -> None:
    name = tag_name(tuple(path))
    assert re.fullmatch(NAME, name)
    assert len(name) <= 90


def test_two_of_one_name_are_told_apart() -> None:
    taken: set[str] = set()
    for _ in range(3):
        taken.add(unique("tank.level", taken))
    assert taken == {"tank.level", "tank.level_2", "tank.level_3"}


def test_nodes_of_other_namespaces_are_written_out(tmp_path: Path) -> None:
    def variable(name: str, node: str, uri: str, identifier: str, kind: DataType | None = DataType.INT16) -> Variable:
        return Variable((name,), node, uri, identifier, kind, "1")

    seen = Browsed(
        Identity("x\n[plc]", "", ""),
        (
            variable("a", "ns=2;s=A", "urn:one", "A"),
            variable("b", "ns=2;s=B", "urn:one", "B"),
            variable("c", "ns=3;i=7", "urn:two", ""),
            variable("d", "ns=2;i=9", "urn:one", ""),
            variable("e", "ns=2;s=ns=4;s=E", "urn:one", "ns=4;s=E"),
            variable("text", "ns=2;s=T", "urn:one", "T", None),
            variable("long", "ns=2;s=" + "L" * 200, "urn:one", "L" * 200),
        ),
        (),
        3,
        more=True,
    )
    file = tmp_path / "bench.toml"
    keys = {"protocol": "opcua", "host": "plc", "security": "None"}
    file.write_text(draft_opcua(seen, keys, "testbed scan plc"), encoding="utf-8")
    bench = load_bench(file)
    assert {tag.name: tag.opcua for tag in bench.tags} == {
        "a": "A",
        "b": "B",
        "c": "nsu=urn:two;i=7",
        "d": "nsu=urn:one;i=9",
        "e": "nsu=urn:one;s=ns=4;s=E",
    }
