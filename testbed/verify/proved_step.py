"""Runs one twin record of an evidence file again, from the record before it and the inputs that it names."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.core.bodies import Body, State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, TestbedError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.record.bodies import encode_body
from testbed.record.schema import decode_tags, parameters_hash
from testbed.verify.across import ModelMaker
from testbed.verify.opened import OpenedRecord
from testbed.verify.replay import ApprovedModel, run_again
from testbed.verify.trust import Trust, TrustedLog

Places = Mapping[tuple[str, int], OpenedRecord]
"""What a file holds, by origin and index."""


@dataclass(slots=True)
class Step:
    """replayed: whether the model gave the record's very bytes; findings: why not, or what else is wrong with it."""

    replayed: bool = False
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Material:
    """What a step is run with. tags, parameters: encoded, as the file holds them; they count by their hashes."""

    trust: Trust
    records: Places
    tags: bytes | None
    parameters: bytes | None
    make_model: ModelMaker


def check_step(subject: OpenedRecord, twin: TrustedLog, material: Material) -> Step:
    """What the record says of itself, and whether it follows. `subject` is of kind twin, in the log `twin`."""
    body = subject.body
    if not isinstance(body, TwinRecord):
        return _undecided(subject, What.ERASED, "its body was erased: it cannot be run again")
    approved = {(model.hash, model.parameters) for model in material.trust.models}
    if (body.model, body.parameters) not in approved:
        detail = f"the trust file has no model {body.model.hex()} with parameters {body.parameters.hex()}"
        return _false(subject, What.UNAPPROVED, detail)
    source = next((log for log in material.trust.logs if log.origin == twin.follows), None)
    if source is None:
        return _undecided(subject, What.MISSING, "the trust file does not name the log that it follows")
    previous = _previous(subject, material.records)
    if isinstance(previous, Step):
        return previous
    wrong = _order(body, source.origin, previous)
    if wrong:
        return _false(subject, What.SKIPPED, wrong)
    inputs = _inputs(subject, body, material.records)
    if isinstance(inputs, Step):
        return inputs
    if [isinstance(one, State) for one in inputs] != [False] * (len(inputs) - 1) + [True]:
        return _false(
            subject, What.SKIPPED, "its inputs do not end with the one state among them: each state is a step"
        )
    model = _model(body, source, material)
    if model is None:
        detail = "its model, the parameters or the tag list is not to be had here: it cannot be run again"
        return _undecided(subject, What.MISSING, detail)
    start = model.model.initial(model.parameters) if previous is None else previous.state
    states = [one for one in inputs if isinstance(one, State)]
    if encode_body(run_again(model, start, states, body)) != subject.data:
        return _false(subject, What.DIVERGED, "running the model again from its inputs gives another body")
    return Step(replayed=True)


def _previous(subject: OpenedRecord, records: Places) -> TwinRecord | Step | None:
    """The twin record before the subject, None where it is the first: all between the two must be there to show it."""
    for index in range(subject.index - 1, -1, -1):
        found = records.get((subject.origin, index))
        if found is None:
            detail = f"record {index} of {subject.origin} is not in this file: what it goes on from is not known"
            return _undecided(subject, What.MISSING, detail)
        if found.entry.kind is Kind.TWIN:
            if isinstance(found.body, TwinRecord):
                return found.body
            return _undecided(subject, What.ERASED, f"the body of record {index}, from which it goes on, was erased")
    return None


def _order(body: TwinRecord, source: str, previous: TwinRecord | None) -> str:
    """What is wrong with the order of the inputs, "" where nothing is."""
    names = [ref.index for ref in body.inputs]
    due = previous.inputs[-1].index + 1 if previous is not None and previous.inputs else 0
    if any(ref.origin != source for ref in body.inputs):
        return f"it names inputs of another log than {source}"
    if not names:
        return "it names no input"
    if names != list(range(names[0], names[0] + len(names))):
        return f"its inputs {names} do not follow one another"
    if names[0] != due:
        return f"its inputs begin at {names[0]} of {source}, and {due} is next"
    return ""


def _inputs(subject: OpenedRecord, body: TwinRecord, records: Places) -> list[Body] | Step:
    """The bodies that the inputs name. A record of the source that hashes to another leaf shows an invented input."""
    bodies: list[Body] = []
    for ref in body.inputs:
        found = records.get((ref.origin, ref.index))
        if found is None:
            detail = f"record {ref.index} of {ref.origin}, an input, is not in this file"
            return _undecided(subject, What.MISSING, detail)
        if found.leaf != ref.leaf_hash:
            detail = (
                f"it names a leaf hash for record {ref.index} of {ref.origin} that this log does not have; unless"
                f" {ref.origin} signed two logs, the twin made it up"
            )
            return _false(subject, What.INVENTED, detail)
        if found.body is None:
            detail = f"the body of record {ref.index} of {ref.origin}, an input, was erased"
            return _undecided(subject, What.ERASED, detail)
        bodies.append(found.body)
    return bodies


def _model(body: TwinRecord, source: TrustedLog, material: Material) -> ApprovedModel | None:
    tags, parameters = material.tags, material.parameters
    if tags is None or parameters is None or parameters_hash(parameters) != body.parameters:
        return None
    if hashlib.sha256(tags).digest() != source.schema:
        return None
    try:
        return material.make_model(body.model, parameters, decode_tags(tags))
    except (InvalidData, TestbedError):
        return None


def _false(subject: OpenedRecord, what: What, detail: str) -> Step:
    where = f"record {subject.index} of {subject.origin}"
    return Step(findings=[Finding(what, Layer.TWIN, where, detail, origin=subject.origin, index=subject.index)])


def _undecided(subject: OpenedRecord, what: What, detail: str) -> Step:
    where = f"record {subject.index} of {subject.origin}"
    return Step(
        findings=[Finding(what, Layer.TWIN, where, detail, Verdict.INCONCLUSIVE, subject.origin, subject.index)]
    )
