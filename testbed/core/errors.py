"""What can go wrong, and what the caller should do about it.

    TestbedError                exit 3   the work could not be done; the message ends with the mend
    ├── UsageError              exit 2   the command, bench file or trust file is wrong; edit it and try again
    │   └── NotAllowed          exit 2   the write policy does not allow it: nothing was sent
    ├── Quarantined             exit 3   a safe state was not reached here: recover the bench first
    ├── LeaseError              exit 3   the bench is somebody else's, or no longer one's own: end what runs, reserve it
    ├── StoreError              exit 3   a log's folder or database is not in a state to go on from
    │   └── LogChanged          exit 3   a log is no longer what it was when its reading began: read it again
    ├── DeviceError             exit 3   the PLC did not answer, or answered with an exception: retry with back-off
    │   ├── DeviceRefused       exit 3   it answered that it will not: do not retry unchanged
    │   └── TornPoll            exit 3   it answers, but a scan ended within each poll: poll again
    └── ChainError              exit 3   the node did not answer as a node should
        ├── NodeUnreachable     exit 3   no answer: unknown, never clean; retry
        └── Rejected            exit 3   the node or the contract refused a transaction: do not retry unchanged

    InvalidData (ValueError)             bytes or text are not what their format asks for
    ├── InvalidProof                     a proof does not prove its claim: for a verifier, a finding
    └── InvalidSignature                 no valid signature by a trusted key: for a verifier, a finding

InvalidData and its children are facts about data. A verifier turns them into findings; a writer that meets one
in its own files stops. They never reach a person as a traceback.
"""


class TestbedError(Exception):
    """A failure with a message for a person: what is wrong (file, line, key or tag) and how to mend it."""

    # pytest collects classes whose names begin with Test unless told that this is not one.
    __test__ = False
    exit_code = 3

    def __init__(self, problem: str, mend: str = "") -> None:
        super().__init__(f"{problem}\n  mend: {mend}" if mend else problem)
        self.problem = problem
        self.mend = mend


class UsageError(TestbedError):
    """The command line, bench file or trust file is wrong."""

    exit_code = 2


class NotAllowed(UsageError):
    """The write policy does not allow what was asked; nothing was sent."""


class Quarantined(TestbedError):
    """A safe state was not reached at this bench, and nobody has recovered it yet."""


class LeaseError(TestbedError):
    """The bench is reserved by somebody else, or a lease is lost or has expired."""


class StoreError(TestbedError):
    """A log's folder or database is missing, foreign, or does not agree with its own last checkpoint."""


class LogChanged(StoreError):
    """Records of the log `origin` cannot be read again as they were read before."""

    def __init__(self, origin: str, problem: str) -> None:
        super().__init__(problem, "try again")
        self.origin = origin


class DeviceError(TestbedError):
    """A PLC did not answer, or answered with an exception."""


class DeviceRefused(DeviceError):
    """A PLC answered a request with an exception, so the request had no effect."""


class TornPoll(DeviceError):
    """A PLC answers, but goes on to another scan within each poll, so that nothing can be told of one scan."""


class ChainError(TestbedError):
    """A node did not answer as an Ethereum node should."""


class NodeUnreachable(ChainError):
    """No answer from the node."""


class Rejected(ChainError):
    """The node or the contract refused a transaction."""


class InvalidData(ValueError):
    """Bytes or text do not follow their format."""


class InvalidProof(InvalidData):
    """A Merkle, storage or receipt proof does not prove its claim."""


class InvalidSignature(InvalidData):
    """No valid signature by a trusted key."""
