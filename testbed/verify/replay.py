"""Checks a twin by running its model again: each record must follow from the one before it and its named inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import LeafRef, Peer, State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.fieldbus.readings import Readings
from testbed.model.registry import Dynamics
from testbed.record.bodies import encode_body
from testbed.verify.log import CheckedLog
from testbed.verify.peers import KeptCheckpoints
from testbed.verify.records import Genuine

Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ApprovedModel:
    """A model that the trust file approves, ready to run."""

    model: Dynamics
    parameters: dict[str, float]
    readings: Readings


@dataclass(slots=True)
class Replayed:
    """What replay found: records that were run again, source entries that they consumed, and findings.

    ends: nothing is lost behind the newest twin record, so that one says how far the twin is.
    """

    records: int = 0
    consumed: int = 0
    ends: bool = True
    findings: list[Finding] = field(default_factory=list)


def replay(
    twin: CheckedLog, source: CheckedLog, approved: Mapping[tuple[bytes, bytes], ApprovedModel | None]
) -> Replayed:
    """Run every twin record again.

    approved: models by (model hash, parameters hash), None for one that is trusted and not to be had.

    A record whose own bytes are not genuine is a finding elsewhere already; it, and the link to the record behind it,
    are left out here. So is the run of a record whose inputs are not the source's. A false record's successor is
    judged by the state that the false one names and by the state that it should have had, so one lie is one finding.
    """
    result = Replayed()
    kept = KeptCheckpoints(twin, source, Layer.TWIN)
    previous: TwinRecord | None = None
    corrected: Floats | None = None
    begun, last_index, newest = False, -1, -1
    diverged: list[int] = []
    unapproved: list[int] = []
    unknown: list[int] = []
    for found in twin.of(Kind.TWIN, Kind.PEER):
        index = found.index
        if not twin.has_all(last_index + 1, index):
            previous, corrected, begun = None, None, True  # the records between are not to be had
        last_index = index
        body = found.body
        if isinstance(body, Peer):
            result.findings += kept.take(index, body)[1]
        if not isinstance(body, TwinRecord):
            continue
        result.findings += _check_order(twin, source, index, body, result.consumed if not begun or previous else None)
        if body.inputs:
            result.consumed, newest = body.inputs[-1].index + 1, index
        result.findings += _check_inputs(twin, source, kept, index, body)
        pair = (body.model, body.parameters)
        known = approved.get(pair)
        if pair not in approved:
            unapproved.append(index)
        elif known is None:
            unknown.append(index)
        elif previous is not None or not begun:
            outcome = _run(known, previous, corrected, source, found, body)
            if outcome is not None:
                result.records += 1
                corrected = outcome.corrected
                if not outcome.agrees:
                    diverged.append(index)
        previous, begun = body, True
    result.findings += _runs(twin, What.DIVERGED, diverged, _DIVERGED)
    result.findings += _runs(twin, What.UNAPPROVED, unapproved, _UNAPPROVED)
    if unknown:
        where = f"{len(unknown)} record(s) of {twin.origin}, from {unknown[0]} on"
        detail = "their approved model, its parameters or the tag list is not to be had: they cannot be run again"
        result.findings.append(Finding(What.MISSING, Layer.TWIN, where, detail, Verdict.INCONCLUSIVE, twin.origin))
    result.findings += kept.rolled_back()
    result.ends = twin.has_all(newest + 1, twin.size)
    return result


@dataclass(frozen=True, slots=True)
class _Outcome:
    agrees: bool
    corrected: Floats | None


def _run(
    known: ApprovedModel,
    previous: TwinRecord | None,
    corrected: Floats | None,
    source: CheckedLog,
    found: Genuine,
    body: TwinRecord,
) -> _Outcome | None:
    """One step again, from the named state and from the corrected one; None when an input is not the source's."""
    inputs = _states(source, body)
    if inputs is None:
        return None
    starts = [known.model.initial(known.parameters) if previous is None else previous.state]
    if corrected is not None:
        starts.append(corrected)
    state: Floats = ()
    for start in starts:
        again = run_again(known, start, inputs, body)
        if encode_body(again) == found.data:
            return _Outcome(agrees=True, corrected=None)
        state = again.state
    return _Outcome(agrees=False, corrected=state)


def run_again(known: ApprovedModel, state: Floats, inputs: Sequence[State], body: TwinRecord) -> TwinRecord:
    """The record that the model gives from `state` on the states among the inputs that `body` names."""
    outputs: Floats = ()
    for one in inputs:
        state, outputs = known.model.step(known.parameters, state, known.readings(one))
    return TwinRecord(body.inputs, body.model, body.parameters, state, outputs)


