"""Heads (measurement and tags as written) → handles of their fields."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.plugins.api import DeviceInfo, Intake, Quantity, Refused, SeriesHandle, SeriesInfo, declare_each
from integrations.influx_line.grammar import Line
from integrations.influx_line.names import device_of, series_of

MAX_HEADS = 20_000
"""Remembered heads; a sender of ever new tags makes the memory start afresh, not grow."""

HEADS_PER_SLICE = 100
"""New heads between two breaths of the event loop."""


class HandleColumns(NamedTuple):
    """``stored = sent * factor + offset`` of series ``no``, by row."""

    no: NDArray[np.int64]
    factor: NDArray[np.float64]
    offset: NDArray[np.float64]


class Handles(dict[str, dict[str, SeriesHandle]]):
    """Handle by head and field, both as written.

    ``rows`` says, by the same names, where each of them stands in :meth:`columns`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, int]] = {}
        self._all: list[SeriesHandle] = []
        self._columns = _columns_of(())

    def learn(self, head: str, found: Mapping[str, SeriesHandle]) -> None:
        """Fields of ``head`` have these handles."""
        self.setdefault(head, {}).update(found)
        self.rows.setdefault(head, {}).update(
            zip(found, range(len(self._all), len(self._all) + len(found)), strict=True)
        )
        self._all += found.values()

    def columns(self) -> HandleColumns:
        """All handles that are known."""
        if len(self._columns.no) < len(self._all):
            self._columns = _columns_of(self._all)
        return self._columns


def _columns_of(handles: Sequence[SeriesHandle]) -> HandleColumns:
    return HandleColumns(
        np.array([handle.no for handle in handles], np.int64),
        np.array([handle.factor for handle in handles], np.float64),
        np.array([handle.offset for handle in handles], np.float64),
    )


RefusedFields = dict[tuple[str, str], Refused]
"""Why a field of a head has no handle."""


class Heads:
    """Handles, valid as long as the registry does not change.

    A request takes :meth:`current` once and works with that object: a change that comes while it waits makes
    a new object for the next request instead of emptying this one under its hands.
    """

    def __init__(self) -> None:
        self._handles = Handles()
        self._valid_for: tuple[str, int] = ("", -1)
        self._keys: dict[str, set[str]] = {}

    def current(self, intake: Intake) -> Handles:
        """What is known under the registry as it is now."""
        now = (intake.entry_id, intake.registry_version)
        if now != self._valid_for or len(self._handles) > MAX_HEADS:
            self._handles = Handles()
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
        handles.learn(head, found)
        if len(self._keys) > MAX_HEADS:
            self._keys.clear()
