"""What a doctor looks at on the wire to a physical PLC, step by step. It reads, and writes nothing."""

import asyncio
from collections.abc import Awaitable, Callable

from testbed.core.errors import DeviceError, TestbedError
from testbed.core.identity import Identity
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode
from testbed.rig.bench import Bench
from testbed.rig.bench_file import Connect
from testbed.rig.devices import device_of
from testbed.rig.diagnosed import Diagnosis, Seen
from testbed.rig.draft import identity_words
from testbed.rig.modbus_diagnosis import ModbusDevice
from testbed.rig.reaching import DEFAULT_PORTS, knock, look_at_file, resolve
from testbed.rig.value_checks import told, value_faults

_COUNTS_WITHIN_S = 3.0
_BETWEEN_S = 0.1
_MOST_NAMED = 5
_BAD = 0x80000000
"""Severity bit of an OPC UA StatusCode."""
_SILENT = "it says nothing of itself"


async def diagnose_device(bench: Bench) -> list[Diagnosis]:
    """Each step, up to the first without which none of the next makes sense. Never raises for what it finds."""
    found: list[Diagnosis] = []
    connect = bench.plc.connect
    if connect is None:
        return found
    device = ModbusDevice(bench, connect) if connect.protocol.startswith("modbus") else _AnyDevice(bench)
    visit = _Visit(bench, connect, device)
    try:
        for name, look in visit.steps():
            try:
                found.append(Diagnosis(name, await look()))
            except _Several as several:
                found += several.found
            except TestbedError as error:
                found.append(Diagnosis(name, error.problem, error.mend or "see the message"))
                return found
    finally:
        await device.close()
    return found


class _Several(Exception):
    """A step that found something, and after which the others still make sense."""

    def __init__(self, found: list[Diagnosis]) -> None:
        super().__init__()
        self.found = found


class _AnyDevice:
    """What its driver alone can tell of a device: OPC UA and S7."""

    def __init__(self, bench: Bench) -> None:
        self._controller = device_of(bench)

    async def open(self) -> str:
        await self._controller.connect()
        return "connected, as [plc.connect] says"

    async def identify(self) -> dict[str, Identity]:
        return {"identity": await self._controller.identify()}

    async def read(self) -> Seen:
        poll = await self._controller.poll()
        seen = Seen()
        missing: list[str] = []
        for tag, raw, status in zip(self._controller.tags, poll.values, poll.statuses, strict=True):
            if raw is not None:
                seen.values[tag] = raw
            elif status & _BAD:
                missing.append(f"{tag.name} (status {status:08X})")
        if missing:
            more = f", and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            mend = "compare the tags' addresses with the device's; `testbed scan` shows what an OPC UA server has"
            seen.faults.append((f"not to be read: {', '.join(missing[:_MOST_NAMED])}{more}", mend))
        return seen

    async def close(self) -> None:
        await self._controller.close()


class _Visit:
    """The steps, and what each learnt for the next."""

    def __init__(self, bench: Bench, connect: Connect, device: ModbusDevice | _AnyDevice) -> None:
        self._bench = bench
        self._connect = connect
        self._device = device
        self._values: dict[Tag, bytes] = {}

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """In the order in which they need each other."""
        serial = self._connect.protocol == "modbus-rtu"
        way: list[tuple[str, Callable[[], Awaitable[str]]]] = [("line", self._file)]
        if not serial:
            way = [("host", self._host), ("port", self._port)]
        return [
            *way,
            ("connection", self._device.open),
            ("identity", self._identity),
            ("addresses", self._read),
            ("values", self._make_sense),
            ("counter", self._count),
            ("writing", self._writing),
        ]

    async def _file(self) -> str:
        return look_at_file(self._connect.device or "")

    async def _host(self) -> str:
        return await resolve(self._connect.host or "")

    async def _port(self) -> str:
        connect = self._connect
        port = connect.port or DEFAULT_PORTS[connect.protocol]
        return await knock(connect.host or "", port, max(1.0, connect.timeout_ms / 1000))

    async def _identity(self) -> str:
        found = [
            Diagnosis(name, identity_words(identity) or _SILENT)
            for name, identity in (await self._device.identify()).items()
        ]
        raise _Several(found)

    async def _read(self) -> str:
        seen = await self._device.read()
        self._values = seen.values
        if seen.faults:
            raise _Several([Diagnosis("addresses", what, mend) for what, mend in seen.faults])
        return "; ".join([f"all {len(seen.values)} tags can be read", *seen.remarks])

    async def _make_sense(self) -> str:
        faults = value_faults(self._values)
        if faults:
            raise _Several([Diagnosis("values", *told(faults, self._values))])
        return f"{len(self._values)} values, each finite and within its range"

    async def _count(self) -> str:
        name = self._bench.scan_tag
        if name is None:
            return "it has no counter of scans: one that hangs looks like one that stands still"
        begun = self._counted(name)
        for _ in range(int(_COUNTS_WITHIN_S / _BETWEEN_S)):
            await asyncio.sleep(_BETWEEN_S)
            self._values = (await self._device.read()).values
            if (now := self._counted(name)) != begun:
                return f"{name} moves, now at {now}"
        raise _Several(
            [
                Diagnosis(
                    "counter",
                    f"{name} stood at {begun} for {_COUNTS_WITHIN_S:g} s",
                    'set the PLC to RUN, correct the address of this tag, or write scan_tag = "" where it has none',
                )
            ]
        )

    def _counted(self, name: str) -> int:
        for tag, raw in self._values.items():
            if tag.name == name:
                return int(decode(tag, raw))
        raise DeviceError(f"{name} cannot be read", "correct its address; the counter of scans tells a hung PLC")

    async def _writing(self) -> str:
        writable = [tag.name for tag in self._bench.tags if tag.writable]
        return f"not tried; {len(writable)} tags are writable by this file"
