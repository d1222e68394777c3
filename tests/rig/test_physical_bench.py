"""A bench file that points at a physical PLC: what each protocol needs, and where its tags are shown."""

from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.core.tags import ModbusTable
from testbed.guard.safe_state import Setting
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import controller_of
from testbed.rig.devices import device_of
from testbed.rig.locks import role_names
from testbed.rig.operating import own_device
from testbed.rig.ports import listeners
from testbed.rig.safety import safe_state_of

TCP = 'protocol = "modbus-tcp"\nhost = "192.168.0.10"'
LEVEL = """\
[[plc.tag]]
name = "tank.level"
type = "int16"
unit = "m"
range = [0, 4]
scale = 0.01
modbus = { table = "holding_register", address = 7 }
"""
S7_TAG = LEVEL.replace('modbus = { table = "holding_register", address = 7 }', 's7 = "DB1.DBW2"')


def text(connect: str = TCP, tags: str = LEVEL, plc: str = "", reader: str = 'protocol = "device"') -> str:
    return f"""\
[bench]
name = "lab"
[[plc]]
name = "box"
kind = "physical"
{plc}
[plc.connect]
{connect}
{tags}
[[reader]]
name = "gateway"
plc = "box"
{reader}
[twin]
model = "mirror_v1"
follows = "gateway"
"""


def load(folder: Path, content: str) -> Bench:
    path = folder / "bench.toml"
    path.write_text(content, encoding="utf-8")
    return load_bench(path)


def test_a_box_on_a_wire_has_no_servers_of_the_bench(tmp_path: Path) -> None:
    bench = load(tmp_path, text())
    assert (bench.scan_tag, bench.boot_tag, bench.serves) == (None, None, False)
    assert "plc" not in role_names(bench)
    assert {place.role for place in listeners(bench)} == {"chain", "supervisor"}
    (tag,) = bench.tags
    assert (tag.scale, tag.offset, tag.modbus.address) == (0.01, 0.0, 7)
    with pytest.raises(UsageError, match="on no server"):
        controller_of(bench, "modbus")


def test_a_bridged_box_is_shown_by_the_bench(tmp_path: Path) -> None:
    bench = load(tmp_path, text(plc="bridge = true", reader='protocol = "modbus"'))
    assert bench.serves
    assert role_names(bench)[0] == "plc"
    assert {place.key for place in listeners(bench)} >= {"plc.modbus", "plc.opcua"}
    assert bench.shown == bench.tags


def test_an_emulated_plc_has_no_device_behind_it() -> None:
    with pytest.raises(UsageError, match="emulated"):
        device_of(load_bench(None))


def test_units_behind_a_gateway_are_laid_out_anew_where_the_bench_shows_them(tmp_path: Path) -> None:
    tags = "".join(
        f"""\
[[plc.tag]]
name = "meter{unit}.power"
type = "float32"
unit = "kW"
range = [0, 100]
modbus = {{ table = "input_register", address = 52, unit = {unit} }}
"""
        for unit in (3, 4)
    )
    bench = load(tmp_path, text(tags=tags, plc="bridge = true"))
    assert [(tag.unit_id, tag.modbus.address) for tag in bench.tags] == [(3, 52), (4, 52)]
    assert [(tag.unit_id, tag.modbus.address) for tag in bench.shown] == [(None, 0), (None, 2)]
    # A command goes where the server has the tag; where the box has it, that server may have another one.
    assert tuple(own_device(bench).tags) == bench.shown


def test_a_box_that_the_bench_does_not_show_is_commanded_itself(tmp_path: Path) -> None:
    bench = load(tmp_path, text())
    assert tuple(own_device(bench).tags) == bench.tags
    assert type(own_device(bench)) is type(device_of(bench))


def test_a_tag_without_a_modbus_address_is_shown_at_a_free_one(tmp_path: Path) -> None:
    writable = S7_TAG.replace("tank.level", "tank.setpoint").replace("DBW2", "DBW4") + "writable = true\n"
    bench = load(tmp_path, text('protocol = "s7"\nhost = "192.168.0.20"', S7_TAG + writable, "bridge = true"))
    assert [tag.s7 for tag in bench.tags] == ["DB1.DBW2", "DB1.DBW4"]
    assert [(tag.s7, tag.modbus.table, tag.modbus.address) for tag in bench.shown] == [
        ("", ModbusTable.INPUT_REGISTER, 0),
        ("", ModbusTable.HOLDING_REGISTER, 0),
    ]


