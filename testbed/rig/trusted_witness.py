"""[[witness]] of a trust file: whose cosignatures count."""

from collections.abc import Iterator, Mapping

from pydantic import Field

from testbed.core.errors import InvalidData
from testbed.keys.cosignature import WitnessKey
from testbed.keys.ed25519 import SigningKey
from testbed.rig.bench_errors import Problem, Section
from testbed.rig.bench_file import Slug
from testbed.rig.toml_file import Loc


class TrustedWitness(Section):
    """[[witness]]: key is a C2SP verifier key of type 04, name+hash+base64; name: of its folder, if it stands here."""

    name: Slug
    key: str = Field(description="a witness' verifier key in quotes, name+hash+base64")


def trusted_witness(name: str, key: SigningKey) -> TrustedWitness:
    """What a trust file says of the witness that signs with `key`."""
    return TrustedWitness(name=name, key=WitnessKey.of(key).encode())


def check_witnesses(witnesses: tuple[TrustedWitness, ...], keys: Mapping[bytes, str]) -> Iterator[Problem]:
    """Faults of these tables. keys: public keys of logs, with the origin of each."""
    names: set[str] = set()
    taken = dict(keys)
    for position, witness in enumerate(witnesses):
        here: Loc = ("witness", position)
        if witness.name in names:
            yield Problem((*here, "name"), f'"{witness.name}" is there twice', "give each witness its own name")
        names.add(witness.name)
        try:
            key = WitnessKey.parse(witness.key)
        except InvalidData as error:
            mend = "copy the whole key, name+hash+base64, from its owner"
            yield Problem((*here, "key"), f"is no key of a witness: {error}", mend)
            continue
        if key.public in taken:
            what = f"is the key of {taken[key.public]} as well: it would witness itself"
            yield Problem((*here, "key"), what, "give each log and each witness a key of its own")
        taken.setdefault(key.public, f"witness {witness.name}")
