"""Checks a twin by running its model again: each record must follow from the one before it and its named inputs."""

import itertools
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
from testbed.verify.runs import runs

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
    are left out here. So is the run of a record whose inputs are not the source's, or not in order. A false record's
    successor is judged by the state that the false one names and by the state that it should have had, and the
    successor of one that goes back in the source by what stands before that one: so one lie is one finding.
    """
    result = Replayed()
    kept = KeptCheckpoints(twin, source, Layer.TWIN)
    previous: TwinRecord | None = None
    corrected: Floats | None = None
    begun, placed, last_index, newest = False, True, -1, -1
    skipped: list[tuple[int, str]] = []
    forked: dict[int, int] = {}
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
        newest = index
        result.findings += _check_inputs(twin, source, kept, index, body, forked)
        expected = result.consumed if placed and (not begun or previous) else None
        pair = (body.model, body.parameters)
        known = approved.get(pair)
        if pair not in approved:
            unapproved.append(index)
        elif known is None:
            unknown.append(index)
        disorder = _disorder(source, body, expected)
        named = [ref.index for ref in body.inputs if ref.origin == source.origin]
        if disorder:
            skipped.append((index, disorder))
            if named and expected is not None and named[0] < expected:
                continue  # it repeats what was consumed; the next one goes on where this one did not
        if known is not None and named and (previous is not None or not begun):
            outcome = _run(known, previous, corrected, source, found, body, _left_out(source, body, expected))
            corrected = None
            if outcome is not None:
                result.records += 1
                corrected = outcome.corrected
                if not outcome.agrees:
                    diverged.append(index)
        # Of a record that names nothing of the source nobody knows what it consumed, nor what is next.
        placed = bool(named)
        result.consumed = max(named) + 1 if named else result.consumed
        corrected = corrected if named else None
        previous, begun = body, True
    result.findings += _skipped(twin, skipped)
    result.findings += _forked(twin, source, forked)
    result.findings += _runs(twin, What.DIVERGED, diverged, _DIVERGED)
    result.findings += _runs(twin, What.UNAPPROVED, unapproved, _UNAPPROVED)
    if unknown:
        where = f"{len(unknown)} record(s) of {twin.origin}, from {unknown[0]} on"
        detail = "their approved model, its parameters or the tag list is not to be had: they cannot be run again"
        result.findings.append(Finding(What.MISSING, Layer.TWIN, where, detail, Verdict.INCONCLUSIVE, twin.origin))
    result.findings += [] if forked else kept.forked()
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
    left_out: Sequence[State],
) -> _Outcome | None:
    """One step again, from the named state and from the corrected one; None when an input is not the source's.

    left_out: states that it should have consumed first: it may have done so without saying it.
    """
    inputs = _states(source, body)
    if inputs is None:
        return None
    starts = [known.model.initial(known.parameters) if previous is None else previous.state]
    if corrected is not None:
        starts.append(corrected)
    for start in list(starts) if left_out else ():
        reached = start
        for one in left_out:
            reached, _ = known.model.step(known.parameters, reached, known.readings(one))
        starts.append(reached)
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


def _left_out(source: CheckedLog, body: TwinRecord, expected: int | None) -> list[State]:
    """States of the source between what was consumed last and the record's first input."""
    first = body.inputs[0].index if body.inputs else 0
    if expected is None or not expected < first <= source.size:
        return []
    between = itertools.takewhile(lambda one: one.index < first, source.of(Kind.STATE, since=expected))
    return [one.body for one in between if isinstance(one.body, State)]


def _disorder(source: CheckedLog, body: TwinRecord, expected: int | None) -> str:
    """Inputs follow one another without gaps, from one log, and end with the one state among them; "" where they do."""
    names = [ref.index for ref in body.inputs]
    first = names[0] if names else -1
    if any(ref.origin != source.origin for ref in body.inputs):
        return f"it names inputs of another log than {source.origin}"
    if not names:
        return "it names no input"
    if names != list(range(first, first + len(names))):
        return f"its inputs {names} do not follow one another"
    if expected is not None and first != expected:
        return f"its inputs begin at {first} of {source.origin}, and {expected} is next"
    if not _ends_with_its_state(source, body):
        return "each state is a step: its inputs do not end with the one state among them"
    return ""


