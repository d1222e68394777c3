"""Trust policies as C2SP tlog-policy has them: what a file may say, and when its quorum is reached."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.checkpoint import checkpoint_text, sign_checkpoint
from testbed.keys.cosignature import WitnessKey, cosign
from testbed.keys.ed25519 import SigningKey
from testbed.keys.note import add_lines
from testbed.keys.tlog_policy import MAX_LINES, MOST, Policy, PolicyGroup, PolicyLog, PolicyWitness, parse_policy
from testbed.keys.vkey import Vkey

LOG = SigningKey.from_seed("example.org/log", bytes([100]) * 32)
SIGNERS = [SigningKey.from_seed(f"example.org/{n}", bytes([n]) * 32) for n in range(1, 8)]
KEYS = [WitnessKey.of(key) for key in SIGNERS]
ML_DSA = Vkey("example.org/pq", b"\x06", bytes(1312))
VKEYS = {f"K{n}": key.encode() for n, key in enumerate(KEYS, 1)} | {"LOG": LOG.verifier().encode()}

EXAMPLE = """
log LOG

witness X1 K1
witness X2 K2
witness X3 K3
group X-witnesses 2 X1 X2 X3

witness Y1 K4
witness Y2 K5
witness Y3 K6
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def filled(text: str) -> bytes:
    """A policy whose keys are written as K1..K7 and LOG."""
    lines = [" ".join(VKEYS.get(word, word) for word in line.split(" ")) for line in text.split("\n")]
    return "\n".join(lines).encode()


