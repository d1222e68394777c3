"""The falsifications and the lies by name."""

KINDS = {
    "value": "a value in one logged state (--tag, --to)",
    "delete": "a record is deleted from the store",
    "insert": "a made-up record is pushed into the store",
    "swap": "two records change places in the store",
    "tile": "a leaf hash in a level-0 tile",
    "upper-tile": "a hash in a level-1 tile (--index: which; from 256 records on)",
    "checkpoint": "the root in a stored checkpoint",
    "twin-record": "a twin record, re-signed with the twin's own key",
    "source-record": "a value in one logged state, re-signed with the gateway's own key (--tag, --to)",
    "forged-frame": "as source-record, in a frame that the gateway signed in the PLC's name (--tag, --to)",
    "stripped-frame": "one logged state loses the PLC's signature, re-signed with the gateway's own key",
    "slot": "the contract's slot of a log",
    "chain": "the chain, rewritten at an anchored height (--index: block) and rebuilt upwards",
}
"""What each of them changes."""

PLACES = ("first", "middle", "last")
"""Which of the records under the newest anchor."""

LIES = {
    "values": "a reader logs another value of one tag than it read",
    "omission": "a reader leaves one scan out of its log",
    "replay": "a reader logs the values of an old scan as those of the present one",
    "rewind": "a reader logs an old scan once more, its counter included",
    "wire": "a man in the middle changes what the PLC answers to a reader",
    "forge": "a reader logs another value, in a frame that it signed itself in the PLC's name",
    "strip": "a reader logs one scan without the PLC's signature",
    "command": "somebody else writes a set-point, and no log says so",
}
"""What each lie is that a running bench can be told. Every signature on it is right."""
