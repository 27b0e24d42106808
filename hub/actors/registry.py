"""The things of the house in memory: written by the device actor, read by everyone on the loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.errors import NotFound
from hub.model.device import Device, DeviceInfo
from hub.model.names import entity_id
from hub.model.series import Behaviour, Series, SeriesInfo


@dataclass(slots=True)
class InboxItem:
    """A found device that waits for a person (``waiting``), or that nobody wants (``ignored``)."""

    device: DeviceInfo
    entry_id: str
    domain: str
    series: list[SeriesInfo]
    sample: str
    first_ms: int
    last_ms: int
    count: int = 1
    state: str = "waiting"


@dataclass(slots=True)
class Registry:
    """Look-ups that cost a dictionary access; ``version`` rises with every change."""

    devices: dict[str, Device] = field(default_factory=dict)
    inbox: dict[str, InboxItem] = field(default_factory=dict)
    ignored_sources: set[str] = field(default_factory=set)
    version: int = 0
    _series: dict[int, Series] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], Series] = field(default_factory=dict)
    _by_entity: dict[str, Series] = field(default_factory=dict)
    _of_device: dict[str, list[int]] = field(default_factory=dict)
    deltas: set[int] = field(default_factory=set)
    count: int = 0

    def load(self, devices: Iterable[Device], series: Iterable[Series]) -> None:
        """Take over what the store knows."""
        self.devices.update((device.id, device) for device in devices)
        for one in series:
            self.put(one)

    def put(self, series: Series) -> None:
        """Add or replace a series."""
        if series.no not in self._series:
            self._of_device.setdefault(series.device_id, []).append(series.no)
        self._series[series.no] = series
        if series.behaviour is Behaviour.DELTA:
            self.deltas.add(series.no)
        self._by_key[series.device_id, series.key] = series
        self._by_entity[entity_id(series.device_id, series.key)] = series
        self.count = max(self.count, series.no + 1)
        self.version += 1

    def put_device(self, device: Device) -> None:
        """Add or replace a device."""
        self.devices[device.id] = device
        self.version += 1

    def drop_device(self, device_id: str) -> None:
        """Forget a device and its series; their numbers are never given again."""
        self.devices.pop(device_id, None)
        for number in self._of_device.pop(device_id, []):
            series = self._series.pop(number)
            self._by_key.pop((series.device_id, series.key), None)
            self._by_entity.pop(entity_id(series.device_id, series.key), None)
        self.version += 1

    def by_no(self, number: int) -> Series | None:
        """Series of a row number."""
        return self._series.get(number)

    def find(self, device_id: str, key: str) -> Series | None:
        """Series by device and key."""
        return self._by_key.get((device_id, key))

    def by_entity(self, entity: str) -> Series | None:
        """Series by ``sensor.main_meter_power``."""
        return self._by_entity.get(entity)

    def by_public_id(self, public_id: str) -> Series:
        """Series by ``main-meter.power``.

        Raises:
            NotFound: there is none, or it is not yours.
        """
        device_id, _, key = public_id.partition(".")
        found = self._by_key.get((device_id, key))
        if found is None:
            raise NotFound(
                "WL-API-404",
                f"there is no series {public_id[:80]!r}",
                where="series",
                hint="GET /api/v1/series lists them",
            )
        return found

    def device(self, device_id: str) -> Device:
        """Device by id. Raises :class:`NotFound` as :meth:`by_public_id`."""
        found = self.devices.get(device_id)
        if found is None:
            raise NotFound(
                "WL-API-404",
                f"there is no device {device_id[:80]!r}",
                where="device",
                hint="GET /api/v1/devices lists them",
            )
        return found

    def of_device(self, device_id: str) -> tuple[Series, ...]:
        """Series of a device in the order they were first seen."""
        return tuple(self._series[number] for number in self._of_device.get(device_id, ()))

    def all_series(self) -> tuple[Series, ...]:
        """Every series, ordered by public id."""
        return tuple(sorted(self._series.values(), key=lambda one: one.public_id))

    def name_of(self, number: int) -> str:
        """Public id of a row number, for messages."""
        series = self._series.get(number)
        return series.public_id if series else f"series {number}"
