"""A gateway's log that says nothing for longer than the trust file allows is named, unless a restart says why."""

from testbed.core.bodies import STARTED, Body, Event, Genesis, Heartbeat, State
from testbed.core.entry import Entry
from testbed.core.finding import Finding, Verdict, What
from testbed.keys.ed25519 import SigningKey
from testbed.record.bodies import encode_body, kind_of
from testbed.verify.log import CheckedLog
from testbed.verify.records import Genuine
from testbed.verify.silence import check_silence
from testbed.verify.trust import LogRole, TrustedLog

KEY = SigningKey.from_seed("bench/gateway", b"s" * 32)
SECOND = 10**9
LIMIT = 10 * SECOND


def silences(*bodies: Body) -> list[Finding]:
    log = CheckedLog(TrustedLog(KEY.name, LogRole.GATEWAY, KEY.verifier(), bytes(32)))
    for index, body in enumerate((Genesis(KEY.name, bytes(32), "test", False), *bodies)):
        entry = Entry(kind_of(body), "cell", index, bytes(32))
        log.genuine[index] = Genuine(index, entry, body, encode_body(body), bytes(16), b"")
    return check_silence(log, LIMIT)


def state(second: int) -> State:
    return State(1, second, None, second * SECOND, (), ())


def test_states_and_heartbeats_within_the_limit_are_no_silence() -> None:
    assert silences(Event(0, "configuration", b""), state(10), Heartbeat(20 * SECOND, "no answer", ()), state(30)) == []


def test_a_longer_gap_is_named_with_its_records() -> None:
    (found,) = silences(state(0), state(10), state(21), state(40))
    assert (found.what, found.verdict, found.index) == (What.SILENT, Verdict.INCONCLUSIVE, 3)
    assert found.where == "between records 2 and 3 of bench/gateway"
    assert found.detail == "it says nothing for 11.0 s, and 10 s are allowed; so it does 1 more time(s)"


def test_a_restart_explains_the_gap_before_it_and_no_other() -> None:
    assert silences(state(0), Event(500 * SECOND, STARTED, b""), state(501)) == []
    assert silences(state(0), Event(500 * SECOND, "configuration", b""), state(501)) != []
    assert silences(state(0), Event(5 * SECOND, STARTED, b""), state(501)) != []


def test_a_clock_that_was_set_back_makes_no_gap() -> None:
    assert silences(state(5000), state(1), state(2)) == []
