"""What the processing actor is asked about money; :class:`hub.actors.money.MoneyDesk` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from hub.config.settings import HubConfig
from hub.energy.bill import Bill
from hub.energy.budget import BudgetState
from hub.energy.invoice import Comparison
from hub.energy.money_entries import Budget, Invoice, PriceSeries
from hub.energy.peak import PeakState
from hub.energy.rating import SlotPrices
from hub.energy.tariff import Tariff
from hub.energy.whatif import Battery, WhatIf
from hub.runtime.actor import Request
from hub.storage.prices import PriceRow

Answer = TypeVar("Answer")

YAML = "yaml"
API = "api"


class MoneyRequest(Request[Answer]):
    """Base of all questions about money."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class MoneySettings:
    """What the configuration says about money; entries were checked when it was read."""

    currency: str = "EUR"
    country: str | None = None
    tariffs: Sequence[Mapping[str, Any]] = ()
    prices: Sequence[Mapping[str, Any]] = ()
    budgets: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, config: HubConfig) -> Self:
        """The part of the configuration that is about money."""
        kept = config.kept
        lists = (tuple(kept.get(name) or ()) for name in ("tariffs", "prices", "budgets"))
        return cls(config.site.currency, config.site.country, *lists)


@dataclass(frozen=True, slots=True)
class SetMoney(MoneyRequest[None]):
    """The configuration was read again."""

    settings: MoneySettings


# --- tariffs


@dataclass(frozen=True, slots=True)
class TariffView:
    """A tariff and who keeps it: ``yaml`` or ``api``."""

    tariff: Tariff
    source: str
    updated_ms: int | None = None


@dataclass(frozen=True, slots=True)
class GetTariffs(MoneyRequest[tuple[TariffView, ...]]):
    """All tariffs, by id."""


@dataclass(frozen=True, slots=True)
class CreateTariff(MoneyRequest[TariffView]):
    """A new tariff. Raises TariffProblems, or StateConflict where the id is taken."""

    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeTariff(MoneyRequest[TariffView]):
    """Fields of a tariff (``whole``: the whole of it). Raises NotFound, TariffProblems, StateConflict for YAML."""

    id: str
    data: Mapping[str, Any]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class RemoveTariff(MoneyRequest[None]):
    """Raises NotFound, StateConflict for YAML."""

    id: str


# --- prices


@dataclass(frozen=True, slots=True)
class PriceView:
    """A price series, who keeps it, and how far its rows reach."""

    series: PriceSeries
    kept_by: str
    first_ms: int | None = None
    end_ms: int | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class GetPriceSeries(MoneyRequest[tuple[PriceView, ...]]):
    """All price series, by id."""


@dataclass(frozen=True, slots=True)
class CreatePriceSeries(MoneyRequest[PriceView]):
    """A new price series. Raises TariffProblems, StateConflict."""

    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemovePriceSeries(MoneyRequest[None]):
    """A price series with its rows. Raises NotFound, StateConflict for YAML."""

    id: str


@dataclass(frozen=True, slots=True)
class PricePage:
    """Rows of one price series in time order; ``next_ms`` is the cursor of the following page."""

    series: PriceSeries
    rows: tuple[PriceRow, ...]
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class GetPriceRows(MoneyRequest[PricePage]):
    """Rows that reach into ``[start_ms, end_ms)``, uncut."""

    id: str
    start_ms: int
    end_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class SentPrice:
    """A row as it was sent; ``price`` is a decimal in the unit of the series."""

    start_ms: int
    end_ms: int
    price: str | int | float


@dataclass(frozen=True, slots=True)
class StoredPrices:
    """How many rows were new or changed, of how many; ``created`` where the series is new, too."""

    stored: int
    received: int
    created: bool


@dataclass(frozen=True, slots=True)
class PutPriceRows(MoneyRequest[StoredPrices]):
    """Write rows; a series that is not there yet is made. Raises TariffProblems, nothing is stored then."""

    id: str
    rows: Sequence[SentPrice]


