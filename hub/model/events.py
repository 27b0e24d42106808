"""Facts on the event bus, in the past tense. Frozen; columns stay columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hub.model.device import Device
    from hub.model.series import Series


@dataclass(frozen=True, slots=True)
class ReadingsStored:
    """New rows, committed and fsynced; ``seq`` numbers the commits of this process from 1.

    Columns are in order of arrival; a row appears exactly once over all events (duplicates and conflicts do
    not appear). ``flags`` are :class:`hub.model.quality.ReadingFlag`.
    """

    seq: int
    arrival_ms: int
    series: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    flags: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RangesDirtied:
    """Stored figures of these series no longer follow from their causes in ``[start_ms, end_ms)``."""

    series: tuple[int, ...]
    start_ms: int
    end_ms: int
    cause: str


@dataclass(frozen=True, slots=True)
class StatesChanged:
    """Newest value per series after a commit (one row per series)."""

    series: tuple[int, ...]
    ts_ms: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SeriesAdded:
    """A series was registered, or its metadata changed."""

    series: Series


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    """A device was registered, edited or removed (``removed``)."""

    device: Device
    removed: bool = False


@dataclass(frozen=True, slots=True)
class AvailabilityChanged:
    """A device went or came back, as its integration says or as its silence shows."""

    device_id: str
    availability: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class InboxChanged:
    """The discovery inbox has another content; ``waiting`` devices wait in it."""

    waiting: int


@dataclass(frozen=True, slots=True)
class SlotsDerived:
    """Derived rows of these series changed in ``[start_ms, end_ms)``."""

    series: tuple[int, ...]
    start_ms: int
    end_ms: int
    revision: int


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """An integration entry changed state: connecting, running, retrying, failed, quarantined, disabled."""

    entry_id: str
    domain: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """A part of the hub became well or ill; ``detail`` is for people."""

    part: str
    ok: bool
    code: str = ""
    detail: str = ""
    data: dict[str, float] = field(default_factory=dict)
