"""Checks what a PLC signed itself: each state against the frame that came with it, and frames against one another.

Whoever reads a PLC that signs can leave frames out, and cannot make one: so a state whose values are not those that the
device signed is false, and it is known in which log. A reader that gets a frame that is not that of its values could
see it as well as an auditor; so it answers for what it logs, though somebody on its wire may have made it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice

from testbed.core.bodies import State
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import ByteOrder, Tag
from testbed.fieldbus.packed import repacker_of
from testbed.fieldbus.registers import decode
from testbed.keys.ed25519 import VerifierKey
from testbed.record.device_frame import DeviceFrame, Form, decode_frame, frame_message, image_meaning
from testbed.verify.crew import Crew
from testbed.verify.values import shown

_COUNTER = 2**32
"""A counter is a uint32 that goes on at 0 after its last value."""
_BATCH = 1024
"""States whose signatures one process checks at once: few enough to hold, and enough to be worth the sending."""
_MOST = 20
"""Runs of one kind that are told of one by one."""


class Mark(Enum):
    """What a state's frame says of it. Each but the first is a finding of that name."""

    SIGNED = "signed"
    STRIPPED = "stripped"
    FORGED = "forged"
    REPLAYED = "replayed"
    ALTERED = "altered"


_FINDINGS = {
    Mark.FORGED: (What.FORGED, Layer.WIRE),
    Mark.REPLAYED: (What.REPLAYED, Layer.WIRE),
    Mark.ALTERED: (What.ALTERED, Layer.GATEWAY),
}


@dataclass(frozen=True, slots=True)
class Examined:
    """One state by itself. frame: None unless the device signed it; why: the mark in words, "" for SIGNED; own: the
    frame is of the scan that the state says it is.
    """

    mark: Mark
    frame: DeviceFrame | None = None
    why: str = ""
    own: bool = True


@dataclass(frozen=True, slots=True)
class Signatures:
    """Frames with their signatures, None where there is none, and what they are held against."""

    key: VerifierKey
    meaning: bytes
    pairs: tuple[tuple[bytes | None, bytes | None], ...]


def holding(signatures: Signatures) -> list[bool]:
    """Which of them hold. It takes most of the time of this check, and other processes can do it."""
    return [
        frame is not None
        and signature is not None
        and signatures.key.verify(frame_message(signatures.meaning, frame), signature)
        for frame, signature in signatures.pairs
    ]


class Indices:
    """Indices of records, in rising order, 8 bytes each."""

    def __init__(self) -> None:
        self._found = array("Q")

    def add(self, index: int) -> None:
        """The next one, above all others."""
        self._found.append(index)

    def below(self, index: int) -> int:
        """How many are below."""
        return bisect_left(self._found, index)

    def __contains__(self, index: object) -> bool:
        if not isinstance(index, int):
            return False
        place = bisect_left(self._found, index)
        return place < len(self._found) and self._found[place] == index

    def __len__(self) -> int:
        return len(self._found)


@dataclass(slots=True)
class CheckedDevice:
    """What one log shows of what its PLC signed, by the indices of its states.

    states: those that were read; bad: those that are not what the device signed, which say nothing of the PLC;
    unsigned: these, and those without a frame.
    """

    plc: str
    states: Indices = field(default_factory=Indices)
    bad: Indices = field(default_factory=Indices)
    unsigned: Indices = field(default_factory=Indices)
    findings: list[Finding] = field(default_factory=list)

    def signed(self, index: int) -> bool:
        """Whether that record is a state as the device signed it."""
        return index in self.states and index not in self.unsigned

    def signed_below(self, index: int) -> int:
        """How many states before that record are as the device signed them."""
        return self.states.below(index) - self.unsigned.below(index)


