"""The bill at the end of a month, with a range."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from hub.energy.bill import bill
from hub.energy.projection import history_from_ms, project
from hub.energy.usage import Calendar, Usage
from tests.hub.energy.tariffs import E8, KWH, SLOT_MS, fine, flat, market, midnight, tariff, varied

PARIS = Calendar("Europe/Paris")
START, END = midnight("2026-10-01"), midnight("2026-11-01")  # the month with 25 hours
NOW = midnight("2026-10-12") + 5 * 3_600_000 + 123_456
SINCE = midnight("2026-08-01")
ENERGY = fine({"energy": "E", "price": 1})


def test_a_home_without_surprises_is_foretold_exactly() -> None:
    usage = flat(SINCE, NOW // SLOT_MS * SLOT_MS, KWH // 4)

    found = project(ENERGY, usage, {}, PARIS, START, END, NOW)

    assert found.expected.total_e8 == found.low_e8 == found.high_e8 == (31 * 24 + 1) * E8
    assert found.so_far.end_ms == NOW // SLOT_MS * SLOT_MS
    assert found.days_of_history == 56


def test_weekends_and_holidays_are_played_by_their_like() -> None:
    usage = flat(SINCE, NOW // SLOT_MS * SLOT_MS, 0)
    weekday = np.arange(len(usage)) // 96 + date(2026, 8, 1).weekday()
    usage.import_mwh[weekday % 7 >= 5] = KWH // 4
    calendar = Calendar("Europe/Paris", frozenset({date(2026, 10, 30)}))

    found = project(ENERGY, usage, {}, calendar, START, END, NOW)

    # four weekends and one Saturday, the holiday on a Friday, and the 25th hour on a Sunday
    assert found.expected.total_e8 == (9 * 24 + 24 + 1) * E8


def test_the_range_holds_the_truth_and_the_same_question_has_the_same_answer() -> None:
    whole = varied(SINCE, END, most=2 * KWH)
    days = np.random.default_rng(5).uniform(0.2, 1.8, 100)
    whole = replace(whole, import_mwh=(whole.import_mwh * days[np.arange(len(whole)) // 96]).astype(np.int64))
    contract = fine(
        {"energy": "Market", "formula": "spot + 0.2"}, {"capacity": "P", "price": 4, "per": "month"}
    )
    prices = {"spot": market(SINCE, END).grid(SINCE, (NOW - SINCE) // SLOT_MS)}

    found = project(contract, whole, prices, PARIS, START, END, NOW)
    actual = bill(contract, whole, {"spot": market(SINCE, END)}, PARIS, START, END).total_e8

    assert found.low_e8 < found.expected.total_e8 < found.high_e8
    assert abs(actual - found.expected.total_e8) < actual * 0.25
    assert found.expected.pending_mwh == 0
    assert found == project(contract, whole, prices, PARIS, START, END, NOW)


def test_what_comes_after_now_is_not_looked_at() -> None:
    usage = flat(SINCE, END, KWH // 4)
    usage.import_mwh[(NOW - SINCE) // SLOT_MS :] = 50 * KWH

    assert project(ENERGY, usage, {}, PARIS, START, END, NOW).expected.total_e8 == (31 * 24 + 1) * E8


def test_more_history_than_it_reads_changes_nothing() -> None:
    long, short = (
        varied(midnight("2025-01-01"), NOW // SLOT_MS * SLOT_MS),
        NOW // SLOT_MS * SLOT_MS - 57 * 96 * SLOT_MS,
    )
    recent = long.grid(short, (long.end_ms - short) // SLOT_MS)

    assert project(ENERGY, long, {}, PARIS, START, END, NOW) == project(
        ENERGY, recent, {}, PARIS, START, END, NOW
    )


def test_prices_that_are_published_are_kept() -> None:
    usage = flat(SINCE, NOW // SLOT_MS * SLOT_MS, KWH // 4)
    slots = (END - SINCE) // SLOT_MS
    column = replace(
        market(SINCE, END), price_e8=np.where(np.arange(slots) < (START - SINCE) // SLOT_MS, 0, E8)
    )

    found = project(fine({"energy": "M", "formula": "spot"}), usage, {"spot": column}, PARIS, START, END, NOW)

    assert found.expected.total_e8 == (31 * 24 + 1) * E8


@pytest.mark.parametrize("days", [0, 3])
def test_little_history_is_told_and_nothing_breaks(days: int) -> None:
    end = NOW // SLOT_MS * SLOT_MS
    usage = flat(end - days * 96 * SLOT_MS, end, KWH // 4) if days else Usage.measured(end, [])

    found = project(ENERGY, usage, {}, PARIS, START, END, NOW)

    assert found.days_of_history == max(days - 1, 0)
    assert found.low_e8 <= found.expected.total_e8 <= found.high_e8


def test_a_period_that_is_over_or_has_not_begun() -> None:
    usage = flat(SINCE, END, KWH // 4)

    over = project(ENERGY, usage, {}, PARIS, START, END, END + 5)
    ahead = project(ENERGY, usage.grid(SINCE, (START - SINCE) // SLOT_MS), {}, PARIS, START, END, START - 5)

    assert over.expected == bill(ENERGY, usage, {}, PARIS, START, END)
    assert ahead.expected.total_e8 == (31 * 24 + 1) * E8


def test_a_projection_reads_eight_weeks_or_what_the_bill_needs() -> None:
    contract = tariff({"capacity": "P", "price": 1, "per": "year", "basis": "mean_of_monthly_peaks"})

    assert history_from_ms(ENERGY, PARIS, START, END, NOW) == NOW // SLOT_MS * SLOT_MS - 57 * 96 * SLOT_MS
    assert history_from_ms(contract, PARIS, START, END, NOW) == midnight("2025-11-01")
