"""A bench: one plant, its PLC and everything that watches it, as its bench file says.

load_bench(Path("bench.toml"))   a file of your own
load_bench(None)                 the water cell that ships with the package
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.core.tags import DataType, ModbusAddress, Tag
from testbed.rig.bench_checks import check_bench
from testbed.rig.bench_errors import Problem, check_file
from testbed.rig.bench_file import (
    Anchor,
    BenchFile,
    Chain,
    FurtherChain,
    Log,
    Operator,
    Pages,
    Plant,
    Plc,
    Reader,
    Serve,
    TagTable,
    Testing,
    Twin,
    WitnessTable,
    serves,
)
from testbed.rig.default import default_file
from testbed.rig.placing import placed, shown
from testbed.rig.safety_file import Safety
from testbed.rig.toml_file import TomlFile, read_toml

RECEIPTS = "receipts"
"""Name of the log in which the anchor keeps what the contract accepted."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench, checked. All ports are shifted already.

    file: the bench file's name for messages; text: the file as it stands; folder: where it stands, the current folder
    for the default bench; data: the folder of keys, logs and journal, absolute; shift: added to every port; tags: in
    the order of the schema, as they stand in the PLC; shown: the same tags, as they stand on the bench's own servers;
    momentary: names of the tags that the PLC takes back by itself; heartbeats: of those that a machine writes again and
    again; scan_tag, boot_tag: None where it does not count.
    """

    name: str
    file: str
    text: str
    folder: Path
    data: Path
    seed: int
    shift: int
    tags: tuple[Tag, ...]
    shown: tuple[Tag, ...]
    momentary: tuple[str, ...]
    scan_tag: str | None
    boot_tag: str | None
    heartbeats: tuple[str, ...]
    plant: Plant
    plc: Plc
    readers: tuple[Reader, ...]
    operator: Operator
    twin: Twin
    log: Log
    anchor: Anchor
    chain: Chain
    further_chains: tuple[FurtherChain, ...]
    pages: Pages
    serve: Serve
    witnesses: tuple[WitnessTable, ...]
    test: Testing
    safety: Safety

    @property
    def gateway(self) -> Reader:
        """The reader whose log the twin follows."""
        return self.reader(self.twin.follows)

    def reader(self, name: str) -> Reader:
        """The reader of that name."""
        return next(reader for reader in self.readers if reader.name == name)

    def witness(self, name: str) -> WitnessTable:
        """The witness of that name."""
        return next(witness for witness in self.witnesses if witness.name == name)

    @property
    def serves(self) -> bool:
        """Whether the PLC is on servers of the bench's own: an emulated one, or a physical one that is bridged."""
        return serves(self.plc)

    @property
    def logs(self) -> tuple[str, ...]:
        """Names of all logs, in the order in which they are anchored: the gateway's first, the receipts last."""
        others = (reader.name for reader in self.readers if reader.name != self.gateway.name)
        return (self.gateway.name, *others, self.operator.name, self.twin.name, RECEIPTS)

    def writer(self, log: str) -> str:
        """The role that writes a log."""
        return "anchor" if log == RECEIPTS else log

    @property
    def trust_file(self) -> Path:
        """Where the trust file stands unless another one is named: beside the bench file."""
        return self.folder / "trust.toml"

    def origin(self, role: str) -> str:
        """Name of a role's log, which is the name of its key as well: "<bench>/<role>"."""
        return f"{self.name}/{role}"


def load_bench(path: Path | None, port_shift: int = 0) -> Bench:
    """Read and check a bench file; None stands for the packaged water cell, with its data in the current folder.

    port_shift is added to every port, on top of the file's own [ports] shift.
    Raises UsageError that names file, line, key and mend for every problem of the file.
    """
    mend = "name an existing bench file, or leave it out to run the water cell that ships with the package"
    file = default_file() if path is None else read_toml(path, "bench file", mend)
    folder = (Path.cwd() if path is None else path.parent).resolve()

    def cross(content: BenchFile) -> Iterator[Problem]:
        return check_bench(content, content.ports.shift + port_shift)

    return _convert(check_file(file, BenchFile, cross), file, folder, port_shift)


def _convert(content: BenchFile, file: TomlFile, folder: Path, port_shift: int) -> Bench:
    shift = content.ports.shift + port_shift
    (plc,), chain = content.plc, content.chain
    modbus = plc.modbus.model_copy(update={"port": plc.modbus.port + shift})
    opcua = plc.opcua.model_copy(update={"port": plc.opcua.port + shift})
    tls = plc.tls.model_copy(update={"port": plc.tls.port + shift})
    names = {tag.name for tag in plc.tag}
    tags = tuple(_tag(plc.name, tag, place) for tag, place in zip(plc.tag, placed(plc.tag), strict=True))
    return Bench(
        name=content.bench.name,
        file=file.label,
        text=file.text,
        folder=folder,
        data=(folder / content.bench.data).resolve(),
        seed=content.bench.seed,
        shift=shift,
        tags=tags,
        shown=shown(tags),
        momentary=tuple(tag.name for tag in plc.tag if tag.momentary),
        scan_tag=plc.scan_tag if plc.scan_tag in names else None,
        boot_tag=plc.boot_tag if plc.boot_tag in names else None,
        heartbeats=tuple(tag.name for tag in plc.tag if tag.heartbeat),
        plant=content.plant,
        plc=plc.model_copy(update={"modbus": modbus, "opcua": opcua, "tls": tls}),
        readers=tuple(_shifted(reader, shift) for reader in content.reader),
        operator=content.operator,
        twin=content.twin,
        log=content.log,
        anchor=content.anchor,
        chain=chain.model_copy(update={"port": chain.port + shift}) if chain.kind == "anvil" else chain,
        further_chains=tuple(content.further_chain),
        pages=content.pages.model_copy(update={"port": content.pages.port + shift}),
        serve=content.serve.model_copy(update={"port": content.serve.port + shift}),
        witnesses=tuple(one.model_copy(update={"port": one.port + shift}) for one in content.witness),
        test=content.test,
        safety=content.safety,
    )


def _shifted(reader: Reader, shift: int) -> Reader:
    return reader if reader.port is None else reader.model_copy(update={"port": reader.port + shift})


def _tag(plc: str, tag: TagTable, place: ModbusAddress) -> Tag:
    low, high = tag.range or (0.0, 1.0)  # only a bool may leave its range out
    return Tag(
        name=tag.name,
        type=DataType(tag.type),
        unit=tag.unit,
        low=low,
        high=high,
        writable=tag.writable,
        modbus=place,
        opcua=tag.opcua or f"{plc}.{tag.name}",
        scale=tag.scale,
        offset=tag.offset,
        unit_id=None if tag.modbus is None else tag.modbus.unit,
        s7=tag.s7,
    )
