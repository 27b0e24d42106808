"""The price of each slot: for bills, and for the cost of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import reduce
from typing import Final

import numpy as np

from hub.energy import decimals
from hub.energy.clock import DAY_CLASSES, SlotClock, midnight_ms, period_of, slot_clock
from hub.energy.components import Block, Component, Discount, Energy, Kind, Limit, Per, Tax, Tier
from hub.energy.day_types import DayTypes
from hub.energy.decimals import Decimals
from hub.energy.money import Bools, Int64
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff, Version, series_name
from hub.energy.tiers import countings, marginal_block
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.energy.when import Times, day_table, hour_table

PriceColumns = Mapping[str, tuple[Int64, Bools]]


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """What one more kWh costs (import) or brings (export) in each slot, in 1e-8 currency per kWh.

    Energy lines, running tiers, taxes per kWh, caps, floors, discounts and percentages that apply to them are
    in it; standing and capacity charges are not. Not ``known`` where a price is still pending.
    """

    first_ms: int
    import_e8: Int64
    import_known: Bools
    export_e8: Int64
    export_known: Bools


@dataclass(frozen=True, slots=True)
class Rated:
    """A line per slot: its price (0 where it is not known), where it holds, and where it may but nobody knows.

    ``holds`` and ``unknown`` exclude each other.
    """

    price_e8: Int64
    holds: Bools
    unknown: Bools


@dataclass(frozen=True, slots=True)
class Rating:
    """All that rating one version needs to know about a stretch of slots."""

    clock: SlotClock
    types: DayTypes
    type_at: Int64
    prices: PriceColumns

    @classmethod
    def of(cls, version: Version, clock: SlotClock, prices: PriceColumns) -> Rating:
        """The kinds of days of a version on a clock."""
        return cls(clock, version.day_types, _type_at(version.day_types, clock, prices), prices)

    def part(self, low: int, high: int) -> Rating:
        """The same for slots ``[low, high)``."""
        prices = {name: (price[low:high], known[low:high]) for name, (price, known) in self.prices.items()}
        return Rating(self.clock.part(low, high), self.types, self.type_at[low:high], prices)

    def when(self, times: Times) -> tuple[Bools, Bools]:
        """Where any of the conditions holds, and where that depends on a kind of day that is not known."""
        return self._combined(self._by_type(times, inverse=False))

    def otherwise(self, times: Times) -> tuple[Bools, Bools]:
        """Where none of the conditions holds, likewise."""
        return self._combined(self._by_type(times, inverse=True))

    def _by_type(self, times: Times, *, inverse: bool) -> list[Bools]:
        kinds = max(len(self.types.names), 1)
        hours = [hour_table(one)[self.clock.quarter] for one in times]
        tables = [day_table(one, self.types.names).reshape(kinds, DAY_CLASSES) for one in times]
        none = np.zeros(len(self.clock), np.bool_)
        found = []
        for kind in range(kinds):
            parts = (
                table[kind][self.clock.day_class] & hour for table, hour in zip(tables, hours, strict=True)
            )
            some = reduce(np.logical_or, parts, none)
            found.append(~some if inverse else some)
        return found

    def _combined(self, by_type: list[Bools]) -> tuple[Bools, Bools]:
        if len(by_type) == 1:
            return by_type[0], np.zeros(len(self.clock), np.bool_)
        known = self.type_at >= 0
        chosen = np.choose(np.maximum(self.type_at, 0), by_type)
        always = reduce(np.logical_and, by_type)
        maybe = reduce(np.logical_or, by_type)
        return np.where(known, chosen, always), ~known & maybe & ~always


def _type_at(types: DayTypes, clock: SlotClock, prices: PriceColumns) -> Int64:
    """Number of each slot's kind of day, -1 where it is not known."""
    if not types.names:
        return np.zeros(len(clock), np.int64)
    if types.series:
        values, known = prices.get(
            types.series, (np.zeros(len(clock), np.int64), np.zeros(len(clock), np.bool_))
        )
        found = np.full(len(clock), -1, np.int64)
        for number, code in enumerate(types.codes_e8):
            found[known & (values == code)] = number
        return found
    day = clock.day - (clock.quarter < types.starts)
    found = np.zeros(len(clock), np.int64)
    for number, dates in enumerate(types.dates):
        numbers = [(one - _EPOCH).days for one in dates]
        found[np.isin(day, numbers)] = number
    return found


