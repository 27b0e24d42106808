"""Sharing whole numbers so that the parts add up to the whole, in every row and every column.

Parts are rounded along the running sum of their weights: the remainder that one part leaves goes into the next.
Each part is off its exact share by less than one, no part exceeds its weight, a weight of zero gets nothing, and
it costs no sorting, which the method of largest remainders needs for the same promises. The order of the parts
decides where a remainder lands, so callers keep them in a fixed order.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]
"""int64, or Python integers (dtype object) where products would leave 64 bits."""

_ROOM = 1 << 62


def fits(left: Ints, right: Ints) -> bool:
    """Whether every product of the two fits into 64 bits."""
    return left.dtype != object and right.dtype != object and _most(left) * _most(right) < _ROOM


def wide(column: Ints) -> Ints:
    """The same numbers as Python integers, which have no end."""
    return column.astype(object)


def product(left: Ints, right: Ints) -> Ints:
    """``left * right``, exactly."""
    if fits(left, right):
        return np.asarray(left * right, np.int64)
    result: Ints = np.multiply(wide(left), wide(right))
    return result


def spread(amount: Ints, weights: Ints, total: Ints) -> Ints:
    """Share ``amount`` (per slot) among ``weights`` (parts, slots), which sum to ``total``; nothing where that is 0.

    Parts sum to ``amount`` exactly. All are zero or more.
    """
    if not amount.any():
        return np.zeros_like(weights)
    running = np.cumsum(weights, axis=0)
    divisor = np.maximum(total, 1)
    if fits(amount, running):
        reached = amount * running // divisor
    else:
        reached = narrow(wide(amount) * wide(running) // wide(divisor))
    parts: Ints = np.empty_like(reached)
    parts[0] = reached[0]
    np.subtract(reached[1:], reached[:-1], out=parts[1:])
    return parts


def narrow(column: Ints) -> Ints:
    """Python integers as int64 again where they fit."""
    if column.dtype != object or not column.size:
        return column if column.dtype != object else column.astype(np.int64)
    return column.astype(np.int64) if _most(column) < _ROOM else column


def priced(amount: Ints, parts: Ints, total: Ints) -> Ints:
    """Share a large ``amount`` of either sign (money) by ``parts`` that sum to ``total``: unit price first.

    A share is whole units per part times the part, and the rest (less than ``total``) spread; so products stay
    small though amounts are large. Sums are exact; where ``total`` is 0 nothing is shared.
    """
    if not amount.any():
        return np.zeros_like(parts)
    divisor = np.maximum(total, 1)
    unit = amount // divisor
    rest = np.where(total > 0, amount - unit * divisor, 0)
    return product(parts, unit) + spread(narrow(rest), parts, total)


def times_factor(amounts: NDArray[np.int64], factor: Fraction) -> NDArray[np.int64]:
    """Amounts of slots times the factor of their installation, each to the nearest whole number."""
    if factor == 1:
        return amounts
    up, down = factor.numerator, factor.denominator
    return np.asarray((2 * wide(amounts) * up + down) // (2 * down)).astype(np.int64)


def _most(column: Ints) -> int:
    if not column.size:
        return 0
    return max(abs(int(column.min())), abs(int(column.max())))
