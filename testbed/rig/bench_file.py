"""The bench file, table by table: names, types, units, defaults and limits of its keys. Array names are singular."""

from typing import Annotated, Literal

from pydantic import Field

from testbed.rig.bench_errors import Section, Several
from testbed.rig.safety_file import Safety

Slug = Annotated[
    str, Field(pattern=r"^[a-z0-9-]{1,40}$", description="1 to 40 lower-case letters, digits and hyphens, in quotes")
]
TagName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*$",
        max_length=100,
        description='a dotted name in quotes, such as "tank1.level"',
    ),
]
Host = Annotated[str, Field(pattern=r"^[^\s/]+$", description='a host name or address in quotes, such as "127.0.0.1"')]
Port = Annotated[int, Field(ge=1, le=65535, description="a port, 1..65535")]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=100, description="text in quotes, on one line")]
Number = Annotated[float, Field(description="a finite number")]


class BenchTable(Section):
    """[bench]: data is a folder, relative to the bench file; seed drives the emulated plant's noise."""

    name: Slug
    data: str = Field(default=".testbed", pattern=r"^[^\x00-\x1f\x7f]+$", description="a folder in quotes")
    seed: int = Field(default=1, ge=0, lt=2**64, description="a whole number, 0 or more")


class Ports(Section):
    """[ports]: shift is added to every port of this bench, so that two benches fit on one machine."""

    shift: int = 0


class Plant(Section):
    """[plant]: the emulated physics; parameters are fields of testbed.plant.cell.CellParameters."""

    kind: Literal["water-cell"] = "water-cell"
    parameters: dict[str, Number] = Field(default_factory=dict)


class Modbus(Section):
    """[plc.modbus]: Modbus TCP server of the PLC; unit is the unit identifier."""

    host: Host = "127.0.0.1"
    port: Port = 5020
    unit: int = Field(default=1, ge=1, le=255, description="a unit identifier, 1..255")


class Opcua(Section):
    """[plc.opcua]: OPC UA server of the PLC. security: with "SignAndEncrypt" there is no endpoint without it, and only
    clients come in whose certificate stands in the folder plc/clients of the data folder; the bench's own are there.
    """

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 4840
    security: Literal["None", "SignAndEncrypt"] = "None"


class Tls(Section):
    """[plc.tls]: Modbus/TCP Security server of the PLC, for clients whose certificate stands in plc/clients."""

    enabled: bool = False
    host: Host = "127.0.0.1"
    port: Port = 5802


class Line(Section):
    """[plc.serial]: Modbus RTU server of the PLC on a serial line. other_end: the device at which the bench itself is
    connected to that line; a pseudo-terminal pair has two, and takes no parity.
    """

    device: Text
    other_end: Text = ""
    baud: int = Field(default=19_200, ge=300, le=4_000_000, description="a baud rate, 300..4000000")
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    unit: int = Field(default=1, ge=1, le=247, description="a unit identifier, 1..247")


class Connect(Section):
    """[plc.connect]: how a physical PLC is reached; which keys belong to which protocol, rig/connect_checks.py says.

    Times in ms. device, baud, parity, stop_bits: of a serial line. gap, most_registers, most_bits: what one Modbus
    request may read. certificate, key, trust, password_file: paths, relative to the bench file; trust is a certificate
    or a folder of them. security, policy: of OPC UA; namespace: URI of the tags' nodes; user with password_file, or
    user_certificate with user_key: the person that speaks. rack, slot: of an S7 PLC.
    """

    protocol: Literal["modbus-tcp", "modbus-tls", "modbus-rtu", "modbus-rtu-tcp", "opcua", "s7"]
    host: Host | None = None
    port: Port | None = None
    unit: int = Field(default=1, ge=0, le=255, description="a unit identifier, 0..255")
    device: Text | None = None
    baud: int = Field(default=19_200, ge=300, le=4_000_000, description="a baud rate, 300..4000000")
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    timeout_ms: int = Field(default=1000, ge=1, le=60_000, description="a time, 1..60000 ms")
    pause_ms: int = Field(default=0, ge=0, le=60_000, description="a time, 0..60000 ms")
    gap: int = Field(default=16, ge=0, le=124, description="a number of addresses, 0..124")
    most_registers: int = Field(default=125, ge=1, le=125, description="a number of registers, 1..125")
    most_bits: int = Field(default=2000, ge=1, le=2000, description="a number of bits, 1..2000")
    certificate: Text | None = None
    key: Text | None = None
    trust: Text | None = None
    security: Literal["SignAndEncrypt", "Sign", "None"] = "SignAndEncrypt"
    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    path: Text = ""
    namespace: Text | None = None
    user: Text | None = None
    password_file: Text | None = None
    user_certificate: Text | None = None
    user_key: Text | None = None
    rack: int = Field(default=0, ge=0, le=7, description="a rack, 0..7")
    slot: int = Field(default=1, ge=0, le=31, description="a slot, 0..31")