@dataclass(frozen=True, slots=True)
class DropPriceRows(MoneyRequest[int]):
    """Take the prices of a time away; answers how many rows that touched. Raises NotFound."""

    id: str
    start_ms: int
    end_ms: int


# --- bills


@dataclass(frozen=True, slots=True)
class GetBill(MoneyRequest[Bill]):
    """The bill of a metering point. Raises NotFound without a point or a tariff, Refused for a wrong range."""

    metering_point: str
    start_ms: int
    end_ms: int
    tariff: str | None = None


@dataclass(frozen=True, slots=True)
class AskWhatIf(MoneyRequest[WhatIf]):
    """The bill as it was and as it would have been. Raises as :class:`GetBill`, TariffProblems."""

    metering_point: str
    start_ms: int
    end_ms: int
    tariff: Mapping[str, Any] | str | None = None
    battery: Battery | None = None
    pv_scale: str = "1"


@dataclass(frozen=True, slots=True)
class GetInvoices(MoneyRequest[tuple[Invoice, ...]]):
    """All invoices, by id."""


@dataclass(frozen=True, slots=True)
class PutInvoice(MoneyRequest[Invoice]):
    """A new invoice (``id`` None), or the whole of one. Raises TariffProblems, NotFound, StateConflict."""

    data: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveInvoice(MoneyRequest[None]):
    """Raises NotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class ComparedInvoice:
    """An invoice beside the bill of its period."""

    invoice: Invoice
    bill: Bill
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class CompareInvoice(MoneyRequest[ComparedInvoice]):
    """A stored invoice by id, or one that is only looked at. Raises as :class:`GetBill`, TariffProblems."""

    invoice: str | Mapping[str, Any]
    tariff: str | None = None


# --- budgets and peaks


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget, its running period and its state; without a tariff or a meter ``state`` is None and ``why`` says so.

    ``state`` counts 1e-8 ``currency`` for money, mWh for energy.
    """

    budget: Budget
    kept_by: str
    start_ms: int
    end_ms: int
    currency: str
    state: BudgetState | None
    pending_mwh: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class GetBudgetIds(MoneyRequest[tuple[str, ...]]):
    """Which budgets there are."""


@dataclass(frozen=True, slots=True)
class GetBudgets(MoneyRequest[tuple[BudgetView, ...]]):
    """Budgets with their state now. Raises NotFound for an id that is not there."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateBudget(MoneyRequest[BudgetView]):
    """Raises TariffProblems, StateConflict."""

    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeBudget(MoneyRequest[BudgetView]):
    """Fields of a budget. Raises NotFound, TariffProblems, StateConflict for YAML."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoveBudget(MoneyRequest[None]):
    """Raises NotFound, StateConflict for YAML."""

    id: str


@dataclass(frozen=True, slots=True)
class PeakView:
    """The running quarter hour of a metering point; ``currency`` is empty where no tariff holds."""

    metering_point: str
    tariff: str | None
    currency: str
    state: PeakState


@dataclass(frozen=True, slots=True)
class GetPeak(MoneyRequest[PeakView]):
    """Where the running quarter hour is heading. Raises NotFound without a metering point."""

    metering_point: str


@dataclass(frozen=True, slots=True)
class GetSlotPrices(MoneyRequest[SlotPrices | None]):
    """Prices of the grid connection for ``count`` slots from ``first_ms``; None where no tariff can be applied."""

    first_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class PriceNow:
    """What one more kWh costs and brings now, in 1e-8 ``currency``; None where it is not known."""

    tariff: str
    currency: str
    import_e8: int | None
    export_e8: int | None


@dataclass(frozen=True, slots=True)
class GetPriceNow(MoneyRequest[PriceNow | None]):
    """The price of this moment at a metering point; None without a tariff."""

    metering_point: str
