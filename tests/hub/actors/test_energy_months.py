"""What is kept of allocated months, and what a change takes away."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hub.actors.energy_months import KEPT_MONTHS, Layout, Month, MonthShelf, Span, month_to_come, walk_of
from hub.energy.asked import day_start_ms
from hub.energy.stock import Stock

ZONE = "Europe/Paris"
LAYOUT = Layout((), None, None, 0)


def made(span: Span) -> Month:
    return month_to_come(ZONE, LAYOUT, span, Stock())


def filled(shelf: MonthShelf, years: tuple[int, ...] = (2024, 2025)) -> list[Span]:
    """A shelf with all months of the walks of some years."""
    spans = [span for year in years for span in walk_of(ZONE, year)]
    work = shelf.begin(LAYOUT)
    for span in spans:
        shelf.keep(work, made(span))
    shelf.end(work)
    return spans


def kept(shelf: MonthShelf, spans: list[Span]) -> set[tuple[int, int]]:
    return {(span.year, span.start_ms) for span in spans if shelf.get(span) is not None}


def test_a_walk_begins_in_december_of_the_year_before() -> None:
    spans = walk_of(ZONE, 2025)

    assert len(spans) == 13
    assert spans[0].start_ms == day_start_ms(ZONE, date(2024, 12, 1))
    assert spans[-1].end_ms == day_start_ms(ZONE, date(2026, 1, 1))
    assert {span.walk_ms for span in spans} == {spans[0].start_ms}


def test_a_change_takes_away_its_month_and_those_after_it_in_its_walks() -> None:
    shelf = MonthShelf()
    spans = filled(shelf)
    day_ms = day_start_ms(ZONE, date(2024, 12, 10))
    shelf.touched(day_ms, day_ms + 900_000)

    wrong = {(2024, day_start_ms(ZONE, date(2024, 12, 1)))} | {
        (2025, span.start_ms) for span in walk_of(ZONE, 2025)
    }
    assert kept(shelf, spans) == {(span.year, span.start_ms) for span in spans} - wrong
    assert shelf.stock(2024, day_ms) is not None
    assert shelf.stock(2024, day_start_ms(ZONE, date(2024, 12, 11))) is None
    assert shelf.stock(2025, day_start_ms(ZONE, date(2025, 3, 1))) is None


def test_what_changed_while_it_was_made_is_not_kept() -> None:
    shelf = MonthShelf()
    june, july = walk_of(ZONE, 2025)[6:8]
    work = shelf.begin(LAYOUT)
    shelf.touched(july.start_ms, july.start_ms + 1)
    shelf.keep(work, made(june))
    shelf.keep(work, made(july))
    shelf.end(work)
    dropped = shelf.get(july) is None
    again = shelf.begin(LAYOUT)
    shelf.keep(again, made(july))

    assert dropped
    assert shelf.get(june) is not None
    assert shelf.get(july) is not None
    assert len(shelf) == 2


def test_another_layout_begins_anew_even_for_what_is_under_way() -> None:
    shelf = MonthShelf()
    spans = filled(shelf)
    work = shelf.begin(LAYOUT)
    shelf.begin(replace(LAYOUT, prices=1))
    shelf.keep(work, made(spans[0]))

    assert kept(shelf, spans) == set()


def test_only_so_many_months_are_kept() -> None:
    shelf = MonthShelf()
    filled(shelf, tuple(range(2010, 2022)))
    assert len(shelf) == KEPT_MONTHS
