"""Prices as people send them → whole numbers per slot: units, decimals, and rows laid on the 15-minute grid.

A price is an integer of 1e-8 currency per kWh (``price_e8``). The price of a slot is the mean of the rows in it,
weighted by time and rounded half to even; a slot that rows cover only in part has no price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.slots import SLOT_MS
from hub.errors import Refused

E8: Final = 100_000_000
MAX_PRICE_E8: Final = 10_000 * E8
"""No price beyond 10,000 currency per kWh, either way."""
CODE: Final = "1"
"""The unit of plain numbers: codes of kinds of days, factors."""
_UNIT: Final = re.compile(r"(?P<money>[A-Z]{3}|ct|c|cent|p|øre|öre)/(?P<energy>Wh|kWh|MWh)\Z")
_PER_KWH: Final = {"Wh": Decimal(1000), "kWh": Decimal(1), "MWh": Decimal("0.001")}


@dataclass(frozen=True, slots=True)
class PriceUnit:
    """A unit of prices: ``currency`` is empty for hundredths of whatever currency the site has."""

    text: str
    currency: str
    per_kwh: Decimal
    """Factor from this unit to currency per kWh."""

    def e8_of(self, text: str | int | float) -> int:
        """A price in this unit → 1e-8 currency per kWh, exactly. A binary number is taken to 15 digits.

        Raises:
            ValueError: no decimal number, finer than 1e-8 per kWh, or beyond :data:`MAX_PRICE_E8`.
        """
        price = _decimal(text) * self.per_kwh * E8
        if abs(price) > MAX_PRICE_E8:
            raise ValueError("the price is beyond 10,000 per kWh")
        if price != price.to_integral_value():
            unit = "" if self.text == CODE else " per kWh"
            raise ValueError(f"the price has more than 8 decimals{unit}")
        return int(price)

    def text_of(self, price_e8: int) -> str:
        """1e-8 currency per kWh → a decimal text in this unit, without needless zeros."""
        return plain(Decimal(price_e8) / E8 / self.per_kwh)


def price_unit(text: str) -> PriceUnit:
    """The unit of a text such as ``EUR/kWh``, ``EUR/MWh`` or ``ct/kWh``.

    Raises:
        Refused: ``WL-MNY-001``.
    """
    if text == CODE:
        return PriceUnit(text, "", Decimal(1))
    match = _UNIT.match(text)
    if match is None:
        raise Refused(
            "WL-MNY-001",
            f"{text[:40]!r} is not a unit of prices",
            where="unit",
            hint="write for instance EUR/kWh, EUR/MWh or ct/kWh; 1 for codes of days",
        )
    cents = not match["money"].isupper()
    factor = _PER_KWH[match["energy"]] * (Decimal("0.01") if cents else 1)
    return PriceUnit(text, "" if cents else match["money"], factor)


def plain(number: Decimal) -> str:
    """A decimal number without exponent and without needless zeros: ``0.0871``, ``12``."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_slots(
    start_ms: NDArray[np.int64],
    end_ms: NDArray[np.int64],
    price_e8: NDArray[np.int64],
    first_ms: int,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows in time order without overlaps → price and a known mask of ``count`` slots from ``first_ms`` on."""
    slots_ms = first_ms + SLOT_MS * np.arange(count, dtype=np.int64)
    prices, known = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    if not len(start_ms) or not count:
        return prices, known
    at = np.searchsorted(start_ms, slots_ms, side="right") - 1
    held = (at >= 0) & (end_ms[at] >= slots_ms + SLOT_MS)
    prices[held], known[held] = price_e8[at[held]], True
    ends = np.searchsorted(start_ms, slots_ms + SLOT_MS, side="left")
    for slot in np.flatnonzero(~held & (ends > np.maximum(at, 0))).tolist():
        mean = _mean_price(
            start_ms, end_ms, price_e8, int(slots_ms[slot]), max(int(at[slot]), 0), int(ends[slot])
        )
        if mean is not None:
            prices[slot], known[slot] = mean, True
    return prices, known


def _mean_price(
    start_ms: NDArray[np.int64],
    end_ms: NDArray[np.int64],
    price_e8: NDArray[np.int64],
    slot_ms: int,
    low: int,
    high: int,
) -> int | None:
    """Mean over the rows ``[low, high)`` inside one slot; None where they leave a part of it open."""
    total, covered_ms = 0, 0
    for row in range(low, high):
        length_ms = min(int(end_ms[row]), slot_ms + SLOT_MS) - max(int(start_ms[row]), slot_ms)
        if length_ms > 0:
            total += int(price_e8[row]) * length_ms
            covered_ms += length_ms
    if covered_ms < SLOT_MS:
        return None
    return int((Decimal(total) / SLOT_MS).to_integral_value(ROUND_HALF_EVEN))


def _decimal(value: str | int | float) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("true and false are no prices")
    text = f"{value:.15g}" if isinstance(value, float) else str(value)  # what a double holds for certain
    if len(text) > 40 or not text.isascii() or "_" in text:
        raise ValueError("this is not a decimal number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("this is not a decimal number") from None
    if not number.is_finite() or abs(number) > 10**12:
        raise ValueError("this is not a decimal number of a sensible size")
    return number
