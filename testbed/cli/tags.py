"""`testbed tags`: what can be read from the PLC, and what can be written."""

import argparse
import json

from testbed.cli.options import bench_of
from testbed.core.tags import DataType, Tag


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    if options.json:
        print(json.dumps({"plc": bench.plc.name, "tags": [_facts(tag, bench.momentary) for tag in bench.tags]}))
        return 0
    rows: list[tuple[str, ...]] = [("tag", "type", "range", "", "Modbus", "OPC UA")]
    rows += [_row(tag, bench.momentary) for tag in bench.tags]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(tag: Tag, momentary: tuple[str, ...]) -> tuple[str, ...]:
    within = "true or false" if tag.type is DataType.BOOL else f"{tag.low:g}..{tag.high:g} {tag.unit}".rstrip()
    access = "momentary" if tag.name in momentary else "writable" if tag.writable else ""
    return tag.name, tag.type.value, within, access, f"{tag.modbus.table.value} {tag.modbus.address}", tag.opcua


def _facts(tag: Tag, momentary: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": tag.name,
        "type": tag.type.value,
        "unit": tag.unit,
        "range": [tag.low, tag.high],
        "writable": tag.writable,
        "momentary": tag.name in momentary,
        "modbus": {
            "table": tag.modbus.table.value,
            "address": tag.modbus.address,
            "byte_order": tag.modbus.byte_order.value,
        },
        "opcua": tag.opcua,
    }
