"""Checks beacons: each block that a log's writer named must stand on the chain, or in the journal, as it was named."""

from collections.abc import Collection, Iterator, Mapping

from testbed.core.bodies import Beacon
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog
from testbed.verify.trust import TrustedChain


def beacons_of(log: CheckedLog) -> Iterator[tuple[int, Beacon]]:
    """(index, beacon) of a log, in order."""
    for record in log.of(Kind.BEACON):
        if isinstance(record.body, Beacon):
            yield record.index, record.body


def check_beacons(
    log: CheckedLog, trusted: TrustedChain, known: Mapping[int, Collection[bytes]], height: int | None
) -> list[Finding]:
    """One finding names the first beacon that is not borne out.

    known: block hashes by number, of the chain, of receipts, and of the journal's blocks whose proofs hold; height: of
    the chain, None where it could not be read: then a block that nobody knows says nothing.
    """
    wrong: list[tuple[int, str]] = []
    unseen: list[tuple[int, str]] = []
    newest = -1
    for index, beacon in beacons_of(log):
        found = known.get(beacon.number, ())
        if beacon.chain_id != trusted.chain_id:
            wrong.append((index, f"it names chain {beacon.chain_id}, and {trusted.chain_id} is trusted"))
        elif found and beacon.block_hash not in found:
            others = " or ".join(sorted(other.hex() for other in found))
            wrong.append((index, f"it names block {beacon.number} as {beacon.block_hash.hex()}; {others} stands there"))
        elif not found and height is not None and beacon.number <= height:
            unseen.append((index, f"it names block {beacon.number}, which the node does not show; it is at {height}"))
        elif not found and height is not None:
            said = f"it names block {beacon.number}, which neither chain (up to {height}) nor journal nor receipts have"
            wrong.append((index, said))
        elif beacon.number < newest and height is not None:
            wrong.append(
                (index, f"it names block {beacon.number} as the newest one, behind a beacon of block {newest}")
            )
        newest = max(newest, beacon.number)
    if not wrong and unseen:
        index, said = unseen[0]
        where = f"record {index} of {log.origin}"
        return [Finding(What.UNREACHABLE, Layer.CHAIN, where, said, Verdict.INCONCLUSIVE, log.origin, index)]
    if not wrong:
        return []
    index, said = wrong[0]
    more = f"; so do {len(wrong) - 1} more" if len(wrong) > 1 else ""
    detail = f"{said}{more}: the chain was rewritten, or the beacon is false"
    where = f"record {index} of {log.origin}"
    return [Finding(What.REWRITTEN, Layer.CHAIN, where, detail, origin=log.origin, index=index)]
