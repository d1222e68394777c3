"""What logs say of one another, as a whole: what was compared is counted, and what could not be is said."""

from collections.abc import Sequence
from dataclasses import replace

from testbed.core.bodies import CONFIGURATION, Body, Event, Genesis, State
from testbed.core.finding import Layer, Verdict, What
from testbed.record.schema import encode_tags, schema_hash
from testbed.rig.auditing import approved_model
from testbed.verify.across import check_readers
from testbed.verify.evidence import Evidence
from testbed.verify.log import CheckedLog
from testbed.verify.trace import trace
from testbed.verify.trust import Trust
from testbed.verify.verdict import check
from tests.verify.readings import BY_OPCUA, GATEWAY, READER, TAGS, checked, values_of


def log(key: object, *, configured: bool = True) -> CheckedLog:
    key, tags = (GATEWAY, TAGS) if key is GATEWAY else (READER, BY_OPCUA)
    bodies: list[Body] = [Genesis(key.name, schema_hash(tags), "test", False)]
    if configured:
        bodies.append(Event(0, CONFIGURATION, encode_tags(tags)))
    bodies += [State(1, scan, None, scan * 10**8, values_of(tags, 1, scan), (0,) * 4) for scan in range(5)]
    found = checked(key, bodies)
    found.trusted = replace(found.trusted, schema=schema_hash(tags))
    return found


def test_two_readers_are_compared_and_counted(trust: Trust) -> None:
    said = check_readers(trust, [log(GATEWAY), log(READER)], 0)
    assert (said.agreed, said.findings) == (5, [])
    assert said.missed == {GATEWAY.name: 0, READER.name: 0}


def test_readers_of_two_plcs_have_nothing_in_common(trust: Trust) -> None:
    other = log(READER)
    other.trusted = replace(other.trusted, reads="another")
    assert check_readers(trust, [log(GATEWAY), other], 0).agreed == 0


def test_a_reader_that_keeps_its_tag_list_to_itself_is_not_passed_over(trust: Trust) -> None:
    silent = log(READER, configured=False)
    said = check_readers(trust, [log(GATEWAY), silent], 0)
    assert [(one.what, one.layer, one.verdict, one.origin) for one in said.findings] == [
        (What.MISSING, Layer.GATEWAY, Verdict.INCONCLUSIVE, READER.name)
    ]
    # Where a record is not to be had, it may be that one, and its own finding speaks for it.
    del silent.genuine[3]
    assert check_readers(trust, [log(GATEWAY), silent], 0).findings == []


def test_a_bench_says_how_much_was_compared(trust: Trust, evidence: Evidence) -> None:
    report = check(trust, evidence, approved_model).report
    assert (report.agreed, report.commands, report.changes) == (300, 0, 0)


def origins(trust: Trust, evidence: Evidence, asked: Sequence[str | None]) -> list[str]:
    checked_all = check(trust, evidence, approved_model)
    return [trace(checked_all, "cell", 5, origin).origin for origin in asked]


def test_a_plcs_record_is_the_gateways_unless_another_log_is_named(trust: Trust, evidence: Evidence) -> None:
    turned = replace(trust, logs=trust.logs[::-1])
    gateway, reader = "water-cell/gateway", "water-cell/reader"
    for one in (trust, turned):
        assert origins(one, evidence, [None, gateway, reader]) == [gateway, gateway, reader]
