"""Those who meet over OPC UA: certificates with keys, in files, and what each side is given of them; for the tests."""

import time
from dataclasses import dataclass
from pathlib import Path

from testbed.fieldbus.opcua_access import Access, Account, Role
from testbed.fieldbus.opcua_security import Credentials, Login, Mode, Policy, Security
from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.application import load_application
from testbed.keys.certificates import keep_certificate
from testbed.keys.passwords import check_password, hash_password
from testbed.keys.trust import TrustList

CLIENT_URI = "urn:attestbed:reader"
HOSTS = ("localhost", "127.0.0.1")
PASSWORD = "four words in a row"  # noqa: S105  # of a server that lives for a test
YEAR_NS = 365 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Party:
    """Files of a certificate (DER) and its key (PEM)."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str, uri: str, now_ns: int | None = None) -> "Party":
        """Valid for ten years from `now_ns`."""
        party = cls(folder / f"{name}.der", folder / f"{name}.pem")
        now_ns = time.time_ns() if now_ns is None else now_ns
        keep_certificate(party.certificate, party.key, name=name, uri=uri, hosts=HOSTS, now_ns=now_ns)
        return party

    @property
    def trust(self) -> TrustList:
        """A list of this one alone."""
        return TrustList.load(self.certificate)

    def credentials(self, *, person: bool = False) -> Credentials:
        """To show oneself with."""
        return load_application(self.certificate, self.key, person=person)


@dataclass(frozen=True, slots=True)
class Parties:
    """A server, a client that it trusts, and a person."""

    server: Party
    client: Party
    person: Party

    @classmethod
    def make(cls, folder: Path) -> "Parties":
        """In files of `folder`."""
        return cls(
            Party.make(folder, "server", APPLICATION_URI),
            Party.make(folder, "client", CLIENT_URI),
            Party.make(folder, "person", "urn:attestbed:person"),
        )

    def access(self, *, plain: bool = False, anonymous: Role | None = None) -> Access:
        """All that is secured; an operator by password, one by certificate, and an observer by password."""
        kept = hash_password(PASSWORD)
        accounts = (
            Account("operator", Role.OPERATOR, kept),
            Account("observer", Role.OBSERVER, kept),
            Account("engineer", Role.OPERATOR, certificate=self.person.trust),
        )
        modes = (Mode.SIGN_AND_ENCRYPT, Mode.SIGN)
        return Access(plain, modes, tuple(Policy), self.client.trust, anonymous, accounts, check_password)

    def security(
        self,
        user: Login | Credentials | None = None,
        *,
        mode: str = "SignAndEncrypt",
        policy: str = "Basic256Sha256",
        own: Party | None = None,
        trust: TrustList | None = None,
    ) -> Security:
        """As the client speaks to the server."""
        return Security.secured(
            (own or self.client).credentials(), trust or self.server.trust, mode=mode, policy=policy, user=user
        )


OPERATOR = Login("operator", PASSWORD)
OBSERVER = Login("observer", PASSWORD)
