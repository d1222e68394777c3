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
    """[plc.opcua]: OPC UA server of the PLC."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 4840


class TagModbus(Section):
    """Where a tag stands: zero-based protocol address; byte_order as core.tags.ByteOrder has it."""

    table: Literal["coil", "discrete_input", "input_register", "holding_register"]
    address: int = Field(ge=0, le=65535, description="a zero-based protocol address, 0..65535")
    byte_order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"


class TagTable(Section):
    """[[plc.tag]]: range is [low, high] in `unit`; a bool needs none. opcua "" stands for "<plc>.<tag>".

    momentary: a writable bool that the PLC takes back by itself, as a push button. heartbeat: a machine writes it
    again and again, so its changes are no commands that a person's log would explain.
    """

    name: TagName
    type: Literal["bool", "int16", "uint16", "int32", "uint32", "float32", "float64"]
    unit: Text = ""
    range: tuple[float, float] | None = Field(default=None, strict=False, description="two finite numbers, [low, high]")
    writable: bool = False
    momentary: bool = False
    heartbeat: bool = False
    modbus: TagModbus
    opcua: Text = ""


class Plc(Section):
    """[[plc]]: scan_ms is the scan cycle, ms; scan_tag and boot_tag name its scan counter and restart counter."""

    name: Slug
    kind: Literal["emulated"] = "emulated"
    program: Literal["water-cell"] = "water-cell"
    scan_ms: int = Field(default=100, ge=1, le=60_000, description="a scan cycle, 1..60000 ms")
    scan_tag: str = "plc.scan"
    boot_tag: str = "plc.boot"
    modbus: Modbus = Modbus()
    opcua: Opcua = Opcua()
    tag: Several[TagTable]


class Reader(Section):
    """[[reader]]: reads one PLC and writes a log under its own name and key; period_ms is the poll interval, ms.

    host, port: where it connects, when that is not where the PLC listens: a wire may lead through something.
    """

    name: Slug
    plc: str
    protocol: Literal["modbus", "opcua"] = "modbus"
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
    """[log]: commit_ms: readers commit what they read at most this often, ms; tiles and checkpoint file are written
    every publish_ms at most; heartbeat_s: a reader's log says that it lives this often, s.
    """

    commit_ms: int = Field(default=50, ge=0, le=60_000, description="a time, 0..60000 ms")
    publish_ms: int = Field(default=1000, ge=0, le=3_600_000, description="a time, 0..3600000 ms")
    heartbeat_s: float = Field(default=1.0, gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")


class Anchor(Section):
    """[anchor]: a round starts once a log grew by `every` records, or within_s seconds after its first new one."""

    every: int = Field(default=256, ge=1, description="a number of records, 1 or more")
    within_s: float = Field(default=5.0, gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")


class Chain(Section):
    """[chain]: "anvil" is a dev node of our own on host and port; "url" is a node that somebody else runs."""

    kind: Literal["anvil", "url"] = "anvil"
    chain_id: int = Field(default=31337, ge=1, lt=2**63, description="a chain id, 1 or more")
    host: Host = "127.0.0.1"
    port: Port = 8545
    url: str = ""
    confirmations: int = Field(default=1, ge=1, le=10_000, description="a number of blocks, 1..10000")


class Pages(Section):
    """[pages]: where a running bench serves its metrics."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = 8080


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
    pages: Pages = Pages()
    safety: Safety = Safety()
