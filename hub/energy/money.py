"""Exact money: decimals as people write them → integers, products that never overflow, and rounding by rule.

Prices are integers of 1e-8 currency (per kWh, day, kW …), energy is integer mWh, so a product counts
1e-14 currency. Amounts of lines are integers of 1e-8 currency, rounded once.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.errors import Refused

Int64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

E8: Final = 100_000_000
"""Steps of a price or an amount per unit of currency."""
MWH_PER_KWH: Final = 1_000_000
MAX_ABS: Final = 10**9
"""No price or amount that a person enters is as large; beyond it a value is a slip of the keyboard."""


class Rounding(StrEnum):
    """How a line's amount is brought to the smallest step; halves of negative amounts go away from zero."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"
    UP = "up"


def exact_decimal(value: object, *, places: int = 8) -> Decimal:
    """A number from YAML, JSON or a form; floats count as their shortest text, so ``0.1`` is one tenth.

    Raises:
        ValueError: no number, NaN or infinity, above a thousand million, or more than ``places`` decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("is not a number")
    if isinstance(value, str) and (len(value) > 40 or not value.isascii() or "_" in value):
        raise ValueError("is not a number")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError("is not a number") from None
    if not number.is_finite():
        raise ValueError("is not a finite number")
    if abs(number) > MAX_ABS:
        raise ValueError("is too large (at most 1,000,000,000)")
    if number != number.quantize(Decimal(1).scaleb(-places)):
        raise ValueError(f"has more than {places} decimals")
    return number


def price_e8(value: object) -> int:
    """A price as people write it → 1e-8 currency. Raises ``ValueError`` as :func:`exact_decimal`."""
    return int(exact_decimal(value).scaleb(8))


def round_fraction(value: Fraction, mode: Rounding) -> int:
    """The whole number that a fraction becomes."""
    size = abs(value)
    whole, rest = divmod(size.numerator, size.denominator)
    double = 2 * rest
    match mode:
        case Rounding.HALF_UP:
            up = double >= size.denominator
        case Rounding.HALF_EVEN:
            up = double > size.denominator or (double == size.denominator and whole % 2 == 1)
        case Rounding.UP:
            up = rest > 0
        case Rounding.DOWN:
            up = False
    return (whole + up) * (-1 if value < 0 else 1)


def decimal_text(value: Fraction | int, *, least: int, most: int) -> str:
    """Decimal text with ``least`` to ``most`` decimals, halves up; never in scientific form, never ``-0``."""
    steps = round_fraction(Fraction(value) * 10**most, Rounding.HALF_UP)
    whole, rest = divmod(abs(steps), 10**most)
    decimals = f"{rest:0{most}d}" if most else ""
    decimals = decimals[:least] + decimals[least:].rstrip("0")
    return ("-" if steps < 0 else "") + str(whole) + (f".{decimals}" if decimals else "")


def exact_sum(column: Int64) -> int:
    """Sum without overflow."""
    if not len(column):
        return 0
    if float(np.abs(column).max()) * len(column) < 4e18:
        return int(column.sum())
    return int(sum(column.tolist()))


def exact_dot(price: Any, energy_mwh: Int64) -> int:
    """Σ price x energy as a Python integer (1e-14 currency); wide integers only where 64 bits could overflow."""
    if not len(energy_mwh):
        return 0
    largest = float(np.abs(price).max())
    if largest * float(np.abs(energy_mwh.astype(np.float64)).sum()) < 4e18:
        return int(np.dot(np.asarray(price, dtype=np.int64), energy_mwh))
    return sum(p * e for p, e in zip(np.asarray(price).tolist(), energy_mwh.tolist(), strict=True))


def refuse_unaligned(*moments_ms: int) -> None:
    """Raise ``WL-TAR-050`` where a border of a bill lies inside a 15-minute slot."""
    for moment in moments_ms:
        if moment % 900_000:
            raise Refused(
                "WL-TAR-050",
                "a bill begins and ends on a quarter hour",
                where="start",
                hint="use local midnights",
            )
