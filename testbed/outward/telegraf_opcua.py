"""Telegraf's inputs.opcua: nodes by themselves and in groups. It does not say of what type they are.

A bench names a namespace by its URI, and takes nodes with string identifiers, all of one namespace.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from testbed.core.tags import DataType
from testbed.outward.draft import Draft, DraftTag, NotTaken, Remark, settled
from testbed.outward.telegraf_table import Table

_ID = re.compile(r"ns=(?P<index>[0-9]+);(?P<type>[sigb])=(?P<name>.+)", re.DOTALL)
_LONGEST = 100
_PORT = 4840
_POLICIES = {
    "Basic256Sha256": "Basic256Sha256",
    "Aes128Sha256RsaOaep": "Aes128Sha256RsaOaep",
    "Aes128_Sha256_RsaOaep": "Aes128Sha256RsaOaep",
    "Aes256Sha256RsaPss": "Aes256Sha256RsaPss",
    "Aes256_Sha256_RsaPss": "Aes256Sha256RsaPss",
}


def opcua_draft(table: Table, every_ms: int) -> Draft:
    """The draft of one [[inputs.opcua]]. Raises NotTaken where the way to the device has no match."""
    endpoint = table.word("endpoint")
    try:
        parts = urlsplit(endpoint)
        port = parts.port or _PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "opc.tcp" or not parts.hostname:
        raise NotTaken(f"endpoint = {endpoint!r}", 'write it as "opc.tcp://192.168.0.10:4840"')
    left: list[Remark] = []
    assumed: list[Remark] = []
    tags: list[DraftTag] = []
    space = ""
    for node, group in _nodes(table):
        try:
            space, name = _node(node, group, space)
            called = node.word("name") or name
            if group is not None and group.word("name"):
                called = f"{group.word('name')}.{called}"
            tags.append(DraftTag(node.line, called, DataType.FLOAT64, opcua=name, scan_ms=every_ms))
        except NotTaken as error:
            left.append(node.remark(f"{node.values.get('name') or node.values.get('id')}: {error}", error.mend))
    if tags:
        mend = "correct type and range of each tag: a server's node has one type, and only that one is read"
        assumed.append(table.remark(f"float64 for {len(tags)} nodes, of which the file says no type", mend))
    if space.isdecimal():
        mend = "write the URI that the server's NamespaceArray has at this index as namespace in [plc.connect]"
        assumed.append(table.remark(f"a name for namespace {space}", mend))
        space = f"urn:unknown:namespace-{space}"
    connect: dict[str, str | int] = {"protocol": "opcua", "host": parts.hostname, "port": port}
    if parts.path.strip("/"):
        connect["path"] = parts.path
    connect["namespace"] = space or "urn:unknown"
    connect["timeout_ms"] = table.patience_ms("request_timeout", 5000)
    return settled({**connect, **_security(table, assumed)}, tags, left, assumed)


def _nodes(table: Table) -> Iterator[tuple[Table, Table | None]]:
    """Each node, and the group that it is of."""
    for node in table.tables("nodes"):
        yield node, None
    for group in table.tables("group"):
        for node in group.tables("nodes"):
            yield node, group


def _node(node: Table, group: Table | None, others: str) -> tuple[str, str]:
    """Namespace, by URI or index, and string identifier. others: namespace of the nodes before, "" for none."""

    def given(key: str) -> str:
        value = node.values.get(key) or (group.values.get(key) if group is not None else "") or ""
        return str(value)

    space, kind, name = (
        given("namespace_uri") or given("namespace"),
        given("identifier_type") or "s",
        given("identifier"),
    )
    if (found := _ID.fullmatch(node.word("id"))) is not None:
        space, kind, name = found["index"], found["type"], found["name"]
    if others and space != others:
        raise NotTaken(f"namespace {space}, others have {others}", "make a bench of its own for each namespace")
    if kind != "s":
        raise NotTaken(f"its identifier is of type {kind}", "a bench takes string identifiers alone")
    if not name or not space:
        raise NotTaken("it names no node", "give it namespace and identifier")
    if len(name) > _LONGEST or not name.isprintable():
        raise NotTaken(f"its identifier is longer than {_LONGEST} letters, or not on one line", "rename the node")
    return space, name


def _security(table: Table, assumed: list[Remark]) -> dict[str, str]:
    mode, policy = table.word("security_mode", "auto"), table.word("security_policy", "auto")
    user = table.word("username") if table.word("auth_method") == "UserName" else ""
    if "None" in (mode, policy):
        if user:
            assumed.append(table.remark(f"nobody in place of {user}", "a password must not travel unencrypted"))
        return {"security": "None"}
    found = {"security": "Sign" if mode == "Sign" else "SignAndEncrypt"}
    if policy != "auto":
        found["policy"] = _POLICIES.get(policy, "Basic256Sha256")
        if policy not in _POLICIES:
            assumed.append(table.remark(f"Basic256Sha256 in place of {policy}", "let the server offer it"))
    found["certificate"] = table.word("certificate") or "client.pem"
    found["key"] = table.word("private_key") or "client.key"
    found["trust"] = "server.pem"
    mend = "put the server's certificate there, and the bench's own with its key where certificate and key say"
    assumed.append(table.remark("server.pem as the certificate that is trusted", mend))
    if user:
        found |= {"user": user, "password_file": "password.txt"}
        assumed.append(
            table.remark(f"password.txt for the password of {user}", "write it there, readable by you alone")
        )
    return found
