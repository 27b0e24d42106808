"""Columns of exact decimals: whole numbers with a common number of decimal places.

Sums, differences and products are exact; 64-bit integers are used as long as they suffice, Python's wide
integers beyond. Only quotients are rounded, half-even, to 16 places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LIMIT: Final = 1 << 62
_MOST_PLACES: Final = 24
_QUOTIENT_PLACES: Final = 16


@dataclass(frozen=True, slots=True)
class Decimals:
    """``values / 10 ** places``; ``largest`` bounds the absolute values. ``values`` is int64 or object."""

    values: NDArray[Any]
    places: int
    largest: int

    @classmethod
    def of(cls, values: NDArray[Any], places: int) -> Decimals:
        """A column of whole numbers."""
        if not len(values):
            return cls(values, places, 0)
        return cls(values, places, max(abs(int(values.min())), abs(int(values.max()))))

    @classmethod
    def constant(cls, number: int, places: int) -> Decimals:
        """One number for all rows."""
        wide = abs(number) >= _LIMIT
        return cls(np.array([number], dtype=object if wide else np.int64), places, abs(number))

    def at_places(self, places: int) -> Decimals:
        """The same numbers with more places, or rounded half-even to fewer."""
        if places >= self.places:
            factor = 10 ** (places - self.places)
            return self if factor == 1 else _fit(np.multiply, self, Decimals.constant(factor, 0), places)
        values = _half_even(self.values, 10 ** (self.places - places))
        return Decimals(values, places, self.largest // 10 ** (self.places - places) + 1)


def add(a: Decimals, b: Decimals) -> Decimals:
    """a + b."""
    a, b = aligned(a, b)
    wide = a.largest + b.largest >= _LIMIT
    return Decimals(_ints(a, wide) + _ints(b, wide), a.places, a.largest + b.largest)


def negative(a: Decimals) -> Decimals:
    """-a."""
    return Decimals(-a.values, a.places, a.largest)


def multiply(a: Decimals, b: Decimals) -> Decimals:
    """a x b."""
    product = _fit(np.multiply, a, b, a.places + b.places)
    return product.at_places(_MOST_PLACES) if product.places > _MOST_PLACES else product


def divide(a: Decimals, b: Decimals) -> tuple[Decimals, NDArray[np.bool_]]:
    """a / b to 16 places, and where it is defined."""
    defined = b.values != 0
    divisor = np.where(defined, b.values, 1).astype(object)
    shift = _QUOTIENT_PLACES + b.places - a.places
    top = a.values.astype(object) * 10 ** max(shift, 0)
    bottom = divisor * 10 ** max(-shift, 0)
    quotient = _half_even(np.where(bottom < 0, -top, top), abs(bottom))
    return Decimals.of(quotient, _QUOTIENT_PLACES), np.asarray(defined, np.bool_)


def aligned(a: Decimals, b: Decimals) -> tuple[Decimals, Decimals]:
    """Both with the larger number of places."""
    places = max(a.places, b.places)
    return a.at_places(places), b.at_places(places)


def pick(condition: NDArray[np.bool_], a: Decimals, b: Decimals) -> Decimals:
    """a where the condition holds, else b."""
    a, b = aligned(a, b)
    return Decimals(np.where(condition, a.values, b.values), a.places, max(a.largest, b.largest))


def _fit(operation: Callable[..., Any], a: Decimals, b: Decimals, places: int) -> Decimals:
    largest = a.largest * b.largest
    wide = largest >= _LIMIT
    return Decimals(operation(_ints(a, wide), _ints(b, wide)), places, largest)


def _ints(a: Decimals, wide: bool) -> NDArray[Any]:
    return a.values.astype(object) if wide else a.values


def _half_even(values: NDArray[Any], divisor: Any) -> NDArray[Any]:
    whole = values // divisor
    rest = 2 * (values - whole * divisor)
    up = (rest > divisor) | ((rest == divisor) & (whole % 2 == 1))
    return np.asarray(whole + up.astype(np.int64))
