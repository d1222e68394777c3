"""What logs say of one another: a twin of its source, readers of each other and of commands."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

from testbed.core.bodies import CONFIGURATION, PARAMETERS, Event, State
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.record.schema import decode_tags, parameters_hash
from testbed.verify.commands import check_commands
from testbed.verify.crew import Crew
from testbed.verify.device import CheckedDevice, DeviceView, check_device
from testbed.verify.dropped import take_dropped
from testbed.verify.log import CheckedLog
from testbed.verify.presence import check_presence
from testbed.verify.readers import check_agreement, check_overload
from testbed.verify.replay import ApprovedModel, Replayed, check_lag, replay
from testbed.verify.sides import side_of
from testbed.verify.trust import LogRole, Trust

ModelMaker = Callable[[bytes, bytes, Sequence[Tag]], ApprovedModel | None]
"""(model hash, encoded parameters, tags) -> the model, ready to run; None where no such model is known."""


@dataclass(slots=True)
class CheckedReaders:
    """What readers say. agreed: scans that two of them have and say the same of; commands: that a gateway knew of;
    changes: that those explain; missed: by origin, scans that a reader missed by its own word.
    """

    agreed: int = 0
    commands: int = 0
    changes: int = 0
    missed: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_twin(trust: Trust, twin: CheckedLog, source: CheckedLog, make_model: ModelMaker) -> Replayed:
    tags = configured_tags(source)
    approved: dict[tuple[bytes, bytes], ApprovedModel | None] = {(m.hash, m.parameters): None for m in trust.models}
    for encoded in _events(twin, PARAMETERS):
        for known in trust.models:
            if tags is not None and parameters_hash(encoded) == known.parameters:
                approved[known.hash, known.parameters] = make_model(known.hash, encoded, tags)
    if not source.leaves:
        return Replayed()  # nothing is known of it, which is a finding of its own
    outcome = replay(twin, source, approved)
    # Where the record that holds tag list or parameters is a finding, that speaks for what cannot be run again.
    said = {parameters_hash(encoded) for encoded in _events(twin, PARAMETERS)}
    told = said & {known.parameters for known in trust.models}
    if (tags is None and not _is_whole(source)) or (not told and not _is_whole(twin)):
        outcome.findings = [one for one in outcome.findings if one.what is not What.MISSING]
    if outcome.ends:
        outcome.findings += check_lag(twin, source, outcome.consumed, trust.twin_lag)
    return outcome


def check_devices(trust: Trust, logs: Iterable[CheckedLog], crew: Crew) -> dict[str, CheckedDevice]:
    """By origin, what logs show of PLCs that sign. Without its tag list a log's values mean nothing: it is left out.

    crew: processes that help.
    """
    keys = {device.plc: device.key for device in trust.devices}
    checked: dict[str, CheckedDevice] = {}
    for log in logs:
        plc = log.trusted.reads
        tags = None if plc is None else configured_tags(log)
        if plc is not None and plc in keys and tags is not None:
            states = ((one.index, one.body) for one in log.of(Kind.STATE) if isinstance(one.body, State))
            checked[log.origin] = check_device(log.origin, states, DeviceView(plc, keys[plc], tags), crew)
    return checked


def check_readers(
    trust: Trust,
    logs: Sequence[CheckedLog],
    reading_ns: int,
    devices: Mapping[str, CheckedDevice] = MappingProxyType({}),
) -> CheckedReaders:
    """What readers of one PLC say against each other, and against what was commanded.

    logs: without those that were forked or cut back, which speaks for itself; devices: by origin, what those logs show
    of a PLC that signs. States that are false by its word are left out here.
    """
    result = CheckedReaders()
    false = {origin: device.bad for origin, device in devices.items()}
    tags = {log.origin: found for log in logs if (found := configured_tags(log)) is not None}
    all_readers = [log for log in logs if log.trusted.reads is not None]
    readers = [log for log in all_readers if log.origin in tags]
    sides = [side_of(log, tags[log.origin], false.get(log.origin, ())) for log in readers]
    result.missed = {side.origin: side.missed for side in sides}
    for side in sides:
        if (device := devices.get(side.origin)) is not None:
            result.findings += take_dropped(side, device.plc, device.unsigned)
    result.findings += [_unreadable(log) for log in all_readers if log.origin not in tags and _is_whole(log)]
    # Of what a reader missed only another one speaks.
    for side in sides if len(sides) > 1 else ():
        result.findings += check_overload(side, trust.agreement)
    for one, other in combinations(sides, 2):
        if one.log.trusted.reads == other.log.trusted.reads:
            agreement = check_agreement(one, other, trust.agreement)
            result.agreed += agreement.scans
            result.findings += agreement.findings
            # One log is read before the other, and a reader goes on meanwhile.
            result.findings += check_presence(one.log, other.log, trust.heartbeat_ns + reading_ns, false)
    operators = [log for log in logs if log.trusted.role is LogRole.OPERATOR and log.leaves]
    for gateway in readers:
        for operator in operators:
            if gateway.trusted.role is LogRole.GATEWAY:
                without = false.get(gateway.origin, ())
                checked = check_commands(gateway, operator, tags[gateway.origin], trust.commands, without)
                result.commands += checked.commands
                result.changes += checked.changes
                result.findings += checked.findings
    return result


def _is_whole(log: CheckedLog) -> bool:
    """Whether nothing of the log is a finding that may speak for what is not there."""
    return len(log.genuine) == log.size > 0


def _unreadable(log: CheckedLog) -> Finding:
    detail = "it does not hold the tag list that it says it has: what its values mean, and so its part, is not checked"
    return Finding(What.MISSING, Layer.GATEWAY, log.origin, detail, Verdict.INCONCLUSIVE, log.origin)


def configured_tags(source: CheckedLog) -> tuple[Tag, ...] | None:
    """The tag list that the source's own configuration record holds, when it is the one that the trust file names."""
    for encoded in _events(source, CONFIGURATION):
        if hashlib.sha256(encoded).digest() == source.trusted.schema:
            return decode_tags(encoded)
    return None


def _events(log: CheckedLog, name: str) -> list[bytes]:
    bodies = (found.body for found in log.of(Kind.EVENT))
    return [body.detail for body in bodies if isinstance(body, Event) and body.name == name]