def rate(
    line: Component, rating: Rating, side: Sequence[Component], rated: Mapping[str, Rated]
) -> Rated | None:
    """A line that has one price per slot; ``rated`` are those before it. None for the other kinds."""
    match line:
        case Energy():
            return _energy(line, rating, side)
        case Limit():
            return _limit(line, rating, [rated[name] for name in _named(line, side, rated)])
        case Tax(share=None):
            return _flat(line.per_kwh_e8, rating, line.when)
        case Discount(share=None, per=None):
            return _flat(-line.per_kwh_e8, rating, line.when)
        case _:
            return None


def _named(line: Limit, side: Sequence[Component], rated: Mapping[str, Rated]) -> Sequence[str]:
    """Names of the lines that a cap or floor adds up."""
    if line.on is not None:
        return line.on
    partial = {one.name for one in side if isinstance(one, Limit) and one.up_to_mwh is not None}
    return [name for name in rated if name not in partial]


def _flat(price_e8: int, rating: Rating, when: Times) -> Rated:
    holds, unknown = rating.when(when)
    return Rated(np.where(holds, np.int64(price_e8), np.int64(0)), holds, unknown)


def _energy(line: Energy, rating: Rating, side: Sequence[Component]) -> Rated:
    if line.when is None:
        others = [one.when or () for one in side if isinstance(one, Energy) and one.group == line.group]
        holds, unknown = rating.otherwise(tuple(when for times in others for when in times))
    else:
        holds, unknown = rating.when(line.when)
    if line.formula is None:
        return Rated(np.where(holds, np.int64(line.price_e8), np.int64(0)), holds, unknown)
    price, known = line.formula.evaluate(rating.prices, len(rating.clock))
    priced = holds & known
    return Rated(np.where(priced, price, 0), priced, unknown | (holds & ~known))


def _limit(line: Limit, rating: Rating, named: Sequence[Rated]) -> Rated:
    slots = len(rating.clock)
    when, unsure = rating.when(line.when)
    total = np.zeros(slots, np.int64)
    some, unknown = np.zeros(slots, np.bool_), unsure.copy()
    for one in named:
        total += one.price_e8
        some |= one.holds
        unknown |= one.unknown & (when | unsure)
    best = np.minimum(total, line.per_kwh_e8) if line.kind is Kind.CAP else np.maximum(total, line.per_kwh_e8)
    holds = when & some & ~unknown
    return Rated(np.where(holds, best - total, 0), holds, unknown)


def price_columns(prices: Mapping[str, PriceColumn], first_ms: int, slots: int) -> PriceColumns:
    """Price series on one grid, by the names that formulas use."""
    found: dict[str, tuple[Int64, Bools]] = {}
    for key, column in prices.items():
        placed = column.grid(first_ms, slots)
        found[series_name(key)] = (placed.price_e8, placed.known)
    return found


def stretches(tariff: Tariff, zone: str, start_ms: int, end_ms: int) -> list[tuple[Version, int, int]]:
    """Versions that hold in ``[start, end)`` and from when to when; before the first version there is none."""
    borders = [midnight_ms(zone, version.valid_from) for version in tariff.versions]
    ends = [*borders[1:], max(end_ms, borders[-1])]
    found = []
    for version, first, last in zip(tariff.versions, borders, ends, strict=True):
        low, high = max(first, start_ms), min(last, end_ms)
        if low < high:
            found.append((version, low, high))
    return found


