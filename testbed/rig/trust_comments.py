"""What a trust file says of each of its tables, as comments above them."""

HEAD = """\
# What the auditor trusts. Nothing in it is secret, and nothing in it may come from the evidence that it judges:
# keep it where the people who run the bench cannot change it.
"""
BENCH = "# simulated = true would let through logs that say themselves that no real clock drove them.\n"
LOG = """\
# Each log, under the only key that may sign for it. schema: hash of the tag list that its first record must name.
# follows: the log whose records a twin's records must follow from. reads: the PLC that a gateway or reader reads.
"""
ROOT = """\
# The root key is kept offline. A log goes on under another key only from where this one has signed the change.
"""
REVOKED = """\
# Keys that others may have got hold of: what such a key signed beyond so many records of its log does not count.
"""
DEVICE = """\
# PLCs that sign each scan under a key of their own. A state of theirs without their signature is "stripped"; states of
# a PLC that is not named here rest on the word of whoever read it.
"""
PREDECESSOR = """\
# Logs for which these go on, up to where they are trusted: the first record of the successor must say the same, and the
# operator before must have signed it.
"""
CHAIN = """\
# The chain that anchors are on, by its id and the hash of its first block; the contract, by address and hash of its
# code; and the one account whose anchors count. confirmations: blocks after which an anchor counts, its own included.
"""
FURTHER = "# Chains that all logs are anchored on as well. What one of them shows to be false counts as on the first.\n"
SUBMITTER = "# Accounts that anchor in the place of the one above, whose key was stolen: each a log, from a size on.\n"
MODEL = "# Models that a twin may run: SHA-256 of the source, and of the parameters.\n"
WITNESS = """\
# Witnesses: they cosign what they have seen of the logs. What more than half of them cosigned counts as witnessed.
"""
COMMANDS = """\
# Set-points, modes and manual outputs: a change without a command in the operator's log is "unexplained".
# momentary: those that the PLC takes back by itself, as a push button.
"""
LIMITS = """\
# heartbeat_s: a log that is silent for longer is "silent", s. twin_lag: records that a twin may be behind. missed:
# share of scans that a reader may have missed by its own word. Two readers of a PLC without a scan counter may be
# skew_s apart in time, and deadband apart in value, as a share of the tag's range.
"""
