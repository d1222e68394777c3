"""Evidence files of a bench: what a stranger concludes from one, with a trust file and nothing else."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.chain.proofs import header_fields
from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.evidence_file import Claim, EvidenceFile, encode_evidence, parse_evidence
from testbed.record.entry import decode_entry
from testbed.rig.auditing import approved_model, auditor
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.proving import Prover
from testbed.rig.trust import load_trust
from testbed.verify.proved import Proved, check_evidence
from testbed.verify.proved_anchor import NodeAnswer
from testbed.verify.trust import Trust

GATEWAY, TWIN, RECEIPTS = "water-cell/gateway", "water-cell/twin", "water-cell/receipts"
Prove = Callable[..., EvidenceFile]


@pytest.fixture(scope="module")
def prove(finished: Path) -> Iterator[Prove]:
    """`prove("gateway", 17)`: the evidence file of that record."""
    with Prover(load_bench(finished / "bench.toml")) as prover:
        yield prover.prove


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFile:
    """A file of another bench under the same names: other keys, another contract, another chain."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 32"), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, 20, 4))
    with Prover(bench) as prover:
        file = prover.prove("gateway", 10)
    assert check_evidence(file, auditor(load_trust(bench.trust_file)), approved_model).verdict is Verdict.GENUINE
    return file


def check(file: EvidenceFile, trust: Trust, node: NodeAnswer | None = None) -> Proved:
    """What is concluded from the file once it was written and read."""
    return check_evidence(parse_evidence(encode_evidence(file)), trust, approved_model, node)


def seen(found: Proved) -> list[tuple[What, Layer]]:
    return [(one.what, one.layer) for one in found.findings]


