"""Bills, what-if and invoices: read in a reader thread, computed by the pure functions in another.

Nothing that costs is stored: each bill reads the slots, the prices and the tariffs of now. Bills of closed times
are remembered, see :mod:`hub.actors.money_memory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from hub.actors.money_memory import BillKey, BillMemory
from hub.actors.money_points import read_production, solar_meters
from hub.actors.money_requests import AskWhatIf, ComparedInvoice
from hub.actors.money_sources import DAY_MS, MoneySources
from hub.energy.bill import Bill, bill, needed_ms
from hub.energy.invoice import compare
from hub.energy.money_entries import parse_invoice
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.whatif import Scenario, WhatIf, what_if
from hub.errors import Refused

MAX_BILL_MS: Final = 3_700 * DAY_MS


class Bills:
    """The bills of this site."""

    def __init__(self, sources: MoneySources) -> None:
        self._sources = sources
        self._memory = BillMemory()

    def note(self, series: Iterable[int], start_ms: int, end_ms: int) -> None:
        """Slots changed: what was remembered of them is wrong."""
        self._memory.note(series, start_ms, end_ms)

    async def bill(self, point: str, start_ms: int, end_ms: int, tariff_id: str | None = None) -> Bill:
        """The bill of a metering point; of closed times it may be remembered."""
        _check_range(start_ms, end_ms)
        meter = await self._sources.point(point)
        tariff = self._sources.tariff_for(point, end_ms, tariff_id)
        origins = self._sources.price_origins(tariff)
        named = tuple(sorted(origins.items(), key=lambda item: item[0]))
        key = BillKey(meter, tariff.id, start_ms, end_ms, named, self._sources.book.revision)
        found = self._memory.find(key)
        if found is not None:
            return found
        calendar = await self._sources.calendar(start_ms - 400 * DAY_MS, end_ms)
        from_ms, until_ms = await asyncio.to_thread(needed_ms, tariff, calendar, start_ms, end_ms)
        numbers = {*meter.series(), *(one.series for one in origins.values() if one.series is not None)}
        watched = self._memory.begin(numbers, from_ms, until_ms)
        try:
            made = await self._sources.read(meter, tariff, origins, from_ms, until_ms)
            result = await asyncio.to_thread(
                bill, tariff, made.usage, made.prices, made.calendar, start_ms, end_ms
            )
            closed = until_ms <= self._sources.database.now_ms()
            self._memory.end(watched, key if closed else None, result)
            return result
        finally:
            self._memory.end(watched)  # of what failed, too; a second end does nothing

    async def what_if(self, question: AskWhatIf) -> WhatIf:
        """The same engine over the same energy, with something changed."""
        start_ms, end_ms = question.start_ms, question.end_ms
        _check_range(start_ms, end_ms)
        meter = await self._sources.point(question.metering_point)
        tariff = self._sources.tariff_for(question.metering_point, end_ms, None)
        other = self._other_tariff(question.tariff, tariff)
        scenario = Scenario(other, question.battery, Fraction(question.pv_scale))
        calendar = await self._sources.calendar(start_ms - 400 * DAY_MS, end_ms)
        spans = [needed_ms(one, calendar, start_ms, end_ms) for one in (tariff, other) if one is not None]
        from_ms, until_ms = min(span[0] for span in spans), max(span[1] for span in spans)
        origins = self._sources.price_origins(*([tariff] if other is None else [tariff, other]))
        made = await self._sources.read(meter, tariff, origins, from_ms, until_ms)
        producers = solar_meters(self._sources.registry)
        production = None
        if producers:
            production = await self._sources.database.read(
                lambda conn: read_production(conn, producers, made.usage.first_ms, made.usage.end_ms)
            )
        return await asyncio.to_thread(
            what_if, tariff, scenario, made.usage, production, made.prices, made.calendar, start_ms, end_ms
        )

    def _other_tariff(self, asked: Mapping[str, Any] | str | None, actual: Tariff) -> Tariff | None:
        if asked is None:
            return None
        if isinstance(asked, str):
            return self._sources.book.tariff(asked).tariff
        defaults = {"id": "what-if", "metering_point": actual.metering_point}
        return parse_tariff({**defaults, **asked}, currency=actual.currency)

    async def compare(self, asked: str | Mapping[str, Any], tariff_id: str | None) -> ComparedInvoice:
        """An invoice beside the bill of its period."""
        invoice = self._sources.book.invoice(asked) if isinstance(asked, str) else parse_invoice(asked)
        ours = await self.bill(invoice.metering_point, invoice.start_ms, invoice.end_ms, tariff_id)
        return ComparedInvoice(invoice, ours, compare(ours, invoice.lines, total=invoice.total))


def _check_range(start_ms: int, end_ms: int) -> None:
    if end_ms - start_ms > MAX_BILL_MS:
        raise Refused(
            "WL-API-031", "a bill covers ten years at most", where="end", hint="ask for a shorter range"
        )
