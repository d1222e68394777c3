"""What twins noted of their inputs: a copy of their source's leaf hashes, made when somebody asks for it."""

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence

from testbed.core.bodies import LeafRef, TwinRecord
from testbed.core.entry import Kind
from testbed.verify.log import CheckedLog


class Noted(Mapping[int, bytes]):
    """Leaf hashes of one log by index. Nothing is held: whoever goes through it has twins' records read and decoded."""

    def __init__(self, twins: Sequence[CheckedLog], origin: str) -> None:
        self._twins = twins
        self._origin = origin

    def refs(self) -> Iterator[LeafRef]:
        """All that is noted, in the order of the twins' records."""
        for twin in self._twins:
            for record in twin.of(Kind.TWIN):
                if isinstance(record.body, TwinRecord):
                    yield from (ref for ref in record.body.inputs if ref.origin == self._origin)

    def items(self) -> ItemsView[int, bytes]:
        """As of any mapping; what is noted again counts last, as it comes last."""
        return _Items(self, self.refs)

    def __getitem__(self, index: int) -> bytes:
        found = None
        for ref in self.refs():
            found = ref.leaf_hash if ref.index == index else found
        if found is None:
            raise KeyError(index)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(dict.fromkeys(ref.index for ref in self.refs()))

    def __len__(self) -> int:
        return len({ref.index for ref in self.refs()})


class _Items(ItemsView[int, bytes]):
    def __init__(self, noted: Noted, refs: Callable[[], Iterator[LeafRef]]) -> None:
        super().__init__(noted)
        self._refs = refs

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return ((ref.index, ref.leaf_hash) for ref in self._refs())