class DeviceView:
    """How states that were read by `tags` are held against what `key` signed."""

    def __init__(self, plc: str, key: VerifierKey, tags: Sequence[Tag]) -> None:
        self.plc = plc
        self._key = key
        self._tags = tags
        self._meaning = image_meaning(tags)
        self._repack = repacker_of(tags)

    def signatures(self, states: Sequence[State]) -> "Signatures":
        """What it takes to know whether their signatures hold."""
        pairs = tuple((state.frame, state.signature) for state in states)
        return Signatures(self._key, self._meaning, pairs)

    def examine(self, state: State) -> Examined:
        """One state, by nothing but its own bytes."""
        (holds,) = holding(self.signatures((state,)))
        return self.judge(state, holds=holds)

    def judge(self, state: State, *, holds: bool) -> Examined:
        """As `examine`, where it is known whether the signature holds."""
        if state.frame is None or state.signature is None:
            return Examined(Mark.STRIPPED, None, "it has no signed frame")
        if not holds:
            return Examined(Mark.FORGED, None, f"its frame is not signed by the key of {self.plc}")
        try:
            frame = decode_frame(state.frame)
        except InvalidData as error:
            return Examined(Mark.FORGED, None, f"{self.plc} signed something that is no frame: {error}")
        if frame.device != self._key.device_id:
            return Examined(Mark.FORGED, None, f"its frame names another device than {self.plc}")
        if (state.boot, state.scan) != (frame.boot, frame.scan):
            why = f"its frame is of {_scan(frame)}, and it says that it is scan {state.scan}, boot {state.boot}"
            return Examined(Mark.ALTERED, frame, why, own=False)
        image = self._repack(state.values, frame.image if frame.form is Form.WHOLE else None)
        if image is None and frame.form is Form.DIGEST and any(raw is None for raw in state.values):
            return Examined(Mark.STRIPPED, frame, "not all of the values were read that its frame speaks for")
        if image is None or not frame.shows(image):
            return Examined(Mark.ALTERED, frame, self._difference(state, frame))
        return Examined(Mark.SIGNED, frame)

    def _difference(self, state: State, frame: DeviceFrame) -> str:
        """What the device signed, and what the state says instead: the first tag, where the frame shows its values."""
        start = 0
        for tag, raw in zip(self._tags, state.values, strict=False):
            signed = frame.image[start : start + tag.type.size]
            start += tag.type.size
            if frame.form is Form.DIGEST or raw is None:
                continue
            plain = replace(tag, modbus=replace(tag.modbus, byte_order=ByteOrder.ABCD))
            try:
                was, says = decode(plain, signed), decode(tag, raw)
            except InvalidData:
                return f"{self.plc} signed {tag.name} as {signed.hex()} in {_scan(frame)}; it has {raw.hex()}"
            if self._repack_one(tag, raw) != signed:
                return f"{self.plc} signed {tag.name} = {shown(was, tag)} in {_scan(frame)}; it has {shown(says, tag)}"
        return f"{self.plc} signed other values in {_scan(frame)}"

    @staticmethod
    def _repack_one(tag: Tag, raw: bytes) -> bytes | None:
        return repacker_of((tag,))((raw,), None)


def check_device(
    origin: str, states: Iterable[tuple[int, State]], view: DeviceView, crew: Crew | None = None
) -> CheckedDevice:
    """Check the states of one log, in its order, as (index, state). Those without any value say that the PLC was lost.

    crew: processes that help with the signatures.
    A run of false states of one kind is one finding, which names the first; states without a frame are one finding.
    """
    result = CheckedDevice(view.plc)
    runs: list[_Run] = []
    stripped = _Run(Mark.STRIPPED, 0, 0, 0, "")
    newest: DeviceFrame | None = None
    last = Mark.SIGNED
    read = ((index, state) for index, state in states if any(raw is not None for raw in state.values))
    for index, found in _examined(read, view, crew or Crew(1)):
        # A frame of another scan than the state says of itself does not tell where the counter stands.
        own = found.frame is not None and found.own
        if found.frame is not None and own and newest is not None and not _follows(found.frame, newest):
            found = Examined(Mark.REPLAYED, found.frame, _again(found.frame, newest))
        elif own:
            newest = found.frame
        result.states.add(index)
        if found.mark is not Mark.SIGNED:
            result.unsigned.add(index)
        if found.mark is Mark.STRIPPED:
            stripped = stripped.grown(index) if stripped.count else _Run(Mark.STRIPPED, index, index, 1, found.why)
        elif found.mark is not Mark.SIGNED:
            result.bad.add(index)
            if found.mark is last:
                runs[-1] = runs[-1].grown(index)
            else:
                runs.append(_Run(found.mark, index, index, 1, found.why))
        last = found.mark
    result.findings = [*_told(origin, runs), *(_stripped(origin, view.plc, stripped) if stripped.count else ())]
    return result


