"""A bench file is read strictly, and whatever is wrong in it is told with file, line, key and mend."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusTable
from testbed.rig.bench import Bench, load_bench
from testbed.rig.bench_checks import check_bench
from testbed.rig.bench_errors import Section, check_file
from testbed.rig.bench_file import Anchor, BenchFile, BenchTable, Chain, Log, Modbus, Plc, Reader, Twin
from testbed.rig.locks import role_names
from testbed.rig.ports import listeners
from testbed.rig.toml_file import parse_toml

SMALL = """\
[bench]
name = "small"
[ports]
shift = 0
[plant.parameters]
noise = 0.0
[[plc]]
name = "cell"
[plc.modbus]
port = 5020
[plc.opcua]
port = 4840
[[plc.tag]]
name = "plc.scan"
type = "uint32"
range = [0, 4294967295]
modbus = { table = "input_register", address = 0 }
[[plc.tag]]
name = "plc.boot"
type = "uint32"
range = [0, 4294967295]
modbus = { table = "input_register", address = 2 }
[[plc.tag]]
name = "tank1.level"
type = "float32"
unit = "m"
range = [0, 2]
modbus = { table = "holding_register", address = 4, byte_order = "CDAB" }
[[plc.tag]]
name = "estop.pressed"
type = "bool"
writable = true
modbus = { table = "coil", address = 0 }
opcua = "cell.estop"
[[reader]]
name = "gateway"
plc = "cell"
[twin]
model = "water_cell_v1"
follows = "gateway"
[anchor]
every = 256
[chain]
port = 8545
"""

PLC = SMALL[SMALL.index("[[plc]]") : SMALL.index("[[reader]]")]
TAGS = SMALL[SMALL.index("[[plc.tag]]") : SMALL.index("[[reader]]")]

# The bench's tags: name, type, unit, range, writable, table, address.
CELL = """\
plc.scan uint32 - 0 4294967295 r input_register 0
plc.boot uint32 - 0 4294967295 r input_register 2
tank1.level float32 m 0 2 r input_register 4
tank2.level float32 m 0 2 r input_register 6
pump.flow float32 m3/h 0 10 r input_register 8
pump.pressure float32 bar 0 6 r input_register 10
tank2.temperature float32 degC 0 100 r input_register 12
pump.speed float32 % 0 100 r input_register 14
valve.position float32 % 0 100 r input_register 16
heater.power float32 kW 0 12 r input_register 18
control.mode uint16 - 0 2 rw holding_register 0
control.level_setpoint float32 m 0 2 rw holding_register 2
control.temperature_setpoint float32 degC 0 80 rw holding_register 4
manual.pump_speed float32 % 0 100 rw holding_register 6
manual.valve_position float32 % 0 100 rw holding_register 8
manual.heater_power float32 kW 0 12 rw holding_register 10
alarm.high_level bool - 0 1 r discrete_input 0
alarm.low_level bool - 0 1 r discrete_input 1
alarm.high_temperature bool - 0 1 r discrete_input 2
interlock.pump bool - 0 1 r discrete_input 3
interlock.heater bool - 0 1 r discrete_input 4
estop.active bool - 0 1 r discrete_input 5
estop.pressed bool - 0 1 rw coil 0
control.reset bool - 0 1 rw coil 1
watchdog.beat uint16 - 0 65535 rw holding_register 12
watchdog.limit_ms uint32 ms 0 3600000 rw holding_register 13
watchdog.tripped bool - 0 1 r discrete_input 6
"""


def edited(*changes: tuple[str, str]) -> str:
    """The small bench with each old text, which stands in it once, replaced by the new one."""
    text = SMALL
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} must stand in the bench exactly once"
        text = text.replace(old, new)
    return text


def load_text(folder: Path, text: str, port_shift: int = 0) -> Bench:
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return load_bench(path, port_shift)


def refusal(folder: Path, *changes: tuple[str, str], port_shift: int = 0) -> str:
    """What a person is told about the small bench after these changes."""
    with pytest.raises(UsageError) as caught:
        load_text(folder, edited(*changes), port_shift)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_default_bench_is_the_water_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench = load_bench(None)
    rows = [
        f"{tag.name} {tag.type.value} {tag.unit or '-'} {tag.low:.0f} {tag.high:.0f} {'rw' if tag.writable else 'r'} "
        f"{tag.modbus.table.value} {tag.modbus.address}"
        for tag in bench.tags
    ]
    assert rows == CELL.splitlines()
    assert all(tag.opcua == f"cell.{tag.name}" for tag in bench.tags)
    assert all(tag.modbus.byte_order is ByteOrder.ABCD for tag in bench.tags)
    assert bench.data == (tmp_path / ".testbed").resolve()
    assert bench.trust_file == tmp_path.resolve() / "trust.toml"
    assert (bench.origin("gateway"), bench.origin("twin")) == ("water-cell/gateway", "water-cell/twin")
    assert (bench.plc.modbus.port, bench.plc.opcua.port, bench.chain.port) == (5020, 4840, 8545)
    assert {bench.plc.modbus.host, bench.plc.opcua.host, bench.chain.host} == {"127.0.0.1"}
    assert (bench.plc.scan_tag, bench.plc.boot_tag) == ("plc.scan", "plc.boot")
    assert (bench.plc.scan_ms, bench.gateway.period_ms, bench.log.publish_ms) == (100, 50, 1000)
    assert (bench.anchor.every, bench.anchor.within_s, bench.log.heartbeat_s) == (256, 5.0, 1.0)
    assert (bench.chain.kind, bench.chain.chain_id, bench.chain.confirmations) == ("anvil", 31337, 1)
    assert (bench.seed, bench.gateway.plc, bench.twin.follows) == (1, "cell", "gateway")
    assert [(reader.name, reader.protocol) for reader in bench.readers] == [("gateway", "modbus"), ("reader", "opcua")]
    assert bench.logs == ("gateway", "reader", "operator", "twin", "receipts")
    assert bench.momentary == ("control.reset",)
    assert (bench.pages.host, bench.pages.port) == ("127.0.0.1", 8080)


def test_a_small_bench_needs_few_keys(tmp_path: Path) -> None:
    bench = load_text(tmp_path, SMALL)
    level, button = bench.tags[2:]
    assert (level.type, level.unit, level.low, level.high) == (DataType.FLOAT32, "m", 0.0, 2.0)
    assert (level.modbus.table, level.modbus.byte_order) == (ModbusTable.HOLDING_REGISTER, ByteOrder.CDAB)
    assert (level.writable, level.opcua) == (False, "cell.tank1.level")
    assert (button.writable, button.opcua, button.low, button.high) == (True, "cell.estop", 0.0, 1.0)
    assert bench.plant.parameters == {"noise": 0.0}
    assert bench.twin.parameters == {}
    assert bench.data == tmp_path.resolve() / ".testbed"


def test_model_parameters_are_taken_by_name(tmp_path: Path) -> None:
    bench = load_text(tmp_path, edited(("[anchor]", '[twin.parameters]\n"tank1.area" = 2\n[anchor]')))
    assert bench.twin.parameters == {"tank1.area": 2.0}


def test_data_is_found_from_the_bench_file(tmp_path: Path) -> None:
    bench = load_text(tmp_path, edited(('name = "small"', 'name = "small"\ndata = "runs/1"')))
    assert bench.data == tmp_path.resolve() / "runs" / "1"


def test_one_shift_moves_every_port(tmp_path: Path) -> None:
    bench = load_text(tmp_path, edited(("shift = 0", "shift = 100")), port_shift=20)
    assert (bench.plc.modbus.port, bench.plc.opcua.port, bench.chain.port) == (5140, 4960, 8665)
    assert bench.shift == 120


def test_a_foreign_node_is_not_shifted(tmp_path: Path) -> None:
    url = 'kind = "url"\nurl = "http://10.0.0.1:8545"\nchain_id = 5\nconfirmations = 12'
    bench = load_text(tmp_path, edited(("port = 8545", url)), port_shift=57_000)
    assert (bench.chain.url, bench.chain.chain_id, bench.chain.confirmations) == ("http://10.0.0.1:8545", 5, 12)


def test_a_left_out_opcua_server_takes_no_port(tmp_path: Path) -> None:
    bench = load_text(tmp_path, edited(("port = 4840", "port = 5020\nenabled = false")))
    assert not bench.plc.opcua.enabled


_BOX = """\
kind = "physical"
bridge = true
signs = true
[plc.connect]
protocol = "modbus-tcp"
host = "10.0.0.1"
[plc.modbus]"""

WITNESSED = '\n[[witness]]\nname = "w1"\n'


def test_witnesses_and_the_log_server_are_off_unless_they_are_written_down(tmp_path: Path) -> None:
    bench = load_text(tmp_path, SMALL)
    assert (bench.witnesses, bench.serve.enabled) == ((), False)
    text = edited(("port = 8545", f"port = 8545\n{WITNESSED}every_s = 5.0\n\n[serve]\nenabled = true\n"))
    bench = load_text(tmp_path, text, port_shift=20)
    assert bench.serve.port == 8110
    assert [(one.name, one.port, one.source, one.every_s) for one in bench.witnesses] == [("w1", 8111, "", 5.0)]
    assert role_names(bench)[-1] == "w1"
    assert {(place.role, place.port) for place in listeners(bench)} >= {("supervisor", 8110), ("w1", 8111)}


# Each fault alone: the change, then line, problem and mend.
FAULTS: dict[str, tuple[list[tuple[str, str]], int | None, str, str]] = {
    "typo in a nested table": (
        [("port = 5020", "prot = 5020")],
        10,
        "plc.modbus.prot: unknown key",
        'did you mean "port"?',
    ),
    "typo in a table": (
        [("every = 256", "evrey = 256")],
        42,
        "anchor.evrey: unknown key",
        'did you mean "every"?',
    ),
    "typo in a tag": (
        [('"holding_register", address', '"holding_register", adress')],
        28,
        "plc.tag[3] (tank1.level).modbus.adress: unknown key",
        'did you mean "address"?',
    ),
    "typo in a table's name": (
        [("[anchor]", "[ancor]")],
        41,
        "ancor: unknown key",
        'did you mean "anchor"?',
    ),
    "unknown key far from all": (
        [("every = 256", "colour = 256")],
        42,
        "anchor.colour: unknown key",
        "valid here: every, within_s",
    ),
    "unknown plant parameter": (
        [("noise = 0.0", "nosie = 0.0")],
        6,
        "plant.parameters.nosie: unknown key",
        'did you mean "noise"?',
    ),
    "impossible plant": (
        [("noise = 0.0", "noise = 7.0")],
        5,
        "plant.parameters: water cell: noise = 7.0",
        "give a value from 0 to 0.2",
    ),
    "unknown model parameter": (
        [('follows = "gateway"', 'follows = "gateway"\nparameters = { "tank1.aera" = 0.1 }')],
        41,
        'twin.parameters."tank1.aera": unknown key',
        'did you mean "tank1.area"?',
    ),
    "parameter without quotes": (
        [('follows = "gateway"', 'follows = "gateway"\n[twin.parameters]\ntank1.area = 0.1')],
        42,
        "twin.parameters.tank1: a table does not fit here",
        'a name with a dot needs quotes: write "tank1.area" = ...',
    ),
    "text for a number": (
        [("port = 5020", 'port = "5020"')],
        10,
        'plc.modbus.port: "5020" is text, not a number',
        "write 5020 without quotes",
    ),
    "a fraction for a whole number": (
        [("every = 256", "every = 256.5")],
        42,
        "anchor.every: 256.5 does not fit here",
        "give a number of records, 1 or more",
    ),
    "true for a number": (
        [("every = 256", "every = true")],
        42,
        "anchor.every: true does not fit here",
        "give a number of records, 1 or more",
    ),
    "text for true": (
        [("writable = true", 'writable = "yes"')],
        32,
        'plc.tag[4] (estop.pressed).writable: "yes" does not fit here',
        "give true or false",
    ),
    "number for text": (
        [('unit = "m"', "unit = 1")],
        26,
        "plc.tag[3] (tank1.level).unit: 1 does not fit here",
        "give text in quotes, on one line",
    ),
    "infinity": (
        [("every = 256", "within_s = inf")],
        42,
        "anchor.within_s: inf does not fit here",
        "give a time, more than 0 and up to 86400 s",
    ),
    "NaN in a range": (
        [("range = [0, 2]", "range = [0, nan]")],
        27,
        "plc.tag[3] (tank1.level).range[2]: nan does not fit here",
        "give two finite numbers, [low, high]",
    ),
    "range of three": (
        [("range = [0, 2]", "range = [0, 1, 2]")],
        27,
        "plc.tag[3] (tank1.level).range: [0, 1, 2] does not fit here",
        "give two finite numbers, [low, high]",
    ),
    "range of one": (
        [("range = [0, 2]", "range = [0]")],
        27,
        "plc.tag[3] (tank1.level).range: [0] does not fit here",
        "give two finite numbers, [low, high]",
    ),
    "unknown type": (
        [('type = "float32"', 'type = "flaot32"')],
        25,
        'plc.tag[3] (tank1.level).type: "flaot32" is none of: bool, int16, uint16, int32, uint32, float32, float64',
        'did you mean "float32"?',
    ),
    "unknown protocol": (
        [('plc = "cell"', 'plc = "cell"\nprotocol = "s7"')],
        38,
        'reader.protocol: "s7" is none of: modbus, opcua, device',
        "take one of: modbus, opcua, device",
    ),
    "missing key": (
        [('follows = "gateway"\n', "")],
        38,
        "twin.follows: is missing",
        "add follows = ... (text in quotes)",
    ),
    "missing table": (
        [('[twin]\nmodel = "water_cell_v1"\nfollows = "gateway"\n', "")],
        None,
        "twin: is missing",
        "add a table [twin]",
    ),
    "single brackets": (
        [("[[reader]]", "[reader]")],
        35,
        "reader: a table does not fit here",
        "give an array of tables: write [[reader]] with double brackets",
    ),
    "bench name": (
        [('name = "small"', 'name = "Small bench"')],
        2,
        'bench.name: "Small bench" does not fit here',
        "give 1 to 40 lower-case letters, digits and hyphens, in quotes",
    ),
    "tag name": (
        [('name = "tank1.level"', 'name = "tank 1"')],
        24,
        'plc.tag[3] (tank 1).name: "tank 1" does not fit here',
        'give a dotted name in quotes, such as "tank1.level"',
    ),
    "two tags of one name": (
        [('name = "tank1.level"', 'name = "plc.boot"')],
        24,
        'plc.tag[3] (plc.boot).name: "plc.boot" is already the name of a tag',
        "give each tag its own name",
    ),
    "two tags on one node": (
        [('opcua = "cell.estop"', 'opcua = "cell.tank1.level"')],
        34,
        'plc.tag[4] (estop.pressed).opcua: "cell.tank1.level" is already the OPC UA node of tank1.level',
        "give each tag its own node, or leave opcua out",
    ),
    "overlapping registers": (
        [('"input_register", address = 2', '"input_register", address = 1')],
        22,
        "plc.tag[2] (plc.boot).modbus.address: 1 of input_register already belongs to plc.scan, which ends at 1",
        "take a free address, such as 3",
    ),
    "bool in a register": (
        [('"coil"', '"holding_register"')],
        33,
        "plc.tag[4] (estop.pressed).modbus.table: a bool has no place in holding_register",
        "take coil or discrete_input",
    ),
    "number in a coil": (
        [('"holding_register", address = 4', '"coil", address = 4')],
        28,
        "plc.tag[3] (tank1.level).modbus.table: float32 has no place in coil",
        "take input_register or holding_register",
    ),
    "writing to an input": (
        [('"coil"', '"discrete_input"')],
        32,
        "plc.tag[4] (estop.pressed).writable: nothing can be written to discrete_input",
        "take coil, or leave writable out",
    ),
    "writing to an input register": (
        [('"holding_register"', '"input_register"'), ('unit = "m"', 'unit = "m"\nwritable = true')],
        27,
        "plc.tag[3] (tank1.level).writable: nothing can be written to input_register",
        "take holding_register, or leave writable out",
    ),
    "beyond the end of a table": (
        [("address = 4,", "address = 65535,")],
        28,
        (
            "plc.tag[3] (tank1.level).modbus.address: 65535 leaves no room "
            "for float32, 2 registers: a table ends at 65535"
        ),
        "take 65534 or less",
    ),
    "range upside down": (
        [("range = [0, 2]", "range = [2, 2]")],
        27,
        "plc.tag[3] (tank1.level).range: low 2 is not below high 2",
        "write range = [low, high]",
    ),
    "range missing": (
        [("range = [0, 2]\n", "")],
        23,
        "plc.tag[3] (tank1.level).range: is missing",
        "add range = [low, high] in m",
    ),
    "range beyond the type": (
        [('type = "float32"', 'type = "int16"'), ("range = [0, 2]", "range = [0, 40000]")],
        27,
        "plc.tag[3] (tank1.level).range: [0, 40000] does not fit into int16",
        "keep within -32768..32767, or take another type",
    ),
    "scan tag that is not there": (
        [('name = "cell"\n', 'name = "cell"\nscan_tag = "plc.scna"\n')],
        9,
        'plc.scan_tag: there is no tag "plc.scna"',
        'did you mean "plc.scan"?',
    ),
    "boot tag of another type": (
        [('name = "cell"\n', 'name = "cell"\nboot_tag = "tank1.level"\n')],
        9,
        'plc.boot_tag: "tank1.level" is float32; a counter is uint32',
        'give "tank1.level" type = "uint32"',
    ),
    "one tag for both counters": (
        [('name = "cell"\n', 'name = "cell"\nboot_tag = "plc.scan"\n')],
        9,
        'plc.boot_tag: "plc.scan" is the scan_tag already',
        "count scans and restarts in two tags",
    ),
    "reader of no plc": (
        [('plc = "cell"', 'plc = "cel"')],
        37,
        'reader.plc: there is no plc "cel"',
        'did you mean "cell"?',
    ),
    "twin of no reader": (
        [('follows = "gateway"', 'follows = "twin"')],
        40,
        'twin.follows: there is no reader "twin"',
        "valid here: gateway",
    ),
    "unknown model": (
        [('model = "water_cell_v1"', 'model = "water_cel_v1"')],
        39,
        'twin.model: there is no model "water_cel_v1"',
        'did you mean "water_cell_v1"?',
    ),
    "two roles of one name": (
        [("[twin]", '[twin]\nname = "gateway"')],
        39,
        'twin.name: "gateway" is already the name of a reader',
        "give each its own name",
    ),
    "a role named like a folder": (
        [("[twin]", '[twin]\nname = "chain"')],
        39,
        'twin.name: "chain" is the name of a folder that every bench has',
        "take another name than anchor, chain, plc, receipts, supervisor",
    ),
    "a reader by a protocol that is not served": (
        [
            ("port = 4840", "port = 4840\nenabled = false"),
            ("[twin]", '[[reader]]\nname = "second"\nplc = "cell"\nprotocol = "opcua"\n[twin]'),
        ],
        42,
        "reader[2] (second).protocol: cell does not serve OPC UA",
        "write enabled = true under [plc.opcua], or leave this reader out",
    ),
    "an operator named like a reader": (
        [("[twin]", '[operator]\nname = "gateway"\n[twin]')],
        39,
        'operator.name: "gateway" is already the name of a reader',
        "give each its own name",
    ),
    "a number that falls back by itself": (
        [('unit = "m"', 'unit = "m"\nmomentary = true')],
        27,
        "plc.tag[3] (tank1.level).momentary: only a writable bool is taken back by the PLC",
        "leave momentary out",
    ),
    "port beyond the last": (
        [("port = 5020", "port = 65536")],
        10,
        "plc.modbus.port: 65536 does not fit here",
        "give a port, 1..65535",
    ),
    "port shifted beyond the last": (
        [("shift = 0", "shift = 57000")],
        44,
        "chain.port: 8545 shifted by 57000 is 65545, which is no port",
        "shift ports by -4839..56990, or take another port",
    ),
    "two servers on one port": (
        [("port = 4840", "port = 5020")],
        12,
        "plc.opcua.port: port 5020 is plc.modbus.port already",
        "give each server its own port",
    ),
    "url of an own node": (
        [("port = 8545", 'url = "http://10.0.0.1"')],
        44,
        'chain.url: kind = "anvil" starts a node of its own',
        'leave url out, or write kind = "url"',
    ),
    "contract of an own node": (
        [("port = 8545", f'contract = "0x{"ab" * 20}"')],
        44,
        'chain.contract: kind = "anvil" starts a node of its own',
        'leave contract out, or write kind = "url"',
    ),
    "foreign node without url": (
        [("port = 8545", 'kind = "url"\nchain_id = 5')],
        43,
        "chain.url: is missing",
        'write url = "http://..." or "https://..."',
    ),
    "foreign node without chain id": (
        [("port = 8545", 'kind = "url"\nurl = "http://10.0.0.1"')],
        43,
        "chain.chain_id: is missing",
        "add chain_id = the id that this node must have",
    ),
    "foreign node at no address": (
        [("port = 8545", 'kind = "url"\nchain_id = 5\nurl = "10.0.0.1"')],
        46,
        'chain.url: "10.0.0.1" is no address of a node',
        'write url = "http://..." or "https://..."',
    ),
    "a box that is to be signed for": (
        [("[plc.modbus]\nport = 5020", f"{_BOX}\nport = 5020")],
        11,
        "plc.signs: cell is physical, and nobody here holds its key: a bridge does not sign in its name",
        "leave signs out; its states are gateway-signed",
    ),
    "a tag where the signed frame stands": (
        [("[plc.modbus]", "signs = true\n[plc.modbus]"), ("address = 2 }", "address = 64999 }")],
        23,
        "plc.tag[2] (plc.boot).modbus.address: 64999 reaches into the signed frame's registers, from 65000 on",
        "take 64998 or less",
    ),
    "a node where the signed frame stands": (
        [("[plc.modbus]", "signs = true\n[plc.modbus]"), ('"cell.estop"', '"cell.device.frame"')],
        31,
        'plc.tag[4] (estop.pressed).name: "cell.device.frame" is the node of the signed frame',
        "give the tag another name",
    ),
    "a scaled tag of a PLC that signs": (
        [
            ("[plc.modbus]", "signs = true\n[plc.modbus]"),
            ("range = [0, 2]", "range = [0, 2]\nscale = 0.5"),
        ],
        29,
        "plc.tag[3] (tank1.level).scale: tank1.level is scaled, and cell signs: each protocol shows it otherwise",
        "leave scale and offset out, or signs under [[plc]]",
    ),
    "witness that is named as a reader": (
        [("port = 8545", f"port = 8545\n{WITNESSED}".replace("w1", "gateway"))],
        47,
        'witness.name: "gateway" is already the name of a reader',
        "give each its own name",
    ),
    "witness that reads nowhere": (
        [("port = 8545", f'port = 8545\n{WITNESSED}source = "htp://elsewhere"\n')],
        48,
        'witness.source: "htp://elsewhere" is no address of a log server',
        'write "http://host:port", a folder, or leave source out for the logs of this bench',
    ),
    "witness on the port of the log server": (
        [("port = 8545", f"port = 8545\n{WITNESSED}port = 8090\n\n[serve]\nenabled = true\n")],
        48,
        "witness.port: port 8090 is serve.port already",
        "give each server its own port",
    ),
    "foreign node with a port": (
        [("port = 8545", 'port = 8545\nkind = "url"\nchain_id = 5\nurl = "http://10.0.0.1"')],
        44,
        'chain.port: kind = "url" has no use for it',
        "leave port out; the url has both",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_its_mend(fault: str, tmp_path: Path) -> None:
    changes, line, problem, mend = FAULTS[fault]
    place = f"bench.toml:{line}" if line else "bench.toml"
    assert refusal(tmp_path, *changes) == f"{place}: {problem}\n  mend: {mend}"


def test_missing_arrays_are_told(tmp_path: Path) -> None:
    message = refusal(tmp_path, (TAGS, ""))
    assert message == "bench.toml:7: plc.tag: is missing\n  mend: add tables [[plc.tag]]"


def test_two_plcs_are_told_to_be_too_many(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("[[reader]]", PLC.replace('"cell"', '"other"') + "[[reader]]"))
    assert "plc[2] (other): there are 2; a bench has exactly one plc for now" in message
    assert "\n  mend: keep one [[plc]]" in message


def test_empty_arrays_are_told(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("[bench]", "plc = []\n[bench]"), (PLC, ""))
    assert message == "bench.toml:1: plc: is empty\n  mend: describe one [[plc]]"
    message = refusal(tmp_path, (TAGS, ""), ('name = "cell"\n', 'name = "cell"\ntag = []\n'))
    assert "bench.toml:9: plc.tag: is empty\n  mend: describe the PLC's tags, each as [[plc.tag]]" in message


def test_a_port_shift_from_outside_is_checked_as_well(tmp_path: Path) -> None:
    assert "plc.opcua.port: 4840 shifted by -5000 is -160, which is no port" in refusal(tmp_path, port_shift=-5000)


def test_all_problems_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    message = refusal(
        tmp_path, ("shift = 0", "shfit = 0"), ('follows = "gateway"', 'follows = "gate"'), ("every = 256", "every = 0")
    )
    assert message == (
        "bench.toml: 3 problems\n"
        'bench.toml:4: ports.shfit: unknown key\n  mend: did you mean "shift"?\n'
        'bench.toml:40: twin.follows: there is no reader "gate"\n  mend: did you mean "gateway"?\n'
        "bench.toml:42: anchor.every: 0 does not fit here\n  mend: give a number of records, 1 or more"
    )


def test_a_mistyped_required_key_is_one_problem_not_two(tmp_path: Path) -> None:
    message = refusal(tmp_path, ("follows =", "folows ="))
    assert message == 'bench.toml:40: twin.folows: unknown key\n  mend: did you mean "follows"?'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[bench]\nname = \n", "bench.toml:2:8: not TOML: "),
        ('[bench]\nname = "a', "bench.toml:2:10: not TOML: "),
        ("[bench]\n[bench]\n", "bench.toml:2:7: not TOML: "),
    ],
)
def test_broken_toml_is_named_with_line_and_column(text: str, place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, text)
    assert place in str(caught.value)
    assert "\n  mend: correct this line" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: there is no such bench file\n  mend: name an existing"):
        load_bench(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="the bench file cannot be read: Is a directory\n  mend: "):
        load_bench(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'[bench]\nname = "caf\xe9"\n')
    with pytest.raises(UsageError, match=r"latin\.toml: not UTF-8 text .*\n  mend: save the file in UTF-8"):
        load_bench(tmp_path / "latin.toml")


TABLES: dict[str, type[Section]] = {"bench": BenchTable, "anchor": Anchor, "log": Log, "chain": Chain, "twin": Twin}
ELEMENTS: dict[str, type[Section]] = {"plc": Plc, "reader": Reader}
KEYS = [(path, key) for path, table in TABLES.items() for key in table.model_fields]
KEYS += [(path, key) for path, table in ELEMENTS.items() for key in table.model_fields]
KEYS += [("plc.modbus", key) for key in Modbus.model_fields]


@given(place=st.sampled_from([pair for pair in KEYS if len(pair[1]) > 3]), data=st.data())
def test_two_swapped_letters_are_answered_with_the_right_key(place: tuple[str, str], data: st.DataObject) -> None:
    table, key = place
    swaps = [key[:i] + key[i + 1] + key[i] + key[i + 2 :] for i in range(len(key) - 1) if key[i] != key[i + 1]]
    typo = data.draw(st.sampled_from(swaps))
    header = f"[[{table}]]\n" if table in ELEMENTS else f"[{table}]\n"
    text = SMALL if header in SMALL else SMALL + header
    file = parse_toml(text.replace(header, f"{header}{typo} = 1\n"), "bench.toml")
    with pytest.raises(UsageError) as caught:
        check_file(file, BenchFile, lambda content: check_bench(content, 0))
    assert f'{table}.{typo}: unknown key\n  mend: did you mean "{key}"?' in str(caught.value)


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000 + "]" * 100_000], ids=["digits", "arrays"])
def test_monstrous_values_are_refused_in_words(value: str) -> None:
    with pytest.raises(UsageError, match=r"bench\.toml: not to be read: .*\n  mend: "):
        parse_toml(f"a = {value}", "bench.toml")


VALUES = st.one_of(
    st.sampled_from(["true", "-1", "0", "1" * 400, "1e308", "nan", "-inf", '""', '"x"', "[]", "[[]]", "{}", "[{}]"]),
    st.sampled_from(["1979-05-27", "07:32:00", '"\\u0000"', "[1, 2]", "[2, 1]", "{ name = 1 }", "[[1], {}]"]),
)


@given(line=st.sampled_from(SMALL.splitlines()), value=VALUES, shift=st.integers(-(10**6), 10**6))
def test_whatever_stands_in_a_key_is_taken_or_refused_in_words(line: str, value: str, shift: int) -> None:
    text = SMALL.replace(line, f"{line.partition(' = ')[0]} = {value}" if " = " in line else value, 1)
    outcome: BenchFile | UsageError
    try:
        outcome = check_file(parse_toml(text, "bench.toml"), BenchFile, lambda content: check_bench(content, shift))
    except UsageError as error:
        outcome = error
    told = isinstance(outcome, UsageError) and str(outcome).startswith("bench.toml:") and outcome.mend
    assert told or isinstance(outcome, BenchFile)
