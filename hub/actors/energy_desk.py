"""Answers about the balance of a site: which months a question needs, and what of them is still in memory.

Owned by the processing actor, on whose loop it runs; reading and allocating happens in reader threads, a month a
turn, so that no read is long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from hub.actors.energy_media import read_heat_pumps, read_media
from hub.actors.energy_months import (
    EnergySettings,
    Hours,
    Layout,
    Month,
    MonthShelf,
    PriceBook,
    Span,
    Stretch,
    Work,
    allocated,
    installed_factors,
    month_of,
    month_to_come,
    read_site,
    walk_of,
)
from hub.actors.energy_requests import (
    AnyEnergyRequest,
    CheckSetup,
    EnergySums,
    GetEnergyHours,
    GetEnergySums,
    GetMedia,
    GetSessions,
    GetSiteSlots,
    MediaFound,
)
from hub.actors.registry import Registry
from hub.energy.allocation import Prices
from hub.energy.asked import asked
from hub.energy.calendar import Buckets, buckets, local_date, local_days
from hub.energy.cuts import slot_floor
from hub.energy.media import medium_meters
from hub.energy.sessions import Session, sessions
from hub.energy.setup_check import Finding, check_setup
from hub.energy.site_meters import SiteMeter, site_meters
from hub.energy.site_slots import SiteSlots, grid_of
from hub.energy.site_sums import SiteSums, joined, summed
from hub.energy.slots import SLOT_MS, Int64
from hub.energy.stock import Stock
from hub.errors import Bug, Refused
from hub.model.series import Behaviour, Role
from hub.model.units import Quantity
from hub.storage.database import Database

DAY_MS: Final = 86_400_000
RESOLUTIONS: Final = ("15m", "1h", "1d", "1mo", "1y")
FINE_SPAN_MS: Final = 62 * DAY_MS
SESSION_SPAN_MS: Final = 400 * DAY_MS
LONGEST_MS: Final = 40 * 366 * DAY_MS
CELLS: Final = 6_000_000


class _Range(NamedTuple):
    start_ms: int
    end_ms: int


class EnergyDesk:
    """Reads, allocates and remembers months of the site."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        zone: str,
        *,
        prices: PriceBook | None = None,
        settings: EnergySettings | None = None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._zone = zone
        self._prices = prices
        self._settings = settings or EnergySettings()
        self._making = asyncio.Lock()
        self._shelf = MonthShelf()
        self._layout: tuple[int, Layout] | None = None

    def answer(self, question: AnyEnergyRequest) -> Awaitable[Any]:
        """The coroutine that answers."""
        match question:
            case GetEnergySums(start_ms, end_ms, resolution):
                return self.sums(start_ms, end_ms, resolution)
            case GetSiteSlots(start_ms, end_ms):
                return self.site(start_ms, end_ms)
            case GetEnergyHours(start_ms, end_ms):
                return self.hours(start_ms, end_ms)
            case GetSessions(start_ms, end_ms, device):
                return self.sessions(start_ms, end_ms, device)
            case GetMedia(start_ms, end_ms, resolution):
                return self.media(start_ms, end_ms, resolution)
            case CheckSetup(start_ms, end_ms):
                return self.check_setup(start_ms, end_ms)
            case _:
                raise Bug("WL-NRG-900", f"nobody answers {type(question).__name__}")

    def configure(self, settings: EnergySettings) -> None:
        """Other settings; what was made by the old ones is forgotten."""
        self._settings, self._layout = settings, None
        self._shelf.clear()

    @property
    def zone(self) -> str:
        """Time zone of the site."""
        return self._zone

    @property
    def kept_months(self) -> int:
        """Months in memory."""
        return len(self._shelf)

    def note(self, series: Iterable[int], start_ms: int, end_ms: int) -> None:
        """Slots of these series in ``[start_ms, end_ms)`` were written."""
        if self._layout is None:
            return
        layout = self._layout[1]
        mine = {number for meter in layout.meters for number in meter.series()} | {layout.carbon}
        if not mine.isdisjoint(series):
            self._shelf.touched(start_ms, end_ms)

    def meters(self) -> tuple[SiteMeter, ...]:
        """The devices of the balance."""
        return self.layout().meters

    def layout(self) -> Layout:
        """What the columns are made of now."""
        known = self._layout
        prices = 0 if self._prices is None else self._prices.revision
        if known is not None and known[0] == self._registry.version and known[1].prices == prices:
            return known[1]
        names = self._registry.devices
        meters = site_meters(names.values(), {name: self._registry.of_device(name) for name in names})
        factor = self._settings.co2_g_per_kwh
        layout = Layout(
            meters,
            self._carbon_series(),
            None if factor is None else round(factor * 1000),
            prices,
            self._settings.first_fed,
        )
        self._layout = self._registry.version, layout
        return layout

    async def _laid_out(self) -> Layout:
        """The layout with the factors of installations, which are read each time: they change without a word."""
        layout = self.layout()
        numbers = {number for meter in layout.meters for number in meter.series()}
        factors = await self._database.read(lambda conn: installed_factors(conn, numbers))
        return replace(layout, factors=factors)

    def _carbon_series(self) -> int | None:
        found = [
            int(one.no)
            for one in self._registry.all_series()
            if one.quantity is Quantity.CARBON_INTENSITY and one.behaviour is Behaviour.GAUGE
        ]
        return min(found, default=None)

    async def warm(self) -> None:
        """Make the months of the running year, so that nobody waits for them."""
        if not self.layout().meters:
            return
        year = asked(self._zone, "year", local_date(self._zone, self._database.now_ms()))
        await self.sums(year.start_ms, year.end_ms, "1mo")

    async def site(self, start_ms: int, end_ms: int) -> SiteSlots:
        """The columns of ``[start_ms, end_ms)``, widened to whole slots, as they were measured."""
        layout = await self._laid_out()
        return await self._database.read(
            lambda conn: read_site(conn, layout.meters, start_ms, end_ms, layout.factors)
        )

    async def sums(self, start_ms: int, end_ms: int, resolution: str) -> EnergySums:
        """The allocation of ``[start_ms, end_ms)`` by buckets; borders inside a slot are moved to its begin.

        Raises:
            Refused: ``WL-API-031`` too much for one answer, ``WL-API-032`` an empty range, ``WL-NRG-002``
                a resolution without a calendar.
        """
        layout = await self._laid_out()
        span = _Range(slot_floor(start_ms), slot_floor(end_ms))
        grid, partial = self._grid(span, resolution)
        self._check_size(layout, grid, span, resolution)
        work, now_ms = self._shelf.begin(layout), self._database.now_ms()
        try:
            _, cut = local_days(self._zone, *span).clipped(*span)
            if resolution in ("1d", "1mo", "1y") and not cut:
                months = await self._months(work, layout, self._touching(span))
                found = joined([month.days for month in months]).between(*span)
            else:
                found = await self._fine(work, layout, span, resolution)
            sums = found
            if not np.array_equal(found.start_ms, grid.start_ms):
                sums = found.grouped(grid.start_ms, grid.end_ms)
            return EnergySums(grid, sums, found.whole(*span), tuple(partial), now_ms)
        finally:
            self._shelf.end(work)

    async def stretches(self, start_ms: int, end_ms: int) -> list[Stretch]:
        """What allocating ``[start_ms, end_ms)`` slot by slot takes; a stretch for each local year."""
        layout, span = await self._laid_out(), _Range(slot_floor(start_ms), slot_floor(end_ms))
        work, found = self._shelf.begin(layout), list[Stretch]()
        try:
            for _, months in groupby(self._touching(span), key=lambda one: one.year):
                own = list(months)
                low_ms, high_ms = max(span.start_ms, own[0].start_ms), min(span.end_ms, own[-1].end_ms)
                day_ms, stock = await self._begin(work, layout, own[0], low_ms)
                known_ms = max(min(high_ms, self._known_ms()), day_ms)
                first_ms, count = grid_of(day_ms, known_ms)
                prices = await self._slot_prices(first_ms, count) if count else None
                found.append(Stretch(layout, day_ms, low_ms, known_ms, prices, stock))
        finally:
            self._shelf.end(work)
        return found

    async def hours(self, start_ms: int, end_ms: int) -> list[Hours]:
        """Flows by hour of the months that touch ``[start_ms, end_ms)``."""
        layout, span = await self._laid_out(), _Range(start_ms, end_ms)
        work = self._shelf.begin(layout)
        try:
            return [month.hours for month in await self._months(work, layout, self._touching(span))]
        finally:
            self._shelf.end(work)

    async def sessions(self, start_ms: int, end_ms: int, device: str | None = None) -> tuple[Session, ...]:
        """Charging sessions of cars, those that begin in the range; in time order.

        Raises:
            Refused: ``WL-API-031``, more than about a year.
        """
        if end_ms - start_ms > SESSION_SPAN_MS:
            raise Refused("WL-API-031", "sessions are given for 400 days at most", where="start")
        layout, span = await self._laid_out(), _Range(slot_floor(start_ms), slot_floor(end_ms))
        cars = [one.device for one in layout.meters if one.role is Role.EV and device in (None, one.device)]
        if not cars or span.end_ms <= span.start_ms:
            return ()
        work = self._shelf.begin(layout)
        try:
            parts = [
                (await self._fine(work, layout, _Range(low, high), "15m")).of_uses(cars)
                for low, high in self._by_month(span)
            ]
        finally:
            self._shelf.end(work)
        every = joined(parts)
        return tuple(sorted((one for car in cars for one in sessions(every, car)), key=_by_start))

    def _by_month(self, span: _Range) -> list[tuple[int, int]]:
        """Months cut to a range."""
        return [
            (max(one.start_ms, span.start_ms), min(one.end_ms, span.end_ms)) for one in self._touching(span)
        ]

    async def media(self, start_ms: int, end_ms: int, resolution: str) -> MediaFound:
        """Gas, water and heat by buckets; borders inside a slot are moved to its begin."""
        layout, span = await self._laid_out(), _Range(slot_floor(start_ms), slot_floor(end_ms))
        grid, _ = self._grid(span, resolution)
        self._check_size(layout, grid, span, resolution)
        devices = self._registry.devices
        meters = medium_meters(
            list(devices.values()), {name: self._registry.of_device(name) for name in devices}
        )

        def job(conn: sa.Connection) -> MediaFound:
            found = read_media(conn, meters, grid, self._settings.gas_kwh_per_m3)
            pumps = read_heat_pumps(conn, meters, layout.meters, *span, layout.factors)
            return MediaFound(grid, found, pumps, self._database.now_ms())

        return await self._database.read(job)

    async def check_setup(self, start_ms: int, end_ms: int) -> tuple[Finding, ...]:
        """Likely faults of the configured roles, signs and trees, by the slots of some days.

        Raises:
            Refused: ``WL-API-031``, more than 62 days.
        """
        if end_ms - start_ms > FINE_SPAN_MS:
            raise Refused("WL-API-031", "the check looks at 62 days at most", where="start")
        site = await self.site(start_ms, end_ms)
        return await asyncio.to_thread(check_setup, site)

    def _grid(self, span: _Range, resolution: str) -> tuple[Buckets, list[int]]:
        if span.end_ms <= span.start_ms:
            raise Refused("WL-API-032", "end does not lie after start", where="end")
        if resolution not in RESOLUTIONS:
            raise Refused(
                "WL-API-030",
                f"the balance has no resolution {resolution[:20]!r}",
                where="resolution",
                hint="one of " + ", ".join(RESOLUTIONS),
            )
        return buckets(self._zone, resolution, *span).clipped(*span)

    def _check_size(self, layout: Layout, grid: Buckets, span: _Range, resolution: str) -> None:
        """Refuse what would take too long or too much memory."""
        longest_ms = FINE_SPAN_MS if resolution in ("15m", "1h") else LONGEST_MS
        cells = len(grid) * 5 * max(len(layout.meters), 1)
        if span.end_ms - span.start_ms > longest_ms or cells > CELLS:
            raise Refused(
                "WL-API-031",
                f"{len(grid)} buckets of {len(layout.meters)} devices are more than one answer holds",
                where="resolution",
                hint="ask for a coarser resolution or a shorter range",
            )

    def _touching(self, span: _Range) -> list[Span]:
        """Months that touch a range, each in the walk of its own year."""
        first, last = (local_date(self._zone, ms).year for ms in (span.start_ms, span.end_ms - 1))
        return [
            one
            for year in range(first, last + 1)
            for one in walk_of(self._zone, year)[1:]
            if one.end_ms > span.start_ms and one.start_ms < span.end_ms
        ]

    async def _months(self, work: Work, layout: Layout, wanted: Sequence[Span]) -> list[Month]:
        """Months, kept or made; in time order."""
        return [
            self._shelf.get(span)
            or await self._made(work, layout, span, await self._before(work, layout, span))
            for span in wanted
        ]

    async def _before(self, work: Work, layout: Layout, span: Span) -> Stock:
        """The inventory before a month: that after the month before it in its walk, made where it is not kept."""
        if not _has_battery(layout):
            return Stock()
        chain = [one for one in walk_of(self._zone, span.year) if one.start_ms < span.start_ms]
        stock, to_make = Stock(), []
        for one in reversed(chain):
            kept = self._shelf.get(one)
            if kept is not None:
                stock = kept.after
                break
            to_make.append(one)
        for one in reversed(to_make):
            stock = (await self._made(work, layout, one, stock)).after
        return stock

    async def _made(self, work: Work, layout: Layout, span: Span, stock: Stock) -> Month:
        """Make a month, or take what another question made of it meanwhile: a page asks several at once."""
        known_ms = self._known_ms()
        if span.start_ms >= known_ms:
            return month_to_come(self._zone, layout, span, stock)
        async with self._making:
            kept = self._shelf.get(span) if self._shelf.layout == layout else None
            if kept is not None:
                return kept
            first_ms, count = grid_of(span.start_ms, min(span.end_ms, known_ms))
            prices = await self._slot_prices(first_ms, count)
            month = await self._database.read(
                lambda conn: month_of(conn, self._zone, layout, span, known_ms, prices, stock)
            )
            self._shelf.keep(work, month)
            return month

    async def _fine(self, work: Work, layout: Layout, span: _Range, resolution: str) -> SiteSums:
        """Buckets within months that are no whole days: allocated slot by slot, from the begin of a day on."""
        within = resolution if resolution in ("15m", "1h") else "1d"
        grid, _ = buckets(self._zone, within, *span).clipped(*span)
        parts: list[SiteSums] = []
        for one in self._touching(span):
            inside = _Range(max(span.start_ms, one.start_ms), min(span.end_ms, one.end_ms))
            low, high = np.searchsorted(grid.start_ms, inside).tolist()
            starts, ends = grid.start_ms[low:high], grid.end_ms[low:high]
            parts.append(await self._fine_part(work, layout, one, inside, starts, ends))
        return joined(parts)

    async def _fine_part(
        self, work: Work, layout: Layout, month: Span, inside: _Range, starts: Int64, ends: Int64
    ) -> SiteSums:
        day_ms, stock = await self._begin(work, layout, month, inside.start_ms)
        known_ms = max(min(inside.end_ms, self._known_ms()), day_ms)
        first_ms, count = grid_of(day_ms, known_ms)
        prices = await self._slot_prices(first_ms, count)

        def job(conn: sa.Connection) -> SiteSums:
            return summed(allocated(conn, layout, day_ms, known_ms, prices, stock), starts, ends)

        return await self._database.read(job)

    async def _begin(self, work: Work, layout: Layout, month: Span, start_ms: int) -> tuple[int, Stock]:
        """Where a walk to ``start_ms`` may begin (its day, or else its month), and the inventory there."""
        day_ms = int(local_days(self._zone, start_ms, start_ms + 1).start_ms[0])
        stock = self._shelf.stock(month.year, day_ms) if _has_battery(layout) else Stock()
        if stock is None:
            return month.start_ms, await self._before(work, layout, month)
        return day_ms, stock

    def _known_ms(self) -> int:
        """Nothing is stored beyond this: a reading may be some minutes ahead of the clock."""
        return slot_floor(self._database.now_ms()) + 2 * SLOT_MS

    async def _slot_prices(self, first_ms: int, count: int) -> Prices | None:
        return None if self._prices is None else await self._prices.slot_prices(first_ms, count)


def _has_battery(layout: Layout) -> bool:
    return any(meter.role is Role.BATTERY for meter in layout.meters)


def _by_start(session: Session) -> tuple[int, str]:
    return session.start_ms, session.device
