"""Budgets and the running quarter hour: what the month is heading for, and what the next minutes may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import numpy as np

from hub.actors.bills import Bills
from hub.actors.board import LatestBoard
from hub.actors.money_points import GRID, PointMeter
from hub.actors.money_requests import (
    BudgetView,
    ChangeBudget,
    CreateBudget,
    GetBudgets,
    GetPeak,
    MoneyRequest,
    PeakView,
    RemoveBudget,
)
from hub.actors.money_sources import DAY_MS, MoneySources
from hub.energy.bill import needed_ms
from hub.energy.budget import budget_state
from hub.energy.calendar import Buckets, local_days, local_months, local_years
from hub.energy.cuts import slot_floor
from hub.energy.money_entries import Budget, BudgetPeriod
from hub.energy.peak import needed_for_peak_ms, peak_state
from hub.energy.projection import history_from_ms, project
from hub.energy.site_meters import Term
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import Usage
from hub.errors import NotFound

_PERIODS: Final = {
    BudgetPeriod.DAY: local_days,
    BudgetPeriod.MONTH: local_months,
    BudgetPeriod.YEAR: local_years,
}
E8_PER_MWH: Final = 100


def _energy_tariff() -> Tariff:
    """One unit of money per imported kWh: energy is projected by the engine that projects money."""
    line = {"energy": "Energy", "price": "1"}
    version = {"from": "1971-01-01", "rounding": {"line": "0.00000001"}, "import": [line]}
    return parse_tariff({"id": "energy", "metering_point": GRID, "currency": "XXX", "versions": [version]})


class MoneyWatch:
    """Answers about budgets and peaks."""

    def __init__(self, sources: MoneySources, bills: Bills, board: LatestBoard) -> None:
        self._sources = sources
        self._bills = bills
        self._board = board

    def answer(self, question: MoneyRequest[Any]) -> Awaitable[Any]:
        """The answer to a question, as something to wait for."""
        book = self._sources.book
        match question:
            case GetBudgets(ids):
                return self.budgets(ids)
            case CreateBudget(data):
                return self._seen(book.create_budget(data))
            case ChangeBudget(budget_id, data):
                return self._seen(book.change_budget(budget_id, data))
            case RemoveBudget(budget_id):
                return book.remove_budget(budget_id)
            case GetPeak(point):
                return self.peak(point)
        raise TypeError(f"no answer to {type(question).__name__}")

    # --- budgets

    async def budgets(self, ids: Sequence[str]) -> tuple[BudgetView, ...]:
        """Budgets with their state now."""
        wanted = [self._sources.book.budget(one) for one in ids]
        return tuple([await self._view(one) for one in wanted])

    async def _seen(self, change: Awaitable[Budget]) -> BudgetView:
        return await self._view(await change)

    async def _view(self, budget: Budget) -> BudgetView:
        now_ms = self._sources.database.now_ms()
        period = _running(_PERIODS[budget.period](self._sources.zone, now_ms, now_ms + 1), now_ms)
        kept_by = self._sources.book.budgets[budget.id][1]
        try:
            meter = await self._sources.point(budget.metering_point)
            tariff = self._tariff_of(budget, period[1])
        except NotFound as error:  # a budget may be there before its meter or its tariff
            currency = self._sources.book.settings.currency
            return BudgetView(budget, kept_by, *period, currency, None, why=error.message)
        return await self._state(budget, kept_by, period, meter, tariff, now_ms)

    def _tariff_of(self, budget: Budget, end_ms: int) -> Tariff:
        if budget.amount is None:
            return _energy_tariff()
        return self._sources.tariff_for(budget.metering_point, end_ms, None)

    async def _state(
        self,
        budget: Budget,
        kept_by: str,
        period: tuple[int, int],
        meter: PointMeter,
        tariff: Tariff,
        now_ms: int,
    ) -> BudgetView:
        start_ms, end_ms = period
        calendar = await self._sources.calendar(start_ms - 400 * DAY_MS, end_ms)
        from_ms = history_from_ms(tariff, calendar, start_ms, end_ms, now_ms)
        until_ms = max(needed_ms(tariff, calendar, start_ms, end_ms)[1], end_ms)
        origins = self._sources.price_origins(tariff)
        made = await self._sources.read(meter, tariff, origins, from_ms, until_ms)
        projection = await asyncio.to_thread(
            project, tariff, made.usage, made.prices, made.calendar, start_ms, end_ms, now_ms
        )
        so_far, expected = projection.so_far, projection.expected
        scale = 1 if budget.amount is not None else E8_PER_MWH
        figures = (projection.low_e8 // scale, expected.total_e8 // scale, projection.high_e8 // scale)
        state = budget_state(budget.limit_e8, so_far.total_e8 // scale, start_ms, end_ms, now_ms, figures)
        return BudgetView(budget, kept_by, start_ms, end_ms, tariff.currency, state, so_far.pending_mwh)

    # --- the running quarter hour

    async def peak(self, point: str) -> PeakView:
        """Where the running quarter hour is heading."""
        sources = self._sources
        meter = await sources.point(point)
        now_ms = sources.database.now_ms()
        tariff = sources.book.tariff_of(point, now_ms, sources.local_date)
        calendar = await sources.calendar(now_ms - 800 * DAY_MS, now_ms)
        from_ms = needed_for_peak_ms(tariff, calendar, now_ms)
        made = await sources.read(meter, tariff, {}, from_ms, slot_floor(now_ms) + SLOT_MS)
        usage = made.usage
        power_w = self._import_power(meter, now_ms)
        if power_w is None:
            power_w = _usual_power(usage, now_ms)
        energy_mwh = int(usage.import_mwh[-1]) + round(power_w * _unseen_ms(usage, now_ms) / 3_600)
        closed = usage.grid(usage.first_ms, len(usage) - 1)
        state = await asyncio.to_thread(peak_state, tariff, closed, calendar, now_ms, energy_mwh, power_w)
        return PeakView(point, tariff.id if tariff else None, tariff.currency if tariff else "", state)

    def _import_power(self, meter: PointMeter, now_ms: int) -> float | None:
        """Import power now; None where no power was measured in the last quarter of an hour."""
        for number in self._powers(meter):
            newest = self._board.newest(number)
            if newest is not None and newest[0] > now_ms - SLOT_MS:
                return max(newest[1], 0.0)
        return None

    def _powers(self, meter: PointMeter) -> list[int]:
        terms = meter.meter.give if meter.meter is not None else ()
        known = [one.series[0] for one in terms if _is_power(one)]
        extra = self._sources.registry.find(meter.device, "power")
        return [*known, *([] if extra is None else [int(extra.no)])]


def _is_power(term: Term) -> bool:
    return term.by_power and term.sign > 0 and len(term.series) == 1


def _running(periods: Buckets, now_ms: int) -> tuple[int, int]:
    """The period that holds this moment; the zone may have skipped the one before it."""
    inside = [
        (start_ms, end_ms)
        for start_ms, end_ms in zip(periods.start_ms.tolist(), periods.end_ms.tolist(), strict=True)
        if start_ms <= now_ms < end_ms
    ]
    return inside[0]


def _seen_ms(usage: Usage, slot: int) -> int:
    """Time of a slot that readings cover."""
    columns = (usage.measured_ms, usage.late_ms, usage.estimated_ms, usage.suspect_ms)
    return sum(int(column[slot]) for column in columns)


def _unseen_ms(usage: Usage, now_ms: int) -> int:
    """Time of the running slot, the last of the usage, that no reading covers yet."""
    return max(now_ms - slot_floor(now_ms) - _seen_ms(usage, -1), 0)


def _usual_power(usage: Usage, now_ms: int) -> float:
    """Mean import power of the running slot as far as it is known, else of the newest known one before it."""
    running_ms = _seen_ms(usage, -1)
    if running_ms >= 60_000:
        return int(usage.import_mwh[-1]) * 3_600 / running_ms
    known = np.flatnonzero(usage.import_known[:-1])
    if not len(known) or len(usage) - 1 - int(known[-1]) > 4:
        return 0.0
    return int(usage.import_mwh[known[-1]]) * 3_600 / SLOT_MS
