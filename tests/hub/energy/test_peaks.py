"""Which power a capacity charge is about."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hub.energy.clock import slot_clock
from hub.energy.components import Basis, Capacity, Per
from hub.energy.peaks import Peak, basis_mw, month_peaks
from hub.energy.usage import Calendar
from tests.hub.energy.tariffs import KWH, SLOT_MS, midnight

PARIS = Calendar("Europe/Paris")
START = midnight("2026-10-01")
SLOTS = (midnight("2026-12-01") - START) // SLOT_MS
CLOCK = slot_clock(PARIS, START, SLOTS)
OCTOBER, NOVEMBER = 2026 * 12 + 9, 2026 * 12 + 10


def line(**more: object) -> Capacity:
    return Capacity("P", 1, Per.MONTH, more.pop("basis", Basis.MONTHLY_PEAK), **more)  # type: ignore[arg-type]


def found(
    capacity: Capacity, energy: dict[int, int], known: dict[int, bool] | None = None
) -> dict[int, Peak]:
    column, holds = np.zeros(SLOTS, np.int64), np.ones(SLOTS, np.bool_)
    for slot, mwh in energy.items():
        column[slot] = mwh
    for slot, there in (known or {}).items():
        holds[slot] = there
    return month_peaks(capacity, CLOCK, column, holds)


def test_the_first_of_equal_quarters_is_the_peak_of_its_month() -> None:
    peaks = found(line(), {5: KWH, 9: KWH, 3000: KWH // 2})

    assert peaks[OCTOBER].highest.start_ms == START + 5 * SLOT_MS
    assert peaks[OCTOBER].power_mw == 4 * KWH
    assert peaks[NOVEMBER].highest.month == "2026-11"


def test_unknown_quarters_are_no_peak() -> None:
    assert found(line(), {5: KWH, 9: KWH // 2}, {5: False})[OCTOBER].power_mw == 2 * KWH


def test_a_month_without_a_known_quarter_has_no_peak() -> None:
    november = int(np.searchsorted(CLOCK.month, NOVEMBER))

    assert NOVEMBER not in found(line(), {5: KWH}, dict.fromkeys(range(november, SLOTS), False))


def test_hours_are_hours_of_the_clock_and_the_repeated_one_comes_twice() -> None:
    autumn = 24 * 96 + 8  # 2:00 on the 25th, summer time; 3:00 follows after two hours
    peaks = found(line(interval_minutes=60), {autumn: KWH, autumn + 3: KWH, autumn + 4: 3 * KWH})

    assert peaks[OCTOBER].power_mw == 3 * KWH
    assert peaks[OCTOBER].highest.start_ms == START + (autumn + 4) * SLOT_MS


def test_the_mean_of_the_highest_on_different_days() -> None:
    energy = {0: 8 * KWH, 1: 7 * KWH, 100: 4 * KWH, 200: 3 * KWH}

    assert found(line(top=2), energy)[OCTOBER].power_mw == Fraction(8 + 7, 2) * 4 * KWH
    assert (
        found(line(top=3, different_days=True), energy)[OCTOBER].power_mw == Fraction(8 + 4 + 3, 3) * 4 * KWH
    )
    assert [power for _, power in found(line(top=2), energy)[OCTOBER].counted] == [32 * KWH, 28 * KWH]


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        (line(), 3),
        (line(minimum_mw=5 * KWH), 5),
        (line(basis=Basis.CONTRACTED, contracted_mw=6 * KWH), 6),
        (line(basis=Basis.MEAN_OF_MONTHLY_PEAKS), 6),
        (line(basis=Basis.MEAN_OF_MONTHLY_PEAKS, months=1), 3),
        (line(basis=Basis.BILLING_DEMAND, months=11, ratchet=Fraction(4, 5)), Fraction(72, 10)),
        (line(basis=Basis.BILLING_DEMAND, months=11, ratchet=Fraction(1, 10)), 3),
        (line(basis=Basis.BILLING_DEMAND, months=11, ratchet=Fraction(1, 10), minimum_mw=4 * KWH), 4),
    ],
)
def test_the_basis_decides_what_a_month_pays_for(capacity: Capacity, expected: Fraction) -> None:
    peaks = found(line(), {5: 9 * KWH // 4, 3000: 3 * KWH // 4})

    assert basis_mw(capacity, NOVEMBER, peaks) == expected * KWH


def test_without_history_the_minimum_is_paid() -> None:
    assert basis_mw(line(minimum_mw=KWH), NOVEMBER, {}) == KWH
    assert basis_mw(line(basis=Basis.MEAN_OF_MONTHLY_PEAKS), NOVEMBER, {}) == 0
