"""Budgets: used shares, an even pace, and what a projection says."""

from __future__ import annotations

import pytest

from hub.energy.budget import budget_state
from hub.errors import Refused


def test_shares_and_pace() -> None:
    found = budget_state(200, 90, 0, 1000, 400)

    assert (found.used_share, found.even_e8, found.left_e8) == (0.45, 80, 110)
    assert found.ahead
    assert found.reaches(0.45)
    assert not found.reaches(0.46)
    assert found.will_exceed is None


@pytest.mark.parametrize(("now", "even"), [(-5, 0), (0, 0), (1000, 200), (5000, 200)])
def test_the_pace_stays_within_the_period(now: int, even: int) -> None:
    assert budget_state(200, 0, 0, 1000, now).even_e8 == even


def test_a_projection_tells_whether_the_limit_will_hold() -> None:
    found = budget_state(200, 90, 0, 1000, 400, projected=(180, 210, 250))

    assert found.will_exceed
    assert (found.projected_low_e8, found.projected_high_e8) == (180, 250)


@pytest.mark.parametrize(("limit", "end", "code"), [(0, 1000, "WL-TAR-061"), (5, 0, "WL-TAR-051")])
def test_impossible_budgets_are_refused(limit: int, end: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        budget_state(limit, 0, 0, end, 0)

    assert caught.value.code == code
