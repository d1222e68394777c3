"""Points between one step of a record's life and the next, at which a test can end the process.

A point costs a look at a variable and does nothing until `arm` was called in this process. Each step has two: *before*
it is on disk (it fails) and *after* (it fails but persisted: done, and nobody was told).

| point | step | detail |
|---|---|---|
| sequence | records are committed under a signed checkpoint | size of the log |
| publish | tiles and the checkpoint file are written | size of the log |
| intent | what is going to be sent is written to the journal | number of the step |
| send | a transaction is sent, and mined | number of the step |
| mined | what was mined is written to the journal | number of the step |
| cosign | a cosigned checkpoint is written down | size of the log |
| command | an operator's write is sent to the PLC | the tag |
| erase | bodies are taken out of a log's store | origin of the log |
| key | a log's next key takes the place of the one before it | origin of the log |
"""

from collections.abc import Callable

BEFORE = "before"
AFTER = "after"
POINTS = ("sequence", "publish", "intent", "send", "mined", "cosign", "command", "erase", "key")

Fire = Callable[[str], None]
"""Ends the process; is handed the detail."""

_armed: dict[str, tuple[int, Fire]] = {}


def arm(point: str, when: str, count: int, fire: Fire) -> None:
    """Call `fire` when this process comes to that point for the `count`th time, from 1. Raises ValueError."""
    if point not in POINTS or when not in (BEFORE, AFTER) or count < 1:
        raise ValueError(f"there is no point {point} {when} {count}")
    _armed[f"{point} {when}"] = (count, fire)


def reached(point: str, when: str, detail: object) -> None:
    """The process has come to that point."""
    if not _armed:
        return
    found = _armed.get(f"{point} {when}")
    if found is not None:
        count, fire = found
        if count == 1:
            fire(str(detail))
        _armed[f"{point} {when}"] = (count - 1, fire)
