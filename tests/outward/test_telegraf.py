"""Telegraf's configuration: each field of an input becomes a tag, or is told with the line on which it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable
from testbed.outward.draft import Draft, DraftTag
from testbed.outward.telegraf import from_telegraf
from testbed.outward.telegraf_s7 import address_of
from testbed.outward.telegraf_table import element_line
from testbed.rig.toml_file import parse_toml

HOLDING, INPUT = ModbusTable.HOLDING_REGISTER, ModbusTable.INPUT_REGISTER
BY_REGISTER = """\
[agent]
  interval = "2s"
[[outputs.file]]
  files = ["stdout"]
[[inputs.modbus]]
  name = "Device"
  slave_id = 7
  timeout = "1m500ms"
  controller = "tcp://10.0.0.7:1502"
  ## Digital
  discrete_inputs = [
    { name = "start", address = [0]},   # { not one }
    { name = "stop",  address = [1]},
  ]
  coils = [ { name = "run", address = [0]}, { name = "jog", measurement = "motor", address = [1]} ]
  holding_registers = [
    { name = "power_factor", byte_order = "AB",   data_type = "FIXED", scale=0.01,  address = [8]},
    { name = "energy",       byte_order = "CDAB", data_type = "FIXED", scale=0.001, address = [5,6]},
    { name = "frequency",    byte_order = "BA",   data_type = "UFIXED", scale=0.1,  address = [7]},
    { name = "old",          byte_order = "ABCD", data_type = "FLOAT32",            address = [10,11]},
    { name = "level",        byte_order = "DCBA", data_type = "FLOAT32-IEEE",       address = [12,13]},
    { name = "sum",   byte_order = "GHEFCDAB", data_type = "FLOAT64-IEEE", scale = 1000, address = [14,15,16,17]},
    { name = "text",  byte_order = "AB",   data_type = "STRING", address = [20,21]},
    { name = "wide",  byte_order = "ABCDEFGH", data_type = "INT64", address = [24,25,26,27]},
    { name = "gap",   byte_order = "ABCD", data_type = "INT32", address = [30,32]},
    { name = "short", byte_order = "ABCD", data_type = "INT32", address = [33]},
    { name = "again", byte_order = "AB",   data_type = "UINT16", address = [6]},
    { name = "order", byte_order = "BCDA", data_type = "INT32", address = [40,41]},
    { byte_order = "AB", data_type = "INT16", address = [42]},
    { name = 5, byte_order = "AB", data_type = "INT16", address = [43]},
  ]
  [[inputs.modbus.request]]
    slave_id = 1
"""
BY_REQUEST = """\
[[inputs.modbus]]
  controller = "file:///dev/ttyUSB0"
  baud_rate = 38400
  parity = "E"
  stop_bits = 2
  interval = "500ms"
  configuration_type = "request"
  [[inputs.modbus.request]]
    slave_id = 1
    byte_order = "CDAB"
    register = "holding"
    fields = [
      { address=0, name="voltage", type="INT16", scale=0.1 },
      { address=1, name="current", type="INT32", output="FLOAT64" },
      { address=3, name="unused", type="INT16", omit=true },
    ]
    [inputs.modbus.request.tags]
      machine = "press"
  [[inputs.modbus.request]]
    slave_id = 2
    byte_order = "DCBA"
    register = "input"
    measurement = "second"
    fields = [
      { address=0, name="voltage", type="FLOAT32" },
      { address=2, name="label", type="STRING", length=4 },
    ]
  [[inputs.modbus.request]]
    slave_id = 1
    register = "coil"
    fields = [ { address=3, name="on"} ]
  [inputs.modbus.workarounds]
    pause_between_requests = "20ms"
"""
BY_METRIC = """\
[[inputs.modbus]]
  controller = "tcp://plc"
  transmission_mode = "RTUoverTCP"
  configuration_type = "metric"
  [[inputs.modbus.metric]]
    slave_id = 9
    fields = [
      { register="input", address=0, name="a", type="UINT16" },
      { address=0, name="b", type="UINT32" },
      { register="discrete", address=0, name="c" },
    ]
