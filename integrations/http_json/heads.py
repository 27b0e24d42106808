"""Heads → handles: registers what is new, remembers what is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.plugins.api import (
    DeviceInfo,
    Intake,
    Quantity,
    Refused,
    SeriesHandle,
    SeriesInfo,
    known_series,
    series_key,
)
from integrations.http_json.items import About, Head

MAX_HEADS = 100_000
"""Remembered heads; a sender of ever new names makes the memory start afresh, not grow."""


class Heads:
    """Handles by head, valid as long as the registry does not change."""

    def __init__(self) -> None:
        self.handles: dict[Head, SeriesHandle] = {}
        self._told: set[About] = set()
        self._valid_for: tuple[str, int] = ("", -1)

    def refresh(self, intake: Intake) -> None:
        """Forget everything when devices or series changed since the last request."""
        now = (intake.entry_id, intake.registry_version)
        if now != self._valid_for or len(self.handles) > MAX_HEADS:
            self.handles.clear()
            self._told.clear()
            self._valid_for = now

    async def resolve(
        self, intake: Intake, wanted: Iterable[Head], abouts: Iterable[About]
    ) -> dict[Head, Refused]:
        """Register what ``wanted`` names; afterwards each head has a handle or stands in the answer."""
        refused: dict[Head, Refused] = {}
        by_device: dict[str, list[Head]] = {}
        for head in wanted:
            by_device.setdefault(head[0], []).append(head)
        said = {about: None for about in abouts if about not in self._told}
        for about in said:
            by_device.setdefault(about.device, [])
        for device, heads in by_device.items():
            info = _device_info(device, [about for about in said if about.device == device])
            await self._resolve_device(intake, info, heads, refused)
        self._told.update(said)
        return refused

    async def _resolve_device(
        self, intake: Intake, device: DeviceInfo, heads: Sequence[Head], refused: dict[Head, Refused]
    ) -> None:
        infos: dict[Head, SeriesInfo] = {}
        for head in heads:
            try:
                info = _series_info(head)
            except Refused as error:
                refused[head] = error
                continue
            kept = intake.handle(device.id, info.key) if _says_nothing(head, info) else None
            if kept is None:
                infos[head] = info
            else:
                self.handles[head] = kept
        try:
            await self._declare(intake, device, infos, refused)
        except Refused:  # one of them does not fit: ask one by one, so that the others still come in
            for head, info in infos.items():
                try:
                    await self._declare(intake, device, {head: info}, refused)
                except Refused as error:
                    refused[head] = error

    async def _declare(
        self, intake: Intake, device: DeviceInfo, infos: dict[Head, SeriesInfo], refused: dict[Head, Refused]
    ) -> None:
        if not infos and not device.name and device.role is None:
            return
        handles = await intake.declare(device, list(infos.values()))
        for head, handle in zip(infos, handles, strict=True):
            if handle is None:
                refused[head] = Refused(
                    "WL-ING-024",
                    "device waits in the inbox or is ignored",
                    where="device",
                    hint="add it there",
                )
            else:
                self.handles[head] = handle


def _series_info(head: Head) -> SeriesInfo:
    _, key, unit, kind = head
    return known_series(series_key(key), unit=unit, kind=kind)


def _says_nothing(head: Head, info: SeriesInfo) -> bool:
    """Neither the sender nor the name tells what it is: then the series as registered rules, in its unit."""
    _, _, unit, kind = head
    return unit is None and kind is None and info.quantity is Quantity.OTHER


def _device_info(device: str, abouts: Sequence[About]) -> DeviceInfo:
    """Later items win; a given name wins over the unslugged id."""
    name = next((about.name for about in reversed(abouts) if about.name), "")
    role = next((about.role for about in reversed(abouts) if about.role is not None), None)
    return DeviceInfo(device, name=name, role=role)
