"""Cut streams: the energy of a point is the sum of (closing - opening) of its meters, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.derive import derive
from hub.energy.installations import Cut, Installation, cuts_of, derive_cut, multiplied, together
from hub.energy.slots import SLOT_MS, Readings, SlotColumns
from hub.model.quality import Flag
from tests.hub.energy.streams import ENERGY, T0_MS, UNDER_LOAD

HOUR_MS = 3_600_000


def whole(readings: Readings, cuts: list[Cut]) -> SlotColumns:
    span = (T0_MS - SLOT_MS, T0_MS + 40 * HOUR_MS)
    return derive_cut(ENERGY, readings, cuts, *span, from_first=True, to_last=True).slots


@st.composite
def swapped(draw: st.DrawFn) -> tuple[Readings, list[Cut], float]:
    """A register with swaps at any instant, and the true energy from the first opening to the last closing."""
    ts_ms: list[int] = []
    values: list[float] = []
    cuts: list[Cut] = []
    now, energy = T0_MS, 0.0
    closing: float | None = None
    for _ in range(draw(st.integers(1, 4))):
        level = opening = draw(st.integers(0, 10**9)) / 1000
        cuts.append(Cut(now, closing, opening))
        for _ in range(draw(st.integers(0, 8))):
            now += draw(st.integers(60_000, HOUR_MS))
            level += draw(st.integers(0, 100_000)) / 1000
            ts_ms.append(now)
            values.append(level)
        now += draw(st.integers(60_000, HOUR_MS))
        closing = round(level + draw(st.integers(0, 50_000)) / 1000, 3)
        energy += closing - opening
    cuts.append(Cut(now, closing, None))
    return Readings.of(ts_ms, values), cuts, energy


@UNDER_LOAD
@given(swapped())
def test_energy_is_the_sum_of_closing_less_opening(case: tuple[Readings, list[Cut], float]) -> None:
    readings, cuts, energy_wh = case

    rows = whole(readings, cuts)

    assert int(rows.delta.sum()) == round(energy_wh * 1000)
    assert (np.diff(rows.start_ms) > 0).all()
    known = rows.measured_ms + rows.late_ms + rows.estimated_ms + rows.suspect_ms
    assert (known <= SLOT_MS).all()
    marked = rows.start_ms[(rows.flags & Flag.SWAPPED) != 0]
    assert {cut.at_ms - cut.at_ms % SLOT_MS for cut in cuts[1:-1]} <= {*marked.tolist()} | {
        cut.at_ms for cut in cuts
    }
    assert not (rows.flags & Flag.RESET).any()


@UNDER_LOAD
@given(swapped(), st.integers(0, 140), st.integers(1, 20))
def test_a_range_of_a_cut_stream_equals_that_range_of_the_whole(
    case: tuple[Readings, list[Cut], float], first: int, length: int
) -> None:
    readings, cuts, _ = case
    start_ms, end_ms = T0_MS + first * SLOT_MS, T0_MS + (first + length) * SLOT_MS

    rows = derive_cut(ENERGY, readings, cuts, start_ms, end_ms, from_first=True, to_last=True).slots

    every = whole(readings, cuts)
    assert rows.same_as(every.take((every.start_ms >= start_ms) & (every.start_ms < end_ms)))


def test_without_a_cut_nothing_is_different() -> None:
    readings = Readings.of([T0_MS + n * 60_000 for n in range(90)], [2.0 * n for n in range(90)])
    plain = derive(ENERGY, readings, T0_MS, T0_MS + HOUR_MS, from_first=True, to_last=True)
    same = derive_cut(ENERGY, readings, [], T0_MS, T0_MS + HOUR_MS, from_first=True, to_last=True)
    assert same.slots.same_as(plain.slots)


def test_rows_without_values_do_not_cut() -> None:
    rows = [Installation(1, T0_MS, T0_MS + HOUR_MS), Installation(1, T0_MS + HOUR_MS, factor=2.0)]
    assert cuts_of(rows) == ()
    closed = [
        Installation(1, T0_MS, T0_MS + HOUR_MS, closing=5.0),
        Installation(1, T0_MS + HOUR_MS, opening=0.0),
    ]
    assert cuts_of(closed) == (Cut(T0_MS + HOUR_MS, 5.0, 0.0),)


@given(
    st.lists(st.integers(0, 10**7), max_size=60),
    st.sampled_from([1.0, 40.0, 0.9, 11.2345]),
    st.sampled_from([None, 10.9, 11.5]),
)
def test_a_factor_is_rounded_once_however_far_one_sums(
    amounts: list[int], factor: float, calorific: float | None
) -> None:
    multiplier = Installation(1, 0, factor=factor, calorific_value=calorific).multiplier

    steps = multiplied(np.array(amounts, np.int64), multiplier)

    for count in range(len(amounts) + 1):
        exact = sum(amounts[:count]) * multiplier
        assert abs(int(steps[:count].sum()) - exact) <= Fraction(1, 2)


def test_registers_that_follow_each_other_add_their_times_and_those_side_by_side_do_not() -> None:
    one = Readings.of([T0_MS, T0_MS + 2 * SLOT_MS], [0.0, 60.0])
    half = [Cut(T0_MS + SLOT_MS // 2, 15.0, None)]
    first = derive_cut(ENERGY, Readings.of([T0_MS], [0.0]), half, T0_MS, T0_MS + SLOT_MS, to_last=True).slots
    later = derive_cut(
        ENERGY, Readings.of([T0_MS + SLOT_MS], [40.0]), [Cut(T0_MS + SLOT_MS // 2, None, 20.0)],
        T0_MS, T0_MS + SLOT_MS, to_last=True,
    ).slots  # fmt: skip
    full = derive(ENERGY, one, T0_MS, T0_MS + SLOT_MS, from_first=True, to_last=True).slots

    row = together([first, later])
    both = together([full, full])

    assert (row.delta.tolist(), int(row.measured_ms[0] + row.estimated_ms[0])) == ([35_000], SLOT_MS)
    assert (both.delta.tolist(), int(both.measured_ms[0] + both.estimated_ms[0])) == ([60_000], SLOT_MS)


@pytest.mark.parametrize("field", ["factor", "calorific_value", "state_number"])
def test_factors_are_taken_as_the_decimals_that_were_written(field: str) -> None:
    fields = {"factor": 1.0, "calorific_value": None, "state_number": None, field: 0.1}
    assert Installation(1, 0, **fields).multiplier == Fraction(1, 10)  # type: ignore[arg-type]