@pytest.mark.parametrize("log", ["gateway", "reader", "operator", "twin", "receipts"])
def test_records_of_every_log_are_shown_to_be_genuine(log: str, prove: Prove, finished: Path, trust: Trust) -> None:
    with Prover(load_bench(finished / "bench.toml")) as prover:
        size = prover.log(log).size
    pending = 0
    for index in sorted({0, 1, 2, min(5, size - 1), size // 2, size - 2, size - 1}):
        found = check(prove(log, index), trust)
        if seen(found) == [(What.UNANCHORED, Layer.ANCHOR)] and log == "receipts":
            pending += 1
            continue
        assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
        assert found.record is not None
        assert (found.record.origin, found.record.index) == (f"water-cell/{log}", index)
        assert found.anchored is not None
        assert found.replayed == (found.record.entry.kind is Kind.TWIN)
        assert len(found.signers) == (1 if log == "receipts" else 3 if found.replayed else 2)
    # The receipts of the newest round wait for the next one.
    assert pending == (2 if log == "receipts" else 0)


def test_a_state_is_told_with_its_values_and_between_which_blocks(prove: Prove, trust: Trust) -> None:
    found = check(prove("gateway", 200), trust)
    assert found.record is not None
    assert found.anchored is not None
    assert found.after is not None
    assert isinstance(found.record.body, State)
    assert len(found.tags) == len(found.record.body.values)
    assert found.after.time is not None
    assert found.after.block < found.anchored.proven.height
    assert found.after.time <= found.record.body.receive_time_ns // 10**9 <= found.anchored.proven.time


def test_a_state_is_what_the_plc_signed_or_it_is_forged(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    found = check(file, trust)
    assert (found.verdict, found.signed_by) == (Verdict.GENUINE, "cell")
    (device,) = trust.devices
    flipped = replace(device.key, public=bytes([device.key.public[0] ^ 1, *device.key.public[1:]]))
    found = check(file, replace(trust, devices=(replace(device, key=flipped),)))
    assert (found.verdict, found.signed_by) == (Verdict.FALSIFIED, "")
    assert seen(found) == [(What.FORGED, Layer.WIRE)]
    found = check(file, replace(trust, devices=()))
    assert (found.verdict, found.signed_by) == (Verdict.GENUINE, "")


def test_every_proved_record_stands_in_the_log_at_its_place(prove: Prove) -> None:
    file = prove("twin", 301)
    assert [one.place for one in file.records] == sorted(one.place for one in file.records)
    kinds = [decode_entry(one.entry).kind for one in file.records if one.place[0] == TWIN]
    assert kinds[0] is Kind.GENESIS
    assert kinds[-1] is Kind.TWIN


# What is not there.


def test_a_record_that_no_anchor_covers_yet_is_pending(prove: Prove, trust: Trust) -> None:
    found = check(replace(prove("gateway", 200), anchor=None, blocks=()), trust)
    assert (found.verdict, seen(found)) == (Verdict.INCONCLUSIVE, [(What.UNANCHORED, Layer.ANCHOR)])
    assert found.record is not None


def test_a_simulated_bench_counts_only_where_the_trust_file_says_so(prove: Prove, trust: Trust) -> None:
    found = check(prove("gateway", 200), replace(trust, simulated=False))
    assert (found.verdict, seen(found)) == (Verdict.INCONCLUSIVE, [(What.SIMULATED, Layer.IDENTITY)])


def test_a_record_that_the_file_does_not_hold_is_not_shown(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    without = tuple(one for one in file.records if one.place != (GATEWAY, 200))
    found = check(replace(file, records=without), trust)
    assert (found.verdict, seen(found)) == (Verdict.INCONCLUSIVE, [(What.MISSING, Layer.EVIDENCE)])


def test_a_log_whose_beginning_is_not_shown_stays_open(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    found = check(replace(file, records=tuple(one for one in file.records if one.place[1])), trust)
    assert (found.verdict, seen(found)) == (Verdict.INCONCLUSIVE, [(What.MISSING, Layer.IDENTITY)])


def test_an_erased_body_leaves_that_something_was_logged(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    records = tuple(replace(one, salt=None, body=None) if one.place[1] == 200 else one for one in file.records)
    found = check(replace(file, records=records), trust)
    assert (found.verdict, seen(found)) == (Verdict.INCONCLUSIVE, [(What.ERASED, Layer.STORE)])


def test_without_the_tag_list_values_are_not_named(prove: Prove, trust: Trust) -> None:
    found = check(replace(prove("gateway", 200), tags=None), trust)
    assert (found.verdict, found.tags) == (Verdict.GENUINE, ())


@pytest.mark.parametrize("part", ["tags", "parameters", "inputs", "previous"])
def test_a_twin_record_that_cannot_be_run_again_is_open(part: str, prove: Prove, trust: Trust) -> None:
    file = prove("twin", 301)
    before = max(one.place[1] for one in file.records if one.place[0] == TWIN and one.place[1] < 301)
    changed = {
        "tags": replace(file, tags=None),
        "parameters": replace(file, parameters=None),
        "inputs": replace(file, records=tuple(one for one in file.records if one.place[0] == TWIN)),
        "previous": replace(file, records=tuple(one for one in file.records if one.place != (TWIN, before))),
    }[part]
    found = check(changed, trust)
    assert (found.verdict, found.replayed) == (Verdict.INCONCLUSIVE, False)
    assert [one.layer for one in found.findings] == [Layer.TWIN]


# What does not hold.


def test_a_file_made_wholly_by_others_has_the_wrong_key(stranger: EvidenceFile, trust: Trust) -> None:
    found = check(stranger, trust)
    assert found.verdict is Verdict.FALSIFIED
    assert seen(found) == [(What.WRONG_KEY, Layer.IDENTITY)]
    assert (found.record, found.anchored) == (None, None)


def test_a_log_that_the_trust_file_does_not_name_has_the_wrong_key(prove: Prove, trust: Trust) -> None:
    fewer = replace(trust, logs=tuple(log for log in trust.logs if log.origin != GATEWAY))
    assert seen(check(prove("gateway", 200), fewer)) == [(What.WRONG_KEY, Layer.IDENTITY)]


def test_an_anchor_on_a_chain_of_others_is_refused(prove: Prove, stranger: EvidenceFile, trust: Trust) -> None:
    found = check(replace(prove("gateway", 10), anchor=stranger.anchor), trust)
    assert (found.verdict, found.anchored) == (Verdict.FALSIFIED, None)
    assert seen(found) == [(What.WRONG_KEY, Layer.IDENTITY)]


def test_another_contract_than_the_trusted_one_is_substituted(prove: Prove, trust: Trust) -> None:
    other = "0x" + "11" * 20
    for chain in (
        replace(trust.chain, contract=other),
        replace(trust.chain, submitter=other),
        replace(trust.chain, code_hash=bytes(32)),
    ):
        found = check(prove("gateway", 200), replace(trust, chain=chain))
        assert (found.verdict, seen(found)) == (Verdict.FALSIFIED, [(What.SUBSTITUTED, Layer.ANCHOR)])


def test_anchors_of_other_records_and_logs_are_refused(prove: Prove, trust: Trust) -> None:
    late, early, other = prove("gateway", 300), prove("gateway", 5), prove("reader", 300)
    assert early.anchor is not None
    assert late.anchor is not None
    for wrong in (early.anchor, other.anchor, replace(late.anchor, header=early.anchor.header)):
        found = check(replace(late, anchor=wrong, blocks=()), trust)
        assert (found.verdict, found.anchored) == (Verdict.FALSIFIED, None)
    # A later anchor over the same record says less of when it was logged, and nothing false.
    assert check(replace(early, anchor=late.anchor, blocks=()), trust).verdict is Verdict.GENUINE


def test_headers_that_do_not_lead_to_the_anchor_are_refused(prove: Prove, trust: Trust) -> None:
    file, other = prove("gateway", 300), prove("gateway", 100)
    assert file.anchor is not None
    for blocks in (other.blocks, file.blocks[1:] or (file.anchor.header,), (*file.blocks, file.anchor.header)):
        found = check(replace(file, blocks=blocks), trust)
        assert (found.verdict, seen(found)) == (Verdict.FALSIFIED, [(What.ALTERED, Layer.EVIDENCE)])


def test_salts_bodies_and_places_belong_to_one_record(prove: Prove, trust: Trust) -> None:
    one, other = prove("gateway", 200), prove("gateway", 201)
    by_place = {record.place: record for record in (*one.records, *other.records)}
    mine, theirs = by_place[GATEWAY, 200], by_place[GATEWAY, 201]
    for wrong in (
        replace(mine, salt=theirs.salt),
        replace(mine, body=theirs.body),
        replace(mine, entry=theirs.entry),
        replace(mine, proof=replace(mine.proof, path=theirs.proof.path)),
        replace(theirs, proof=replace(theirs.proof, index=200)),
    ):
        records = tuple(wrong if record.place == (GATEWAY, 200) else record for record in one.records)
        found = check(replace(one, records=records), trust)
        assert (found.verdict, seen(found)) == (Verdict.FALSIFIED, [(What.ALTERED, Layer.EVIDENCE)])


def test_a_tag_list_of_another_bench_is_refused(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    assert seen(check(replace(file, tags=prove("reader", 200).tags), trust)) == [(What.ALTERED, Layer.EVIDENCE)]


# Claims that are not proved.


@pytest.mark.parametrize("claim", [Claim.DIVERGED, Claim.UNAPPROVED, Claim.SKIPPED, Claim.INVENTED])
def test_an_honest_twin_is_not_convicted(claim: Claim, prove: Prove, stranger: EvidenceFile, trust: Trust) -> None:
    found = check(replace(prove("twin", 301), claim=claim), trust)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert [one.detail for one in found.findings] == [
        f"this file claims that it is {claim.value}, and does not prove it: all of it holds"
    ]
    for doubtful in (replace(prove("gateway", 200), claim=claim), replace(stranger, claim=claim)):
        assert check(doubtful, trust).verdict is Verdict.INCONCLUSIVE


# A node of the auditor's choice.


def answer(file: EvidenceFile, trust: Trust) -> NodeAnswer:
    assert file.anchor is not None
    header = header_fields(file.anchor.header)
    return NodeAnswer("http://node", "", trust.chain.chain_id, trust.chain.genesis, header.number + 3, header.hash)


def test_a_node_bears_the_anchor_out_or_not(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    right = answer(file, trust)
    said = {
        right: (Verdict.GENUINE, []),
        replace(right, block=bytes(32)): (Verdict.FALSIFIED, [(What.REWRITTEN, Layer.CHAIN)]),
        replace(right, block=None): (Verdict.INCONCLUSIVE, [(What.BEHIND, Layer.CHAIN)]),
        replace(right, genesis=bytes(32)): (Verdict.INCONCLUSIVE, [(What.UNREACHABLE, Layer.CHAIN)]),
        replace(right, problem="it is silent"): (Verdict.INCONCLUSIVE, [(What.UNREACHABLE, Layer.CHAIN)]),
    }
    for node, (verdict, findings) in said.items():
        found = check(file, trust, node)
        assert (found.verdict, seen(found)) == (verdict, findings)


def test_confirmations_and_a_bench_without_receipts_need_a_node(prove: Prove, trust: Trust) -> None:
    file = prove("gateway", 200)
    right = answer(file, trust)
    deeper = replace(trust, chain=replace(trust.chain, confirmations=4))
    alone = replace(trust, logs=tuple(log for log in trust.logs if log.origin != RECEIPTS))
    for other in (deeper, alone):
        assert check(file, other).verdict is Verdict.INCONCLUSIVE
        assert check(file, other, right).verdict is Verdict.GENUINE
    assert check(file, replace(trust, chain=replace(trust.chain, confirmations=5)), right).verdict is (
        Verdict.INCONCLUSIVE
    )


# One flipped bit.


def redigested(data: bytes) -> bytes:
    lines = data.split(b"\n")[:-2]
    counted = [line for line in lines if not line.startswith(b"#")]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in counted)).hexdigest().encode()
    return b"\n".join([*lines, b"digest " + digest, b""])


def test_every_byte_of_a_file_is_held(prove: Prove) -> None:
    """Several bits of each byte: refused, or in the commentary, which nothing reads."""
    file = prove("gateway", 200)
    data = encode_evidence(file)
    comments = range(data.index(b"\n") + 1, data.index(b"\nclaim"))
    for place in range(len(data)):
        for bit in (place % 8, (place + 3) % 8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            try:
                found = parse_evidence(bytes(flipped))
            except InvalidData:
                continue
            assert place in comments
            assert replace(found, commentary=file.commentary) == file


@settings(max_examples=150)
@given(data=st.data())
def test_who_repairs_the_digest_still_changes_nothing_that_counts(
    data: st.DataObject, prove: Prove, trust: Trust
) -> None:
    log, index = data.draw(st.sampled_from([("gateway", 200), ("twin", 301)]))
    file = prove(log, index)
    text = bytearray(encode_evidence(file))
    place = data.draw(st.integers(text.index(b"\nclaim") + 1, len(text) - 73))
    text[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = parse_evidence(redigested(bytes(text)))
    except InvalidData:
        return
    # A claim about another record that the file proves as well is true of that one, and says that it is.
    about_another = changed.index != file.index and replace(changed, index=file.index) == file
    assert about_another or check_evidence(changed, trust, approved_model).verdict is not Verdict.GENUINE
