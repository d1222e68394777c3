"""Bodies as bytes. A body is a CBOR array of its dataclass's fields in the order in which `core.bodies` declares them.

| kind | positions |
|---|---|
| 0 genesis | log text, schema hash, software text, simulated bool, and where there is one predecessor [origin text, size uint64, root hash] |
| 1 state | boot uint64, scan uint64 or null, device time uint64 or null, receive time uint64, values [bytes or null ...], statuses [uint32 ...], frame bytes or null, signature 64 bytes or null |
| 2 heartbeat | receive time uint64, wrong text, counters [[name text, count uint64] ...] |
| 3 twin | inputs [[origin text, index uint64, leaf hash] ...], model hash, parameters hash, state floats, outputs floats |
| 4 advisory | as 3 |
| 5 command | who text, what text, twin record uint64 or null, approval text, outcome text |
| 6 event | time uint64, name text, detail bytes |
| 7 beacon | chain id uint64, number uint64, block hash |
| 8 receipt | origin text, checkpoint bytes, header bytes, slot proof bytes, receipt proof bytes |
| 9 tombstone | origin text, index uint64, reason text |
| 10 test | files [[name text, hash] ...] |
| 11 peer | origin text, checkpoint bytes |

A hash is 32 bytes. Times are UTC ns. *Floats* are one byte string: 8 bytes for each, IEEE 754 binary64, big endian.
A state has as many statuses as values.
"""  # noqa: E501  # a row of the table is one line

from collections.abc import Callable
from operator import attrgetter

from testbed.core.bodies import (
    Advisory,
    AnchorReceipt,
    Beacon,
    Body,
    Command,
    Event,
    Genesis,
    Heartbeat,
    Peer,
    State,
    TestManifest,
    Tombstone,
    TwinRecord,
)
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.record import cbor
from testbed.record.fields import (
    BOOL,
    BYTES,
    CHECKPOINT,
    FLOATS,
    HASH,
    LEAF_REFS,
    REPEATED_HASH,
    SIGNATURE,
    STATUSES,
    TEXT,
    UINT64,
    VALUES,
    Field,
    optional,
    rows,
)


