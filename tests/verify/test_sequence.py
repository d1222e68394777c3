"""A log's writer counts each source without gaps; one that leaves a record out signs for its own omission."""

import pytest

from testbed.core.bodies import Genesis, Heartbeat
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Entry, Row
from testbed.core.finding import Layer, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body, kind_of
from testbed.record.entry import commitment, encode_entry
from testbed.verify.evidence import LogEvidence
from testbed.verify.log import CheckedLog, check_log
from testbed.verify.trust import LogRole, TrustedLog

KEY = SigningKey.from_seed("bench/gateway", b"s" * 32)


def checked(numbers: list[tuple[str, int]], erased: tuple[int, ...] = ()) -> CheckedLog:
    """A log whose records bear these (source, seq), signed by its own key; some of their bodies are gone."""
    rows: list[Row] = []
    for index, (source, seq) in enumerate(numbers):
        body = Genesis(KEY.name, bytes(32), "test", False) if index == 0 else Heartbeat(index, "", ())
        data, salt = encode_body(body), index.to_bytes(16, "big")
        entry = encode_entry(Entry(kind_of(body), source, seq, commitment(salt, data)))
        gone = index in erased
        rows.append(Row(index, entry, b"" if gone else salt, None if gone else data))
    root = Tree(leaf_hash(row.entry) for row in rows).root()
    note = sign_checkpoint(Checkpoint(KEY.name, len(rows), root), KEY)
    evidence = LogEvidence(KEY.name, tuple(rows), ((len(rows), note),), note, None)
    trusted = TrustedLog(KEY.name, LogRole.GATEWAY, KEY.verifier(), bytes(32))
    return check_log(trusted, False, evidence, [], {})


def test_sources_that_are_counted_each_for_itself_are_in_order() -> None:
    assert checked([("bench", 0), ("cell", 0), ("cell", 1), ("bench", 1), ("cell", 2)]).findings == []


@pytest.mark.parametrize(
    ("numbers", "index"),
    [
        ([("bench", 0), ("cell", 0), ("cell", 2), ("cell", 3)], 2),
        ([("bench", 0), ("cell", 1)], 1),
        ([("bench", 0), ("cell", 0), ("cell", 0)], 2),
    ],
    ids=["left out", "not from 0", "twice"],
)
def test_a_gap_in_the_numbers_is_named_once(numbers: list[tuple[str, int]], index: int) -> None:
    (finding,) = checked(numbers).findings
    assert (finding.what, finding.layer, finding.index) == (What.SKIPPED, Layer.LOG, index)


def test_what_is_left_of_erased_records_is_counted() -> None:
    """A body that was erased excuses no record that was left out behind it."""
    numbers = [("bench", 0), ("cell", 0), ("cell", 1), ("cell", 2), ("cell", 3)]
    found = checked(numbers, erased=(2,)).findings
    assert [(one.what, one.index) for one in found] == [(What.MISSING, 2)]
    numbers[4] = ("cell", 4)
    found = checked(numbers, erased=(2,)).findings
    assert [(one.what, one.index) for one in found] == [(What.MISSING, 2), (What.SKIPPED, 4)]
