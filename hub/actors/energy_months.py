"""Months of a site, allocated: read in a reader thread, kept in memory for as long as nothing in them changes.

A battery's inventory is walked month by month through a *walk*: from the first of December before a local year to
its end, with an empty book at the beginning. So what a slot costs depends on its own year only, not on what was
asked, and a change of a month makes those after it in its walk (and only those) wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
import sqlalchemy as sa

from hub.energy.allocation import Allocation, Prices, Rule, SlotCarbon, allocate
from hub.energy.asked import day_start_ms
from hub.energy.calendar import Buckets, local_days, local_hours, local_months
from hub.energy.exact import times_factor
from hub.energy.site_balance import Source, UseKind
from hub.energy.site_meters import SiteMeter
from hub.energy.site_slots import MAX_SLOT_MWH, Laid, SiteSlots, grid_of, quality_series, site_slots, within
from hub.energy.site_sums import SiteSums, reduced, summed
from hub.energy.slots import SLOT_MS, Int64
from hub.energy.stock import Stock
from hub.storage import slots
from hub.storage.amounts import read_amounts
from hub.storage.metering import load_installations

HOUR_FLOWS: Final = ("import", "export", "production", "charge", "discharge", "use")
KEPT_MONTHS: Final = 84
"""Seven years; a month of 60 devices takes a third of a megabyte."""
_FOR_EVER_MS: Final = 1 << 60
_ABSURD_G_PER_KWH: Final = 1e5


class PriceBook(Protocol):
    """Who knows what a kWh costs; ``revision`` changes whenever any answer may."""

    @property
    def revision(self) -> int: ...

    async def slot_prices(self, first_ms: int, count: int) -> Prices | None:
        """Prices of ``count`` slots from ``first_ms``; None where nothing is agreed."""
        ...


@dataclass(frozen=True, slots=True)
class EnergySettings:
    """What the configuration says: CO2 of the grid where no series tells it, kWh in a m3 of gas where no
    installation does, and devices that the sun feeds first (without any, sources are shared in proportion)."""

    co2_g_per_kwh: float | None = None
    gas_kwh_per_m3: float = 10.5
    first_fed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Factor:
    """What the amounts of a series are multiplied by in ``[from_ms, to_ms)``."""

    series: int
    from_ms: int
    to_ms: int
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a site are made of; months of another layout are worth nothing.

    ``carbon`` is the series of the grid's carbon intensity, ``carbon_mg`` the factor where it says nothing.
    ``order`` names the devices that are fed first; in proportion where there are none. ``factors`` are those of
    installations that are not 1.
    """

    meters: tuple[SiteMeter, ...]
    carbon: int | None
    carbon_mg: int | None
    prices: int
    order: tuple[str, ...] = ()
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A month of a walk: ``walk_ms`` is where its walk begins, ``year`` the local year it belongs to."""

    year: int
    walk_ms: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part ``[start_ms, end_ms)`` of a question inside one walk, and what allocating it from ``day_ms`` takes."""

    layout: Layout
    day_ms: int
    start_ms: int
    end_ms: int
    prices: Prices | None
    stock: Stock


@dataclass(frozen=True, slots=True)
class Hours:
    """Flows by local hour, mWh: rows as :data:`HOUR_FLOWS`. ``seen`` counts known slots of all devices."""

    buckets: Buckets
    flows_mwh: Int64
    seen: Int64


@dataclass(frozen=True, slots=True)
class Month:
    """A month summed by local days and hours; the inventory at the begin of each day, and after the month."""

    span: Span
    days: SiteSums
    hours: Hours
    stocks: tuple[tuple[int, Stock], ...]
    after: Stock


@dataclass(slots=True)
class Work:
    """A question under way, and what changed meanwhile."""

    stale: list[tuple[int, int]] = field(default_factory=list)

    def allows(self, span: Span) -> bool:
        """Whether what was made of a month still holds."""
        return not any(_concerns(span, low, high) for low, high in self.stale)