"""
OPCUA = """\
[[inputs.opcua]]
  endpoint = "opc.tcp://plc:4841/server"
  security_policy = "Basic256Sha256"
  security_mode = "Sign"
  certificate = "/etc/telegraf/cert.pem"
  private_key = "/etc/telegraf/key.pem"
  auth_method = "UserName"
  username = "bench"
  password = "secret"
  nodes = [
    {name="level", namespace="3", identifier_type="s", identifier="Tank.Level"},
    {name="number", namespace="3", identifier_type="i", identifier="1001"},
  ]
  [[inputs.opcua.nodes]]
    name = "never"
"""
OPCUA_GROUPS = """\
[[inputs.opcua]]
  endpoint = "opc.tcp://plc:4840"
  security_policy = "None"
  security_mode = "None"
  [[inputs.opcua.nodes]]
    name = "level"
    id = "ns=2;s=Tank;Level"
  [[inputs.opcua.group]]
    name = "pump"
    namespace = "2"
    identifier_type = "s"
    [[inputs.opcua.group.nodes]]
      name = "speed"
      identifier = "Pump.Speed"
    [[inputs.opcua.group.nodes]]
      name = "speed"
      identifier = "Pump.Speed"
    [[inputs.opcua.group.nodes]]
      name = "elsewhere"
      namespace = "4"
      identifier = "Pump.Flow"
"""
S7 = """\
[[inputs.s7comm]]
  server = "10.0.0.9"
  rack = 0
  slot = 2
  timeout = "3s"
  [[inputs.s7comm.metric]]
    name = "compressor"
    fields = [
      { name="rpm",             address="DB1.R4"    },
      { name="status_ok",       address="DB1.X2.1"  },
      { name="last_error",      address="DB2.S1.32" },
      { name="last_error_time", address="DB2.DT2"   },
      { name="long_counter",    address="DB3.LR12"  },
      { name="step",            address="MK.B4"  },
    ]
