"""The simulated market: the same for everyone, hour by hour, and alive."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from integrations.demo.market import HOUR_MS, day_ahead, known_until_ms
from integrations.demo.site import DAY_MS, Site

SITE = Site()


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


YEAR = (at("2025-11-01T00:00:00+01:00"), at("2026-11-01T00:00:00+01:00"))


def test_a_part_asked_for_alone_is_that_part_of_the_whole() -> None:
    hours, prices = day_ahead(1, SITE, *YEAR)
    for day in (0, 149, 360):
        start_ms = YEAR[0] + day * DAY_MS + 5 * HOUR_MS
        some_hours, some = day_ahead(1, SITE, start_ms, start_ms + 30 * HOUR_MS)
        place = slice(day * 24 + 5, day * 24 + 35)
        assert np.array_equal(some_hours, hours[place])
        assert np.array_equal(some, prices[place])


def test_another_seed_is_another_market() -> None:
    assert not np.array_equal(day_ahead(1, SITE, *YEAR)[1], day_ahead(2, SITE, *YEAR)[1])


def test_a_year_has_dear_evenings_cheap_noons_and_hours_below_zero() -> None:
    hours, prices = day_ahead(1, SITE, *YEAR)
    clock = np.array([datetime.fromtimestamp(one / 1000, UTC).hour for one in hours.tolist()])

    assert len(prices) == 8760
    assert 40 < prices.mean() < 100
    assert prices[clock == 18].mean() > 1.5 * prices[clock == 12].mean()
    assert 20 < (prices < 0).sum() < 900
    assert prices.max() < 421


def test_prices_are_whole_cents() -> None:
    _, prices = day_ahead(1, SITE, *YEAR)

    assert np.array_equal(np.round(prices * 100) / 100, prices)


def test_an_empty_range_has_no_hours() -> None:
    hours, prices = day_ahead(1, SITE, YEAR[0] + 1, YEAR[0] + 2)

    assert (len(hours), len(prices)) == (0, 0)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-28T12:59:59+01:00", "2026-11-29T00:00:00+01:00"),
        ("2026-11-28T13:00:00+01:00", "2026-11-30T00:00:00+01:00"),
        ("2026-03-28T14:00:00+01:00", "2026-03-30T00:00:00+02:00"),
    ],
)
def test_tomorrow_is_published_in_the_early_afternoon(now: str, until: str) -> None:
    assert known_until_ms(SITE, at(now)) == at(until)
