"""What the device actor is asked for and told, and the shapes of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.actors.registry import InboxItem
from hub.model.device import Availability, Device, DeviceInfo
from hub.model.series import Series, SeriesInfo
from hub.runtime.actor import Request

MANUAL = "manual"
"""In place of an integration: people read the meter."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device with what belongs to it; ``last_ms`` is its newest reading."""

    device: Device
    availability: Availability
    last_ms: int | None
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class LatestRow:
    """Newest value of a series in stored units; ``quality`` is measured, late or stale."""

    series: Series
    value: float
    ts_ms: int
    age_s: float
    quality: str


@dataclass(frozen=True, slots=True)
class Declare(Request[tuple[int | None, ...]]):
    """Register a device and its series; ``None`` for each series that may not be stored (yet)."""

    device: DeviceInfo
    series: tuple[SeriesInfo, ...]
    entry_id: str
    domain: str
    found: bool = False
    sample: str = ""
    discovery: str | None = None


@dataclass(frozen=True, slots=True)
class ReportAvailability:
    """An integration says whether it reaches a device."""

    device_id: str
    online: bool


@dataclass(frozen=True, slots=True)
class ShowStale:
    """A retained value without time: shown, not stored."""

    series: int
    value: float


@dataclass(frozen=True, slots=True)
class CheckSilence:
    """Look for devices that fell silent."""


@dataclass(frozen=True, slots=True)
class GetDevices(Request[tuple[DeviceView, ...]]):
    """All devices."""


@dataclass(frozen=True, slots=True)
class GetDevice(Request[DeviceView]):
    """One device. Raises NotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class CreateDevice(Request[DeviceView]):
    """A person creates a device before anything reports for it. Raises Refused where the id is taken."""

    info: DeviceInfo


@dataclass(frozen=True, slots=True)
class PatchDevice(Request[DeviceView]):
    """Change name, role, area or parent."""

    id: str
    changes: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class RemoveDevice(Request[None]):
    """Forget a device and its series."""

    id: str


@dataclass(frozen=True, slots=True)
class GetSeries(Request[tuple[Series, ...]]):
    """All series, by public id."""


@dataclass(frozen=True, slots=True)
class FindSeries(Request[Series]):
    """One series by public id. Raises NotFound."""

    public_id: str


@dataclass(frozen=True, slots=True)
class PatchSeries(Request[Series]):
    """Change what people may of a series; its figures follow. Raises NotFound, Refused ``WL-MET-006``."""

    public_id: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GetLatest(Request[tuple[LatestRow, ...]]):
    """Newest values of these public ids, or of all series that have one."""

    series: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GetInbox(Request[tuple[InboxItem, ...]]):
    """What was found and waits, and what is ignored."""


@dataclass(frozen=True, slots=True)
class AddFromInbox(Request[DeviceView]):
    """A person adds a found device. Raises NotFound where it does not wait."""

    device_id: str
    name: str | None = None
    role: str | None = None
    area: str | None = None


@dataclass(frozen=True, slots=True)
class IgnoreInbox(Request[None]):
    """A person does not want to see this device (again); adding it later stays possible."""

    device_id: str


@dataclass(frozen=True, slots=True)
class IgnoreSource(Request[None]):
    """A person does not want to see anything that this integration entry finds."""

    entry_id: str
    ignored: bool = True


@dataclass(frozen=True, slots=True)
class ApplyDevices(Request[None]):
    """Devices and discovery as the configuration names them: so it is after every start and reload."""

    devices: tuple[DeviceInfo, ...]
    discovery: str = "inbox"
