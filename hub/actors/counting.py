"""How counters are spread, and which figures depend on a power series because of it.

A counter that a power series shapes is always derived from storage, never folded; and whatever makes a range of
its power dirty makes the same range of the counter dirty.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.registry import Registry
from hub.energy.slots import SLOT_MS
from hub.energy.spread import Profile
from hub.errors import Refused
from hub.model.series import Behaviour, Direction, Series
from hub.model.units import Quantity
from hub.runtime.actor import Request
from hub.storage import slots
from hub.storage.counting import Counting, load_all_counting, load_counting, save_counting
from hub.storage.database import Database

GAPS = ("flat", "profile")
SHAPES = ("none", "power")
_HISTORY_MS = 8 * 7 * 86_400_000
"""A profile is made of the last eight weeks."""

_FOR_EVER_MS = 1 << 53


@dataclass(frozen=True, slots=True)
class CountingView:
    """How a counter is spread: ``gap`` of :data:`GAPS`, ``shape`` of :data:`SHAPES` and the power series' id."""

    series: str
    gap: str
    shape: str
    power: str | None


@dataclass(frozen=True, slots=True)
class GetCounting(Request[CountingView]):
    """Ask how a counter is spread. Raises NotFound for an unknown series, Refused for one that is no counter."""

    series: str


@dataclass(frozen=True, slots=True)
class SetCounting(Request[CountingView]):
    """Choose how a counter is spread; what is None stays. Everything of it is derived again.

    Raises Refused (``WL-NRG-005``) where there is too little history for a profile, or no power series.
    """

    series: str
    gap: str | None = None
    shape: str | None = None


class CountingBook:
    """The choices, and how far the shaped counters are read."""

    def __init__(self, database: Database, registry: Registry, zone: str) -> None:
        self._database = database
        self._registry = registry
        self._zone = zone
        self._shaped: dict[int, int] = {}  # counter -> power
        self._seen_ms: dict[int, int] = {}  # last reading of each shaped counter that was derived

    async def load(self) -> list[int]:
        """Take over what the store knows; gives the counters that have to be derived again wholly."""
        known = await self._database.read(load_all_counting)
        self._shaped = {number: one.power for number, one in known.items() if one.power is not None}
        return [number for number, one in known.items() if one.is_new]

    def is_shaped(self, number: int) -> bool:
        """Whether a power series shapes this counter."""
        return number in self._shaped

    def shaped_by(self, number: int) -> Collection[int]:
        """Counters that this power series shapes."""
        if not self._shaped:
            return ()
        return [counter for counter, power in self._shaped.items() if power == number]

    def note_seen(self, number: int, last_ms: int) -> None:
        """A counter was derived with readings up to this time."""
        if number in self._shaped:
            self._seen_ms[number] = last_ms

    def begin(self, number: int) -> None:
        """A counter is being derived: until it is noted again, any power may be news to it."""
        if number in self._shaped:
            self._seen_ms[number] = _FOR_EVER_MS

    def news(self, series: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """Ranges ``(counter, first_ms, last_ms)`` of power that came after the counter's reading behind it."""
        found = []
        for counter, power in self._shaped.items():
            mine = ts_ms[series == power]
            mine = mine[mine <= self._seen_ms.get(counter, _FOR_EVER_MS)]
            if len(mine):
                found.append((counter, int(mine.min()), int(mine.max())))
        return found

    async def view(self, series_id: str) -> CountingView:
        """How a counter is spread."""
        series = self._counter(series_id)
        counting = await self._database.read(lambda conn: load_counting(conn, series.no))
        return self._view(series, counting)

    async def choose(self, wanted: SetCounting, now_ms: int) -> tuple[Series, CountingView]:
        """Keep a choice. The caller derives the series again."""
        series = self._counter(wanted.series)
        before = await self._database.read(lambda conn: load_counting(conn, series.no))
        profile, power, is_signed = before.profile, before.power, before.is_signed
        if wanted.gap is not None:
            profile = await self._profile(series, now_ms) if wanted.gap == "profile" else None
        if wanted.shape is not None:
            power, is_signed = self._power(series) if wanted.shape == "power" else (None, False)
        counting = Counting(profile, power, is_signed, is_new=True)
        await self._database.write(lambda conn: save_counting(conn, series.no, counting), label="counting")
        self._seen_ms.pop(series.no, None)
        self._shaped.pop(series.no, None)
        if power is not None:
            self._shaped[series.no] = power
        return series, self._view(series, counting)

    async def settle(self, number: int) -> None:
        """All figures of a counter follow its choice now."""

        def job(conn: sa.Connection) -> None:
            save_counting(conn, number, replace(load_counting(conn, number), is_new=False))

        await self._database.write(job, label="counting")

    def _counter(self, series_id: str) -> Series:
        series = self._registry.by_public_id(series_id)
        if series.behaviour is not Behaviour.COUNTER:
            raise Refused("WL-NRG-004", f"{series.public_id} is no counter", where="series")
        return series

    def _view(self, series: Series, counting: Counting) -> CountingView:
        power = None if counting.power is None else self._registry.name_of(counting.power)
        return CountingView(
            series.public_id,
            "profile" if counting.profile is not None else "flat",
            "power" if counting.power is not None else "none",
            power,
        )

    async def _profile(self, series: Series, now_ms: int) -> Profile:
        start_ms = now_ms - _HISTORY_MS
        start_ms -= start_ms % SLOT_MS
        rows = await self._database.read(
            lambda conn: slots.read(conn, [series.no], slots.SLOT, start_ms, now_ms)[series.no]
        )
        profile = Profile.of(rows, self._zone)
        if profile is None:
            raise Refused(
                "WL-NRG-005",
                f"{series.public_id} has less than a week of measured energy in the last eight weeks",
                where="gap",
                hint="stay with gap: flat, and choose again later",
            )
        return profile

    def _power(self, series: Series) -> tuple[int, bool]:
        """The power series of the same device and direction, and whether it is signed."""
        gauges = {
            one.direction: one
            for one in reversed(self._registry.of_device(series.device_id))
            if one.quantity is Quantity.POWER and one.behaviour is Behaviour.GAUGE and _is_total(one)
        }
        own = gauges.get(series.direction)
        if own is not None:
            return own.no, series.direction is Direction.BOTH
        if Direction.BOTH not in gauges:
            raise Refused(
                "WL-NRG-005",
                f"{series.device_id} has no power series that could shape {series.key}",
                where="shape",
                hint="the power must come from the same device",
            )
        return gauges[Direction.BOTH].no, True


def _is_total(series: Series) -> bool:
    """Not one phase of several."""
    return not series.key.endswith(("_l1", "_l2", "_l3"))
