"""A bill beside the supplier's invoice, line by line, and what explains each difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from fractions import Fraction
from typing import Any, Final

from hub.energy.bill import Bill, BillLine
from hub.energy.money import E8, Rounding, decimal_text, round_fraction

_ALIKE: Final = 0.75
"""Names with less in common are not taken for the same line."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line as a person copies it from the invoice; ``kind`` and ``side`` may be empty, numbers missing.

    Amounts have the signs of our bills: what is paid to you is negative.
    """

    component: str
    amount: Decimal
    side: str = ""
    kind: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the comparison: ours (empty where we have no such line), theirs, and what explains the gap.

    All differences are theirs minus ours. ``amount_e8`` is the sum of the three effects exactly: of the other
    quantity at our price, of the other price at their quantity, and the rest. ``reasons`` are among ``same``,
    ``rounding``, ``quantity``, ``price``, ``pending``, ``estimated``, ``amount``, ``only_ours``, ``only_theirs``.
    """

    ours: tuple[BillLine, ...]
    theirs: InvoiceLine | None
    amount_e8: int
    quantity: Fraction | None
    unit_price: Fraction | None
    quantity_effect_e8: int
    price_effect_e8: int
    rest_e8: int
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Both lines and the differences as decimal text."""
        ours, theirs = self.ours, self.theirs
        return {
            "component": theirs.component if theirs else ours[0].component,
            "ours": [line.as_json() for line in ours],
            "theirs": _theirs_json(theirs) if theirs else None,
            "difference": _money(self.amount_e8),
            "quantity": None if self.quantity is None else decimal_text(self.quantity, least=0, most=6),
            "unit_price": None if self.unit_price is None else decimal_text(self.unit_price, least=0, most=8),
            "by_quantity": _money(self.quantity_effect_e8),
            "by_price": _money(self.price_effect_e8),
            "rest": _money(self.rest_e8),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows in the order of the bill, lines of the invoice alone last; and the totals' difference."""

    rows: tuple[Difference, ...]
    ours_e8: int
    theirs_e8: int

    @property
    def total_e8(self) -> int:
        """Theirs minus ours."""
        return self.theirs_e8 - self.ours_e8

    def as_json(self) -> dict[str, Any]:
        """Decimal texts, as bills."""
        return {
            "rows": [row.as_json() for row in self.rows],
            "ours": _money(self.ours_e8),
            "theirs": _money(self.theirs_e8),
            "difference": _money(self.total_e8),
        }


def compare(bill: Bill, invoice: Sequence[InvoiceLine], *, total: Decimal | None = None) -> Comparison:
    """Match invoice lines to the bill's components: by name, then by a name much alike, then by kind and side.

    Lines of one component (blocks of a tier, versions) are compared as one, unless the invoice has as many
    lines of that name; then they are paired in order. ``total`` is the invoice's own; else its lines' sum.
    """
    ours = _by_component(bill.lines)
    pairs = _paired(ours, list(invoice))
    rows = []
    for component in ours:
        theirs = pairs.get(component, [])
        lines = ours[component]
        if len(theirs) == len(lines):
            rows += [_difference((line,), their) for line, their in zip(lines, theirs, strict=True)]
        else:
            rows += _uneven(lines, theirs)
    matched = [id(line) for lines in pairs.values() for line in lines]
    rows += [_difference((), line) for line in invoice if id(line) not in matched]
    stated = sum((line.amount for line in invoice), Decimal(0)) if total is None else total
    return Comparison(tuple(rows), bill.total_e8, _e8(Fraction(stated)))


_Component = tuple[str, str, str]  # name, side, kind


def _by_component(lines: Sequence[BillLine]) -> dict[_Component, list[BillLine]]:
    found: dict[_Component, list[BillLine]] = {}
    for line in lines:
        found.setdefault((line.component, line.side, line.kind), []).append(line)
    return found


def _paired(
    ours: dict[_Component, list[BillLine]], invoice: list[InvoiceLine]
) -> dict[_Component, list[InvoiceLine]]:
    pairs: dict[_Component, list[InvoiceLine]] = {}
    left = list(invoice)
    for rule in (_same_name, _like_name, _only_kind):
        for line in list(left):
            free = [one for one in ours if one not in pairs or rule is _same_name]
            found = rule(line, [one for one in free if _fits(line, one)])
            if found:
                pairs.setdefault(found, []).append(line)
                left.remove(line)
    return pairs


def _fits(line: InvoiceLine, component: _Component) -> bool:
    _, side, kind = component
    return line.side in ("", side) and line.kind in ("", kind)


