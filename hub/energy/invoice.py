"""A bill beside the supplier's invoice, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hub.energy.bill import Bill, BillLine


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line as a person copies it from the invoice; ``kind`` and ``side`` may be empty, numbers missing."""

    component: str
    amount: Decimal
    side: str = ""
    kind: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the comparison: ours (None where we have no such line), theirs, and what explains the gap.

    ``amount_e8`` is theirs minus ours. ``reasons`` are among ``same``, ``rounding``, ``quantity``, ``price``,
    ``pending``, ``estimated``, ``only_ours``, ``only_theirs``, ``amount``.
    """

    ours: tuple[BillLine, ...]
    theirs: InvoiceLine | None
    amount_e8: int
    quantity: Decimal | None
    unit_price: Decimal | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, and the difference of the totals (theirs minus ours)."""

    rows: tuple[Difference, ...]
    total_e8: int

    def as_json(self) -> dict[str, Any]:
        """Decimal texts, as bills."""
        raise NotImplementedError


def compare(bill: Bill, invoice: Sequence[InvoiceLine], *, total: Decimal | None = None) -> Comparison:
    """Match invoice lines to bill lines by component name, then by kind and side; ``total`` is the invoice's."""
    raise NotImplementedError