def slot_prices(
    tariff: Tariff,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    first_ms: int,
    slots: int,
    usage: Usage | None = None,
) -> SlotPrices:
    """Marginal prices over a grid of slots; tiers need ``usage``, without it the first block counts.

    Slots before the first version have no known price.
    """
    result = SlotPrices(
        first_ms,
        np.zeros(slots, np.int64),
        np.zeros(slots, np.bool_),
        np.zeros(slots, np.int64),
        np.zeros(slots, np.bool_),
    )
    for version, low_ms, high_ms in stretches(tariff, calendar.zone, first_ms, first_ms + slots * SLOT_MS):
        begin_ms = min([low_ms, *(period_of(calendar.zone, low_ms, per)[0] for per in _counted(version))])
        count = (high_ms - begin_ms) // SLOT_MS
        clock = slot_clock(calendar, begin_ms, count)
        columns = price_columns(prices, begin_ms, count)
        used = usage.grid(begin_ms, count) if usage else Usage.measured(begin_ms, np.zeros(count, np.int64))
        rating = Rating.of(version, clock, columns)
        skip = (low_ms - begin_ms) // SLOT_MS
        here = slice((low_ms - first_ms) // SLOT_MS, (high_ms - first_ms) // SLOT_MS)
        for side, energy, price, known in (
            (version.imports, used.import_mwh, result.import_e8, result.import_known),
            (version.exports, used.export_mwh, result.export_e8, result.export_known),
        ):
            side_price, side_known = _marginal(side, rating, energy)
            price[here], known[here] = side_price[skip:], side_known[skip:]
    return result


def _counted(version: Version) -> list[Per]:
    """Periods whose begin a running count needs."""
    lines = (*version.imports, *version.exports)
    tiers = [line.per for line in lines if isinstance(line, Tier)]
    return tiers + [line.per for line in lines if isinstance(line, Limit) and line.up_to_mwh is not None]


def _marginal(side: Sequence[Component], rating: Rating, energy: Int64) -> tuple[Int64, Bools]:
    """Sum of the prices of a side with its percentages, rounded half-even, and where it is known."""
    exact = np.zeros(len(energy), np.int64)
    known = np.ones(len(energy), np.bool_)
    rated: dict[str, Rated] = {}
    priced: dict[str, tuple[Int64, Bools]] = {}
    for line in side:
        one = rate(line, rating, side, rated)
        if one is not None:
            rated[line.name] = one
            if isinstance(line, Limit) and line.up_to_mwh is not None:
                one = replace(one, price_e8=np.where(_within(line, rating, energy), one.price_e8, 0))
            priced[line.name] = (one.price_e8, ~one.unknown)
        elif isinstance(line, Tier):
            priced[line.name] = _tier_price(line, rating, energy)
        elif isinstance(line, Tax | Discount) and line.share is not None:
            names = line.on if line.on is not None else tuple(priced)
            base = [priced[name] for name in names if name in priced]
            share = line.share if isinstance(line, Tax) else -line.share
            total = sum((column for column, _ in base), np.zeros(len(energy), np.int64))
            priced[line.name] = (_share(total, share), reduce(np.logical_and, (k for _, k in base), known))
    for column, there in priced.values():
        exact = exact + column
        known = known & there
    return np.where(known, exact, 0), known


def _within(line: Limit, rating: Rating, energy: Int64) -> Bools:
    blocks = (Block(0, line.up_to_mwh), Block(0))
    parts = countings(rating.clock, line.per, blocks, prorate=False)
    holds, _ = rating.when(line.when)
    return np.asarray(marginal_block(np.where(holds, energy, 0), parts, 2) == 0)


def _tier_price(line: Tier, rating: Rating, energy: Int64) -> tuple[Int64, Bools]:
    holds, unknown = rating.when(line.when)
    parts = countings(rating.clock, line.per, line.blocks, prorate=False)
    number = marginal_block(np.where(holds, energy, 0), parts, len(line.blocks))
    price = np.array([block.price_e8 for block in line.blocks], np.int64)[number]
    return np.where(holds, price, 0), ~unknown


def _share(total: Int64, share: Fraction) -> Int64:
    """A share of each price, rounded half-even; percentages have at most 8 decimals, so shares at most 10."""
    part = decimals.multiply(Decimals.of(total, 8), Decimals.constant(int(share * 10**10), 10))
    return np.asarray(part.at_places(8).values, dtype=np.int64)


_EPOCH: Final = date(1970, 1, 1)