class ScanClass(Section):
    """[[plc.scan_class]]: its tags are read in each `every`th poll."""

    name: Slug
    every: int = Field(ge=1, le=100_000, description="a number of polls, 1 or more")


class TagModbus(Section):
    """Where a tag stands: zero-based protocol address; byte_order as core.tags.ByteOrder has it.

    unit: identifier of the device behind a gateway, where that is another one than the PLC's.
    """

    table: Literal["coil", "discrete_input", "input_register", "holding_register"]
    address: int = Field(ge=0, le=65535, description="a zero-based protocol address, 0..65535")
    byte_order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    unit: int | None = Field(default=None, ge=0, le=255, description="a unit identifier, 0..255")


class TagTable(Section):
    """[[plc.tag]]: range is [low, high] in `unit`; a bool needs none. opcua "" stands for "<plc>.<tag>".

    momentary: a writable bool that the PLC takes back by itself, as a push button. heartbeat: a machine writes it again
    and again, so its changes are no commands that a person's log would explain. modbus: left out where a physical PLC
    has other addresses; a free place is found then. s7: as "DB1.DBD4". scale, offset: what the PLC holds, times scale,
    plus offset, is the value in `unit`. deadband: a bridge shows a change of more than that; raw values are logged.
    """

    name: TagName
    type: Literal["bool", "int16", "uint16", "int32", "uint32", "float32", "float64"]
    unit: Text = ""
    range: tuple[float, float] | None = Field(default=None, strict=False, description="two finite numbers, [low, high]")
    writable: bool = False
    momentary: bool = False
    heartbeat: bool = False
    modbus: TagModbus | None = None
    opcua: Text = ""
    s7: Text = ""
    scale: Number = 1.0
    offset: Number = 0.0
    scan_class: str | None = None
    deadband: float = Field(default=0.0, ge=0, description="a change in the unit of the tag, 0 or more")


class Plc(Section):
    """[[plc]]: scan_ms is the scan cycle, ms; scan_tag and boot_tag name its scan counter and restart counter, ""
    where a physical PLC has none. bridge: a physical PLC is shown on the bench's own servers under the same tags.
    signs: an emulated PLC has a device key, which `testbed init` makes, and signs each scan.
    """

    name: Slug
    kind: Literal["emulated", "physical"] = "emulated"
    program: Literal["water-cell"] = "water-cell"
    connect: Connect | None = None
    bridge: bool = False
    signs: bool = False
    scan_class: Several[ScanClass] = ()
    scan_ms: int = Field(default=100, ge=1, le=60_000, description="a scan cycle, 1..60000 ms")
    scan_tag: str = "plc.scan"
    boot_tag: str = "plc.boot"
    modbus: Modbus = Modbus()
    opcua: Opcua = Opcua()
    tls: Tls = Tls()
    serial: Line | None = None
    tag: Several[TagTable]


def serves(plc: Plc) -> bool:
    """Whether the bench runs servers that show this PLC."""
    return plc.kind == "emulated" or plc.bridge


class Reader(Section):
    """[[reader]]: reads one PLC and writes a log under its own name and key; period_ms is the poll interval, ms.

    protocol: by which of the bench's own servers, or "device", as [plc.connect] says.
    host, port: where it connects, when that is not where the PLC listens: a wire may lead through something.
    """

    name: Slug
    plc: str
    protocol: Literal["modbus", "opcua", "device"] = "modbus"
    period_ms: int = Field(default=100, ge=1, le=60_000, description="a poll interval, 1..60000 ms")
    host: Host | None = None
    port: Port | None = None


class Operator(Section):
    """[operator]: name of the log of commands, configuration and approved models."""

    name: Slug = "operator"


class Twin(Section):
    """[twin]: follows names the reader whose log it mirrors; parameters override the model's own."""

    name: Slug = "twin"
    model: str
    follows: str
    parameters: dict[str, Number] = Field(default_factory=dict)


