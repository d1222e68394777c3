"""Kepware's CSV lists: each line becomes a tag of the bench, or is told with its number and its mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable
from testbed.outward.draft import Draft
from testbed.outward.kepware import from_kepware

HEADING = (
    "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,"
    "Scaled High,Scaled Data Type,Clamp Low,Clamp High,Eng Units,Description,Negate Value"
)
HOLDING, INPUT = ModbusTable.HOLDING_REGISTER, ModbusTable.INPUT_REGISTER


def draft(*rows: str, byte_order: ByteOrder = ByteOrder.CDAB) -> Draft:
    return from_kepware("\r\n".join([HEADING, *rows]) + "\r\n", "tags.csv", host="10.0.0.5", byte_order=byte_order)


def row(name: str, address: str, kind: str, access: str = "R/W", scaling: str = ",,,,,,,", end: str = ',"",') -> str:
    return f'"{name}","{address}",{kind},1,{access},100,{scaling},{end}'


def told(found: Draft) -> list[tuple[int, str]]:
    return [(remark.line, remark.what) for remark in found.left]


def test_a_modbus_device() -> None:
    found = draft(
        row("Tank.Level", "400001", "Float", end='m,"Level, in the ""first"" tank",'),
        row("Tank.Raw", "300010", "Word", "RO"),
        row("Pump.Run", "000001", "Boolean"),
        row("Pump.Trip", "100005", "Boolean"),
        row("Total", "400010", "DWord", "RO"),
        row("Big", "400020", "Double"),
        row("Speed", "40003", "Short"),
        row("Plain", "400004", ""),
        row("Switch", "000002", "Default"),
    )
    assert found.left == ()
    assert found.connect == {"protocol": "modbus-tcp", "host": "10.0.0.5", "unit": 1}
    level, raw, run, trip, total, big, speed, plain, switch = found.tags
    assert (level.name, level.type, level.unit, level.writable) == ("Tank.Level", DataType.FLOAT32, "m", True)
    assert (level.note, level.line) == ('Level, in the "first" tank', 2)
    assert level.modbus == ModbusAddress(HOLDING, 0, ByteOrder.CDAB)
    assert (raw.type, raw.modbus, raw.writable) == (DataType.UINT16, ModbusAddress(INPUT, 9), False)
    assert (run.type, run.modbus, run.writable) == (DataType.BOOL, ModbusAddress(ModbusTable.COIL, 0), True)
    # Whatever the list says, nobody writes to an input.
    assert (trip.modbus, trip.writable) == (ModbusAddress(ModbusTable.DISCRETE_INPUT, 4), False)
    assert (total.type, total.writable) == (DataType.UINT32, False)
    assert big.type is DataType.FLOAT64
    assert (speed.type, speed.modbus) == (DataType.INT16, ModbusAddress(HOLDING, 2))
    assert (plain.type, switch.type) == (DataType.UINT16, DataType.BOOL)


def test_a_siemens_device() -> None:
    found = draft(
        row("Level", "DB1,REAL4", "Float"),
        row("Run", "DB1,X0.3", "Boolean", "RO"),
        row("Step", "DB1,B9", "Byte"),
        row("Trim", "DB1,CHAR10", "Char"),
        row("Raw", "DB1,D12", "Float"),
        row("Door", "I0.1", "Boolean"),
        row("Counter", "MD20", "Long"),
        row("Energy", "DB2,LREAL0", "Double"),
    )
    assert found.left == ()
    assert found.connect == {"protocol": "s7", "host": "10.0.0.5", "rack": 0, "slot": 1}
    assert [(tag.s7, tag.type, tag.writable) for tag in found.tags] == [
        ("DB1.DBD4", DataType.FLOAT32, True),
        ("DB1.DBX0.3", DataType.BOOL, False),
        ("DB1.DBB9", DataType.UINT16, True),
        ("DB1.DBB10", DataType.INT16, True),
        ("DB1.DBD12", DataType.FLOAT32, True),
        ("I0.1", DataType.BOOL, False),
        ("MD20", DataType.INT32, True),
        ("DB2.DBL0", DataType.FLOAT64, True),
    ]
    assert [tag.range for tag in found.tags[2:4]] == [(0, 255), (-128, 127)]


def test_a_straight_line_becomes_scale_and_offset() -> None:
    found = draft(
        row("a", "400001", "Word", scaling="Linear,0,1000,0,100,Double,0,0"),
        row("b", "400002", "Short", scaling="Linear,-100,100,-40,60,Float,1,1"),
        row("c", "400003", "Word", scaling="Linear,4000,20000,100,0,Float,1,1"),
        row("d", "400004", "Word", scaling="None,,,,,,,"),
        row("e", "400005", "Short", end=',"",1'),
        row("f", "400006", "Word", scaling="Linear,0,10,0,1,Float,1,1", end=',"",1'),
    )
    a, b, c, d, e, f = found.tags
    assert (a.scale, a.offset, a.range) == (0.1, 0, (0, 100))
    assert (b.scale, b.offset, b.range) == (0.5, 10, (-40, 60))
    assert (c.scale, c.offset, c.range) == (-0.00625, 125, (0, 100))
    assert (d.scale, d.offset, d.range) == (1, 0, None)
    assert (e.scale, e.range) == (-1, (-32767, 32768))
    assert (f.scale, f.range) == (-0.1, (-1, 0))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1))
def test_every_line_goes_through_its_ends(
    raw_low: float, raw_high: float, low: float, high: float, share: float
) -> None:
    if abs(raw_high - raw_low) < 1 or abs(high - low) < 1:
        return
    (tag,) = draft(row("a", "400001", "Float", scaling=f"Linear,{raw_low},{raw_high},{low},{high},Float,0,0")).tags
    held = raw_low + share * (raw_high - raw_low)
    meant = low + share * (high - low)
    room = 1e-9 * (abs(held * tag.scale) + abs(tag.offset) + 1)
    assert abs(held * tag.scale + tag.offset - meant) <= room
    assert tag.range == (min(low, high), max(low, high))


def test_what_cannot_be_taken_over_is_told_with_its_line_and_its_mend() -> None:
    found = draft(
        row("good", "400001", "Float"),
        row("text", "400100.20H", "String"),
        row("bit", "40005.3", "Boolean"),
        row("list", "400200 [10]", "Word Array"),
        row("packed", "400201", "BCD"),
        row("wide", "400202", "LLong"),
        row("kind", "400203", "Quaternion"),
        row("only", "400204", "Word", "WO"),
        row("root", "400205", "Word", scaling="Square Root,0,100,0,10,Float,0,0"),
        row("flat", "400206", "Word", scaling="Linear,5,5,0,10,Float,0,0"),
        row("empty", "400207", "Word", scaling="Linear,,,,,,,"),
        row("over", "400002", "Word"),
        row("there", "000009", "Word"),
        row("here", "400208", "Boolean"),
        row("half", "400209", "Byte"),
        row("end", "465536", "Float"),
        row("other", "DB1,REAL4", "Float"),
    )
    assert [tag.name for tag in found.tags] == ["good"]
    assert [line for line, _ in told(found)] == list(range(3, 19))
    assert all(remark.mend for remark in found.left)
    said = dict(told(found))
    assert said[3] == "text: String is no type of a tag"
    assert said[4] == "bit: 40005.3 is a bit of a register"
    assert said[10] == "root: Square Root scaling"
    assert said[13] == "over: it stands where good stands already"
    assert said[18] == "other: DB1,REAL4 is an address of another driver"


def test_of_two_with_one_name_both_are_kept_and_told() -> None:
    found = draft(row("Tank 1", "400001", "Word"), row("tank_1", "400002", "Word"), row("1st", "400003", "Word"))
    assert [tag.name for tag in found.tags] == ["Tank_1", "tank_1_2", "n1st"]
    named = [remark.what for remark in found.assumed if "is called" in remark.what]
    assert named == [
        "Tank 1 is called Tank_1 in the bench",
        "tank_1 is called tank_1_2 in the bench",
        "1st is called n1st in the bench",
    ]


def test_what_the_list_does_not_say_is_filled_in_and_told() -> None:
    said = " ".join(remark.what for remark in draft(row("a", "400001", "Float"), byte_order=ByteOrder.ABCD).assumed)
    assert "unit 1" in said
    assert "10.0.0.5" in said
    assert "order ABCD" in said
    assert "range of 1 tags" in said
    assert "order" not in " ".join(remark.what for remark in draft(row("a", "400001", "Word")).assumed)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_other_delimiters_line_ends_and_columns(mark: str, ends: str) -> None:
    lines = ["Address;Tag Name;Engineering Units;Something New", '400001;"a";"°C";x', "", "400002;b;;", "400003;c"]
    found = from_kepware(mark + ends.join(lines), "tags.csv", host="h")
    assert [(tag.name, tag.unit, tag.line) for tag in found.tags] == [("a", "°C", 2), ("b", "", 4), ("c", "", 5)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "none of 0 tags"),
        ("hello", "tags.csv:1: no heading"),
        ("Record Type,Name\r\nAverage Tag,x\r\n", "tags.csv:1: no heading"),
        (HEADING, "none of 0 tags"),
        (f"{HEADING}\r\nx,T1,Word", "line 2: x: T1 is a timer"),
    ],
)
def test_a_file_that_is_no_such_list(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        from_kepware(text, "tags.csv", host="h")
    assert caught.value.mend


@given(st.text(max_size=60) | st.text('",\n', max_size=30))
def test_no_text_ends_otherwise(text: str) -> None:
    for whole in (text, f"{HEADING}\n{text}", f"{HEADING}\nx,{text}"):
        try:
            assert from_kepware(whole, "tags.csv", host="h").tags
        except UsageError:
            continue
