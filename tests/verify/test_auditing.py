"""What an auditor's files and nodes may get wrong, and what is concluded from it: never more than follows."""

import asyncio
from dataclasses import replace

import pytest

from testbed.core.errors import UsageError
from testbed.core.finding import Layer, Verdict, What
from testbed.rig.auditing import approved_model, audit
from testbed.rig.bench import Bench
from testbed.verify.evidence import Evidence
from testbed.verify.trace import trace
from testbed.verify.trust import Trust, TrustedModel
from testbed.verify.verdict import check


def test_a_trust_file_of_another_bench_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match="is about bench 'water-cell'"):
        asyncio.run(audit(replace(bench, name="other"), bench.trust_file))


def test_a_second_approved_model_that_is_not_to_be_had_changes_nothing(trust: Trust, evidence: Evidence) -> None:
    more = replace(trust, models=(*trust.models, TrustedModel("newer", b"\x01" * 32, b"\x02" * 32)))
    assert check(more, evidence, approved_model).report.verdict is Verdict.GENUINE


def test_an_approved_model_that_is_not_to_be_had_leaves_the_twin_open(trust: Trust, evidence: Evidence) -> None:
    report = check(trust, evidence, lambda _hash, _parameters, _tags: None).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [(one.what, one.layer) for one in report.findings] == [(What.MISSING, Layer.TWIN)]


def test_another_network_than_the_trusted_one_says_nothing(trust: Trust, evidence: Evidence) -> None:
    # On a network of somebody else's the journal's head knows no version of a node.
    assert evidence.journal_head is not None
    foreign = replace(evidence, journal_head=replace(evidence.journal_head, node_version=None))
    assert foreign.chain is not None
    elsewhere = replace(foreign, chain=replace(foreign.chain, genesis=bytes(32)))
    report = check(trust, elsewhere, approved_model).report
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [one.what for one in report.findings] == [What.UNREACHABLE]
    own = replace(evidence, chain=elsewhere.chain)
    assert [one.what for one in check(trust, own, approved_model).report.findings] == [What.REWRITTEN]


def test_a_record_under_a_block_that_was_rewritten_shows_no_block(trust: Trust, evidence: Evidence) -> None:
    assert evidence.chain is not None
    whole = check(trust, evidence, approved_model)
    found = trace(whole, "cell", 5)
    assert found.anchor is not None
    assert found.checkpoint is not None
    height = found.anchor.block
    blocks = {**evidence.chain.blocks, height: replace(evidence.chain.blocks[height], hash=bytes(32))}
    rewritten = check(trust, replace(evidence, chain=replace(evidence.chain, blocks=blocks)), approved_model)
    assert rewritten.report.verdict is Verdict.FALSIFIED
    again = trace(rewritten, "cell", 5)
    assert (again.checkpoint, again.path, again.anchor) == (found.checkpoint, found.path, None)
    with pytest.raises(UsageError, match="there is no genuine record 99999 of 'cell'"):
        trace(whole, "cell", 99999)