def _check_inputs(
    twin: CheckedLog, source: CheckedLog, roots: KeptCheckpoints, index: int, body: TwinRecord, forked: dict[int, int]
) -> list[Finding]:
    """Every named leaf hash is the source's; where it is not, who lied follows from the checkpoint the twin kept.

    forked: takes up by its index each record of the source that the twin shows to have been another one.
    """
    for ref in body.inputs:
        if ref.origin != source.origin or not _differs(source, ref):
            continue
        if ref.index < source.size and roots.forked_above(ref.index):
            forked.setdefault(ref.index, index)
            continue
        if roots.beyond_end(ref.index):
            continue  # the twin shows that the source was longer: one finding says so
        if ref.index >= source.size:
            detail = f"it names record {ref.index} of {source.origin}, which ends at size {source.size}"
        else:
            detail = f"it names a leaf hash for record {ref.index} of {source.origin} that this log does not have"
        return [Finding(What.INVENTED, Layer.TWIN, _where(twin, index), detail, origin=twin.origin, index=index)]
    return []


def _forked(twin: CheckedLog, source: CheckedLog, forked: Mapping[int, int]) -> list[Finding]:
    """Records of the source that were others when the twin read them."""
    findings = []
    for run in runs(sorted(forked), lambda index: index):
        first, last = run[0], run[-1]
        where = f"records {first} to {last}" if last > first else f"record {first}"
        detail = (
            f"record {forked[first]} of {twin.origin} names another leaf hash for it, and keeps a checkpoint over it"
            " that the source's own key signed"
        )
        more = f"; so it is with each of these {len(run)}" if len(run) > 1 else ""
        where = f"{where} of {source.origin}"
        findings.append(Finding(What.FORKED, Layer.LOG, where, detail + more, origin=source.origin, index=first))
    return findings


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


def _skipped(twin: CheckedLog, skipped: list[tuple[int, str]]) -> list[Finding]:
    """Twin records out of order: many one after another are one finding."""
    ranked, rank, before = [], 0, 0
    for index, said in skipped:
        rank, before = rank + twin.count(before, index, Kind.TWIN), index
        ranked.append((rank, index, said))
    return [
        Finding(
            What.SKIPPED,
            Layer.TWIN,
            _where(twin, run[0][1]),
            run[0][2] + _and_behind(len(run), run[-1][1]),
            origin=twin.origin,
            index=run[0][1],
        )
        for run in runs(ranked, lambda one: one[0])
    ]


def _runs(twin: CheckedLog, what: What, found: list[int], detail: str) -> list[Finding]:
    """Twin records that are found one after another are one finding, which names the first."""
    following: list[list[int]] = []
    for index in found:
        if following and not twin.count(following[-1][-1] + 1, index, Kind.TWIN):
            following[-1].append(index)
        else:
            following.append([index])
    return [
        Finding(
            what,
            Layer.TWIN,
            _where(twin, run[0]),
            detail + _and_behind(len(run), run[-1]),
            origin=twin.origin,
            index=run[0],
        )
        for run in following
    ]


def _and_behind(count: int, last: int) -> str:
    return f"; so for the {count - 1} twin records behind it, up to {last}" if count > 1 else ""


def _where(twin: CheckedLog, index: int) -> str:
    return f"record {index} of {twin.origin}"


def check_lag(twin: CheckedLog, source: CheckedLog, consumed: int, limit: int) -> list[Finding]:
    """A twin that is further behind than the trust file allows has stalled."""
    # What nobody has behind the last record of the source is a finding of its own, and no twin can consume it.
    behind = source.end - consumed
    if behind <= limit:
        return []
    detail = f"it has consumed {consumed} of {source.size} records of {source.origin}; {limit} may be missing"
    return [Finding(What.STALLED, Layer.TWIN, twin.origin, detail, Verdict.INCONCLUSIVE, twin.origin)]
