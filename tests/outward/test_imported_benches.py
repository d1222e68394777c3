"""What is imported is a bench: its file loads, whatever the list held, and reaches the device that the list is of."""

import string
import struct
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snap7.type import Area

from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable
from testbed.fieldbus.registers import decode
from testbed.outward.bench_text import bench_text, slug
from testbed.outward.draft import DraftTag, range_of, settled
from testbed.outward.kepware import from_kepware
from testbed.outward.telegraf import from_telegraf
from testbed.rig.bench import Bench, load_bench
from testbed.rig.devices import device_of
from testbed.rig.toml_file import parse_toml
from tests.fieldbus.processes import served
from tests.fieldbus.s7_peers import LOCAL, put
from tests.outward.test_telegraf import BY_METRIC, BY_REGISTER, BY_REQUEST, OPCUA_GROUPS, S7


def loaded(folder: Path, text: str) -> Bench:
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return load_bench(path)


MODBUS_TAGS = st.builds(
    DraftTag,
    line=st.integers(1, 99),
    name=st.text(max_size=120) | st.text(string.ascii_letters + "._ 1", max_size=8),
    type=st.sampled_from([kind for kind in DataType if kind is not DataType.BOOL]),
    modbus=st.builds(
        ModbusAddress,
        st.sampled_from([ModbusTable.HOLDING_REGISTER, ModbusTable.INPUT_REGISTER]),
        st.integers(0, 65535),
        st.sampled_from(ByteOrder),
    ),
    unit_id=st.none() | st.integers(0, 255),
    unit=st.text(max_size=120),
    scale=st.sampled_from([1.0, -1.0, 0.1, 1e-9, 3.0518509476, 1e6]),
    offset=st.sampled_from([0.0, -40.0, 1e9]),
    scan_ms=st.none() | st.integers(1, 10**9),
    note=st.text(max_size=120),
)
"""Whatever another program may have written."""
NAMES = st.text(max_size=60)


@given(st.lists(MODBUS_TAGS, min_size=1, max_size=12), NAMES, NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_draft_is_a_bench_that_loads(tmp_path: Path, tags: list[DraftTag], name: str, source: str) -> None:
    draft = settled({"protocol": "modbus-tcp", "host": "plc", "unit": 1}, tags, [], [])
    # Nothing is lost without a word.
    assert len(draft.tags) + len(draft.left) == len(tags)
    if not draft.tags:
        return
    bench = loaded(tmp_path, bench_text(draft, name, source))
    assert bench.name == slug(name)
    for meant, tag in zip(draft.tags, bench.tags, strict=True):
        assert (tag.name, tag.type, tag.modbus) == (meant.name, meant.type, meant.modbus)
        assert (tag.scale, tag.offset, tag.unit_id) == (meant.scale, meant.offset, meant.unit_id)
        assert (tag.low, tag.high) == range_of(meant)


def test_the_files_of_each_kind_load(tmp_path: Path) -> None:
    for text in (BY_REGISTER, BY_REQUEST, BY_METRIC, OPCUA_GROUPS, S7):
        file = parse_toml(text, "telegraf.conf")
        draft = from_telegraf(file.data, file.text, file.label, file.line)
        bench = loaded(tmp_path, bench_text(draft, "a", "b"))
        assert [tag.name for tag in bench.tags] == [tag.name for tag in draft.tags]
        assert bench.plc.connect is not None
        assert bench.plc.connect.protocol == draft.connect["protocol"]


def test_slower_tags_are_in_scan_classes(tmp_path: Path) -> None:
    rows = "Tag Name,Address,Scan Rate\na,400001,250\nb,400002,1000\nc,400003,10000\nd,400004,\n"
    bench = loaded(tmp_path, bench_text(from_kepware(rows, "x", host="plc"), "a", "b"))
    assert [reader.period_ms for reader in bench.readers] == [250]
    assert {one.name: one.every for one in bench.plc.scan_class} == {"1000-ms": 4, "10000-ms": 40}
    assert [tag.scan_class for tag in bench.plc.tag] == [None, "1000-ms", "10000-ms", None]


async def test_an_imported_siemens_list_reads_and_writes_the_device(tmp_path: Path) -> None:
    rows = (
        "Tag Name,Address,Data Type,Client Access,Scaling,Raw Low,Raw High,Scaled Low,Scaled High\n"
        "level,DB1.DBD0,Float,R/W\n"
        'run,"DB1,X6.2",Boolean,R/W\n'
        'percent,"DB1,INT8",Short,R/W,Linear,0,27648,0,100\n'
        'lowest,"DB1,W10.0",Boolean,RO\n'
    )
    with served("serve_s7.py", "still") as server:
        await put(server.port, Area.DB, 1, 0, struct.pack(">fHBxhH", 1.5, 0, 4, 13824, 1))
        text = bench_text(from_kepware(rows, "list.csv", host=LOCAL), "cell", "list.csv")
        bench = loaded(tmp_path, text.replace("[plc.connect]\n", f"[plc.connect]\nport = {server.port}\n"))
        controller = device_of(bench)
        await controller.connect()
        try:
            poll = await controller.poll()
            values = [decode(tag, raw) for tag, raw in zip(controller.tags, poll.values, strict=True)]
            assert values[0] == 1.5
            assert abs(float(values[2]) - 50) < 1e-6
            assert values[3] is True
            await controller.write(controller.tags[2], 25.0)
            assert (await controller.poll()).values[2] == (6912).to_bytes(2, "big")
        finally:
            await controller.close()
