"""An independent ledger: bills worked out quarter by quarter in plain decimals, from the text of a contract.

It shares nothing with the engine: local times come from :mod:`zoneinfo` one by one, prices are written down again
in each test, and sums are decimals. It is slow and plain on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from ruamel.yaml import YAML

from hub.energy.bill import Bill
from hub.energy.tariff import Tariff, parse_tariff
from hub.energy.usage import PriceColumn, Usage

QUARTER = timedelta(minutes=15)
QUARTER_MS = 900_000
EXAMPLES = Path(__file__).resolve().parents[3] / "config" / "examples" / "tariffs"

Line = tuple[str, Decimal]
Which = Callable[["Quarter"], bool]
Price = Callable[["Quarter"], Decimal]


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter hour: local time, kWh taken and given, and the prices of its series."""

    start_ms: int
    local: datetime
    taken: Decimal
    given: Decimal
    price: Mapping[str, Decimal]
    holiday: bool

    @property
    def hour(self) -> Decimal:
        """Hour of the day with its fraction: 16.25 for a quarter past four."""
        return Decimal(self.local.hour) + Decimal(self.local.minute) / 60

    @property
    def workday(self) -> bool:
        """Monday to Friday, holidays too."""
        return self.local.weekday() < 5

    def between(self, start: float, end: float) -> bool:
        """Whether the clock shows a time in ``[start, end)``, round midnight if need be."""
        hour = float(self.hour)
        return start <= hour < end if start < end else hour >= start or hour < end


@dataclass(frozen=True, slots=True)
class Book:
    """Quarters of a metering point from one local midnight to another, with what the engine needs of the same."""

    zone: str
    quarters: tuple[Quarter, ...]
    usage: Usage
    prices: Mapping[str, PriceColumn]
    holidays: frozenset[date]

    def part(self, first: str, last: str) -> list[Quarter]:
        """Quarters of the local dates ``[first, last)``."""
        low, high = self.at(first), self.at(last)
        return [one for one in self.quarters if low <= one.start_ms < high]

    def at(self, day: str) -> int:
        """Epoch milliseconds of a local midnight (one that exists)."""
        local = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(self.zone))
        return int(local.timestamp()) * 1000


def open_book(
    zone: str,
    first: str,
    last: str,
    *,
    series: Mapping[str, Callable[[int, datetime], int]] | None = None,
    holidays: Iterable[str] = (),
    level: int = 300,
    sun: int = 60,
) -> Book:
    """A book with made-up but fixed energy: ``level`` Wh at most per quarter, more in the evening, ``sun`` by day.

    ``series`` gives a price in 1e-8 for each quarter by its number and local time.
    """
    info = ZoneInfo(zone)
    free = frozenset(date.fromisoformat(day) for day in holidays)
    begin = datetime.combine(date.fromisoformat(first), datetime.min.time(), info).astimezone(UTC)
    end = datetime.combine(date.fromisoformat(last), datetime.min.time(), info).astimezone(UTC)
    first_ms = int(begin.timestamp()) * 1000
    count = int((end - begin) / QUARTER)
    quarters, taken, given = [], [], []
    columns: dict[str, list[int]] = {name: [] for name in series or {}}
    for number in range(count):
        local = (begin + number * QUARTER).astimezone(info)
        chance = (number + first_ms // QUARTER_MS) * 2_654_435_761 % 2**32
        use = chance % (level * 1000) * (3 if 17 <= local.hour < 22 else 1)
        light = max(0, 36 - (local.hour - 13) ** 2) * (chance // 7 % (level * sun))
        for name, rule in (series or {}).items():
            columns[name].append(rule(number, local))
        taken.append(max(use - light // 2, 0))
        given.append(max(light - use // 3, 0))
        quarters.append(
            Quarter(
                first_ms + number * QUARTER_MS,
                local,
                Decimal(taken[-1]) / 1_000_000,
                Decimal(given[-1]) / 1_000_000,
                {name: Decimal(column[-1]) / 10**8 for name, column in columns.items()},
                local.date() in free,
            )
        )
    known = np.ones(count, np.bool_)
    prices = {
        name: PriceColumn(first_ms, np.array(column, np.int64), known) for name, column in columns.items()
    }
    return Book(zone, tuple(quarters), Usage.measured(first_ms, taken, given), prices, free)


# sums


def energy(quarters: Iterable[Quarter], price: Price | str, which: Which = lambda q: True) -> Decimal:
    """What the energy that is taken in some quarters costs; each price is rounded to eight decimals."""
    return exact_sum(one.taken * _price(price, one) for one in quarters if which(one))


def fed_in(quarters: Iterable[Quarter], price: Price | str, which: Which = lambda q: True) -> Decimal:
    """What feed-in brings, as a negative amount."""
    return -exact_sum(one.given * _price(price, one) for one in quarters if which(one))


def kwh(quarters: Iterable[Quarter], which: Which = lambda q: True) -> Decimal:
    """Energy that is taken."""
    return exact_sum(one.taken for one in quarters if which(one))


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Decimals added without rounding."""
    with localcontext() as context:
        context.prec = 60
        return sum(amounts, Decimal(0))


def _price(price: Price | str, quarter: Quarter) -> Decimal:
    if isinstance(price, str):
        return Decimal(price)
    return price(quarter).quantize(Decimal("1e-8"), rounding=ROUND_HALF_EVEN)


def cents(amount: Decimal) -> Decimal:
    """Rounded as most invoices do."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def share(percent: str, lines: Iterable[Line]) -> Decimal:
    """A percentage of lines that are rounded already."""
    return cents(sum((amount for _, amount in lines), Decimal(0)) * Decimal(percent) / 100)


def block_kwh(amounts: Iterable[Decimal], limit: Decimal) -> tuple[Decimal, Decimal]:
    """Energy of one period up to a limit, and beyond."""
    total = exact_sum(amounts)
    return min(total, limit), max(total - limit, Decimal(0))


def peak_kw(quarters: Iterable[Quarter], which: Which = lambda q: True) -> Decimal:
    """The highest mean power of a quarter."""
    return max((one.taken * 4 for one in quarters if which(one)), default=Decimal(0))


def by_month(quarters: Iterable[Quarter]) -> dict[str, list[Quarter]]:
    """Quarters by local month."""
    months: dict[str, list[Quarter]] = {}
    for one in quarters:
        months.setdefault(f"{one.local:%Y-%m}", []).append(one)
    return months


def by_day(quarters: Iterable[Quarter]) -> dict[date, list[Quarter]]:
    """Quarters by local date."""
    days: dict[date, list[Quarter]] = {}
    for one in quarters:
        days.setdefault(one.local.date(), []).append(one)
    return days


# the other side


def example(name: str) -> Tariff:
    """A tariff of config/examples/tariffs."""
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe", pure=True).load(text)
    return parse_tariff(data["tariffs"][0])


def amounts(bill: Bill) -> list[Line]:
    """Names and amounts of a bill's lines, in their order."""
    return [(line.component, Decimal(line.amount_e8).scaleb(-8)) for line in bill.lines]
