"""The desk of money: takes the questions about tariffs, prices, bills, budgets and peaks to who knows the answer.

Bills are made by :mod:`hub.actors.bills`, budgets and peaks by :mod:`hub.actors.money_watch`; sums are in
``hub.energy``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from hub.actors.bills import Bills
from hub.actors.board import LatestBoard
from hub.actors.money_book import MoneyBook
from hub.actors.money_prices import SitePrices
from hub.actors.money_requests import (
    AskWhatIf,
    ChangeBudget,
    ChangeTariff,
    CompareInvoice,
    CreateBudget,
    CreatePriceSeries,
    CreateTariff,
    DropPriceRows,
    GetBill,
    GetBudgetIds,
    GetBudgets,
    GetInvoices,
    GetPeak,
    GetPriceNow,
    GetPriceRows,
    GetPriceSeries,
    GetSlotPrices,
    GetTariffs,
    MoneyRequest,
    MoneySettings,
    PricePage,
    PriceView,
    PutInvoice,
    PutPriceRows,
    RemoveBudget,
    RemoveInvoice,
    RemovePriceSeries,
    RemoveTariff,
    SetMoney,
)
from hub.actors.money_sources import MoneySources
from hub.actors.money_watch import MoneyWatch
from hub.actors.registry import Registry
from hub.storage.database import Database
from hub.storage.prices import PriceRow, delete_prices, price_extent, read_prices


class MoneyDesk:
    """Answers :class:`MoneyRequest`; owned by the processing actor, on whose loop it runs."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        board: LatestBoard,
        zone: str,
        settings: MoneySettings | None = None,
    ) -> None:
        self._database = database
        self.book = MoneyBook(database, settings or MoneySettings())
        self.sources = sources = MoneySources(database, registry, self.book, zone)
        self.bills = Bills(sources)
        self.prices = SitePrices(sources)
        self._watch = MoneyWatch(sources, self.bills, board)

    async def load(self) -> None:
        """Read what is stored."""
        await self.book.load()

    def note(self, series: Iterable[int], start_ms: int, end_ms: int) -> None:
        """Slots changed: what was remembered of them is wrong."""
        numbers = tuple(series)
        self.bills.note(numbers, start_ms, end_ms)
        self.prices.note(numbers)

    def answer(self, question: MoneyRequest[Any]) -> Awaitable[Any]:
        """The answer to a question, as something to wait for."""
        book, bills, watch = self.book, self.bills, self._watch
        match question:
            case SetMoney(settings):
                return self._configure(settings)
            case GetTariffs():
                return _now(tuple(book.tariffs[key] for key in sorted(book.tariffs)))
            case CreateTariff(data):
                return book.create_tariff(data)
            case ChangeTariff(tariff_id, data, whole):
                return book.change_tariff(tariff_id, data, whole=whole)
            case RemoveTariff(tariff_id):
                return book.remove_tariff(tariff_id)
            case GetBill(point, start_ms, end_ms, tariff):
                return bills.bill(point, start_ms, end_ms, tariff)
            case AskWhatIf():
                return bills.what_if(question)
            case GetInvoices():
                return _now(tuple(book.invoices[key] for key in sorted(book.invoices)))
            case PutInvoice(data, invoice_id):
                return book.put_invoice(data, invoice_id)
            case RemoveInvoice(invoice_id):
                return book.remove_invoice(invoice_id)
            case CompareInvoice(invoice, tariff):
                return bills.compare(invoice, tariff)
            case GetBudgetIds():
                return _now(tuple(sorted(book.budgets)))
            case GetBudgets() | CreateBudget() | ChangeBudget() | RemoveBudget() | GetPeak():
                return watch.answer(question)
        return self._answer_about_prices(question)

    def _answer_about_prices(self, question: MoneyRequest[Any]) -> Awaitable[Any]:
        match question:
            case GetPriceNow(point):
                return self.prices.now(point)
            case GetSlotPrices(first_ms, count):
                return self.prices.slot_prices(first_ms, count)
            case GetPriceSeries():
                return self.price_list()
            case CreatePriceSeries(data):
                return self._create_prices(data)
            case RemovePriceSeries(price_id):
                return self.book.remove_prices(price_id)
            case GetPriceRows(price_id, start_ms, end_ms, limit):
                return self.price_page(price_id, start_ms, end_ms, limit)
            case PutPriceRows(price_id, rows):
                return self.book.put_rows(price_id, rows)
            case DropPriceRows(price_id, start_ms, end_ms):
                return self._drop_prices(price_id, start_ms, end_ms)
        raise TypeError(f"no answer to {type(question).__name__}")

    async def _configure(self, settings: MoneySettings) -> None:
        self.book.configure(settings)

    # --- prices

    async def price_list(self) -> tuple[PriceView, ...]:
        """All price series with the reach of their rows."""
        extents = await self._database.read(price_extent)
        return tuple(
            PriceView(*self.book.prices[key], *extents.get(key, (None, None, 0)))
            for key in sorted(self.book.prices)
        )

    async def _create_prices(self, data: Mapping[str, Any]) -> PriceView:
        series = await self.book.create_prices(data)
        return PriceView(*self.book.prices[series.id])

    async def price_page(self, price_id: str, start_ms: int, end_ms: int, limit: int) -> PricePage:
        """Rows of one series, a page at a time."""
        series = self.book.price_series(price_id)
        found = await self._database.read(
            lambda conn: read_prices(conn, price_id, start_ms, end_ms, limit=limit + 1)
        )
        rows = tuple(
            PriceRow(*row)
            for row in zip(
                found.start_ms.tolist(), found.end_ms.tolist(), found.price_e8.tolist(), strict=True
            )
        )
        return PricePage(series, rows[:limit], rows[limit].start_ms if len(rows) > limit else None)

    async def _drop_prices(self, price_id: str, start_ms: int, end_ms: int) -> int:
        self.book.price_series(price_id)
        gone = await self._database.write(
            lambda conn: delete_prices(conn, price_id, start_ms, end_ms), label="prices"
        )
        self.book.revision += 1
        return gone


async def _now(value: Any) -> Any:
    return value