"""


def draft(text: str, which: int = 1) -> Draft:
    file = parse_toml(text, "telegraf.conf")
    return from_telegraf(file.data, file.text, file.label, file.line, which=which)


def line_of(text: str, words: str) -> int:
    (found,) = [number for number, line in enumerate(text.split("\n"), start=1) if words in line]
    return found


def by_name(found: Draft) -> dict[str, DraftTag]:
    return {tag.name: tag for tag in found.tags}


def test_the_register_style() -> None:
    found = draft(BY_REGISTER)
    assert found.connect == {
        "protocol": "modbus-tcp",
        "host": "10.0.0.7",
        "port": 1502,
        "unit": 7,
        "timeout_ms": 60_000,
    }
    tags = by_name(found)
    assert {name: (tag.type, tag.modbus, tag.scale) for name, tag in tags.items()} == {
        "run": (DataType.BOOL, ModbusAddress(ModbusTable.COIL, 0), 1),
        "motor.jog": (DataType.BOOL, ModbusAddress(ModbusTable.COIL, 1), 1),
        "start": (DataType.BOOL, ModbusAddress(ModbusTable.DISCRETE_INPUT, 0), 1),
        "stop": (DataType.BOOL, ModbusAddress(ModbusTable.DISCRETE_INPUT, 1), 1),
        "power_factor": (DataType.INT16, ModbusAddress(HOLDING, 8), 0.01),
        "energy": (DataType.INT32, ModbusAddress(HOLDING, 5, ByteOrder.CDAB), 0.001),
        "frequency": (DataType.UINT16, ModbusAddress(HOLDING, 7, ByteOrder.DCBA), 0.1),
        "old": (DataType.UINT32, ModbusAddress(HOLDING, 10), 1),
        "level": (DataType.FLOAT32, ModbusAddress(HOLDING, 12, ByteOrder.DCBA), 1),
        "sum": (DataType.FLOAT64, ModbusAddress(HOLDING, 14, ByteOrder.CDAB), 1000),
    }
    assert not any(tag.writable for tag in found.tags)
    assert {tag.scan_ms for tag in found.tags} == {2000}
    assert tags["stop"].line == line_of(BY_REGISTER, '"stop"')
    assert [(remark.line, remark.what.partition(":")[0]) for remark in found.left] == [
        (line_of(BY_REGISTER, "[[inputs.modbus]]"), "request"),
        *((line_of(BY_REGISTER, f'"{name}"'), name) for name in ("text", "wide", "gap", "short", "again", "order")),
        (line_of(BY_REGISTER, "[42]"), "address [42]"),
        (line_of(BY_REGISTER, "[43]"), "5"),
    ]
    assert all(remark.mend for remark in found.left)


def test_the_request_style_over_a_serial_line_with_two_units() -> None:
    found = draft(BY_REQUEST)
    assert found.connect == {
        "protocol": "modbus-rtu",
        "device": "/dev/ttyUSB0",
        "baud": 38400,
        "parity": "E",
        "stop_bits": 2,
        "unit": 1,
        "timeout_ms": 1000,
        "pause_ms": 20,
    }
    assert {name: (tag.type, tag.modbus, tag.unit_id) for name, tag in by_name(found).items()} == {
        # One word has no other one to change places with.
        "voltage": (DataType.INT16, ModbusAddress(HOLDING, 0), None),
        "current": (DataType.INT32, ModbusAddress(HOLDING, 1, ByteOrder.CDAB), None),
        "second.voltage": (DataType.FLOAT32, ModbusAddress(INPUT, 0, ByteOrder.DCBA), 2),
        "on": (DataType.BOOL, ModbusAddress(ModbusTable.COIL, 3), None),
    }
    assert [(remark.line, remark.what) for remark in found.left] == [
        (line_of(BY_REQUEST, '"unused"'), "unused: omit = true"),
        (line_of(BY_REQUEST, '"label"'), "label: type STRING"),
    ]


def test_the_metric_style_over_rtu_in_tcp() -> None:
    found = draft(BY_METRIC)
    assert (found.connect["protocol"], found.connect["port"], found.connect["unit"]) == ("modbus-rtu-tcp", 502, 9)
    assert [tag.modbus for tag in found.tags] == [
        ModbusAddress(INPUT, 0),
        ModbusAddress(HOLDING, 0),
        ModbusAddress(ModbusTable.DISCRETE_INPUT, 0),
    ]
    assert {tag.scan_ms for tag in found.tags} == {10_000}


def test_opc_ua_nodes() -> None:
    found = draft(OPCUA.partition("  [[inputs.opcua.nodes]]")[0])
    assert found.connect == {
        "protocol": "opcua",
        "host": "plc",
        "port": 4841,
        "path": "/server",
        "namespace": "urn:unknown:namespace-3",
        "timeout_ms": 5000,
        "security": "Sign",
        "policy": "Basic256Sha256",
        "certificate": "/etc/telegraf/cert.pem",
        "key": "/etc/telegraf/key.pem",
        "trust": "server.pem",
        "user": "bench",
        "password_file": "password.txt",
    }
    assert [(tag.name, tag.type, tag.opcua) for tag in found.tags] == [("level", DataType.FLOAT64, "Tank.Level")]
    assert [(remark.line, remark.what) for remark in found.left] == [
        (line_of(OPCUA, '"number"'), "number: its identifier is of type i")
    ]
    said = " ".join(remark.what + remark.mend for remark in found.assumed)
    for word in ("float64 for 1 nodes", "namespace 3", "server.pem", "password.txt"):
        assert word in said
    assert "secret" not in said


def test_opc_ua_groups() -> None:
    found = draft(OPCUA_GROUPS)
    assert found.connect["security"] == "None"
    assert [(tag.name, tag.opcua) for tag in found.tags] == [("level", "Tank;Level"), ("pump.speed", "Pump.Speed")]
    last = line_of(OPCUA_GROUPS, '"elsewhere"') - 1
    assert [remark.line for remark in found.left] == [last - 3, last]


def test_s7() -> None:
    found = draft(S7)
    assert found.connect == {
        "protocol": "s7",
        "host": "10.0.0.9",
        "port": 102,
        "rack": 0,
        "slot": 2,
        "timeout_ms": 3000,
    }
    assert [(tag.name, tag.s7, tag.type) for tag in found.tags] == [
        ("compressor.rpm", "DB1.DBD4", DataType.FLOAT32),
        ("compressor.status_ok", "DB1.DBX2.1", DataType.BOOL),
        ("compressor.long_counter", "DB3.DBL12", DataType.FLOAT64),
        ("compressor.step", "MB4", DataType.UINT16),
    ]
    assert [remark.line for remark in found.left] == [line_of(S7, '"last_error"'), line_of(S7, '"last_error_time"')]


@given(
    st.sampled_from(["DB", "PE", "PA", "MK"]),
    st.integers(1, 65535),
    st.sampled_from(["B", "W", "I", "DW", "DI", "R", "LR"]),
    st.integers(0, 65528),
)
def test_every_s7_address_is_where_it_says(area: str, db: int, kind: str, byte: int) -> None:
    address, data_type = address_of(f"{area}{db if area == 'DB' else ''}.{kind}{byte}")
    assert (address.db, address.byte) == (db if area == "DB" else 0, byte)
    assert address.size in (data_type.size, 1)


def test_of_several_inputs_one_is_taken_and_the_others_are_told() -> None:
    text = BY_METRIC + S7 + OPCUA_GROUPS + BY_METRIC
    for which, protocol in ((1, "modbus-rtu-tcp"), (2, "s7"), (3, "opcua"), (4, "modbus-rtu-tcp")):
        found = draft(text, which)
        assert found.connect["protocol"] == protocol
        others = [remark.mend for remark in found.left if "a bench has one PLC" in remark.what]
        assert others == [f"import it as well, with --which {other}" for other in range(1, 5) if other != which]


@pytest.mark.parametrize(
    ("text", "which", "said"),
    [
        ("", 1, "there is none"),
        ("[[inputs.cpu]]", 1, "there is none"),
        (S7, 2, "there are 1"),
        (S7, 0, "there are 1"),
        ("[inputs.modbus]", 1, "modbus is no array"),
        ("inputs = 5", 1, "inputs is no table"),
        (S7.replace('"10.0.0.9"', '""'), 1, "telegraf.conf:1: inputs.s7comm: server"),
        (S7.replace("address=", "place="), 1, "no tag could be taken over"),
        (S7.replace("slot = 2", 'slot = "2"'), 1, "slot = '2' is of the wrong type"),
        (S7.replace('"3s"', '"soon"'), 1, "'soon' is no time"),
        (BY_METRIC.replace("tcp://", "udp://"), 1, "udp://plc"),
        (BY_METRIC.replace("RTUoverTCP", "ASCIIoverTCP"), 1, "asciiovertcp"),
        (BY_METRIC.replace('"metric"', '"mixed"'), 1, "'mixed' is not known"),
        (OPCUA_GROUPS.replace("opc.tcp://", "http://"), 1, "endpoint = 'http://plc:4840'"),
    ],
)
def test_what_cannot_be_a_bench_names_its_line_and_mend(text: str, which: int, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        draft(text, which)
    assert caught.value.mend


ELEMENTS = """\
x = 1
list = [ { a = "}" }, { b = '{[' }, # { no
  # [ { no
  { c = { d = [ { e = 1 } ] } },
  { f = "\\"{" },
]
next = [ { g = 1 } ]
"""


@pytest.mark.parametrize(("index", "line"), [(0, 2), (1, 2), (2, 4), (3, 5), (4, 2)])
def test_the_line_of_an_inline_table(index: int, line: int) -> None:
    assert element_line(ELEMENTS, 2, index) == line
