"""What a doctor asks a Modbus device: which unit answers, and which address of which tag is refused."""

import asyncio
from collections.abc import Iterator, Sequence

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import ModbusTable, Tag
from testbed.fieldbus.layout import Block, plan, width
from testbed.fieldbus.modbus_ranges import Answer, Ask, Found, search
from testbed.fieldbus.modbus_scan import Wire
from testbed.rig.bench import Bench
from testbed.rig.bench_file import Connect
from testbed.rig.devices import transport_of
from testbed.rig.diagnosed import Seen

_MOST_NAMED = 5
_FREED_WITHIN_S = 1.0
_ABSENT = (0x0A, 0x0B)
_TWINS = {
    ModbusTable.COIL: ModbusTable.DISCRETE_INPUT,
    ModbusTable.DISCRETE_INPUT: ModbusTable.COIL,
    ModbusTable.HOLDING_REGISTER: ModbusTable.INPUT_REGISTER,
    ModbusTable.INPUT_REGISTER: ModbusTable.HOLDING_REGISTER,
}
_WORDS = {
    1: "this function is not served",
    2: "there is no such address",
    3: "not so many at once, or not from here",
    4: "the device failed",
}


class ModbusDevice:
    """The device of a bench, asked block by block, as its driver would."""

    def __init__(self, bench: Bench, connect: Connect) -> None:
        self._connect = connect
        self._units: dict[int, list[Tag]] = {}
        for tag in bench.tags:
            self._units.setdefault(connect.unit if tag.unit_id is None else tag.unit_id, []).append(tag)
        self._wire = Wire(transport_of(bench, connect), connect.timeout_ms / 1000, connect.pause_ms / 1000)

    async def open(self) -> str:
        """Connect, and have every unit answer. Raises DeviceError."""
        try:
            await self._wire.open()
        except DeviceError:
            # It was reached just now. Small devices serve one connection, and take a moment to see that it was closed.
            await asyncio.sleep(_FREED_WITHIN_S)
            await self._wire.open()
        for unit, tags in self._units.items():
            first = min(tags, key=lambda tag: tag.modbus.address)
            answer = await self._wire.read(unit, Ask(first.modbus.table, first.modbus.address, width(first)))
            if answer.values is None:
                self._must_be_there(unit, answer)
        units = ", ".join(str(unit) for unit in self._units)
        return f"unit{'s' if len(self._units) > 1 else ''} {units} answer{'' if len(self._units) > 1 else 's'}"

    async def identify(self) -> dict[str, Identity]:
        """What each unit says of itself, by what to call that check."""
        alone = len(self._units) == 1
        return {"identity" if alone else f"unit {unit}": await self._wire.identify(unit) for unit in self._units}

    async def read(self) -> Seen:
        """Each block of tags, and of those that are refused what of them can be read."""
        seen = Seen()
        for unit, tags in self._units.items():
            for block in self._blocks(tags):
                answer = await self._wire.read(unit, Ask(block.table, block.address, block.count))
                if answer.values is None:
                    held = await self._examine(unit, block, answer, seen)
                else:
                    held = dict(zip(range(block.address, block.address + block.count), answer.values, strict=True))
                seen.values |= {tag: _raw(tag, held) for tag in block.tags if _at(tag) <= held.keys()}
        return seen

    async def close(self) -> None:
        """Closing twice is fine."""
        self._wire.close()

    def _blocks(self, tags: Sequence[Tag]) -> Iterator[Block]:
        """The requests of the driver: as `plan` has them, none longer than the bench file allows."""
        for block in plan(tags, self._connect.gap):
            bits = block.table.is_bit
            most = self._connect.most_bits if bits else self._connect.most_registers
            members: list[Tag] = []
            for tag in block.tags:
                if members and tag.modbus.address + width(tag) - members[0].modbus.address > most:
                    yield _block(block.table, members)
                    members = []
                members.append(tag)
            yield _block(block.table, members)

    async def _examine(self, unit: int, block: Block, answer: Answer, seen: Seen) -> dict[int, int]:
        """What each address of a refused block holds that can be read; why not all of it goes to `seen`."""
        last = block.address + block.count - 1
        looking = search(block.table, 2 * block.count + 40, ((block.address, last),))
        try:
            ask = next(looking)
            while True:
                ask = looking.send(await self._wire.read(unit, ask))
        except StopIteration as done:
            found: Found = done.value
        refused = [tag for tag in block.tags if not _at(tag) <= found.values.keys()]
        holes = [at for at in range(block.address, last + 1) if at not in found.values]
        where = f"unit {unit}, {block.table.value} {block.address}..{last}"
        if refused:
            named = ", ".join(f"{tag.name} at {tag.modbus.address}" for tag in refused[:_MOST_NAMED])
            more = f", and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
            seen.faults.append((f"{where}: {_why(answer)}: {named}{more}", await self._hint(unit, refused)))
        elif found.most is not None:
            key = "most_bits" if block.table.is_bit else "most_registers"
            seen.remarks.append(f"{where} is too much at once: {key} = {found.most} under [plc.connect] spares errors")
        elif holes:
            seen.remarks.append(f"{where} has holes: gap = 0 under [plc.connect] spares errors")
        return found.values

    async def _hint(self, unit: int, refused: Sequence[Tag]) -> str:
        """Where the tags might stand instead: one address lower, or in the other table of the same kind."""
        lower = [tag for tag in refused if tag.modbus.address > 0]
        if lower and len(lower) == len(refused) and await self._all(unit, lower, -1):
            return "take 1 off their addresses: the manual counts from 1, the wire from 0"
        other = _TWINS[refused[0].modbus.table]
        if await self._all(unit, refused, 0, other):
            return f'they can be read as {other.value}: write table = "{other.value}"'
        return "compare table and address with the device's manual; `testbed scan` shows what can be read"

    async def _all(self, unit: int, tags: Sequence[Tag], off: int, table: ModbusTable | None = None) -> bool:
        for tag in tags[:_MOST_NAMED]:
            ask = Ask(table or tag.modbus.table, tag.modbus.address + off, width(tag))
            if (await self._wire.read(unit, ask)).values is None:
                return False
        return True

    def _must_be_there(self, unit: int, answer: Answer) -> None:
        if answer.exception in _ABSENT:
            raise DeviceError(
                f"unit {unit}: the gateway says that nobody answers there (exception {answer.exception:02X})",
                "switch that device on, or correct unit; `testbed scan` finds which units answer",
            )
        if answer.exception:
            return  # it answers: that it refuses this address is told with the others
        serial = self._connect.protocol == "modbus-rtu"
        line = "baud, parity, stop_bits and the two wires (try them swapped), or " if serial else ""
        raise DeviceError(
            f"unit {unit}: no answer within {self._connect.timeout_ms} ms",
            f"look at {line}unit, timeout_ms; `testbed scan` finds which units answer",
        )


def _block(table: ModbusTable, tags: Sequence[Tag]) -> Block:
    first = tags[0].modbus.address
    return Block(table, first, tags[-1].modbus.address + width(tags[-1]) - first, tuple(tags))


def _at(tag: Tag) -> set[int]:
    return set(range(tag.modbus.address, tag.modbus.address + width(tag)))


def _raw(tag: Tag, held: dict[int, int]) -> bytes:
    if tag.modbus.table.is_bit:
        return held[tag.modbus.address].to_bytes(1, "big")
    return b"".join(held[at].to_bytes(2, "big") for at in sorted(_at(tag)))


def _why(answer: Answer) -> str:
    if not answer.exception:
        return "no answer"
    return f"exception {answer.exception:02X}, {_WORDS.get(answer.exception, 'refused')}"
