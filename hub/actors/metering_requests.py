"""What the metering actor is asked for, and the shapes of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.actors.point_history import PointFigures
from hub.model.reading import Stored
from hub.model.series import Series
from hub.runtime.actor import Request
from hub.storage.metering import InstallationRow, MeteringPoint


@dataclass(frozen=True, slots=True)
class PointView:
    """A metering point with its installations by time, each with its series (None: removed)."""

    point: MeteringPoint
    installations: tuple[InstallationView, ...]


@dataclass(frozen=True, slots=True)
class InstallationView:
    """An installation and the series whose register it is."""

    row: InstallationRow
    series: Series | None


@dataclass(frozen=True, slots=True)
class ListPoints(Request[tuple[PointView, ...]]):
    """All metering points."""


@dataclass(frozen=True, slots=True)
class GetPoint(Request[PointView]):
    """One metering point. Raises NotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class SavePoint(Request[PointView]):
    """Create a point (``new``) or change one. Raises Refused ``WL-MET-001``, NotFound."""

    id: str
    changes: Mapping[str, Any]
    new: bool = False


@dataclass(frozen=True, slots=True)
class RemovePoint(Request[None]):
    """Remove a point with its installations; registers and readings stay. Raises NotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class ListInstallations(Request[tuple[InstallationView, ...]]):
    """Installations by time, of all points or of one."""

    metering_point: str | None = None


@dataclass(frozen=True, slots=True)
class GetInstallation(Request[InstallationView]):
    """One installation. Raises NotFound."""

    id: int


@dataclass(frozen=True, slots=True)
class AddInstallation(Request[InstallationView]):
    """Attach a register to a point. ``fields`` are those of the API, values in the stored unit or ``unit``."""

    metering_point: str
    series: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PatchInstallation(Request[InstallationView]):
    """Change an installation, such as closing it."""

    id: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoveInstallation(Request[None]):
    """Take an installation away. Raises NotFound."""

    id: int


@dataclass(frozen=True, slots=True)
class Register:
    """A register at a replacement: what the old one closes at and the new one opens at (None: by readings)."""

    key: str
    closing: float | None = None
    opening: float | None = None
    new_key: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ReplaceDevice(Request[PointView]):
    """Another meter takes the place of a device at ``at_ms``; one metering point goes on.

    ``new_device`` may be the same id: then the meter behind it was swapped and its registers fall. Without
    ``registers`` all counters of the old device go on, each closing with its last reading.
    """

    device: str
    at_ms: int
    new_device: str
    registers: tuple[Register, ...] = ()
    metering_point: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ManualReading:
    """A value that a person read off at a time."""

    ts_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class StoreManual(Request[Stored]):
    """Store what a person read off a meter, of a series or of a metering point's register.

    ``unit`` is the one that the series is sent in where None (kWh for energy). A point without a register gets
    a device of its own. Times may lie as far back as 2000.
    """

    readings: tuple[ManualReading, ...]
    series: str | None = None
    metering_point: str | None = None
    register: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ImportQuarantined(Request[Stored]):
    """A person takes a reading out of the quarantine and stores it. Raises NotFound, Refused ``WL-MET-008``."""

    id: int


@dataclass(frozen=True, slots=True)
class GetPointHistory(Request[PointFigures]):
    """Energy of a metering point by buckets. Raises NotFound, Refused as ``GetHistory``."""

    id: str
    start_ms: int
    end_ms: int
    resolution: str = "auto"
