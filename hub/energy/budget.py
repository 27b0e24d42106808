"""Budgets: how much of one is used, and whether the pace fits."""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import Refused


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Amounts are 1e-8 currency, or mWh for a budget of energy; shares are of the limit (1.0 = all of it).

    ``even_e8`` is what an even pace would have used by now. ``projected_*`` are the end of the period; None
    without a projection.
    """

    limit_e8: int
    used_e8: int
    used_share: float
    even_e8: int
    projected_e8: int | None = None
    projected_low_e8: int | None = None
    projected_high_e8: int | None = None

    @property
    def left_e8(self) -> int:
        """What is left; below zero where the budget is exceeded."""
        return self.limit_e8 - self.used_e8

    @property
    def ahead(self) -> bool:
        """Whether more is used than an even pace would have."""
        return self.used_e8 > self.even_e8

    @property
    def will_exceed(self) -> bool | None:
        """Whether the projection is over the limit; None without one."""
        return None if self.projected_e8 is None else self.projected_e8 > self.limit_e8

    def reaches(self, share: float) -> bool:
        """Whether at least this share of the limit is used (0.8 for an alert at 80 %)."""
        return self.used_share >= share


def budget_state(
    limit_e8: int,
    used_e8: int,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    projected: tuple[int, int, int] | None = None,
) -> BudgetState:
    """The state of a budget of ``[start, end)``.

    Args:
        projected: ``(low, expected, high)`` at the end of the period.

    Raises:
        Refused: ``WL-TAR-061`` where the limit is not above zero, ``WL-TAR-051`` where start >= end.
    """
    if limit_e8 <= 0:
        raise Refused("WL-TAR-061", "a budget is above zero", where="limit")
    if start_ms >= end_ms:
        raise Refused("WL-TAR-051", "a budget ends after it starts", where="end", hint="end is exclusive")
    elapsed_ms = min(max(now_ms - start_ms, 0), end_ms - start_ms)
    low, expected, high = projected or (None, None, None)
    return BudgetState(
        limit_e8=limit_e8,
        used_e8=used_e8,
        used_share=used_e8 / limit_e8,
        even_e8=limit_e8 * elapsed_ms // (end_ms - start_ms),
        projected_e8=expected,
        projected_low_e8=low,
        projected_high_e8=high,
    )
