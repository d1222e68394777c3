"""The nodes that tags stand for."""

import base64
import uuid

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as some

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.node_text import is_written_out, own_nodes
from testbed.fieldbus.opcua_names import NoNamespaceError, check_nodes, node_of

TEXTS = some.text(some.characters(exclude_categories=("Cs", "Cc")), min_size=1)
IDENTIFIERS = some.one_of(
    some.integers(0, 2**32 - 1).map(lambda number: ("i", str(number))),
    TEXTS.map(lambda text: ("s", text)),
    some.uuids().map(lambda found: ("g", str(found))),
    some.binary(min_size=1).map(lambda data: ("b", base64.b64encode(data).decode())),
)


def tag(opcua: str) -> Tag:
    return Tag("one", DataType.FLOAT32, "", 0, 1, False, ModbusAddress(ModbusTable.INPUT_REGISTER, 0), opcua)


@given(IDENTIFIERS, some.integers(0, 2**15 - 1) | some.none())
def test_what_is_written_out_is_read_as_the_library_does(identifier: tuple[str, str], space: int | None) -> None:
    kind, value = identifier
    text = f"{kind}={value}" if space is None else f"ns={space};{kind}={value}"
    assert is_written_out(text)
    node = node_of(text, 7)
    assert node == ua.NodeId.from_string(text)
    assert node.NamespaceIndex == (space or 0)


@given(TEXTS.filter(lambda text: not is_written_out(text)))
def test_all_else_is_a_string_in_the_namespace_of_the_device(text: str) -> None:
    node = node_of(text, 3)
    assert (node.Identifier, node.NamespaceIndex, node.NodeIdType) == (text, 3, ua.NodeIdType.String)


def test_a_namespace_may_be_named_by_its_uri() -> None:
    uris = ["http://opcfoundation.org/UA/", "urn:a", "urn:b"]
    assert node_of("nsu=urn:b;i=5", 9, uris) == ua.NodeId(ua.Int32(5), ua.Int16(2))
    with pytest.raises(NoNamespaceError, match="urn:c"):
        node_of("nsu=urn:c;i=5", 9, uris)


@pytest.mark.parametrize(
    "text", ["i=-1", "i=4294967296", "i=x", "g=no", "b=***", "ns=99999;i=1", "ns=65536;s=x", "nsu=urn:x;i=x"]
)
def test_a_node_that_cannot_be_is_named_with_its_tag(text: str) -> None:
    with pytest.raises(UsageError, match=r"one: .* is no OPC UA node\n  mend: write it as"):
        check_nodes([tag(text)])


def test_our_servers_show_what_was_written_out_under_the_name_of_the_tag() -> None:
    assert [one.opcua for one in own_nodes([tag("cell.one"), tag(f"ns=2;g={uuid.UUID(int=1)}")])] == ["cell.one", "one"]
