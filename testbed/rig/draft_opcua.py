"""A profile drafted from what an OPC UA server shows."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from testbed.fieldbus.node_text import is_written_out
from testbed.fieldbus.opcua_scan import Browsed, Variable
from testbed.rig.draft import DraftTag, identity_words, plain, profile, tag_lines, toml

MOST_TAGS = 300
_LONGEST_NAME = 90
_LONGEST_NODE = 100
"""As long as a tag's `opcua` may be."""


def draft_opcua(seen: Browsed, connect: Mapping[str, object], command: str) -> str:
    """The text of the bench file. connect: what [plc.connect] is to say, without its namespace."""
    fitting = [one for one in seen.variables if one.type is not None]
    uri = main_namespace(fitting)
    keys = {**connect, "namespace": uri}
    notes = [identity_words(seen.identity) or "The server says nothing of itself."]
    if connect.get("security") == "None":
        notes.append("Read without encryption, as the server lets anybody: anyone on this network can read, and lie.")
    if left := len(seen.variables) - len(fitting):
        notes.append(f"{left} variables are text, arrays, 64-bit integers or without a value, which no tag can hold.")
    if seen.more:
        notes.append("There is more than was looked at: allow more with --requests.")
    if len(fitting) > MOST_TAGS:
        notes.append(f"The first {MOST_TAGS} are below, {len(fitting) - MOST_TAGS} are left out.")
    return profile(command, notes, keys, [tag_lines(tag) for tag in _tags(fitting[:MOST_TAGS], uri)])


def main_namespace(variables: list[Variable]) -> str:
    """The URI under which most variables stand; that of OPC UA itself where there is none."""
    counted = Counter(one.uri for one in variables if one.uri)
    return counted.most_common(1)[0][0] if counted else "http://opcfoundation.org/UA/"


def _tags(variables: list[Variable], uri: str) -> Iterator[DraftTag]:
    taken: set[str] = set()
    for one in variables:
        node = _node(one, uri)
        if one.type is None or len(node) > _LONGEST_NODE or not node.isprintable():
            continue
        name = unique(tag_name(one.path), taken)
        taken.add(name)
        yield DraftTag(name, one.type.value, f"opcua = {toml(node)}", plain(one.held))


def _node(one: Variable, uri: str) -> str:
    """A string identifier by itself in the main namespace, else the node with its namespace's URI, else its index."""
    if one.uri == uri and one.identifier and not is_written_out(one.identifier):
        return one.identifier
    named = re.sub(r"^ns=\d+;", f"nsu={one.uri};", one.node)
    return named if one.uri and ";" not in one.uri and len(named) <= _LONGEST_NODE else one.node


def tag_name(path: tuple[str, ...]) -> str:
    """Browse names as the dotted name of a tag: letters, digits and _ in each part, which begins with a letter."""
    parts = []
    for part in path:
        clean = re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_")
        parts.append(clean if clean[:1].isalpha() else f"n{clean}")
    while len(parts) > 1 and len(".".join(parts)) > _LONGEST_NAME:
        del parts[0]
    return ".".join(parts)[:_LONGEST_NAME].rstrip(".") or "n"


def unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number, found = 2, name
    while found in taken:
        found = f"{name}_{number}"
        number += 1
    return found
