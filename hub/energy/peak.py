"""The peak coach: where the running quarter hour is heading, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass

from hub.energy.bill import MonthPeak
from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, Usage


@dataclass(frozen=True, slots=True)
class PeakState:
    """The running quarter hour.

    ``projected_w`` is its mean if the power stays as it is; ``headroom_w`` is the power that may run until its
    end without a new month's peak (never negative); ``at_stake_e8`` is what the projected peak would add to
    the capacity charge of the month, 0 without one.
    """

    quarter_ms: int
    elapsed_ms: int
    energy_mwh: int
    projected_w: float
    headroom_w: float
    month_peak: MonthPeak | None
    billed_peak_w: float
    at_stake_e8: int

    @property
    def is_new_peak(self) -> bool:
        """Whether the projection is above what is billed anyway."""
        return self.projected_w > self.billed_peak_w


def peak_state(
    tariff: Tariff | None,
    usage: Usage,
    calendar: Calendar,
    now_ms: int,
    energy_mwh: int,
    power_w: float,
) -> PeakState:
    """State of the quarter of ``now_ms``: ``energy_mwh`` imported in it so far, ``power_w`` import power now.

    ``usage`` holds the closed slots of the month (and of the months that the tariff's basis reads).
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class WarnState:
    """What was warned about: the quarter of the last warning."""

    quarter_ms: int = -1


def warn_once(state: PeakState, before: WarnState, *, margin_w: float = 0.0) -> tuple[bool, WarnState]:
    """Whether to warn now, at most once per quarter: early enough to act, not in its first two minutes."""
    raise NotImplementedError