class MonthShelf:
    """Allocated months of one layout, and the inventory at the begin of their days."""

    def __init__(self) -> None:
        self._layout: Layout | None = None
        self._months: dict[tuple[int, int], Month] = {}
        self._stocks: dict[tuple[int, int], tuple[int, Stock]] = {}
        self._works: list[Work] = []

    def __len__(self) -> int:
        return len(self._months)

    @property
    def layout(self) -> Layout | None:
        """What the kept months are made of."""
        return self._layout

    def begin(self, layout: Layout) -> Work:
        """A question begins: what was made of another layout goes."""
        if layout != self._layout:
            self.clear()
            self._layout = layout
        work = Work()
        self._works.append(work)
        return work

    def end(self, work: Work) -> None:
        """A question is answered."""
        self._works.remove(work)

    def get(self, span: Span) -> Month | None:
        """A kept month."""
        return self._months.get((span.year, span.start_ms))

    def stock(self, year: int, day_ms: int) -> Stock | None:
        """The inventory of a walk at the begin of a local day."""
        found = self._stocks.get((year, day_ms))
        return None if found is None else found[1]

    def keep(self, work: Work, month: Month) -> None:
        """Keep a month, unless what it was made of changed while it was made."""
        span = month.span
        if not work.allows(span):
            return
        self._months[span.year, span.start_ms] = month
        for day_ms, stock in month.stocks:
            self._stocks[span.year, day_ms] = span.walk_ms, stock
        while len(self._months) > KEPT_MONTHS:
            del self._months[next(iter(self._months))]
        while len(self._stocks) > 31 * KEPT_MONTHS:
            del self._stocks[next(iter(self._stocks))]

    def touched(self, start_ms: int, end_ms: int) -> None:
        """Slots of the site in ``[start_ms, end_ms)`` changed: forget what was made of them."""
        for key in [key for key, month in self._months.items() if _concerns(month.span, start_ms, end_ms)]:
            del self._months[key]
        for key in [
            key for key, (walk_ms, _) in self._stocks.items() if key[1] > start_ms and walk_ms < end_ms
        ]:
            del self._stocks[key]
        for work in self._works:
            work.stale.append((start_ms, end_ms))

    def clear(self) -> None:
        """Forget everything."""
        self.touched(0, _FOR_EVER_MS)


def _concerns(span: Span, start_ms: int, end_ms: int) -> bool:
    """Whether a change reaches a month: it lies in the month or, by the inventory, before it in its walk."""
    return span.end_ms > start_ms and span.walk_ms < end_ms


def walk_of(zone: str, year: int) -> list[Span]:
    """The months of a local year with the December before it, in time order."""
    walk_ms = day_start_ms(zone, date(year - 1, 12, 1))
    months = local_months(zone, walk_ms, day_start_ms(zone, date(year + 1, 1, 1)))
    return [
        Span(year, walk_ms, start_ms, end_ms)
        for start_ms, end_ms in zip(months.start_ms.tolist(), months.end_ms.tolist(), strict=True)
    ]


def installed_factors(conn: sa.Connection, numbers: Collection[int]) -> tuple[Factor, ...]:
    """Factors of installations of these series, but for those that change nothing."""
    return tuple(
        Factor(one.series, one.from_ms, one.end_ms, Fraction(repr(one.factor)))
        for one in (row.installation for row in load_installations(conn))
        if one.series in numbers and one.factor != 1.0
    )


def read_site(
    conn: sa.Connection,
    meters: Sequence[SiteMeter],
    start_ms: int,
    end_ms: int,
    factors: Sequence[Factor] = (),
) -> SiteSlots:
    """The columns of a site over ``[start_ms, end_ms)``, widened to whole slots."""
    first_ms, count = grid_of(start_ms, end_ms)
    after_ms = first_ms + count * SLOT_MS
    charges = [meter.soc for meter in meters if meter.soc is not None]
    numbers = sorted({number for meter in meters for number in meter.series()} - set(charges))
    amounts = _laid(conn, numbers, first_ms, count)
    _multiply(amounts, factors, first_ms, count)
    # quality is as much again to read, so only of what decides
    deciding = sorted(quality_series(meters, count, amounts))
    found = slots.read(conn, deciding, slots.SLOT, first_ms, after_ms, ("quality",))
    if charges:
        found = found | slots.read(conn, charges, slots.SLOT, first_ms, after_ms, ("gauge",))
    return site_slots(meters, first_ms, count, found, amounts)


def _laid(conn: sa.Connection, numbers: Sequence[int], first_ms: int, count: int) -> dict[int, Laid]:
    """Amounts of series on a grid of slots."""
    laid = {number: (np.zeros(count, np.int64), np.zeros(count, np.bool_)) for number in numbers}
    if not count:
        return laid
    for number, pieces in read_amounts(conn, numbers, slots.SLOT, first_ms, first_ms + count * SLOT_MS):
        delta, known = laid[number]
        for piece in pieces:
            at = (piece.start_ms - first_ms) // SLOT_MS
            delta[at], known[at] = within(piece.delta, piece.known), piece.known
    return laid


