"""Where a bench keeps its files: the one home of the data folder's layout.

<data>/<role>/key             secret of a role, 0600
<data>/<role>/predecessor     the log that the role's log goes on for, as its first record is going to say
<data>/<role>/key.next        the one that follows, from when a change of keys is begun until it is done
<data>/<role>/lock            held by the process that runs the role
<data>/<role>/status.json     what the running role says of itself
<data>/<role>/output.log      what it printed under `testbed up`; beyond 10 MiB what stands there becomes output.log.1
<data>/quarantine.json        stands while the bench is out of use: why, and since when
<data>/lease.json, lease.lock who has reserved the bench, unless its users share a folder elsewhere
<data>/supervisor/            lock, status.json and output.log of `testbed up` itself
<data>/gateway/log.sqlite     a log's entries and bodies; those of other readers, operator, twin and receipts likewise
<data>/gateway/tlog/          checkpoint, tile/..., and of each change of keys keys/<index>
<data>/witness/<hash>/        what a witness keeps of a log, by the SHA-256 of its origin: testbed/witness/memory.py
<data>/anchor/chain.key       secret of an account that took over on the chain; chain-<name>.key: on a further one
<data>/anchor/journal.jsonl   every transaction and block of the chain; chain-<name>.jsonl: of a further one
<data>/chain/                 genesis.json, state
<data>/plc/boot               restart counter of the emulated PLC
<data>/plc/opcua.der          certificate of its OPC UA server, and opcua.pem, its key, 0600
<data>/plc/tls.pem            certificate of its Modbus/TCP Security server, and tls.key
<data>/plc/clients/           certificates of clients that its secured servers let in; bench.pem is the bench's own
<data>/plc/bench.key          the key of that one
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """Names of files below the data folder; makes none of them."""

    data: Path

    def role_folder(self, role: str) -> Path:
        """Everything that belongs to one role."""
        return self.data / role

    def key(self, role: str) -> Path:
        """The role's secret: an Ed25519 seed, or the anchor's secp256k1 key; 32 bytes."""
        return self.role_folder(role) / "key"

    def next_key(self, role: str) -> Path:
        """The secret that is to follow; there while a change of keys is under way."""
        return self.role_folder(role) / "key.next"

    def predecessor(self, role: str) -> Path:
        """Text of the checkpoint up to which the log before is trusted; there where the log goes on for another one."""
        return self.role_folder(role) / "predecessor"

    def key_changes(self, role: str) -> Path:
        """Folder of the notes by which the keys of a log changed; each bears the index from which on it holds."""
        return self.tlog(role) / "keys"

    def lock(self, role: str) -> Path:
        """Held while the role runs, so that no second process writes its log."""
        return self.role_folder(role) / "lock"

    def status(self, role: str) -> Path:
        """What the running role says of itself, JSON; derived, and gone when it ends cleanly."""
        return self.role_folder(role) / "status.json"

    def output(self, role: str) -> Path:
        """What a supervised role printed."""
        return self.role_folder(role) / "output.log"

    def log(self, role: str) -> Path:
        """The role's log: an SQLite file."""
        return self.role_folder(role) / "log.sqlite"

    def tlog(self, role: str) -> Path:
        """The role's published log: a folder as C2SP tlog-tiles lays it out."""
        return self.role_folder(role) / "tlog"

    @property
    def quarantine(self) -> Path:
        """Says why the bench is out of use, while it is."""
        return self.data / "quarantine.json"

    @property
    def journal(self) -> Path:
        """The anchor's journal, one JSON object a line."""
        return self.role_folder("anchor") / "journal.jsonl"

    def submitter_key(self, chain: str) -> Path:
        """Secret of the account that took the place of the anchor's own on a chain: a further one's name, "" for the
        first.
        """
        return self.role_folder("anchor") / (f"chain-{chain}.key" if chain else "chain.key")

    def further_journal(self, chain: str) -> Path:
        """The anchor's journal of a further chain, by its name."""
        return self.role_folder("anchor") / f"chain-{chain}.jsonl"

    @property
    def chain_genesis(self) -> Path:
        """The dev node's genesis, JSON."""
        return self.role_folder("chain") / "genesis.json"

    @property
    def chain_state(self) -> Path:
        """The dev node's own state file; a convenience, the journal is what counts."""
        return self.role_folder("chain") / "state"

    @property
    def plc_boot(self) -> Path:
        """Restart counter of the emulated PLC."""
        return self.role_folder("plc") / "boot"

    @property
    def plc_device_key(self) -> Path:
        """Device key of an emulated PLC that signs its scans; 0600."""
        return self.role_folder("plc") / "device.key"

    @property
    def plc_certificate(self) -> Path:
        """Certificate of the PLC's OPC UA server, DER."""
        return self.role_folder("plc") / "opcua.der"

    @property
    def plc_certificate_key(self) -> Path:
        """The certificate's RSA key, PEM; 0600."""
        return self.role_folder("plc") / "opcua.pem"

    @property
    def tls_certificate(self) -> Path:
        """Certificate of the PLC's Modbus/TCP Security server, PEM."""
        return self.role_folder("plc") / "tls.pem"

    @property
    def tls_key(self) -> Path:
        """Its RSA key, PEM; 0600."""
        return self.role_folder("plc") / "tls.key"

    @property
    def clients(self) -> Path:
        """Certificates of the clients that the PLC's secured servers let in, PEM."""
        return self.role_folder("plc") / "clients"

    @property
    def client_certificate(self) -> Path:
        """The one that the bench itself shows, PEM."""
        return self.clients / "bench.pem"

    @property
    def client_key(self) -> Path:
        """Its RSA key, PEM; 0600."""
        return self.role_folder("plc") / "bench.key"