FAULTS = {
    "no way": (text(connect=""), "plc.connect.protocol: is missing"),
    "no host": (text('protocol = "modbus-tcp"'), "plc.connect.host: is missing"),
    "a line has no host": (
        text('protocol = "modbus-rtu"\ndevice = "/dev/ttyUSB0"\nhost = "10.0.0.1"'),
        'plc.connect.host: protocol = "modbus-rtu" has no use for it',
    ),
    "no serial device": (text('protocol = "modbus-rtu"'), "plc.connect.device: is missing"),
    "tls without papers": (text('protocol = "modbus-tls"\nhost = "10.0.0.1"'), "plc.connect.trust: is missing"),
    "secured without papers": (
        text('protocol = "opcua"\nhost = "10.0.0.1"\nnamespace = "urn:x"'),
        "plc.connect.trust: is missing",
    ),
    "a password in the clear": (
        text(
            'protocol = "opcua"\nhost = "10.0.0.1"\nnamespace = "urn:x"\nsecurity = "None"\nuser = "bench"\n'
            'password_file = "password.txt"'
        ),
        "plc.connect.user: a password must not travel unencrypted",
    ),
    "a user without a password": (
        text('protocol = "opcua"\nhost = "10.0.0.1"\nnamespace = "urn:x"\nsecurity = "None"\nuser = "bench"'),
        "plc.connect.password_file: is missing",
    ),
    "a person without a key": (
        text(
            'protocol = "opcua"\nhost = "10.0.0.1"\nnamespace = "urn:x"\ncertificate = "c.pem"\nkey = "c.key"\n'
            'trust = "s.pem"\nuser_certificate = "p.pem"'
        ),
        "plc.connect.user_key: is missing",
    ),
    "two persons": (
        text(
            'protocol = "opcua"\nhost = "10.0.0.1"\nnamespace = "urn:x"\ncertificate = "c.pem"\nkey = "c.key"\n'
            'trust = "s.pem"\nuser_certificate = "p.pem"\nuser_key = "p.key"\nuser = "bench"\npassword_file = "w"'
        ),
        "plc.connect.user_certificate: there is a user with a password already",
    ),
    "a deadband below nothing": (text(tags=LEVEL + "deadband = -1.0\n"), "plc.tag.deadband"),
    "no s7 address": (text('protocol = "s7"\nhost = "10.0.0.1"'), "plc.tag.s7: is missing"),
    "no modbus address": (text(tags=S7_TAG), "plc.tag.modbus: is missing"),
    "scale of nothing": (text(tags=LEVEL.replace("0.01", "0.0")), "plc.tag.scale: is 0"),
    "no such scan class": (
        text(tags=LEVEL + 'scan_class = "slow"\n'),
        'plc.tag.scan_class: there is no scan class "slow"',
    ),
    "a counter that is not there": (text(plc='scan_tag = "plc.scan"'), 'plc.scan_tag: there is no tag "plc.scan"'),
    "not shown": (text(reader='protocol = "modbus"'), "reader.protocol: box is a physical PLC"),
    "the reader's own host": (
        text(reader='protocol = "device"\nhost = "10.0.0.1"'),
        "reader.host: [plc.connect] says where the device is",
    ),
    "emulated": (text().replace('"physical"', '"emulated"'), 'plc.connect: kind = "emulated" has no use for it'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str, tmp_path: Path) -> None:
    content, said = FAULTS[fault]
    with pytest.raises(UsageError) as caught:
        load(tmp_path, content)
    assert said in str(caught.value)
    assert "mend: " in str(caught.value)


def test_a_scan_class_is_taken(tmp_path: Path) -> None:
    slow = '[[plc.scan_class]]\nname = "slow"\nevery = 10\n'
    bench = load(tmp_path, text(tags=LEVEL + 'scan_class = "slow"\n' + slow))
    assert [(one.name, one.every) for one in bench.plc.scan_class] == [("slow", 10)]


@pytest.mark.parametrize(
    ("limits", "scale", "fits"),
    [
        ("[-327.68, 327.67]", "0.01", True),
        ("[0, 100000]", "3.06", True),
        ("[-32767, 32768]", "-1.0", True),
        ("[0, 400]", "0.01", False),
        ("[0, 100000]", "3.0", False),
    ],
)
def test_the_range_of_a_scaled_tag_is_in_its_unit(tmp_path: Path, limits: str, scale: str, fits: bool) -> None:
    tags = LEVEL.replace("[0, 4]", limits).replace("scale = 0.01", f"scale = {scale}")
    if fits:
        assert load(tmp_path, text(tags=tags)).tags[0].scale == float(scale)
        return
    with pytest.raises(UsageError, match=r"does not fit into int16"):
        load(tmp_path, text(tags=tags))


def test_the_safe_state_of_a_scaled_tag_is_in_its_unit(tmp_path: Path) -> None:
    safety = '\n[safety]\nsafe_state = [{ tag = "tank.level", value = 0.25 }]\n'
    writable = LEVEL + "writable = true\n"
    bench = load(tmp_path, text(tags=writable) + safety)
    assert safe_state_of(bench).settings == (Setting("tank.level", 0.25),)
    with pytest.raises(UsageError, match="whole number"):
        load(tmp_path, text(tags=writable.replace("scale = 0.01\n", "")) + safety)
