"""Tags whose OPC UA node is written out, as `ns=3;s=Tank.Level`, and not a string identifier by itself.

Apart from `opcua_names`, which makes nodes of them, so that a bench file is read without the library.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from testbed.core.tags import Tag

WRITTEN = re.compile(r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<text>.+)", re.DOTALL)
"""OPC 10000-6, section 5.3.1.10."""


def is_written_out(text: str) -> bool:
    """Whether this is the text of a NodeId and not a string identifier by itself."""
    return WRITTEN.fullmatch(text) is not None


def own_nodes(tags: Sequence[Tag]) -> tuple[Tag, ...]:
    """The tags as one of our servers shows them: what is written out for a device stands under the tag's name."""
    return tuple(replace(tag, opcua=tag.name) if is_written_out(tag.opcua) else tag for tag in tags)
