"""Another account takes over the anchoring on a network of others, because the key of the one before it was stolen.

The contract keeps logs by submitter and name, so that the new account's logs begin there anew; the auditor's trust file
says for each log from which size on it counts.
"""

from dataclasses import dataclass

from testbed.chain.journal import Journal
from testbed.chain.registry import address_of
from testbed.chain.steps import Successor
from testbed.core.entropy import Entropy
from testbed.core.errors import StoreError, UsageError
from testbed.keys.files import read_secret, write_secret
from testbed.rig.bench import Bench
from testbed.rig.bench_errors import unknown
from testbed.rig.paths import Paths
from testbed.rig.trust_file import Submitter


@dataclass(frozen=True, slots=True)
class HandedOver:
    """From whom to whom, and what the auditor puts into the trust file."""

    before: str
    account: str
    tables: tuple[Submitter, ...]


def hand_over(bench: Bench, chain: str, entropy: Entropy) -> HandedOver:
    """Make a key for the new account, and note it in the journal. chain: a further one's name, "" for the first.

    Raises UsageError where the chain is the bench's own; StoreError while the anchor runs, or blocks are not settled.
    """
    names = [one.name for one in bench.further_chains]
    if chain and chain not in names:
        raise UsageError(f'there is no [[further_chain]] "{chain}" in {bench.file}', unknown(chain, names))
    if not chain and bench.chain.kind == "anvil":
        mend = "make a new bench: its chain begins anew with other keys"
        raise UsageError("a chain of the bench's own is made for one account, and no other can take over", mend)
    paths = Paths(bench.data)
    key = paths.submitter_key(chain)
    aside = key.with_suffix(".next")
    with Journal.open(paths.further_journal(chain) if chain else paths.journal) as journal:
        if not aside.exists():
            write_secret(aside, entropy.take(32))
        before, account = journal.reached.submitter, address_of(read_secret(aside))
        if any(step.mined is not None for step in journal.reached.recent):
            mend = "run `testbed run anchor` until the network does not take them back any more; then try again"
            raise StoreError(f"{journal.path}: it has blocks that are not settled", mend)
        accepted = (step.intent.anchored for step in journal.steps() if step.anchors)
        sizes = {one.origin: one.size for one in accepted if one is not None}
        if account != before:
            journal.note(Successor(account))
        # After a kill in between, the journal names this account already, and has nothing of it.
        aside.replace(key)
    tables = tuple(
        Submitter(origin=bench.origin(name), size=sizes.get(bench.origin(name), 0), address=account, chain=chain)
        for name in bench.logs
    )
    return HandedOver(before, account, tables)
