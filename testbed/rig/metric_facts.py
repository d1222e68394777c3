"""Which metric a fact becomes that a role says of itself. Names follow Prometheus: base units, counters count up."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FactMetric:
    """name: without "testbed_" and, for a counter, without "_total"; counts: a counter, from 0 at its role's start."""

    name: str
    counts: bool
    help: str


FACTS = {
    "states": FactMetric("states", True, "States logged since the role started."),
    "heartbeats": FactMetric("heartbeats", True, "Heartbeats logged since the role started."),
    "missed": FactMetric("missed_scans", True, "Scans of the PLC that went by unread since the role started."),
    "torn": FactMetric("torn_reads", True, "Readings put away because the PLC scanned amid them."),
    "retries": FactMetric("read_retries", True, "Readings begun again because the PLC scanned amid them."),
    "records": FactMetric("twin_records", True, "Records of the twin logged since the role started."),
    "consumed": FactMetric("consumed_records", False, "Records of the followed log that the twin has consumed."),
    "scan": FactMetric("plc_scans", True, "Scan counter of the emulated PLC."),
    "overruns": FactMetric("plc_scan_overruns", True, "Scans that began late because the one before took too long."),
    "anchors": FactMetric("anchors", True, "Checkpoints that the contract accepted since the role started."),
    "gas": FactMetric("gas_used", True, "Gas that these anchors used."),
    "rebuilt": FactMetric("rebuilt_blocks", True, "Blocks that the node had lost and was sent again."),
}
_NOT_METRICS = frozenset({"pid", "node", "modbus", "size", "height"})
"""Process ids, ports, and what is told for each log or for the bench."""
_NOT_SINGLE = ("anchored ", "cosigned ")
"""Facts of which a role has one for each log."""
TAKEN = frozenset(
    {
        *("info", "problems", "chain_height", "newest_state_age_seconds"),
        *("role_up", "role_down", "role_waiting", "role_restarts", "role_status_age_seconds"),
        *("log_records", "log_anchored_records", "log_pending_records"),
        *(fact.name for fact in FACTS.values()),
    }
)


def fact_metric(fact: str) -> FactMetric | None:
    """The metric of a whole-number fact; None where it is none. A fact that nobody listed is a gauge of its name."""
    if fact in _NOT_METRICS or fact.startswith(_NOT_SINGLE):
        return None
    if fact in FACTS:
        return FACTS[fact]
    name = re.sub(r"[^a-z0-9]+", "_", fact.lower()).strip("_")
    # An ending that means a kind of its own would be refused, or be taken for a counter.
    name = re.sub(r"(_(total|created|bucket|count|sum|info))+$", "", name)
    return None if not name or name in TAKEN else FactMetric(name, False, f"What the role calls {fact!r}.")
