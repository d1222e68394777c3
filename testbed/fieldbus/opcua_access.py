"""Who may come to an OPC UA server, and what for. Nobody has an account unless it is given: there are no defaults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from testbed.core.errors import UsageError
from testbed.fieldbus.opcua_security import Mode, Policy, Trust

SECURED = (Mode.SIGN_AND_ENCRYPT, Mode.SIGN)


class Role(Enum):
    """What a client may do (OPC 10000-3, section 4.9.2): an observer reads, an operator writes and calls as well."""

    OBSERVER = "observer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a program: known by a password, by a certificate of their own, or by either.

    password: its hash, as `Access.check` understands it, "" for none; certificate: those that are theirs.
    """

    name: str
    role: Role
    password: str = field(default="", repr=False)
    certificate: Trust | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """plain: whether there is an endpoint without security; modes, policies: of those that are secured, which there
    are where the server has a certificate; clients: the applications that may open a secured channel, None for any;
    anonymous: what a client without an account may do, None: it has to have one; accounts: those that there are;
    check: whether a password, the second, fits what is kept, the first: slow, and called in a thread.

    As it stands, without arguments, everybody may write: for loopback. Raises UsageError for what lets nobody in, an
    account without a way to know it, two of one name, and passwords that nobody can check.
    """

    plain: bool = True
    modes: tuple[Mode, ...] = (Mode.SIGN_AND_ENCRYPT,)
    policies: tuple[Policy, ...] = (Policy.BASIC256_SHA256,)
    clients: Trust | None = None
    anonymous: Role | None = Role.OPERATOR
    accounts: tuple[Account, ...] = ()
    check: Callable[[str, str], bool] | None = None

    def __post_init__(self) -> None:
        names = [account.name for account in self.accounts]
        if len(set(names)) != len(names) or "" in names:
            raise UsageError("OPC UA accounts: two have one name, or one has none", "give each a name of its own")
        for account in self.accounts:
            if not account.password and account.certificate is None:
                raise UsageError(
                    f"OPC UA account {account.name}: neither password nor certificate", "give it one of them"
                )
        if self.by_password and self.check is None:
            raise UsageError("OPC UA accounts with passwords, and nobody to check them", "pass check_password")
        if self.anonymous is None and self.plain:
            raise UsageError(
                "an OPC UA endpoint without security, where nobody can show who they are",
                "switch it off, or allow anonymous clients to observe",
            )
        if self.anonymous is None and not self.accounts:
            raise UsageError("an OPC UA server that lets nobody in", "give somebody an account")
        if not (self.plain or (self.modes and self.policies)) or Mode.NONE in self.modes:
            raise UsageError("an OPC UA server without an endpoint", "name Sign or SignAndEncrypt, and a policy")

    @classmethod
    def closed(
        cls,
        clients: Trust,
        accounts: Sequence[Account] = (),
        check: Callable[[str, str], bool] | None = None,
        *,
        anonymous: Role | None = None,
        modes: Sequence[Mode] = SECURED,
        policies: Sequence[Policy] = tuple(Policy),
    ) -> "Access":
        """Secured endpoints alone, for applications that are trusted, with accounts."""
        return cls(False, tuple(modes), tuple(policies), clients, anonymous, tuple(accounts), check)

    @property
    def by_password(self) -> bool:
        """Whether anybody is known by a password."""
        return any(account.password for account in self.accounts)

    @property
    def by_certificate(self) -> bool:
        """Whether anybody is known by a certificate of their own."""
        return any(account.certificate is not None for account in self.accounts)
