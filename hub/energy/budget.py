"""Budgets: how much of one is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Shares are of the limit (1.0 = all of it); ``even_e8`` is what an even pace would have used by now.

    ``projected_*`` are the end of the period; None without a projection.
    """

    limit_e8: int
    used_e8: int
    used_share: float
    even_e8: int
    projected_e8: int | None = None
    projected_low_e8: int | None = None
    projected_high_e8: int | None = None

    @property
    def will_exceed(self) -> bool | None:
        """Whether the projection is over the limit; None without one."""
        return None if self.projected_e8 is None else self.projected_e8 > self.limit_e8


def budget_state(
    limit_e8: int,
    used_e8: int,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    projected: tuple[int, int, int] | None = None,
) -> BudgetState:
    """The state of a budget of ``[start, end)``; works for money (1e-8 currency) and for energy (mWh) alike."""
    raise NotImplementedError
