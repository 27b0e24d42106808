"""The bill at the end of a period, with a range, from the own history.

The days that are left are taken from the last eight weeks: each coming week is played by a past one, drawn by
chance, with its loads, its feed-in and (where the market is not published yet) its prices together, so that
weekends, shapes and peaks stay what they are. Each draw is brought to the level that the last days make likely, from
low to high as far as such a level was off before (:mod:`hub.energy.level`). All 21 are billed by the same engine; the
middle one is what to expect, and four of five ends lie within the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.bill import Bill, bill, needed_ms
from hub.energy.clock import SlotClock, slot_clock
from hub.energy.level import DayTotals, level, spread
from hub.energy.money import Bools, Int64
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage

HISTORY_DAYS: Final = 56
_DRAWS: Final = 21
_PLACES: Final = tuple(NormalDist().inv_cdf((number + 0.5) / _DRAWS) for number in range(_DRAWS))
_LOW, _HIGH = 2, 18  # of 21 in order: the 10th and the 90th percentile
_REACH: Final = _PLACES[_HIGH]
_QUARTERS: Final = 96
_ENOUGH: Final = 86
"""Quarters of a day that must be known for it to play another day."""
_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class Projection:
    """``so_far`` until now, ``expected`` at the end, and totals between which four of five ends lie.

    ``days_of_history`` is how many days there were to draw from: below 14 the range says little, and with none
    the rest of the period counts as without energy.
    """

    so_far: Bill
    expected: Bill
    low_e8: int
    high_e8: int
    days_of_history: int


@dataclass(frozen=True, slots=True)
class _Past:
    """Usable days before now, oldest first: numbers since 1970, kinds (weekday 0…6, holidays are Sundays), rows."""

    day: Int64
    kind: Int64
    rows: Int64

    def totals(self, energy: Int64) -> DayTotals:
        """Energy of the days; what a day lacks is taken as the rest of it."""
        there = self.rows >= 0
        sums = np.where(there, energy[self.rows], 0).sum(axis=1) * (_QUARTERS / there.sum(axis=1))
        return DayTotals(self.day, sums, self.kind >= _SATURDAY)


def project(
    tariff: Tariff,
    usage: Usage,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
    now_ms: int,
) -> Projection:
    """Play the rest of ``[start, end)`` by days of the past, and bill it.

    ``usage`` and ``prices`` should reach eight weeks back from ``now_ms``, and as far as a bill needs
    (:func:`history_from_ms`). Prices that are known ahead are kept.

    Raises:
        Refused: as :func:`hub.energy.bill.bill`.
    """
    now_ms = min(max(now_ms - now_ms % SLOT_MS, start_ms), end_ms)
    first_ms = history_from_ms(tariff, calendar, start_ms, end_ms, now_ms)
    last_ms = max(needed_ms(tariff, calendar, start_ms, end_ms)[1], end_ms)
    slots = (last_ms - first_ms) // SLOT_MS
    clock = slot_clock(calendar, first_ms, slots)
    now = (now_ms - first_ms) // SLOT_MS
    known = usage.grid(first_ms, slots)
    known = _cut(known, now)
    columns = {name: column.grid(first_ms, slots) for name, column in prices.items()}
    so_far = bill(tariff, known, columns, calendar, start_ms, max(now_ms, start_ms + SLOT_MS))
    past = _past(clock, known, now)
    until = (end_ms - first_ms) // SLOT_MS
    if not len(past.day) or now >= until:
        whole = bill(tariff, known, columns, calendar, start_ms, end_ms)
        return Projection(so_far, whole, whole.total_e8, whole.total_e8, len(past.day))
    bills = [
        bill(tariff, played, ahead, calendar, start_ms, end_ms)
        for played, ahead in _ends(clock, known, columns, past, now, until)
    ]
    bills.sort(key=lambda one: one.total_e8)
    return Projection(so_far, bills[_DRAWS // 2], bills[_LOW].total_e8, bills[_HIGH].total_e8, len(past.day))


def _ends(
    clock: SlotClock, usage: Usage, prices: Mapping[str, PriceColumn], past: _Past, now: int, until: int
) -> Iterator[tuple[Usage, dict[str, PriceColumn]]]:
    """Ways in which the period may end: energy and prices, from little taken and much fed in to the contrary."""
    chance = np.random.default_rng(clock.first_ms // SLOT_MS + now)  # the same question has the same answer
    today = int(clock.day[now])
    horizon = int(clock.day[until - 1]) - today + 1
    taken, given = (past.totals(column) for column in (usage.import_mwh, usage.export_mwh))
    halves = [spread(totals, today, horizon) / _REACH for totals in (taken, given)]
    for place in _PLACES:
        draw = _draw(clock, past, now, until, chance)
        scales = (
            _scale(taken, draw, today, place * halves[0]),
            _scale(given, draw, today, -place * halves[1]),
        )
        played = _played(usage, draw.source, now, until, scales)
        yield played, {name: _priced(column, draw.source, now, until) for name, column in prices.items()}


def history_from_ms(tariff: Tariff, calendar: Calendar, start_ms: int, end_ms: int, now_ms: int) -> int:
    """From when on a projection reads usage and prices."""
    back_ms = now_ms - now_ms % SLOT_MS - (HISTORY_DAYS + 1) * _QUARTERS * SLOT_MS
    return min(needed_ms(tariff, calendar, start_ms, end_ms)[0], back_ms, start_ms)


def _cut(usage: Usage, now: int) -> Usage:
    """Without anything after now."""
    return usage.grid(usage.first_ms, now).grid(usage.first_ms, len(usage))


def _past(clock: SlotClock, usage: Usage, now: int) -> _Past:
    """Days before now of which nearly all is known."""
    low = max(now - (HISTORY_DAYS + 1) * _QUARTERS, 0)
    day, quarter = clock.day[low:now].astype(np.int64), clock.quarter[low:now]
    days, at = np.unique(day, return_inverse=True)
    rows = np.full((len(days), _QUARTERS), -1, np.int64)
    known = usage.import_known[low:now]
    rows[at[known], quarter[known]] = low + np.flatnonzero(known)
    kind = np.zeros(len(days), np.int64)
    kind[at] = _kinds(clock)[low:now]
    enough = np.flatnonzero((rows >= 0).sum(axis=1) >= _ENOUGH)[-HISTORY_DAYS:]
    return _Past(days[enough], kind[enough], rows[enough])


def _kinds(clock: SlotClock) -> Int64:
    """Weekday of each slot, a holiday being a Sunday."""
    holiday, weekday = clock.day_class // (7 * 366), clock.day_class // 366 % 7
    return np.asarray(np.where(holiday == 1, _SUNDAY, weekday))


@dataclass(frozen=True, slots=True)
class _Draw:
    """The row that each slot ahead is played by, and by day: the past day, and whether it is a rest day."""

    source: Int64
    past_day: Int64
    rest: Bools


def _draw(clock: SlotClock, past: _Past, now: int, until: int, chance: np.random.Generator) -> _Draw:
    kinds, days = _kinds(clock)[now:until], clock.day[now:until]
    quarters = clock.quarter[now:until].astype(np.int64)
    first_day = int(days[0])
    picks = chance.random(int(days[-1] - first_day) // 7 + 1)
    chosen: dict[int, int] = {}
    kind_of = dict(zip(days.tolist(), kinds.tolist(), strict=True))
    for day, kind in kind_of.items():
        alike = _alike(past, kind)
        chosen[day] = int(alike[int(picks[(day - first_day) // 7] * len(alike))])
    number = np.array([chosen[day] for day in days.tolist()], np.int64)
    source = past.rows[number, quarters]
    source = np.where(source >= 0, source, _stand_in(past, quarters))
    rest = np.array(list(kind_of.values())) >= _SATURDAY
    return _Draw(source, np.array(list(chosen.values())), rest)


def _scale(totals: DayTotals, draw: _Draw, today: int, half: float) -> float:
    """What brings the drawn days to the level of the last days, moved by ``half`` a range."""
    drawn = float(totals.energy[draw.past_day].sum())
    expected = float(level(totals, today, draw.rest).sum())
    return expected / drawn * float(np.exp(half)) if drawn > 0 else 1.0


def _alike(past: _Past, kind: int) -> NDArray[np.int64]:
    """Positions of the past days of a kind; else of workdays or of rest days; else of all."""
    for fitting in (past.kind == kind, (past.kind >= _SATURDAY) == (kind >= _SATURDAY)):
        if fitting.any():
            return np.flatnonzero(fitting)
    return np.arange(len(past.day))


def _stand_in(past: _Past, quarters: Int64) -> Int64:
    """For a quarter that the drawn day lacks (a change of the clock, a gap): the newest day that has it."""
    rows = past.rows.max(axis=0)
    return np.asarray(np.where(rows >= 0, rows, rows.max())[quarters])


def _played(usage: Usage, source: Int64, now: int, until: int, scales: tuple[float, float]) -> Usage:
    """The usage with ``[now, until)`` taken from other rows and brought to a level, as estimated."""
    changed: dict[str, NDArray[np.generic]] = {}
    for name, scale in (("import_mwh", scales[0]), ("export_mwh", scales[1])):
        column = getattr(usage, name).copy()
        column[now:until] = np.rint(column[source] * scale)
        changed[name] = column
    for name in ("import_known", "export_known"):
        column = getattr(usage, name).copy()
        column[now:until] = column[source]
        changed[name] = column
    for name in ("measured_ms", "late_ms", "suspect_ms", "estimated_ms"):
        column = getattr(usage, name).copy()
        column[now:until] = SLOT_MS if name == "estimated_ms" else 0
        changed[name] = column
    return replace(usage, **changed)  # type: ignore[arg-type]  # columns of the types they had


def _priced(column: PriceColumn, source: Int64, now: int, until: int) -> PriceColumn:
    """The prices with those that are not known in ``[now, until)`` taken from the same rows."""
    price, known = column.price_e8.copy(), column.known.copy()
    missing = now + np.flatnonzero(~known[now:until])
    rows = source[missing - now]
    price[missing], known[missing] = column.price_e8[rows], column.known[rows]
    return PriceColumn(column.first_ms, price, known)