def _same_name(line: InvoiceLine, free: list[_Component]) -> _Component | None:
    return next((one for one in free if _plain(one[0]) == _plain(line.component)), None)


def _like_name(line: InvoiceLine, free: list[_Component]) -> _Component | None:
    scored = [
        (SequenceMatcher(None, _plain(one[0])[:100], _plain(line.component)[:100]).ratio(), one)
        for one in free
    ]
    best = max(scored, default=(0.0, None), key=lambda one: one[0])
    return best[1] if best[0] >= _ALIKE else None


def _only_kind(line: InvoiceLine, free: list[_Component]) -> _Component | None:
    return free[0] if line.kind and len(free) == 1 else None


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _uneven(lines: list[BillLine], theirs: list[InvoiceLine]) -> list[Difference]:
    if not theirs:
        return [_difference((line,), None) for line in lines]
    return [_difference(tuple(lines), theirs[0]), *(_difference((), line) for line in theirs[1:])]


def _difference(ours: tuple[BillLine, ...], theirs: InvoiceLine | None) -> Difference:
    mine_e8 = sum(line.amount_e8 for line in ours)
    their_e8 = _e8(Fraction(theirs.amount)) if theirs else 0
    gap_e8 = their_e8 - mine_e8
    if not ours or theirs is None:
        reason = "only_ours" if theirs is None else "only_theirs"
        return Difference(ours, theirs, gap_e8, None, None, 0, 0, gap_e8, (reason,))
    quantity, price = _quantity(ours), _unit_price(ours)
    more = _gap(theirs.quantity, quantity)
    dearer = _gap(theirs.unit_price, price)
    sign = -1 if ours[0].side == "export" else 1
    by_quantity = _e8(sign * more * price) if more and price is not None else 0
    counted = quantity if theirs.quantity is None else Fraction(theirs.quantity)
    by_price = _e8(sign * dearer * counted) if dearer and counted is not None else 0
    rest = gap_e8 - by_quantity - by_price
    reasons = _reasons(ours, gap_e8, rest, quantity_differs=bool(more), price_differs=bool(dearer))
    return Difference(ours, theirs, gap_e8, more, dearer, by_quantity, by_price, rest, reasons)


def _reasons(
    ours: tuple[BillLine, ...], gap_e8: int, rest_e8: int, *, quantity_differs: bool, price_differs: bool
) -> tuple[str, ...]:
    if gap_e8 == 0:
        return ("same",)
    found = []
    if quantity_differs:
        found.append("quantity")
    if price_differs:
        found.append("price")
    if any(line.pending_mwh for line in ours):
        found.append("pending")
    if any(line.quality.measured + line.quality.late < 1 - 1e-9 for line in ours):
        found.append("estimated")
    if 0 < abs(rest_e8) <= sum(line.step_e8 for line in ours):
        found.append("rounding")
    return tuple(found) or ("amount",)


def _quantity(ours: tuple[BillLine, ...]) -> Fraction | None:
    if len({line.unit for line in ours}) > 1:
        return None
    return sum((line.quantity for line in ours), Fraction(0))


def _unit_price(ours: tuple[BillLine, ...]) -> Fraction | None:
    """The common price; of lines with several prices their mean."""
    prices = {line.unit_price for line in ours}
    if len(prices) == 1:
        return prices.pop()
    quantity = _quantity(ours)
    if not quantity:
        return None
    return sum((line.unit_price * line.quantity for line in ours), Fraction(0)) / quantity


def _gap(theirs: Decimal | None, mine: Fraction | None) -> Fraction | None:
    """Theirs minus ours as far as their decimals tell; None where either is not known."""
    if theirs is None or mine is None:
        return None
    places = max(-int(theirs.as_tuple().exponent), 0)
    seen = Fraction(round_fraction(mine * 10**places, Rounding.HALF_UP), 10**places)
    return Fraction(0) if seen == Fraction(theirs) else Fraction(theirs) - mine


def _e8(amount: Fraction) -> int:
    return round_fraction(amount * E8, Rounding.HALF_EVEN)


def _money(amount_e8: int) -> str:
    return decimal_text(Fraction(amount_e8, E8), least=2, most=8)


def _theirs_json(line: InvoiceLine) -> dict[str, Any]:
    return {
        "component": line.component,
        "side": line.side,
        "kind": line.kind,
        "quantity": None if line.quantity is None else format(line.quantity, "f"),
        "unit_price": None if line.unit_price is None else format(line.unit_price, "f"),
        "amount": format(line.amount, "f"),
    }