def _examined(states: Iterator[tuple[int, State]], view: DeviceView, crew: Crew) -> Iterator[tuple[int, Examined]]:
    while batch := list(islice(states, _BATCH * crew.count)):
        parts = [batch[at : at + _BATCH] for at in range(0, len(batch), _BATCH)]
        jobs = [view.signatures([state for _, state in part]) for part in parts]
        for part, held in zip(parts, crew.each(holding, jobs), strict=True):
            for (index, state), holds in zip(part, held, strict=True):
                yield index, view.judge(state, holds=holds)


@dataclass(frozen=True, slots=True)
class _Run:
    """States of one mark that follow one another. why: of the first one."""

    mark: Mark
    first: int
    last: int
    count: int
    why: str

    def grown(self, index: int) -> "_Run":
        return replace(self, last=index, count=self.count + 1)


def _told(origin: str, runs: Sequence[_Run]) -> Iterable[Finding]:
    left = dict.fromkeys(_FINDINGS, _MOST)
    beyond = {mark: [run for run in runs if run.mark is mark][_MOST:] for mark in _FINDINGS}
    for run in runs:
        what, layer = _FINDINGS[run.mark]
        if not left[run.mark]:
            continue
        left[run.mark] -= 1
        detail = run.why if run.count == 1 else f"{run.count} states; of the first: {run.why}"
        if not left[run.mark] and (more := beyond[run.mark]):
            detail += f"; so are {sum(one.count for one in more)} more, up to record {more[-1].last}"
        yield Finding(what, layer, _where(origin, run), detail, origin=origin, index=run.first)


def _stripped(origin: str, plc: str, run: _Run) -> Iterable[Finding]:
    more = f"; so are {run.count - 1} more, up to record {run.last}" if run.count > 1 else ""
    where = f"record {run.first} of {origin}"
    detail = f"{plc} signs its scans: {run.why}{more}"
    yield Finding(What.STRIPPED, Layer.GATEWAY, where, detail, Verdict.INCONCLUSIVE, origin, run.first)


def _where(origin: str, run: _Run) -> str:
    if run.first == run.last:
        return f"record {run.first} of {origin}"
    return f"records {run.first} to {run.last} of {origin}"


def _follows(frame: DeviceFrame, newest: DeviceFrame) -> bool:
    """Whether a frame is of a later scan: of a later boot, or of the same one further on."""
    if frame.boot != newest.boot:
        return frame.boot > newest.boot
    return 0 < (frame.scan - newest.scan) % _COUNTER < _COUNTER // 2


def _again(frame: DeviceFrame, newest: DeviceFrame) -> str:
    if (frame.boot, frame.scan) != (newest.boot, newest.scan):
        return f"its frame is of {_scan(frame)}, behind one of {_scan(newest)}"
    if (frame.form, frame.image) != (newest.form, newest.image):
        return f"{_scan(frame)} stands there a second time, with other values"
    return f"{_scan(frame)} stands there a second time"


def _scan(frame: DeviceFrame) -> str:
    return f"scan {frame.scan}, boot {frame.boot}"
