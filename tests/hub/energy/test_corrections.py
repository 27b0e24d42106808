"""Corrections of columns: against an oracle of plain dictionaries, in any range, and taken back bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.corrections import OPEN_END_MS, Action, Correction, corrected, flagged, touched
from hub.energy.derive import derive
from hub.energy.slots import SLOT_MS, Readings
from hub.model.quality import Flag, ReadingFlag
from tests.hub.energy.streams import ENERGY, POWER, T0_MS, UNDER_LOAD

SPAN = 40
MINUTE_MS = 60_000


def at(minute: int) -> int:
    return T0_MS + minute * MINUTE_MS


@st.composite
def corrections(draw: st.DrawFn) -> list[Correction]:
    """A few corrections that overlap, in any order."""
    made = []
    for number in range(draw(st.integers(0, 6))):
        action = draw(st.sampled_from(list(Action)))
        start = draw(st.integers(-3, SPAN))
        end = start + draw(st.integers(1, 15))
        value = draw(st.sampled_from([0.0, 0.5, 2.0, -1.0, 400.0]))
        rows = tuple(
            (at(minute), draw(st.floats(0, 1e4))) for minute in range(start, end) if draw(st.booleans())
        )
        open_end = action in (Action.OFFSET, Action.SCALE) and draw(st.booleans())
        end_ms = at(start) + 1 if action is Action.VALUE else OPEN_END_MS if open_end else at(end)
        made.append(
            Correction(number, action, at(start), end_ms, value, rows if action is Action.REPLACE else ())
        )
    return draw(st.permutations(made))


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    minutes = draw(st.lists(st.integers(0, SPAN), unique=True, max_size=30))
    values = draw(st.lists(st.floats(0, 1e4), min_size=len(minutes), max_size=len(minutes)))
    flags = draw(st.lists(st.sampled_from([0, 1]), min_size=len(minutes), max_size=len(minutes)))
    return Readings.of([at(minute) for minute in minutes], values, flags)


def oracle(stored: Readings, made: list[Correction]) -> dict[int, tuple[float, int]]:
    """Time → (value, flags), one correction after the other, one reading after the other."""
    now = {
        ts: (value, flag)
        for ts, value, flag in zip(
            stored.ts_ms.tolist(), stored.value.tolist(), stored.flags.tolist(), strict=True
        )
    }
    for one in sorted(made, key=lambda each: each.id):
        inside = [ts for ts in now if one.start_ms <= ts < one.end_ms]
        if one.action is Action.VALUE:
            now[one.start_ms] = (one.value, now[one.start_ms][1] if inside else 0)
        elif one.action in (Action.DELETE, Action.REPLACE):
            for ts in inside:
                del now[ts]
            now |= {ts: (value, 0) for ts, value in one.rows}
        elif one.action is Action.OFFSET:
            now |= {ts: (now[ts][0] + one.value, now[ts][1]) for ts in inside}
        elif one.action is Action.SCALE:
            now |= {ts: (now[ts][0] * one.value, now[ts][1]) for ts in inside}
        else:
            word = ReadingFlag.ACCEPTED if one.action is Action.ACCEPT else ReadingFlag.REJECTED
            now |= {ts: (now[ts][0], now[ts][1] & ReadingFlag.LATE | word) for ts in inside}
    return now


def plain(columns: Readings) -> dict[int, tuple[float, int]]:
    rows = zip(columns.ts_ms.tolist(), columns.value.tolist(), columns.flags.tolist(), strict=True)
    return {ts: (value, flag) for ts, value, flag in rows}


@UNDER_LOAD
@given(readings(), corrections(), st.integers(-5, SPAN), st.integers(0, SPAN))
def test_corrections_do_what_they_say_in_every_range(
    stored: Readings, made: list[Correction], first: int, length: int
) -> None:
    expected = oracle(stored, made)
    start_ms, end_ms = at(first), at(first + length)

    whole = corrected(stored, made, at(-10), at(SPAN + 20))
    part = corrected(stored.between(start_ms, end_ms), made, start_ms, end_ms)

    assert plain(whole) == expected
    assert plain(part) == {ts: row for ts, row in expected.items() if start_ms <= ts < end_ms}
    assert (np.diff(whole.ts_ms) > 0).all()


@UNDER_LOAD
@given(readings(), corrections())
def test_without_its_corrections_a_column_is_what_was_stored(
    stored: Readings, made: list[Correction]
) -> None:
    before = [column.tobytes() for column in (stored.ts_ms, stored.value, stored.flags)]

    corrected(stored, made, at(-10), at(SPAN + 20))  # must not write into what it was given
    after = corrected(stored, [], at(-10), at(SPAN + 20))

    same = [column.tobytes() for column in (after.ts_ms, after.value, after.flags)]
    assert same == before


def test_touched_time_reaches_from_the_reading_before_to_the_one_after() -> None:
    stored = Readings.of([at(0), at(30), at(31), at(90)], [0.0, 1.0, 2.0, 3.0])
    one = Correction(1, Action.OFFSET, at(30), at(32), 1.0)

    (span,) = touched(stored, [one])

    assert (span.start_ms, span.end_ms) == (at(0), at(90))


def test_only_slots_that_a_correction_takes_part_in_are_flagged() -> None:
    stored = Readings.of([at(5 * n) for n in range(25)], [100.0] * 25)
    one = Correction(1, Action.VALUE, at(50), at(50) + 1, 900.0)
    column = corrected(stored, [one], at(-1), at(200))

    rows = derive(POWER, column, at(0), at(120), from_first=True, to_last=True)
    marked = flagged(rows, touched(column, [one])).slots

    starts = marked.start_ms[(marked.flags & Flag.CORRECTED) != 0]
    assert starts.tolist() == [at(45)]
    assert not (rows.slots.flags & Flag.CORRECTED).any()


def test_a_rejected_reading_counts_for_nothing() -> None:
    stored = Readings.of([at(n) for n in range(30)], [10.0 * n for n in range(30)])
    bad = replace(stored, value=np.where(np.arange(30) == 14, 155.0, stored.value))
    one = Correction(1, Action.REJECT, at(14), at(14) + 1)

    column = corrected(bad, [one], at(-1), at(100))
    rows = derive(ENERGY, column, at(0), at(30), from_first=True, to_last=True).slots

    assert int(rows.delta.sum()) == 290_000
    assert at(15) - at(0) == SLOT_MS
    assert rows.delta.tolist() == [150_000, 140_000]