def _multiply(amounts: Mapping[int, Laid], factors: Sequence[Factor], first_ms: int, count: int) -> None:
    """Transformers and the like, in place; a slot takes the installation at its beginning."""
    for one in factors:
        low, high = (min(max(-(-(ms - first_ms) // SLOT_MS), 0), count) for ms in (one.from_ms, one.to_ms))
        if one.series in amounts and low < high:
            delta = amounts[one.series][0]
            delta[low:high] = np.clip(times_factor(delta[low:high], one.factor), -MAX_SLOT_MWH, MAX_SLOT_MWH)


def read_carbon(conn: sa.Connection, layout: Layout, first_ms: int, count: int) -> SlotCarbon | None:
    """Carbon intensity per slot in mg/kWh: the series where it is known, else the factor."""
    if layout.carbon is None and layout.carbon_mg is None:
        return None
    factor = layout.carbon_mg
    intensity = np.full(count, factor or 0, np.int64)
    known = np.full(count, factor is not None)
    if layout.carbon is not None:
        after_ms = first_ms + count * SLOT_MS
        rows = slots.read(conn, [layout.carbon], slots.SLOT, first_ms, after_ms, ("gauge",))[layout.carbon]
        good = np.isfinite(rows.mean) & (rows.mean >= 0) & (rows.mean < _ABSURD_G_PER_KWH)
        at = ((rows.start_ms - first_ms) // SLOT_MS)[good]
        intensity[at] = np.rint(rows.mean[good] * 1000).astype(np.int64)
        known[at] = True
    return SlotCarbon(intensity, known)


def allocated(
    conn: sa.Connection,
    layout: Layout,
    start_ms: int,
    end_ms: int,
    prices: Prices | None,
    stock: Stock,
    stops_ms: Int64 | None = None,
) -> Allocation:
    """Read and allocate ``[start_ms, end_ms)``; ``prices`` are those of the same slots.

    ``stops_ms`` are times at which the inventory is told.
    """
    site = read_site(conn, layout.meters, start_ms, end_ms, layout.factors)
    carbon = read_carbon(conn, layout, site.start_ms, site.count)
    stops = [] if stops_ms is None else ((stops_ms - site.start_ms) // SLOT_MS).tolist()
    rule = Rule.PRIORITY if layout.order else Rule.PROPORTIONAL
    return allocate(
        site, prices=prices, carbon=carbon, stock=stock, rule=rule, order=layout.order, stops=stops
    )


def month_of(
    conn: sa.Connection,
    zone: str,
    layout: Layout,
    span: Span,
    known_ms: int,
    prices: Prices | None,
    stock: Stock,
) -> Month:
    """A month, read up to ``known_ms`` and allocated."""
    days = local_days(zone, span.start_ms, span.end_ms)
    end_ms = min(max(known_ms, span.start_ms), span.end_ms)
    found = allocated(conn, layout, span.start_ms, end_ms, prices, stock, days.start_ms)
    return _month(zone, span, days, found)


def month_to_come(zone: str, layout: Layout, span: Span, stock: Stock) -> Month:
    """A month that has not begun: nothing of it is known."""
    site = site_slots(layout.meters, span.start_ms, 0, {})
    days = local_days(zone, span.start_ms, span.end_ms)
    return _month(zone, span, days, allocate(site, stock=stock, stops=[0] * len(days)))


def _month(zone: str, span: Span, days: Buckets, found: Allocation) -> Month:
    stocks = tuple(zip(days.start_ms.tolist(), found.stock.at, strict=True))
    sums = summed(found, days.start_ms, days.end_ms)
    return Month(span, sums, _hours(zone, span, found), stocks, found.stock.after)


def _hours(zone: str, span: Span, found: Allocation) -> Hours:
    """Only what heat maps show: an hour of every use of every source would be half a megabyte a month."""
    grid = local_hours(zone, span.start_ms, span.end_ms)
    closed, site = found.balance, found.balance.site
    low = np.clip((grid.start_ms - site.start_ms) // SLOT_MS, 0, site.count)
    high = np.clip((grid.end_ms - site.start_ms) // SLOT_MS, 0, site.count)
    sources, used = closed.sources_mwh, closed.used_mwh
    inside = [at for at, use in enumerate(closed.uses) if use.kind not in (UseKind.EXPORT, UseKind.CHARGE)]
    rows: Mapping[str, Int64] = {
        "import": sources[Source.GRID],
        "export": used[0],
        "production": sources[Source.SOLAR],
        "charge": used[1],
        "discharge": sources[Source.BATTERY],
        "use": used[inside].sum(axis=0),
    }
    flows = np.stack([rows[name] for name in HOUR_FLOWS])
    seen = site.known.sum(axis=0, dtype=np.int64)
    return Hours(grid, np.asarray(reduced(flows, low, high)), np.asarray(reduced(seen, low, high)))
