"""Lines and names of keys, found for messages."""

import pytest

from testbed.rig.toml_file import Loc, parse_toml

TEXT = '''\
# a comment = no key
[a]
one = 1
"two" = """
three = 3
"""
[[b.c]]
name = "first"
[[b.c]]
name = "second"
[b.c.d]
deep = { inner = 1 }
[ e . f ] # spaces
dotted.key = 1
'''


@pytest.mark.parametrize(
    ("loc", "line"),
    [
        (("a",), 2),
        (("a", "one"), 3),
        (("a", "two"), 4),
        (("a", "three"), 2),
        (("b", "c"), 7),
        (("b", "c", 0, "name"), 8),
        (("b", "c", 1), 9),
        (("b", "c", 1, "name"), 10),
        (("b", "c", 1, "d", "deep", "inner"), 12),
        (("e", "f"), 13),
        (("e", "f", "dotted", "key"), 14),
        (("nowhere",), None),
    ],
)
def test_lines_are_those_of_the_key_or_of_the_table_around_it(loc: Loc, line: int | None) -> None:
    assert parse_toml(TEXT, "x.toml").line(loc) == line


@pytest.mark.parametrize(
    ("loc", "key"),
    [
        (("b", "c", 1, "d", "deep", "inner"), "b.c[2] (second).d.deep.inner"),
        (("a", "odd key"), 'a."odd key"'),
        ((), ""),
    ],
)
def test_keys_are_written_as_toml_has_them(loc: Loc, key: str) -> None:
    assert parse_toml(TEXT, "x.toml").key(loc) == key
