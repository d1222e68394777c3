"""What a verdict says of witnesses: how far they cosigned the logs, and what waits for them."""

from collections.abc import Iterator

from testbed.verify.verdict import Report


def witnessed_lines(report: Report) -> Iterator[str]:
    """For a person; none where the trust file names no witness."""
    if not report.witnesses:
        return
    seen, waiting = sum(one.size for one in report.witnessed), sum(one.waiting for one in report.witnessed)
    by = max((one.by for one in report.witnessed), default=0)
    witnesses = "1 witness" if report.witnesses == 1 else f"{report.witnesses} witnesses"
    yield f"witnessed   {seen} of {seen + waiting} records, by {by} of {witnesses}"
    for one in report.witnessed:
        if one.waiting:
            yield f"            {one.origin}: {one.waiting} wait for a quorum of them"
