"""What goes wrong says what it is, how to mend it, and with which exit code it ends."""

import pytest

from testbed.core import errors
from testbed.core.errors import InvalidData, LogChanged, TestbedError
from testbed.core.finding import Finding, Layer, Verdict, What

FAILURES = {
    "TestbedError": 3,
    "UsageError": 2,
    "NotAllowed": 2,
    "Quarantined": 3,
    "LeaseError": 3,
    "StoreError": 3,
    "LogChanged": 3,
    "DeviceError": 3,
    "DeviceRefused": 3,
    "TornPoll": 3,
    "ChainError": 3,
    "NodeUnreachable": 3,
    "Rejected": 3,
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_carries_its_problem_its_mend_and_an_exit_code(name: str) -> None:
    kind = getattr(errors, name)
    if kind is LogChanged:
        assert str(LogChanged("cell/gateway", "it changed")) == "it changed\n  mend: try again"
        assert kind.exit_code == FAILURES[name]
        return
    error = kind("the log is locked", "stop the other writer")
    assert isinstance(error, TestbedError)
    assert (error.problem, error.mend) == ("the log is locked", "stop the other writer")
    assert str(error) == "the log is locked\n  mend: stop the other writer"
    assert error.exit_code == FAILURES[name]
    assert str(kind("the log is locked")) == "the log is locked"


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = {line.partition("── ")[2].split()[0]: line for line in (errors.__doc__ or "").splitlines() if "──" in line}
    assert drawn.keys() == FAILURES.keys() - {"TestbedError"} | {"InvalidProof", "InvalidSignature"}
    for name, code in FAILURES.items():
        if name in drawn:
            assert f"exit {code} " in drawn[name]
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined == FAILURES.keys() | {"InvalidData", "InvalidProof", "InvalidSignature"}


def test_a_fact_about_data_is_no_failure_of_the_program() -> None:
    for name in ("InvalidData", "InvalidProof", "InvalidSignature"):
        kind = getattr(errors, name)
        assert issubclass(kind, InvalidData)
        assert issubclass(kind, ValueError)
        assert not issubclass(kind, TestbedError)


def test_a_verdict_is_told_by_its_exit_code() -> None:
    assert {verdict.name: verdict.exit_code for verdict in Verdict} == {
        "GENUINE": 0,
        "FALSIFIED": 1,
        "INCONCLUSIVE": 3,
    }


def test_a_finding_reads_as_a_sentence() -> None:
    finding = Finding(What.ALTERED, Layer.STORE, "record 17 of source/cell", "its body does not open its commitment")
    assert str(finding) == "altered, store: record 17 of source/cell: its body does not open its commitment"
