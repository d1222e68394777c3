"""Which nodes are asked for in which poll, and in which requests: pure, and encoded once.

A poll asks for the scan counter, the tags whose turn it is, the signed frame where the PLC signs, and the scan counter
and restart counter once more. All of it is one Read request, or several where a server takes fewer nodes in one (OPC
10000-5, section 6.3.11): the counters stand at both ends of the row, so what lies between two equal readings belongs to
one scan however it is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncua import ua

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, Tag
from testbed.fieldbus.opcua_read import BYTES, parameters

_COUNTERS = (DataType.INT16, DataType.UINT16, DataType.INT32, DataType.UINT32)


@dataclass(frozen=True, slots=True)
class Request:
    """One Read request and the types that are to come."""

    parameters: bytes
    types: tuple[DataType | None, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """The requests of one poll. places: of the tags that are read, in the tag list; None for all of them.

    count: how many tags that are.
    """

    requests: tuple[Request, ...]
    places: tuple[int, ...] | None
    count: int


class ReadPlan:
    """scan_tag, boot_tag: names of the counters, None for a PLC that has none; every: tag to each n-th poll.

    Raises UsageError for counters that are no integer tags, a class of a tag that is not there, and a counter that is
    to be read now and then only.
    """

    def __init__(
        self, tags: Sequence[Tag], scan_tag: str | None, boot_tag: str | None, every: Mapping[str, int] | None = None
    ) -> None:
        self.tags = tuple(tags)
        self.scan = None if scan_tag is None else self._counter(scan_tag)
        self.boot = None if boot_tag is None else self._counter(boot_tag)
        names = {tag.name for tag in self.tags}
        for name, period in (every or {}).items():
            if name not in names:
                raise UsageError(f"a scan class of {name!r}, which is no tag", "name one of the tags")
            if isinstance(period, bool) or period < 1:
                raise UsageError(f"{name}: each {period!r}th poll", "write a whole number from 1 on")
            if name in (scan_tag, boot_tag) and period != 1:
                raise UsageError(f"{name} is a counter, which is read in each poll", "leave its scan class out")
        self._periods = [(every or {}).get(tag.name, 1) for tag in self.tags]
        self._classes = sorted(set(self._periods) - {1})
        self._nodes: tuple[ua.NodeId, ...] = ()
        self._most = 0
        self._frame: ua.NodeId | None = None
        self._rounds: dict[tuple[bool, ...], Round] = {}

    def bind(self, nodes: Sequence[ua.NodeId], most: int, frame: ua.NodeId | None = None) -> None:
        """nodes: of the tags, on this server; most: nodes that it takes in one request, 0 for any number; frame: the
        node of the signed frame, behind the tags in each poll.
        """
        self._nodes, self._most, self._frame = tuple(nodes), most, frame
        self._rounds = {}

    @property
    def most(self) -> int:
        """Nodes in the longest request that there is."""
        longest = len(self.tags) + 4
        return min(self._most, longest) if self._most else longest

    def round(self, number: int) -> Round:
        """The requests of poll `number`, counted from 0, in which every tag is read."""
        due = tuple([number % period == 0 for period in self._classes])
        found = self._rounds.get(due)
        if found is None:
            found = self._rounds[due] = self._make(dict(zip(self._classes, due, strict=True)))
        return found

    def _make(self, due: Mapping[int, bool]) -> Round:
        places = [place for place, period in enumerate(self._periods) if due.get(period, True)]
        row: list[tuple[ua.NodeId, DataType | None]] = [(self._nodes[place], self.tags[place].type) for place in places]
        if self._frame is not None:
            row.append((self._frame, BYTES))
        again = [self._asked(tag) for tag in (self.scan, self.boot) if tag is not None]
        if self.scan is not None:
            row = [again[0], *row, *again]
        most = self._most or max(1, len(row))
        requests = tuple(
            Request(parameters([node for node, _ in part]), tuple(kind for _, kind in part))
            for part in (row[at : at + most] for at in range(0, len(row), most))
        )
        return Round(requests, None if len(places) == len(self.tags) else tuple(places), len(places))

    def _asked(self, tag: Tag) -> tuple[ua.NodeId, DataType | None]:
        return self._nodes[self.tags.index(tag)], tag.type

    def _counter(self, name: str) -> Tag:
        for tag in self.tags:
            if tag.name == name and tag.type in _COUNTERS and not tag.scaled:
                return tag
        raise UsageError(f"no integer tag {name!r} to count by", "name the PLC's counter among the tags")
