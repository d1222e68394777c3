"""The trust file is read strictly, written once, and says the same after a round trip."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.keys.ed25519 import SigningKey
from testbed.rig.trust import load_trust, parse_trust, render_trust, write_trust
from testbed.rig.trust_file import (
    Commands,
    Limits,
    Predecessor,
    RevokedKey,
    Submitter,
    Trust,
    TrustedBench,
    TrustedChain,
    TrustedDevice,
    TrustedFurtherChain,
    TrustedLog,
    TrustedModel,
    TrustedRoot,
)
from testbed.rig.trusted_witness import TrustedWitness, trusted_witness


def vkey(origin: str, seed: int) -> str:
    return SigningKey.from_seed(origin, seed.to_bytes(32, "big")).verifier().encode()


GATEWAY, TWIN = vkey("cell/gateway", 1), vkey("cell/twin", 2)
WITNESS = trusted_witness("witness", SigningKey.from_seed("cell/witness", bytes([5]) * 32)).key
ROOT, STOLEN = vkey("cell/root", 3), vkey("cell/gateway", 4)
DEVICE = vkey("cell/cell-1", 5)
OPERATOR = vkey("old/operator", 6)
TRUST = Trust(
    bench=TrustedBench(name="cell"),
    log=(
        TrustedLog(origin="cell/gateway", role="gateway", key=GATEWAY, schema="ab" * 32, reads="cell-1"),
        TrustedLog(origin="cell/twin", role="twin", key=TWIN, follows="cell/gateway"),
    ),
    device=(TrustedDevice(plc="cell-1", key=DEVICE),),
    chain=TrustedChain(
        id=31337,
        genesis="0x" + "01" * 32,
        contract="0x" + "aB" * 20,
        code="0x" + "02" * 32,
        submitter="0x" + "03" * 20,
    ),
    further_chain=(
        TrustedFurtherChain(
            name="public",
            id=11155111,
            genesis="0x" + "04" * 32,
            contract="0x" + "05" * 20,
            code="0x" + "06" * 32,
            submitter="0x" + "07" * 20,
            confirmations=20,
        ),
    ),
    submitter=(Submitter(origin="cell/gateway", size=300, address="0x" + "08" * 20, chain="public"),),
    root=TrustedRoot(key=ROOT),
    revoked=(RevokedKey(origin="cell/gateway", key=STOLEN, size=700),),
    predecessor=(
        Predecessor(origin="old/twin", size=600, root="12" * 32, successor="cell/gateway", operator=OPERATOR),
    ),
    model=(TrustedModel(name="water_cell_v1", hash="cd" * 32, parameters="ef" * 32),),
    witness=(TrustedWitness(name="witness", key=WITNESS),),
    commands=Commands(tags=("control.mode", "control.reset"), momentary=("control.reset",)),
    limits=Limits(heartbeat_s=5.0, twin_lag=50),
)
TEXT = render_trust(TRUST)


def hexadecimal(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


@st.composite
def trusts(draw: st.DrawFn) -> Trust:
    name = draw(st.from_regex(r"\A[a-z0-9-]{1,40}\Z"))
    names = draw(st.lists(st.from_regex(r"\A[A-Za-z0-9._~-]{1,20}\Z"), min_size=2, max_size=5, unique=True))
    logs = []
    for position, role in enumerate(names):
        origin = f"{name}/{role}"
        schema = draw(st.one_of(st.just(""), hexadecimal(32)))
        key = vkey(origin, position)
        if position == 0:
            logs.append(TrustedLog(origin=origin, role="gateway", key=key, schema=schema, reads=name))
        elif position == 1:
            logs.append(TrustedLog(origin=origin, role=draw(st.sampled_from(("operator", "receipts"))), key=key))
        elif position == 2:
            logs.append(TrustedLog(origin=origin, role="reader", key=key, schema=schema, reads=name))
        else:
            logs.append(TrustedLog(origin=origin, role="twin", key=key, schema=schema, follows=logs[0].origin))
    models = st.builds(
        TrustedModel,
        name=st.from_regex(r"\A[A-Za-z0-9._-]{1,100}\Z"),
        hash=hexadecimal(32),
        parameters=hexadecimal(32),
    )
    ids = st.integers(1, 2**63 - 1)
    tags = draw(st.lists(st.text(max_size=20), max_size=4, unique=True))
    return Trust(
        bench=TrustedBench(name=name, simulated=draw(st.booleans())),
        log=tuple(logs),
        root=draw(st.none() | st.just(TrustedRoot(key=vkey(f"{name}/root", 99)))),
        predecessor=tuple(
            Predecessor(origin="old/" + log.origin, size=size, root="0a" * 32, successor=log.origin, operator=operator)
            for log, size, operator in draw(
                st.lists(
                    st.tuples(st.sampled_from(logs), st.integers(1, 2**63 - 1), st.sampled_from(("", OPERATOR))),
                    max_size=3,
                    unique_by=lambda one: one[0].origin,
                )
            )
        ),
        revoked=tuple(
            RevokedKey(origin=log.origin, key=vkey(log.origin, seed), size=seed)
            for log, seed in draw(st.lists(st.tuples(st.sampled_from(logs), st.integers(100, 2**63 - 1)), max_size=3))
        ),
        device=draw(st.just(()) | st.just((TrustedDevice(plc=name, key=vkey(f"{name}/{name}", 98)),))),
        chain=TrustedChain(
            id=draw(ids),
            genesis="0x" + draw(hexadecimal(32)),
            contract="0x" + draw(hexadecimal(20)).upper(),
            code="0x" + draw(hexadecimal(32)),
            submitter="0x" + draw(hexadecimal(20)),
            confirmations=draw(st.integers(1, 10_000)),
        ),
        further_chain=tuple(
            TrustedFurtherChain(
                name=chain,
                id=draw(ids),
                genesis="0x" + draw(hexadecimal(32)),
                contract="0x" + draw(hexadecimal(20)),
                code="0x" + draw(hexadecimal(32)),
                submitter="0x" + draw(hexadecimal(20)),
            )
            for chain in ("public", "other")[: draw(st.integers(0, 2))]
        ),
        submitter=tuple(
            Submitter(origin=log.origin, size=size, address="0x" + draw(hexadecimal(20)))
            for log, size in draw(st.lists(st.tuples(st.sampled_from(logs), st.integers(0, 2**63 - 1)), max_size=3))
        ),
        model=tuple(draw(st.lists(models, max_size=3, unique_by=lambda model: (model.hash, model.parameters)))),
        witness=tuple(
            trusted_witness(f"w{seed}", SigningKey.from_seed(f"w{seed}", bytes([seed]) * 32))
            for seed in draw(st.lists(st.integers(200, 255), max_size=3, unique=True))
        ),
        commands=Commands(tags=tuple(tags), momentary=tuple(tags[: len(tags) // 2])),
        limits=Limits(
            missed=draw(st.floats(0, 1)),
            skew_s=draw(st.floats(0, 86_400)),
            deadband=draw(st.floats(0, 1)),
            heartbeat_s=draw(st.floats(min_value=0, max_value=86_400, exclude_min=True)),
            twin_lag=draw(st.integers(0, 2**63 - 1)),
        ),
    )


@given(trusts())
def test_a_trust_file_loads_back_to_the_same_value(trust: Trust) -> None:
    assert parse_trust(render_trust(trust)) == trust


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    write_trust(path, TRUST)
    trust = load_trust(path)
    assert trust == TRUST
    assert (trust.log[0].schema_hash, trust.log[1].schema_hash) == ("ab" * 32, "")
    assert not trust.bench.simulated


def test_every_table_is_explained() -> None:
    tables = (
        "[[log]]",
        "[root]",
        "[[revoked]]",
        "[[device]]",
        "[chain]",
        "[[model]]",
        "[[witness]]",
        "[commands]",
        "[limits]",
    )
    for header in ("[bench]", "[[predecessor]]", *tables):
        before = TEXT[: TEXT.index(f"\n{header}\n")]
        assert before.splitlines()[-1].startswith("# "), header


def test_an_existing_trust_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"trust\.toml: a trust file stands here already.*\n  mend: keep it"):
        write_trust(path, TRUST)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"trust\.toml: cannot be written: .*\n  mend: name a place"):
        write_trust(tmp_path / "absent" / "trust.toml", TRUST)


def test_a_missing_trust_file_is_named_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"trust\.toml: there is no such trust file\n  mend: .*`testbed init`"):
        load_trust(tmp_path / "trust.toml")


# Each fault alone: the change, then problem and mend.
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "typo": ("twin_lag =", "twin_lga =", "limits.twin_lga: unknown key", 'did you mean "twin_lag"?'),
    "typo in an alias": (
        'schema = "ab',
        'schmea = "ab',
        "log[1].schmea: unknown key",
        'did you mean "schema"?',
    ),
    "name of the field, not of the key": (
        'schema = "ab',
        'schema_hash = "ab',
        "log[1].schema_hash: unknown key",
        'did you mean "schema"?',
    ),
    "short hash": (
        f'hash = "{"cd" * 32}"',
        'hash = "cdcd"',
        'model.hash: "cdcd" does not fit here',
        "give a SHA-256: 64 lower-case hexadecimal digits",
    ),
    "upper-case hash": (
        f'"{"ab" * 32}"',
        f'"{"AB" * 32}"',
        f'log[1].schema: "{"AB" * 29}A does not fit here',
        'give 64 lower-case hexadecimal digits, or ""',
    ),
    "address without 0x": (
        f'"0x{"aB" * 20}"',
        f'"{"aB" * 20}"',
        f'chain.contract: "{"aB" * 20}" does not fit here',
        "give an address: 0x and 40 hexadecimal digits",
    ),
    "simulated in quotes": (
        "simulated = false",
        'simulated = "false"',
        'bench.simulated: "false" does not fit here',
        "give true or false",
    ),
    "no confirmations": (
        "confirmations = 1",
        "confirmations = 0",
        "chain.confirmations: 0 does not fit here",
        "give a number of blocks, 1..10000",
    ),
    "unknown role": (
        'role = "twin"',
        'role = "twni"',
        'log[2].role: "twni" is none of: gateway, reader, operator, receipts, twin',
        'did you mean "twin"?',
    ),
    "two logs of one origin": (
        f'origin = "cell/twin"\nrole = "twin"\nkey = "{TWIN}"\nschema = ""\nfollows = "cell/gateway"\nreads = ""',
        f'origin = "cell/gateway"\nrole = "gateway"\nkey = "{GATEWAY}"\nreads = "cell-1"',
        'log[2].origin: "cell/gateway" is there twice',
        "keep one [[log]] for each origin",
    ),
    "key of another name": (
        f'key = "{TWIN}"',
        f'key = "{GATEWAY}"',
        'log[2].key: is the key of "cell/gateway", not of "cell/twin"',
        "copy the key of this very log",
    ),
    "one key for two logs": (
        f'key = "{TWIN}"',
        f'key = "{vkey("cell/twin", 1)}"',
        "log[2].key: is the key of cell/gateway as well: one could sign for the other",
        "give each log a key of its own",
    ),
    "device that nobody reads": (
        f'plc = "cell-1"\nkey = "{DEVICE}"',
        f'plc = "cell-2"\nkey = "{vkey("cell/cell-2", 5)}"',
        'device.plc: no log reads a PLC "cell-2"',
        'did you mean "cell-1"?',
    ),
    "device key of another name": (
        f'key = "{DEVICE}"',
        f'key = "{TWIN}"',
        'device.key: is the key of "cell/twin", not of "cell/cell-1"',
        "copy the key of this very device",
    ),
    "one key for a log and a device": (
        f'key = "{DEVICE}"',
        f'key = "{vkey("cell/cell-1", 1)}"',
        "device.key: is the key of cell/gateway as well: one could sign for the other",
        "give each device a key of its own",
    ),
    "root key of another name": (
        f'key = "{ROOT}"',
        f'key = "{TWIN}"',
        'root.key: is the key of "cell/twin", not of "/root"',
        "copy the key that is named /root",
    ),
    "revoked key of a log that is not there": (
        'origin = "cell/gateway"\nkey',
        'origin = "cell/gatewya"\nkey',
        'revoked.origin: there is no [[log]] "cell/gatewya"',
        'did you mean "cell/gateway"?',
    ),
    "revoked key of another log": (
        f'key = "{STOLEN}"',
        f'key = "{TWIN}"',
        'revoked.key: is the key of "cell/twin", not of "cell/gateway"',
        "copy the key that is named cell/gateway",
    ),
    "key of a log for a witness": (
        f'key = "{WITNESS}"',
        f'key = "{GATEWAY}"',
        "witness.key: is no key of a witness: witness key: not of type Ed25519 cosignature (04)",
        "copy the whole key, name+hash+base64, from its owner",
    ),
    "witness with the key of a log": (
        f'key = "{WITNESS}"',
        f'key = "{trusted_witness("w", SigningKey.from_seed("cell/gateway", (1).to_bytes(32, "big"))).key}"',
        "witness.key: is the key of cell/gateway as well: it would witness itself",
        "give each log and each witness a key of its own",
    ),
    "submitter of a log that is not there": (
        'origin = "cell/gateway"\nsize',
        'origin = "cell/gatewya"\nsize',
        'submitter.origin: there is no log "cell/gatewya"',
        'did you mean "cell/gateway"?',
    ),
    "submitter on a chain that is not there": (
        'chain = "public"',
        'chain = "pubic"',
        'submitter.chain: there is no chain "pubic"',
        'did you mean "public"?',
    ),
    "further chain without confirmations": (
        "confirmations = 20",
        "confirmations = 0",
        "further_chain.confirmations: 0 does not fit here",
        "give a number of blocks, 1..10000",
    ),
    "predecessor of a log that is not there": (
        'successor = "cell/gateway"',
        'successor = "cell/gatewya"',
        'predecessor.successor: there is no [[log]] "cell/gatewya"',
        'did you mean "cell/gateway"?',
    ),
    "predecessor without a record": (
        "size = 600",
        "size = 0",
        "predecessor.size: 0 does not fit here",
        "give a number of records, 1 or more",
    ),
    "twin that follows nothing": (
        'follows = "cell/gateway"',
        'follows = ""',
        "log[2].follows: is missing",
        "add follows = the origin of the gateway's log",
    ),
    "twin that follows a stranger": (
        'follows = "cell/gateway"',
        'follows = "cell/gatewya"',
        'log[2].follows: there is no gateway "cell/gatewya"',
        'did you mean "cell/gateway"?',
    ),
    "gateway that follows": (
        'follows = ""',
        'follows = "cell/twin"',
        "log[1].follows: only a twin follows a log",
        'leave follows out, or write role = "twin"',
    ),
    "gateway that reads nothing": (
        'reads = "cell-1"',
        'reads = ""',
        "log[1].reads: is missing",
        "add reads = the name of the PLC",
    ),
    "twin that reads": (
        'reads = ""',
        'reads = "cell-1"',
        "log[2].reads: a log of role twin reads no PLC",
        "leave reads out",
    ),
    "button that nothing commands": (
        'momentary = ["control.reset"]',
        'momentary = ["control.resett"]',
        'commands.momentary: "control.resett" is not among the tags',
        "add it to tags as well: what only a command may change",
    ),
}


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_trust(text)
    return str(caught.value)


def line_of(text: str, change: str) -> int:
    return text[: text.index(change)].count("\n") + 1


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_its_mend(fault: str) -> None:
    old, new, problem, mend = FAULTS[fault]
    assert TEXT.count(old) == 1
    assert refusal(TEXT.replace(old, new)) == f"trust.toml:{line_of(TEXT, old)}: {problem}\n  mend: {mend}"


def test_a_damaged_key_is_refused() -> None:
    digit = GATEWAY.index("+") + 1
    damaged = GATEWAY[:digit] + ("0" if GATEWAY[digit] != "0" else "1") + GATEWAY[digit + 1 :]
    message = refusal(TEXT.replace(GATEWAY, damaged))
    assert f"trust.toml:{line_of(TEXT, GATEWAY)}: log[1].key: is no verifier key: " in message
    assert "\n  mend: copy the whole key, name+hash+base64, from its owner" in message


def test_a_trust_file_without_logs_trusts_nothing() -> None:
    logs = TEXT[TEXT.index("[[log]]") : TEXT.index("[chain]")]
    message = refusal("log = []\n" + TEXT.replace(logs, ""))
    assert message == "trust.toml:1: log: is empty\n  mend: trust at least one [[log]]"


def test_a_model_that_stands_twice_is_refused() -> None:
    model = TEXT[TEXT.index("[[model]]") : TEXT.index("# Witnesses")]
    message = refusal(TEXT.replace(model, model + model))
    assert "model[2] (water_cell_v1): this model stands here already" in message
    assert message.endswith("\n  mend: keep one of the two")


def test_two_further_chains_of_one_name_are_refused() -> None:
    twice = TRUST.model_copy(update={"further_chain": TRUST.further_chain * 2})
    assert '"public" is there twice' in refusal(render_trust(twice))


def test_an_old_trust_file_means_what_it_meant() -> None:
    """Without any of the tables that came later."""
    old = TRUST.model_copy(update={"further_chain": (), "submitter": ()})
    text = render_trust(old)
    assert "further_chain" not in text
    assert "[[submitter]]" not in text
    assert parse_trust(text) == old


def test_all_problems_are_told_at_once() -> None:
    message = refusal(TEXT.replace("confirmations = 1", "confirmations = 0").replace(TWIN, GATEWAY))
    assert message.startswith("trust.toml: 2 problems\n")
    assert 'log[2].key: is the key of "cell/gateway", not of "cell/twin"\n  mend: ' in message
    assert "chain.confirmations: 0 does not fit here\n  mend: give a number of blocks, 1..10000" in message
