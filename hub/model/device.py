"""Devices: meters, inverters, batteries, chargers, plugs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hub.model.series import Role


class Availability(StrEnum):
    """Whether a device can be reached now."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What an integration says of a device. ``id`` is made from the hardware serial where there is one."""

    id: str
    name: str = ""
    kind: str = ""
    maker: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    role: Role | None = None
    area: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device; ``integration`` is the configured entry that feeds it."""

    id: str
    name: str
    integration: str
    kind: str = ""
    maker: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    role: Role = Role.NONE
    area: str | None = None
    parent: str | None = None
    created_ms: int = 0
    site: str = "home"