def _kinds(source: CheckedLog, body: TwinRecord) -> list[Kind] | None:
    """Of the source's own records that the inputs name; None where one of them is not to be had."""
    found = [
        source.kind(ref.index)
        for ref in body.inputs
        if ref.origin == source.origin and ref.index < source.size and source.leaves[ref.index] == ref.leaf_hash
    ]
    genuine = [one for one in found if one is not None]
    return genuine if len(genuine) == len(body.inputs) else None


def _states(source: CheckedLog, body: TwinRecord) -> list[State] | None:
    """The states among the source's own records that the inputs name; None where one of these is not to be had."""
    kinds = _kinds(source, body)
    if kinds is None:
        return None
    named = [ref.index for ref, kind in zip(body.inputs, kinds, strict=True) if kind is Kind.STATE]
    return [one for index in named if isinstance(one := source.genuine[index].body, State)]


def _check_order(
    twin: CheckedLog, source: CheckedLog, index: int, body: TwinRecord, expected: int | None
) -> list[Finding]:
    """Inputs follow one another without gaps, from one log, and end with the one state among them."""
    names = [ref.index for ref in body.inputs]
    first = names[0] if names else -1
    if any(ref.origin != source.origin for ref in body.inputs):
        detail = f"it names inputs of another log than {source.origin}"
    elif not names:
        detail = "it names no input"
    elif names != list(range(first, first + len(names))):
        detail = f"its inputs {names} do not follow one another"
    elif expected is not None and first != expected:
        detail = f"its inputs begin at {first} of {source.origin}, and {expected} is next"
    elif not _ends_with_its_state(source, body):
        detail = "each state is a step: its inputs do not end with the one state among them"
    else:
        return []
    return [Finding(What.SKIPPED, Layer.TWIN, _where(twin, index), detail, origin=twin.origin, index=index)]


def _check_inputs(
    twin: CheckedLog, source: CheckedLog, roots: KeptCheckpoints, index: int, body: TwinRecord
) -> list[Finding]:
    """Every named leaf hash is the source's; where it is not, who lied follows from the checkpoint the twin kept."""
    for ref in body.inputs:
        if ref.origin != source.origin or not _differs(source, ref):
            continue
        if ref.index >= source.size:
            if roots.covers(ref.index):
                return []  # the twin shows that the source was longer: one finding says so
            detail = f"it names record {ref.index} of {source.origin}, which ends at size {source.size}"
            return [Finding(What.INVENTED, Layer.TWIN, _where(twin, index), detail, origin=twin.origin, index=index)]
        if roots.forked_above(ref.index):
            where = f"record {ref.index} of {source.origin}"
            detail = (
                f"record {index} of {twin.origin} names another leaf hash for it, and keeps a checkpoint over it that"
                " the source's own key signed"
            )
            return [Finding(What.FORKED, Layer.LOG, where, detail, origin=source.origin, index=ref.index)]
        detail = f"it names a leaf hash for record {ref.index} of {source.origin} that this log does not have"
        return [Finding(What.INVENTED, Layer.TWIN, _where(twin, index), detail, origin=twin.origin, index=index)]
    return []


def _differs(source: CheckedLog, ref: LeafRef) -> bool:
    if ref.index >= source.size:
        return True
    leaf = source.leaves[ref.index]
    # A leaf that is not to be had is found elsewhere.
    return leaf is not None and leaf != ref.leaf_hash


def _ends_with_its_state(source: CheckedLog, body: TwinRecord) -> bool:
    kinds = _kinds(source, body)
    return kinds is None or [kind is Kind.STATE for kind in kinds] == [False] * (len(kinds) - 1) + [True]


_DIVERGED = "running the model again from its named state and inputs gives another body"
_UNAPPROVED = "the trust file has no model with its hash and parameters"


def _runs(twin: CheckedLog, what: What, found: list[int], detail: str) -> list[Finding]:
    """Twin records that are found one after another are one finding, which names the first."""
    runs: list[list[int]] = []
    for index in found:
        if runs and not twin.count(runs[-1][-1] + 1, index, Kind.TWIN):
            runs[-1].append(index)
        else:
            runs.append([index])
    return [
        Finding(
            what,
            Layer.TWIN,
            _where(twin, run[0]),
            detail + (f"; so for the {len(run) - 1} twin records behind it, up to {run[-1]}" if len(run) > 1 else ""),
            origin=twin.origin,
            index=run[0],
        )
        for run in runs
    ]


def _where(twin: CheckedLog, index: int) -> str:
    return f"record {index} of {twin.origin}"


def check_lag(twin: CheckedLog, source: CheckedLog, consumed: int, limit: int) -> list[Finding]:
    """A twin that is further behind than the trust file allows has stalled."""
    behind = source.size - consumed
    if behind <= limit:
        return []
    detail = f"it has consumed {consumed} of {source.size} records of {source.origin}; {limit} may be missing"
    return [Finding(What.STALLED, Layer.TWIN, twin.origin, detail, Verdict.INCONCLUSIVE, twin.origin)]
