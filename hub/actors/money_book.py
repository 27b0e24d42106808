"""The book of money: tariffs, price series, budgets and invoices of the configuration and of people, by id.

What the configuration says is read-only here and wins over an entry of people with the same id, which stays
stored and comes back when the configuration lets go of the id. A change is in the store before it is in the book.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

from hub.actors.money_requests import API, YAML, MoneySettings, SentPrice, StoredPrices, TariffView
from hub.energy.money_entries import (
    Budget,
    Invoice,
    PriceSeries,
    parse_budget,
    parse_invoice,
    parse_price_series,
)
from hub.energy.problems import Problem, TariffProblems
from hub.energy.tariff import Tariff, parse_tariff
from hub.errors import NotFound, StateConflict
from hub.storage.database import Database
from hub.storage.money import BudgetRow, InvoiceRow, PriceSeriesRow, Row, TariffRow, delete, load_money, save
from hub.storage.prices import ROWS_PER_JOB, PriceRow, write_prices

LOGGER = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
MAX_ENTRIES: Final = 1_000
MAX_ROW_MS: Final = 366 * 86_400_000


class MoneyBook:
    """Everything about money that fits into memory; ``revision`` rises with all that may change a price."""

    def __init__(self, database: Database, settings: MoneySettings) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self.revision = 0
        self.tariffs: dict[str, TariffView] = {}
        self.prices: dict[str, tuple[PriceSeries, str]] = {}
        self.budgets: dict[str, tuple[Budget, str]] = {}
        self.invoices: dict[str, Invoice] = {}
        self._stored_tariffs: dict[str, TariffView] = {}
        self._stored_prices: dict[str, PriceSeries] = {}
        self._stored_budgets: dict[str, Budget] = {}
        self.settings = settings
        self.configure(settings)

    async def load(self) -> None:
        """Read what is stored."""
        rows = await self._database.read(load_money)
        self._stored_tariffs = _read(rows.tariffs, _tariff_view)
        self._stored_prices = _read(rows.prices, _price_series)
        self._stored_budgets = _read(rows.budgets, lambda row: parse_budget(row.body))
        self.invoices = _read(rows.invoices, lambda row: parse_invoice(row.body))
        self.configure(self.settings)

    def configure(self, settings: MoneySettings) -> None:
        """Take over what the configuration says, over what is stored."""
        before = self._priced_by()
        self.settings = settings
        tariffs = [parse_tariff(data, currency=settings.currency) for data in settings.tariffs]
        prices = [parse_price_series(data, settings.currency) for data in settings.prices]
        budgets = [parse_budget(data) for data in settings.budgets]
        self.tariffs = self._stored_tariffs | {one.id: TariffView(one, YAML) for one in tariffs}
        self.prices = {one.id: (one, API) for one in self._stored_prices.values()}
        taken = {one.formula_name for one in prices}
        self.prices = {key: kept for key, kept in self.prices.items() if kept[0].formula_name not in taken}
        self.prices |= {one.id: (one, YAML) for one in prices}
        self.budgets = {one.id: (one, API) for one in self._stored_budgets.values()}
        self.budgets |= {one.id: (one, YAML) for one in budgets}
        self.revision += self._priced_by() != before

    def _priced_by(self) -> tuple[object, ...]:
        """All that prices depend on, but the rows of price series."""
        return self.tariffs, self.prices, self.settings.currency, self.settings.country

    # --- look-ups

    def tariff(self, tariff_id: str) -> TariffView:
        """A tariff. Raises NotFound ``WL-API-404``, as the next three."""
        return _found(self.tariffs, tariff_id, "tariff")

    def tariff_of(self, point: str, end_ms: int, today: Callable[[int], Any]) -> Tariff | None:
        """The tariff of a metering point: of several, the one with the newest version that began before ``end_ms``.

        ``today`` gives the site-local date of an instant.
        """
        last_day = today(max(end_ms - 1, 0))
        mine = [view.tariff for view in self.tariffs.values() if view.tariff.metering_point == point]

        def newest(tariff: Tariff) -> tuple[bool, Any, str]:
            begun = [version.valid_from for version in tariff.versions if version.valid_from <= last_day]
            return (bool(begun), max(begun, default=tariff.versions[0].valid_from), tariff.id)

        return max(mine, key=newest, default=None)

    def price_series(self, price_id: str) -> PriceSeries:
        """A price series."""
        return _found(self.prices, price_id, "price series")[0]

    def price_named(self, formula_name: str) -> PriceSeries | None:
        """The price series that a formula means."""
        return next((one for one, _ in self.prices.values() if one.formula_name == formula_name), None)

    def budget(self, budget_id: str) -> Budget:
        """A budget."""
        return _found(self.budgets, budget_id, "budget")[0]

    def invoice(self, invoice_id: str) -> Invoice:
        """An invoice."""
        return _found(self.invoices, invoice_id, "invoice")

    # --- tariffs

    async def create_tariff(self, data: Mapping[str, Any]) -> TariffView:
        """Store a new tariff."""
        tariff = self._parsed_tariff(data)
        async with self._turn:
            _refuse_taken(self.tariffs, tariff.id, "tariff")
            return await self._save_tariff(tariff)

    async def change_tariff(self, tariff_id: str, data: Mapping[str, Any], *, whole: bool) -> TariffView:
        """Store another state of a tariff."""
        async with self._turn:
            before = self.tariff(tariff_id)
            _refuse_yaml(before.source, "tariff", tariff_id)
            _refuse_rename(data, tariff_id)
            base = {} if whole else before.tariff.as_data()
            return await self._save_tariff(self._parsed_tariff({**base, **data, "id": tariff_id}))

    async def remove_tariff(self, tariff_id: str) -> None:
        """Forget a tariff."""
        async with self._turn:
            _refuse_yaml(self.tariff(tariff_id).source, "tariff", tariff_id)
            await self._delete(TariffRow, tariff_id)
            self._stored_tariffs.pop(tariff_id)
            self.configure(self.settings)

    def _parsed_tariff(self, data: Mapping[str, Any]) -> Tariff:
        return parse_tariff(data, currency=self.settings.currency)

    async def _save_tariff(self, tariff: Tariff) -> TariffView:
        now_ms = self._database.now_ms()
        row = TariffRow(
            tariff.id, tariff.name, tariff.metering_point, tariff.currency, tariff.as_data(), now_ms, now_ms
        )
        await self._save(row, len(self._stored_tariffs))
        self._stored_tariffs[tariff.id] = TariffView(tariff, API, now_ms)
        self.configure(self.settings)
        return self.tariffs[tariff.id]

    # --- prices

    async def create_prices(self, data: Mapping[str, Any]) -> PriceSeries:
        """Store a new price series."""
        series = parse_price_series(data, self.settings.currency)
        async with self._turn:
            if self.price_named(series.formula_name) is not None:
                _taken(series.id, "price series")
            await self._save_prices(series)
            return series

    async def remove_prices(self, price_id: str) -> None:
        """Forget a price series and its rows."""
        async with self._turn:
            _refuse_yaml(_found(self.prices, price_id, "price series")[1], "price series", price_id)
            await self._delete(PriceSeriesRow, price_id)
            self._stored_prices.pop(price_id)
            self.configure(self.settings)

    async def put_rows(self, price_id: str, sent: Sequence[SentPrice]) -> StoredPrices:
        """Store rows, all or none of them; a series of this id is made where none is there."""
        async with self._turn:
            known = price_id in self.prices
            series = (
                self.prices[price_id][0]
                if known
                else parse_price_series({"id": price_id}, self.settings.currency)
            )
            if series.series is not None:
                raise StateConflict(
                    "WL-MNY-016",
                    f"the prices of {price_id} come from the series {series.series}",
                    where="id",
                    hint="send readings to that series, or take `series` out of the price series",
                )
            rows = await asyncio.to_thread(_price_rows, series, sent)
            if not known:
                if self.price_named(series.formula_name) is not None:
                    _taken(price_id, "price series")
                await self._save_prices(series)
            return StoredPrices(await self._write_rows(price_id, rows), len(sent), not known)

    async def _write_rows(self, price_id: str, rows: Sequence[PriceRow]) -> int:
        now_ms = self._database.now_ms()
        stored = 0
        for first in range(0, len(rows), ROWS_PER_JOB):
            part = rows[first : first + ROWS_PER_JOB]
            stored += await self._database.write(
                lambda conn, part=part: write_prices(conn, price_id, part, API, now_ms),  # type: ignore[misc]  # bound per turn
                label="prices",
            )
            self.revision += 1
        return stored

    async def _save_prices(self, series: PriceSeries) -> None:
        row = PriceSeriesRow(
            series.id, series.name, series.unit.text, series.source, series.series, self._database.now_ms()
        )
        await self._save(row, len(self._stored_prices))
        self._stored_prices[series.id] = series
        self.configure(self.settings)

    # --- budgets

    async def create_budget(self, data: Mapping[str, Any]) -> Budget:
        """Store a new budget."""
        budget = parse_budget(data)
        async with self._turn:
            _refuse_taken(self.budgets, budget.id, "budget")
            return await self._save_budget(budget)

    async def change_budget(self, budget_id: str, data: Mapping[str, Any]) -> Budget:
        """Store other fields of a budget."""
        async with self._turn:
            before, source = _found(self.budgets, budget_id, "budget")
            _refuse_yaml(source, "budget", budget_id)
            _refuse_rename(data, budget_id)
            limits = {"amount", "energy_kwh"}
            kept = {
                key: value
                for key, value in before.as_json().items()
                if key not in limits or not limits & data.keys()
            }
            return await self._save_budget(parse_budget({**kept, **data}))

    async def remove_budget(self, budget_id: str) -> None:
        """Forget a budget."""
        async with self._turn:
            _refuse_yaml(_found(self.budgets, budget_id, "budget")[1], "budget", budget_id)
            await self._delete(BudgetRow, budget_id)
            self._stored_budgets.pop(budget_id)
            self.configure(self.settings)

    async def _save_budget(self, budget: Budget) -> Budget:
        now_ms = self._database.now_ms()
        row = BudgetRow(budget.id, budget.metering_point, budget.as_json(), now_ms, now_ms)
        await self._save(row, len(self._stored_budgets))
        self._stored_budgets[budget.id] = budget
        self.configure(self.settings)
        return budget

    # --- invoices

    async def put_invoice(self, data: Mapping[str, Any], invoice_id: str | None) -> Invoice:
        """Store a new invoice, or another state of one."""
        async with self._turn:
            if invoice_id is not None:
                self.invoice(invoice_id)
                _refuse_rename(data, invoice_id)
            invoice = parse_invoice(data if invoice_id is None else {**data, "id": invoice_id})
            if invoice_id is None:
                _refuse_taken(self.invoices, invoice.id, "invoice")
            now_ms = self._database.now_ms()
            row = InvoiceRow(
                invoice.id, invoice.metering_point, invoice.start_ms, invoice.end_ms, invoice.as_json(),
                now_ms, now_ms,
            )  # fmt: skip
            await self._save(row, len(self.invoices))
            self.invoices[invoice.id] = invoice
            return invoice

    async def remove_invoice(self, invoice_id: str) -> None:
        """Forget an invoice."""
        async with self._turn:
            self.invoice(invoice_id)
            await self._delete(InvoiceRow, invoice_id)
            del self.invoices[invoice_id]

    # --- rows

    async def _save(self, row: Row, count: int) -> None:
        if count >= MAX_ENTRIES:
            raise StateConflict(
                "WL-MNY-013", f"there are {MAX_ENTRIES} of these already", hint="remove old ones first"
            )
        await self._database.write(lambda conn: save(conn, row), label="money")

    async def _delete(self, kind: type[Row], row_id: str) -> None:
        await self._database.write(lambda conn: delete(conn, kind, row_id), label="money")


def _read(rows: Mapping[str, R], parse: Callable[[R], T]) -> dict[str, T]:
    """Stored rows as what they mean; one that this version cannot read is left out, and stays stored."""
    found: dict[str, T] = {}
    for key, row in rows.items():
        try:
            found[key] = parse(row)
        except TariffProblems as error:
            LOGGER.warning("%s cannot be read and is left out: %s", key, error)
    return found


def _tariff_view(row: TariffRow) -> TariffView:
    return TariffView(parse_tariff(row.body, currency=row.currency), API, row.updated_ms)


def _price_series(row: PriceSeriesRow) -> PriceSeries:
    data = {"id": row.id, "name": row.name, "unit": row.unit, "source": row.source, "series": row.series}
    return parse_price_series(data, "EUR")


def _price_rows(series: PriceSeries, sent: Sequence[SentPrice]) -> list[PriceRow]:
    """Rows in time order. Raises TariffProblems with everything that is wrong."""
    problems: list[Problem] = []
    rows: list[tuple[PriceRow, int]] = []
    for at, one in enumerate(sent):
        if not 0 < one.end_ms - one.start_ms <= MAX_ROW_MS:
            text = "end has to lie after start, by a year at most"
            problems.append(Problem((at, "end"), "WL-MNY-002", text))
            continue
        try:
            rows.append((PriceRow(one.start_ms, one.end_ms, series.unit.e8_of(one.price)), at))
        except ValueError as error:
            problems.append(Problem((at, "price"), "WL-MNY-002", str(error)))
    rows.sort()
    ordered: list[PriceRow] = []
    for row, at in rows:
        if ordered and row == ordered[-1]:
            continue
        if ordered and row.start_ms < ordered[-1].end_ms:
            text = "this row overlaps another one of the same message"
            problems.append(Problem((at, "start"), "WL-MNY-005", text, "send each time once"))
        ordered.append(row)
    if problems:
        raise TariffProblems(problems)
    return ordered


def _found(things: Mapping[str, T], key: str, what: str) -> T:
    found = things.get(key)
    if found is None:
        raise NotFound("WL-API-404", f"there is no {what} {key[:80]!r}", where="id")
    return found


def _refuse_taken(things: Mapping[str, Any], key: str, what: str) -> None:
    if key in things:
        _taken(key, what)


def _taken(key: str, what: str) -> NoReturn:
    raise StateConflict(
        "WL-MNY-014",
        f"there is a {what} {key[:80]!r} already",
        where="id",
        hint="choose another id, or change that one",
    )


def _refuse_yaml(source: str, what: str, key: str) -> None:
    if source == YAML:
        raise StateConflict(
            "WL-MNY-012",
            f"the {what} {key[:80]!r} is part of the configuration and read-only here",
            where="id",
            hint="change it in its YAML file and reload",
        )


def _refuse_rename(data: Mapping[str, Any], key: str) -> None:
    if data.get("id", key) != key:
        raise TariffProblems([Problem(("id",), "WL-MNY-002", "the id of a thing cannot be changed")])