def _values_of(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    """What gives a body's attributes of these names."""
    if len(names) == 1:
        one = attrgetter(names[0])
        return lambda body: (one(body),)
    return attrgetter(*names)


Layout = tuple[tuple[str, Field], ...]

_STEP: Layout = (
    ("inputs", LEAF_REFS),
    ("model", REPEATED_HASH),
    ("parameters", REPEATED_HASH),
    ("state", FLOATS),
    ("outputs", FLOATS),
)

_LAYOUTS: dict[Kind, tuple[type[Body], Layout]] = {
    Kind.GENESIS: (
        Genesis,
        (
            ("log", TEXT),
            ("schema", HASH),
            ("software", TEXT),
            ("simulated", BOOL),
            ("predecessor", optional(CHECKPOINT)),
        ),
    ),
    Kind.STATE: (
        State,
        (
            ("boot", UINT64),
            ("scan", optional(UINT64)),
            ("device_time_ns", optional(UINT64)),
            ("receive_time_ns", UINT64),
            ("values", VALUES),
            ("statuses", STATUSES),
            ("frame", optional(BYTES)),
            ("signature", optional(SIGNATURE)),
        ),
    ),
    Kind.HEARTBEAT: (Heartbeat, (("receive_time_ns", UINT64), ("wrong", TEXT), ("counters", rows(TEXT, UINT64)))),
    Kind.TWIN: (TwinRecord, _STEP),
    Kind.ADVISORY: (Advisory, _STEP),
    Kind.COMMAND: (
        Command,
        (("who", TEXT), ("what", TEXT), ("twin_record", optional(UINT64)), ("approval", TEXT), ("outcome", TEXT)),
    ),
    Kind.EVENT: (Event, (("time_ns", UINT64), ("name", TEXT), ("detail", BYTES))),
    Kind.BEACON: (Beacon, (("chain_id", UINT64), ("number", UINT64), ("block_hash", HASH))),
    Kind.RECEIPT: (
        AnchorReceipt,
        (
            ("origin", TEXT),
            ("checkpoint", BYTES),
            ("header", BYTES),
            ("slot_proof", BYTES),
            ("receipt_proof", BYTES),
        ),
    ),
    Kind.TOMBSTONE: (Tombstone, (("origin", TEXT), ("index", UINT64), ("reason", TEXT))),
    Kind.TEST: (TestManifest, (("files", rows(TEXT, HASH)),)),
    Kind.PEER: (Peer, (("origin", TEXT), ("checkpoint", BYTES))),
}

_KINDS: dict[type, Kind] = {body_type: kind for kind, (body_type, _) in _LAYOUTS.items()}


_Encoder = tuple[Kind, Callable[[object], tuple[object, ...]], tuple[Callable[[object], object], ...]]

_ENCODERS: dict[type, _Encoder] = {
    body_type: (kind, _values_of([name for name, _ in layout]), tuple(field.encode for _, field in layout))
    for kind, (body_type, layout) in _LAYOUTS.items()
}


def kind_of(body: Body) -> Kind:
    """The kind that stands in the entry of `body`; raises InvalidData for anything but a body."""
    kind = _KINDS.get(type(body))
    if kind is None:
        raise InvalidData(f"not a body: {type(body).__name__}")
    return kind


def encode_body(body: Body) -> bytes:
    """The bytes of `body`, deterministic; raises InvalidData where a field has a wrong type, range or length."""
    return encode_kind(body)[1]


def encode_kind(body: Body) -> tuple[Kind, bytes]:
    """The kind that stands in the entry of `body`, and its bytes as `encode_body` has them."""
    found = _ENCODERS.get(type(body))
    if found is None:
        raise InvalidData(f"not a body: {type(body).__name__}")
    kind, values_of, codecs = found
    try:
        items = [encode(value) for encode, value in zip(codecs, values_of(body), strict=True)]
    except InvalidData:
        raise _first_fault(kind, body) from None
    if kind is Kind.STATE:
        _check_whole(body)
    elif kind is Kind.GENESIS and items[-1] is None:
        items.pop()  # logs without a predecessor have no place for one
    return kind, cbor.encode_checked(items)


def decode_body(kind: Kind, data: bytes) -> Body:
    """The body of that kind; raises InvalidData unless `encode_body` gives back these very bytes."""
    make, layout = _LAYOUTS[kind]
    items = cbor.decode(data)
    if kind is Kind.GENESIS and isinstance(items, list) and len(items) == len(layout) - 1:
        items.append(None)
    elif kind is Kind.GENESIS and isinstance(items, list) and items[-1:] == [None]:
        raise InvalidData("genesis: a place for a predecessor, and none in it")
    if not isinstance(items, list) or len(items) != len(layout):
        raise InvalidData(f"{kind.name.lower()}: not an array of {len(layout)}")
    fields: list[object] = []
    for (name, field), item in zip(layout, items, strict=True):
        try:
            fields.append(field.decode(item))
        except InvalidData as error:
            raise _fault(kind, name, error) from error
    body = make(*fields)  # type: ignore[arg-type]  # each field's codec has checked its type
    _check_whole(body)
    return body


def _first_fault(kind: Kind, body: Body) -> InvalidData:
    """What is wrong with the first field that cannot be encoded."""
    for name, field in _LAYOUTS[kind][1]:
        try:
            field.encode(getattr(body, name))
        except InvalidData as error:
            return _fault(kind, name, error)
    raise ValueError(f"{kind.name.lower()}: every field can be encoded")


def _check_whole(body: Body) -> None:
    """What holds between fields."""
    if isinstance(body, State) and len(body.values) != len(body.statuses):
        raise InvalidData(f"state: {len(body.values)} values, {len(body.statuses)} statuses")


def _fault(kind: Kind, name: str, error: InvalidData) -> InvalidData:
    return InvalidData(f"{kind.name.lower()}: {name}: {error}")
