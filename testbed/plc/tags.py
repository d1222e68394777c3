"""The tags of the water cell, in the order of its schema."""

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag

_INPUT, _HOLDING = ModbusTable.INPUT_REGISTER, ModbusTable.HOLDING_REGISTER
_DISCRETE, _COIL = ModbusTable.DISCRETE_INPUT, ModbusTable.COIL
_MOST = float(2**32 - 1)


def _tag(name: str, kind: DataType, unit: str, high: float, table: ModbusTable, address: int) -> Tag:
    return Tag(name, kind, unit, 0.0, high, table.is_writable, ModbusAddress(table, address), f"cell.{name}")


def water_cell_tags() -> tuple[Tag, ...]:
    """Tags of `testbed.plc.emulator.Emulator`, with the addresses of the default bench."""
    number, word, real, bit = DataType.UINT32, DataType.UINT16, DataType.FLOAT32, DataType.BOOL
    return (
        _tag("plc.scan", number, "", _MOST, _INPUT, 0),
        _tag("plc.boot", number, "", _MOST, _INPUT, 2),
        _tag("tank1.level", real, "m", 2.0, _INPUT, 4),
        _tag("tank2.level", real, "m", 2.0, _INPUT, 6),
        _tag("pump.flow", real, "m3/h", 10.0, _INPUT, 8),
        _tag("pump.pressure", real, "bar", 6.0, _INPUT, 10),
        _tag("tank2.temperature", real, "degC", 100.0, _INPUT, 12),
        _tag("pump.speed", real, "%", 100.0, _INPUT, 14),
        _tag("valve.position", real, "%", 100.0, _INPUT, 16),
        _tag("heater.power", real, "kW", 12.0, _INPUT, 18),
        _tag("control.mode", word, "", 2.0, _HOLDING, 0),
        _tag("control.level_setpoint", real, "m", 2.0, _HOLDING, 2),
        _tag("control.temperature_setpoint", real, "degC", 80.0, _HOLDING, 4),
        _tag("manual.pump_speed", real, "%", 100.0, _HOLDING, 6),
        _tag("manual.valve_position", real, "%", 100.0, _HOLDING, 8),
        _tag("manual.heater_power", real, "kW", 12.0, _HOLDING, 10),
        _tag("alarm.high_level", bit, "", 1.0, _DISCRETE, 0),
        _tag("alarm.low_level", bit, "", 1.0, _DISCRETE, 1),
        _tag("alarm.high_temperature", bit, "", 1.0, _DISCRETE, 2),
        _tag("interlock.pump", bit, "", 1.0, _DISCRETE, 3),
        _tag("interlock.heater", bit, "", 1.0, _DISCRETE, 4),
        _tag("estop.active", bit, "", 1.0, _DISCRETE, 5),
        _tag("estop.pressed", bit, "", 1.0, _COIL, 0),
        _tag("control.reset", bit, "", 1.0, _COIL, 1),
    )
