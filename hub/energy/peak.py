"""The peak coach: where the running quarter hour is heading, what it would cost, and when to say so.

A contract may look at hours instead of quarters; then the running hour is meant wherever a quarter is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from hub.energy.bill import MonthPeak, needed_ms
from hub.energy.clock import SlotClock, period_of, slot_clock
from hub.energy.components import Basis, Capacity, Per
from hub.energy.money import E8, Rounding, round_fraction
from hub.energy.peaks import Peak, basis_mw, charge, month_peaks
from hub.energy.rating import Rating, stretches
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff, Version
from hub.energy.usage import Calendar, Usage
from hub.energy.when import ALWAYS

_MW_PER_W: Final = 1000
_LOOK_MS: Final = 120_000
"""Within the first two minutes a kettle looks like a new peak."""
_TOO_LATE_MS: Final = 60_000
_PLAIN: Final = Capacity("", 0, Per.MONTH, Basis.MONTHLY_PEAK)


@dataclass(frozen=True, slots=True)
class PeakState:
    """The running quarter hour (or hour, as ``interval_ms`` says), which began at ``quarter_ms``.

    ``projected_w`` is its mean if the power stays as it is. ``allowed_w`` is the power that may run until its
    end without costing more; ``headroom_w`` is what of it is left: below zero that much should be switched off.
    ``billed_peak_w`` is what is billed anyway, ``usual_peak_w`` the lowest peak of the months before (0 without
    history). ``at_stake_e8`` is what the projected mean would cost before taxes, over all months that it counts.
    """

    quarter_ms: int
    interval_ms: int
    elapsed_ms: int
    energy_mwh: int
    power_w: float
    projected_w: float
    allowed_w: float
    month_peak: MonthPeak | None
    billed_peak_w: float
    usual_peak_w: float
    at_stake_e8: int

    @property
    def headroom_w(self) -> float:
        """What may be switched on now; below zero what should be switched off."""
        return self.allowed_w - self.power_w

    @property
    def remaining_ms(self) -> int:
        """Until the end of the quarter."""
        return self.interval_ms - self.elapsed_ms

    @property
    def is_new_peak(self) -> bool:
        """Whether the projection is above what is billed anyway."""
        return self.projected_w > self.billed_peak_w


@dataclass(frozen=True, slots=True)
class WarnState:
    """What was warned about: the quarter of the last warning."""

    quarter_ms: int = -1


def warn_once(state: PeakState, before: WarnState, *, margin_w: float = 0.0) -> tuple[bool, WarnState]:
    """Whether to warn now: once per quarter, when it is heading for a peak that costs and can still be avoided.

    Not in its first two minutes, when a kettle looks like a peak, nor in its last, when it is too late. A mean
    that even the best of the months before exceeded is no news, so the first days of a month stay quiet.
    """
    limit_w = max(state.billed_peak_w, state.usual_peak_w) + margin_w
    due = (
        state.quarter_ms != before.quarter_ms
        and state.at_stake_e8 > 0
        and state.projected_w > limit_w
        and state.elapsed_ms >= _LOOK_MS
        and state.remaining_ms >= _TOO_LATE_MS
    )
    return (True, WarnState(state.quarter_ms)) if due else (False, before)


def needed_for_peak_ms(tariff: Tariff | None, calendar: Calendar, now_ms: int) -> int:
    """From when on :func:`peak_state` reads usage: twelve months, or more where the tariff looks further."""
    begin = period_of(calendar.zone, now_ms, Per.MONTH)[0]
    for _ in range(12):
        begin = period_of(calendar.zone, begin - 1, Per.MONTH)[0]
    slot_ms = now_ms - now_ms % SLOT_MS
    return begin if tariff is None else min(begin, needed_ms(tariff, calendar, slot_ms, slot_ms + SLOT_MS)[0])


def peak_state(
    tariff: Tariff | None,
    usage: Usage,
    calendar: Calendar,
    now_ms: int,
    energy_mwh: int,
    power_w: float,
) -> PeakState:
    """State of the quarter of ``now_ms``: ``energy_mwh`` imported in it so far, ``power_w`` import power now.

    ``usage`` holds the closed slots from :func:`needed_for_peak_ms` on. Without a tariff, or where no capacity
    line looks at this moment, nothing is at stake and the plain peak of the month is told. Power that is fed in
    counts as none.
    """
    slot_ms = now_ms - now_ms % SLOT_MS
    first_ms = min(usage.first_ms, slot_ms)
    slots = (slot_ms - first_ms) // SLOT_MS + 4  # an hour that runs may end three quarters from now
    clock = slot_clock(calendar, first_ms, slots)
    now = slots - 4
    closed = usage.grid(first_ms, now).grid(first_ms, slots)
    found = stretches(tariff, calendar.zone, slot_ms, slot_ms + SLOT_MS) if tariff else []
    version = found[0][0] if found else None
    lines = _lines(version, clock, now)
    line, holds = lines[0]
    low, high = _interval(line, clock, now)
    running_ms = now_ms - clock.first_ms - low * SLOT_MS
    left_ms = (high - low) * SLOT_MS - running_ms
    used_mwh = int(closed.import_mwh[low:now].sum()) + max(energy_mwh, 0)
    power = max(power_w, 0.0)
    projected_mwh = used_mwh + round(power * left_ms / 3600)
    peaks = month_peaks(line, clock, closed.import_mwh, closed.import_known & holds)
    month = int(clock.month[now])
    billed_mw = _threshold(line, month, peaks, int(clock.day[now]))
    hours = Fraction(high - low, 4)
    allowed_mwh = billed_mw * hours - used_mwh
    return PeakState(
        quarter_ms=clock.first_ms + low * SLOT_MS,
        interval_ms=(high - low) * SLOT_MS,
        elapsed_ms=running_ms,
        energy_mwh=used_mwh,
        power_w=power,
        projected_w=projected_mwh / float(hours) / _MW_PER_W,
        allowed_w=max(float(allowed_mwh) * 3600 / left_ms, 0.0),
        month_peak=peaks[month].highest if month in peaks else None,
        billed_peak_w=float(billed_mw) / _MW_PER_W,
        usual_peak_w=_usual_w(month, peaks),
        at_stake_e8=_at_stake(lines, clock, closed, now, projected_mwh, low, high) if version else 0,
    )


_Lines = list[tuple[Capacity, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]]


def _lines(version: Version | None, clock: SlotClock, now: int) -> _Lines:
    """Capacity lines that look at this moment with the slots they look at; a plain one where there is none."""
    everywhere = np.ones(len(clock), np.bool_)
    if version is None:
        return [(_PLAIN, everywhere)]
    rating = Rating.of(version, clock, {})
    found = [
        (line, rating.when(line.when)[0] if line.when != ALWAYS else everywhere)
        for line in version.imports
        if isinstance(line, Capacity) and line.basis is not Basis.CONTRACTED
    ]
    return [one for one in found if one[1][now]] or [(_PLAIN, everywhere)]


def _interval(line: Capacity, clock: SlotClock, now: int) -> tuple[int, int]:
    """Slots of the running quarter, half hour or hour of the wall clock."""
    slots = line.interval_minutes // 15
    number = (clock.day * 96 + clock.quarter) // slots
    same = (number == number[now]) & (clock.offset_s == clock.offset_s[now])
    low = high = now
    while low > 0 and same[low - 1]:
        low -= 1
    while high < len(clock) and same[high]:
        high += 1
    return low, high


def _threshold(line: Capacity, month: int, peaks: dict[int, Peak], day: int) -> Fraction:
    """A mean up to this changes nothing: the own peak so far, the minimum, a ratchet of earlier months."""
    least = max(Fraction(line.minimum_mw), _step_mw(line, month, peaks))
    if line.basis is Basis.BILLING_DEMAND:
        return max(basis_mw(line, month, peaks), least)
    if month not in peaks:
        return least
    counted = peaks[month].counted
    if line.different_days and day in dict(counted):
        return max(Fraction(dict(counted)[day]), least)
    if len(counted) < line.top:
        return least
    return max(Fraction(min(power for _, power in counted)), least)


def _step_mw(line: Capacity, month: int, peaks: dict[int, Peak]) -> Fraction:
    """The end of the step that is paid anyway; 0 without steps."""
    if not line.steps:
        return Fraction(0)
    power = basis_mw(line, month, peaks)
    limits = [one.limit_mwh for one in line.steps if one.limit_mwh is not None]
    return Fraction(next((limit for limit in limits if power <= limit), 0))


def _usual_w(month: int, peaks: dict[int, Peak]) -> float:
    before = [peak.highest.power_mw for number, peak in peaks.items() if number < month]
    return min(before, default=0) / _MW_PER_W


def _at_stake(
    lines: _Lines, clock: SlotClock, closed: Usage, now: int, projected_mwh: int, low: int, high: int
) -> int:
    """What all lines that look would charge more if the interval ended as projected."""
    energy = closed.import_mwh.copy()
    known = closed.import_known.copy()
    known[low:high] = True
    each, rest = divmod(projected_mwh, high - low)
    energy[low:high] = each
    energy[high - 1] += rest
    ended = replace(closed, import_mwh=energy, import_known=known)
    month = int(clock.month[now])
    total = Fraction(0)
    for line, holds in lines:
        before = month_peaks(line, clock, closed.import_mwh, closed.import_known & holds)
        after = month_peaks(line, clock, ended.import_mwh, ended.import_known & holds)
        more = charge(line, basis_mw(line, month, after)) - charge(line, basis_mw(line, month, before))
        total += max(more, Fraction(0)) * _months_at_stake(line, clock, now)
    return round_fraction(total * E8, Rounding.HALF_EVEN)


def _months_at_stake(line: Capacity, clock: SlotClock, now: int) -> Fraction:
    """How often the price of the line applies to what is added this month."""
    per_month = Fraction(1)
    if line.per is Per.YEAR:
        per_month = Fraction(1, 12)
    elif line.per is Per.DAY:
        low_ms, high_ms = period_of(clock.zone, clock.first_ms + now * SLOT_MS, Per.MONTH)
        per_month = Fraction(round((high_ms - low_ms) / 86_400_000))
    return per_month * (line.months if line.basis is Basis.MEAN_OF_MONTHLY_PEAKS else 1)