def test_the_specification_s_example() -> None:
    policy = parse_policy(filled(EXAMPLE))
    assert policy.logs == (PolicyLog(LOG.verifier()),)
    assert [witness.name for witness in policy.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.groups[2] == PolicyGroup("X-and-Y", 2, ("X-witnesses", "Y-witnesses"))
    for size in range(7):
        for chosen in combinations(range(6), size):
            x, y = sum(n < 3 for n in chosen), sum(n >= 3 for n in chosen)
            assert policy.satisfied([KEYS[n] for n in chosen]) == (x >= 2 and y >= 1)
    assert not policy.satisfied([KEYS[6]])
    assert parse_policy(policy.render()) == policy


def test_blanks_comments_urls_and_octets_that_are_no_unicode() -> None:
    policy = parse_policy(
        b" \t# a comment \xff\n\n\t\nwitness\t\xe2\x84\xaa  %s  https://w.example/\xfe/ \n"
        b"  log %s https://log.example/\n witness K %s\n#quorum none\nquorum \xe2\x84\xaa"
        b"\n" % (KEYS[0].encode().encode(), LOG.verifier().encode().encode(), KEYS[1].encode().encode())
    )
    assert policy.logs == (PolicyLog(LOG.verifier(), "https://log.example/"),)
    assert [one.url.encode(errors="surrogateescape") for one in policy.witnesses] == [b"https://w.example/\xfe/", b""]
    # A Kelvin sign is not the letter.
    assert policy.satisfied([KEYS[0]])
    assert not policy.satisfied([KEYS[1]])
    assert b"https://w.example/\xfe/" in policy.render()


def test_a_quorum_of_none_needs_no_witness() -> None:
    policy = parse_policy(b"quorum none\n")
    assert policy == Policy((), (), (), "none")
    assert policy.satisfied([])


def test_a_witness_of_a_type_that_is_not_checked_never_counts() -> None:
    policy = parse_policy(filled(f"witness pq {ML_DSA.encode()}\nwitness w K1\ngroup g all pq w\nquorum g\n"))
    assert policy.witnesses[0] == PolicyWitness("pq", ML_DSA)
    assert not policy.satisfied(KEYS)
    assert parse_policy(policy.render()) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "quorum none",
        "quorum none\r\n",
        "quorum none\x7f\n",
        "quorum none\x00\n",
        "quorum\n",
        "quorum none none\n",
        "quorum none\nquorum none\n",
        "quorum a\n",
        "quorum a\nwitness a K1\n",
        "Quorum none\n",
        "\u00a0quorum none\n",
        "quorum none # comment\n",
        "quorum none\nlog\n",
        "quorum none\nlog K1\n",
        "quorum none\nlog LOG url more\n",
        "quorum none\nlog LOG\nlog LOG\n",
        f"quorum none\nlog LOG\nlog {SigningKey.from_seed('another', LOG.seed).verifier().encode()}\n",
        "quorum none\nwitness a\n",
        "quorum none\nwitness a LOG\n",
        "quorum none\nwitness a K1 url #comment\n",
        "quorum none\nwitness none K1\n",
        "quorum none\nwitness a K1\nwitness a K2\n",
        "quorum none\nwitness a K1\nwitness b K1\n",
        f"quorum none\nwitness a K1\nwitness b {WitnessKey('another', KEYS[0].public).encode()}\n",
        f"quorum none\nwitness a {ML_DSA.encode()}\nwitness b {ML_DSA.encode()}\n",
        f"quorum none\nwitness a {Vkey('pq', ML_DSA.type, bytes(1311)).encode()}\n",
        f"quorum none\nwitness a {KEYS[0].encode()[:-1]}\n",
        "witness a K1\ngroup g any\nquorum g\n",
        "witness a K1\ngroup g any none\nquorum g\n",
        "witness a K1\ngroup none any a\nquorum none\n",
        "witness a K1\ngroup a any a\nquorum a\n",
        "witness a K1\ngroup g any g\nquorum g\n",
        "witness a K1\ngroup g any b\nwitness b K2\nquorum g\n",
        "witness a K1\ngroup g any a a\nquorum g\n",
        "witness a K1\ngroup g any a\ngroup h any a\nquorum g\n",
        "witness a K1\ngroup g 0 a\nquorum g\n",
        "witness a K1\ngroup g 2 a\nquorum g\n",
        "witness a K1\ngroup g 01 a\nquorum g\n",
        "witness a K1\ngroup g +1 a\nquorum g\n",
        "witness a K1\ngroup g -1 a\nquorum g\n",
        "witness a K1\ngroup g \u0661 a\nquorum g\n",
        "witness a K1\ngroup g most a\nquorum g\n",
        "witness a K1\ngroup g 1 a\nwitness g K2\nquorum g\n",
    ],
)
def test_other_files_are_no_policy(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_policy(filled(text))


def test_the_bounds() -> None:
    parse_policy(b"\n" * (MAX_LINES - 1) + b"quorum none\n")
    for data in (b"\n" * MAX_LINES + b"quorum none\n", b"#" * MOST + b"\nquorum none\n"):
        with pytest.raises(InvalidData):
            parse_policy(data)


def test_a_fault_is_named_by_its_line() -> None:
    with pytest.raises(InvalidData, match="line 2"):
        parse_policy(b"quorum none\nlog nothing\n")


@given(st.binary(max_size=200))
def test_noise_is_a_policy_or_invalid_data(data: bytes) -> None:
    for attempt in (data, b"quorum none\n" + data + b"\n"):
        try:
            policy = parse_policy(attempt)
        except InvalidData:
            continue
        assert parse_policy(policy.render()) == policy


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy: each witness and group a member of one later group at most."""
    count = draw(st.integers(0, len(KEYS)))
    url = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8)
    witnesses = tuple(PolicyWitness(f"w{n}", KEYS[n], draw(url)) for n in range(count))
    free = [witness.name for witness in witnesses]
    groups: list[PolicyGroup] = []
    for _ in range(draw(st.integers(0, 4)) if free else 0):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        name = f"g{len(groups)}"
        groups.append(PolicyGroup(name, draw(st.integers(1, len(members))), tuple(members)))
        free = [one for one in free if one not in members] + [name]
    names = ["none", *(one.name for one in witnesses), *(one.name for one in groups)]
    return Policy((PolicyLog(LOG.verifier(), draw(url)),), witnesses, tuple(groups), draw(st.sampled_from(names)))


@given(policies(), st.sets(st.integers(0, len(KEYS) - 1)))
def test_policies_round_trip_and_more_cosignatures_never_undo_a_quorum(policy: Policy, chosen: set[int]) -> None:
    assert parse_policy(policy.render()) == policy
    cosigned = {KEYS[n] for n in chosen}
    if policy.satisfied(cosigned):
        assert all(policy.satisfied(cosigned | {key}) for key in KEYS)


@pytest.mark.parametrize("name", ["", "a b", "none", "a\n", "a\x7f", "\ud800"])
def test_names_that_no_file_can_say(name: str) -> None:
    with pytest.raises(InvalidData):
        Policy((), (PolicyWitness(name, KEYS[0]),), (), "none").render()


@pytest.mark.parametrize("count", range(6))
def test_a_majority_is_more_than_half(count: int) -> None:
    policy = Policy.majority([LOG.verifier()], KEYS[:count])
    for cosigned in range(count + 1):
        assert policy.satisfied(KEYS[:cosigned]) == (count == 0 or cosigned > count / 2)


def test_a_majority_of_one_key_under_two_names_is_refused() -> None:
    with pytest.raises(InvalidData):
        Policy.majority([], [KEYS[0], WitnessKey("another", KEYS[0].public)])


def test_a_checkpoint_under_a_policy() -> None:
    policy = Policy.majority([LOG.verifier()], KEYS[:3])
    checkpoint = Checkpoint(LOG.name, 5, bytes(32))
    note, text = sign_checkpoint(checkpoint, LOG), checkpoint_text(checkpoint)
    lines = [cosign(text, key, 9) for key in SIGNERS[:3]]
    assert policy.open(add_lines(note, lines[:2])).checkpoint == checkpoint
    for too_few in ([], lines[:1], [lines[0], cosign(text, SIGNERS[0], 10)], [lines[0], cosign(text, SIGNERS[4], 9)]):
        with pytest.raises(InvalidSignature):
            policy.open(add_lines(note, too_few))
    stranger = SigningKey.from_seed("example.org/other", bytes(32))
    other = Checkpoint(stranger.name, 5, bytes(32))
    with pytest.raises(InvalidSignature):
        policy.open(sign_checkpoint(other, stranger))
    with pytest.raises(InvalidSignature):
        policy.open(sign_checkpoint(other, LOG))