class Log(Section):
    """[log]: commit_ms: readers commit what they read at most this often, ms, or a tenth sooner; tiles and checkpoint
    file are written every publish_ms at most; heartbeat_s: a reader's log says that it lives this often, s.
    """

    commit_ms: int = Field(default=50, ge=0, le=60_000, description="a time, 0..60000 ms")
    publish_ms: int = Field(default=1000, ge=0, le=3_600_000, description="a time, 0..3600000 ms")
    heartbeat_s: float = Field(default=1.0, gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")


class Anchor(Section):
    """[anchor]: a round starts once a log grew by `every` records, or within_s seconds after its first new one."""

    every: int = Field(default=256, ge=1, description="a number of records, 1 or more")
    within_s: float = Field(default=5.0, gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")


ContractAddress = Annotated[
    str, Field(pattern=r"^(0x[0-9a-fA-F]{40})?$", description="an address in quotes, 0x and 40 hexadecimal digits")
]
Confirmations = Annotated[int, Field(ge=1, le=10_000, description="a number of blocks, 1..10000")]
Gwei = Annotated[float, Field(gt=0, le=1_000_000, description="a fee, more than 0 and up to 1000000 gwei")]


class Chain(Section):
    """[chain]: "anvil" is a dev node of our own on host and port; "url" is a node that somebody else runs.

    Of "url": contract: a deployment that stands there already, of whoever; "" deploys one. confirmations: blocks, its
    own included, under which the network does not take a block back any more. max_fee_gwei: what a gas may cost.
    """

    kind: Literal["anvil", "url"] = "anvil"
    chain_id: int = Field(default=31337, ge=1, lt=2**63, description="a chain id, 1 or more")
    host: Host = "127.0.0.1"
    port: Port = 8545
    url: str = ""
    contract: ContractAddress = ""
    confirmations: Confirmations = 1
    max_fee_gwei: Gwei = 100.0


class FurtherChain(Section):
    """[[further_chain]]: all logs are anchored on it as well, by rounds of its own. url, chain_id, contract,
    confirmations, max_fee_gwei: as of [chain] with kind = "url"; every, within_s: as of [anchor].
    """

    name: Slug
    url: str = Field(
        pattern=r"^https?://[^\s/]\S*$", description='the address of a node, "http://..." or "https://..."'
    )
    chain_id: int = Field(ge=1, lt=2**63, description="a chain id, 1 or more")
    contract: ContractAddress = ""
    confirmations: Confirmations = 1
    max_fee_gwei: Gwei = 100.0
    every: int = Field(default=4096, ge=1, description="a number of records, 1 or more")
    within_s: float = Field(default=60.0, gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")


class Pages(Section):
    """[pages]: where a running bench serves its metrics."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 8080


class Serve(Section):
    """[serve]: where a running bench serves its logs as static files, each below its name; for any tlog client."""

    enabled: bool = False
    host: Host = "127.0.0.1"
    port: Port = 8090


class WitnessTable(Section):
    """[[witness]]: cosigns the logs that the trust file names, and mirrors their hashes. every_s: looks at them, s.

    host, port: where it answers add-checkpoint and shows what it keeps. source: where it reads the logs: a log server,
    "http://...", or a folder in which each log stands under its name; "" is this bench's own data folder.
    """

    name: Slug
    host: Host = "127.0.0.1"
    port: Port = 8091
    source: Text = ""
    every_s: float = Field(default=1.0, ge=0.05, le=86_400, description="a time, 0.05..86400 s")


class Testing(Section):
    """[test]: how the pytest plugin uses the bench; its options and TESTBED_... variables go before.

    by: how tests reach the PLC; unless given "in-process" for an emulated one, "device" for a physical one. time_scale:
    seconds of an emulated plant in a second of the wall, behind a wire; seed: of its noise, that of [bench] unless
    given; stands_in: bench file of an emulated PLC that stands for the physical one, and is started for the tests;
    evidence_dir: folder, relative to the bench file; require_hardware: a skip is a failure; lease_timeout_s: how long
    to wait for a shared bench.
    """

    by: Literal["in-process", "modbus", "modbus-tls", "modbus-rtu", "opcua", "device"] | None = None
    time_scale: float = Field(default=1.0, ge=0.1, le=100.0, description="a number from 0.1 to 100")
    seed: int | None = Field(default=None, ge=0, lt=2**64, description="a whole number, 0 or more")
    stands_in: Text = ""
    evidence_dir: Text = ""
    require_hardware: bool = False
    lease_timeout_s: float = Field(default=0.0, ge=0, le=86_400, description="a time, 0..86400 s")


class BenchFile(Section):
    """The whole file."""

    bench: BenchTable
    ports: Ports = Ports()
    plant: Plant = Plant()
    plc: Several[Plc]
    reader: Several[Reader]
    operator: Operator = Operator()
    twin: Twin
    log: Log = Log()
    anchor: Anchor = Anchor()
    chain: Chain = Chain()
    further_chain: Several[FurtherChain] = ()
    pages: Pages = Pages()
    serve: Serve = Serve()
    witness: Several[WitnessTable] = ()
    test: Testing = Testing()
    safety: Safety = Safety()
