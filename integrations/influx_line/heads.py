"""Heads (measurement and tags as written) → handles of their fields."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hub.plugins.api import DeviceInfo, Intake, Quantity, Refused, SeriesHandle, SeriesInfo, declare_each
from integrations.influx_line.grammar import Line
from integrations.influx_line.names import device_of, series_of

MAX_HEADS = 20_000
"""Remembered heads; a sender of ever new tags makes the memory start afresh, not grow."""

HEADS_PER_SLICE = 100
"""New heads between two breaths of the event loop."""

Handles = dict[str, dict[str, SeriesHandle]]
"""Handle by head and field, both as written."""

RefusedFields = dict[tuple[str, str], Refused]
"""Why a field of a head has no handle."""


class Heads:
    """Handles, valid as long as the registry does not change.

    A request takes :meth:`current` once and works with that object: a change that comes while it waits makes
    a new object for the next request instead of emptying this one under its hands.
    """

    def __init__(self) -> None:
        self._handles: Handles = {}
        self._valid_for: tuple[str, int] = ("", -1)
        self._keys: dict[str, set[str]] = {}

    def current(self, intake: Intake) -> Handles:
        """What is known under the registry as it is now."""
        now = (intake.entry_id, intake.registry_version)
        if now != self._valid_for or len(self._handles) > MAX_HEADS:
            self._handles = {}
            self._valid_for = now
        return self._handles

    def keys_of(self, device: str) -> frozenset[str]:
        """Series keys that this process has seen of a device."""
        return frozenset(self._keys.get(device, ()))

    async def register(self, lines: Sequence[Line], handles: Handles, intake: Intake) -> RefusedFields:
        """Afterwards every numeric field of ``lines`` has a handle in ``handles`` or stands in the answer.

        Raises:
            RetryLater: the registry cannot be written now.
        """
        refused: RefusedFields = {}
        wanted: dict[str, tuple[Line, dict[str, None]]] = {}
        for line in lines:
            known = handles.get(line.head, {})
            names = [name for name, value in line.fields.items() if value is not None and name not in known]
            if names:
                wanted.setdefault(line.head, (line, {}))[1].update(dict.fromkeys(names))
        for count, (line, fields) in enumerate(wanted.values(), 1):
            if count % HEADS_PER_SLICE == 0:
                await asyncio.sleep(0)
            try:
                device = device_of(line.measurement, line.tags)
            except Refused as error:
                refused.update({(line.head, name): error for name in fields})
                continue
            await self._register_head(line.head, device, list(fields), handles, refused, intake)
        return refused

    async def _register_head(
        self,
        head: str,
        device: DeviceInfo,
        names: Sequence[str],
        handles: Handles,
        refused: RefusedFields,
        intake: Intake,
    ) -> None:
        infos: dict[str, SeriesInfo] = {}
        found: dict[str, SeriesHandle] = {}
        for name in names:
            try:
                info = series_of(name)
            except Refused as error:
                refused[head, name] = error
                continue
            # A key that says nothing is what it was registered as, in that unit.
            kept = intake.handle(device.id, info.key) if info.quantity is Quantity.OTHER else None
            if kept is None:
                infos[name] = info
            else:
                found[name] = kept
            self._keys.setdefault(device.id, set()).add(info.key)
        for name, handle in (await declare_each(intake, device, infos)).items():
            if isinstance(handle, Refused):
                refused[head, name] = handle
            else:
                found[name] = handle
        handles.setdefault(head, {}).update(found)
        if len(self._keys) > MAX_HEADS:
            self._keys.clear()
