"""Who a device says it is: its own answer, not proof of anything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Read from the device itself: Modbus 43/14, OPC UA BuildInfo, S7 SZL. "" for what it does not say."""

    vendor: str = ""
    product: str = ""
    firmware: str = ""
    serial: str = ""
