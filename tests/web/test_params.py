"""Query parameters, read the same way everywhere."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from hub.model.times import ms_of, utc
from web.params import MAX_MS, duration_ms, limit_of, moment_ms, names_of, page, range_ms
from web.problems import BadRequest

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1774738800000", "2026-03-28T23:00:00+00:00"),
        ("2026-03-29T00:00:00+01:00", "2026-03-28T23:00:00+00:00"),
        ("2026-03-29T00:00:00 01:00", "2026-03-28T23:00:00+00:00"),
        ("2026-03-28T23:00:00Z", "2026-03-28T23:00:00+00:00"),
        ("2026-03-29", "2026-03-28T23:00:00+00:00"),
        ("2026-03-29T00:00", "2026-03-28T23:00:00+00:00"),
        ("2026-03-30", "2026-03-29T22:00:00+00:00"),
        ("0", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_moments_are_iso_or_epoch_and_local_without_offset(text: str, expected: str) -> None:
    assert moment_ms(text, "start", PARIS) == round(datetime.fromisoformat(expected).timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "-1", "1e12", "9" * 15, "2026-02-30", "2026-13-01", "1969-12-31", "2100-01-02", "١٢"],
)
def test_what_is_no_moment_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        moment_ms(text, "start", PARIS)

    assert caught.value.where == "start"


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        ms = moment_ms(text, "start", PARIS)
    except BadRequest:
        ms = 0
    assert 0 <= ms <= MAX_MS


@given(st.integers(0, MAX_MS).map(utc))
def test_iso_text_comes_back_as_the_same_instant(moment: datetime) -> None:
    assert moment_ms(moment.isoformat(), "start", PARIS) == ms_of(moment)


def test_a_range_ends_now_and_begins_a_day_before() -> None:
    now_ms = 1_774_738_800_000

    assert range_ms(make_mocked_request("GET", "/"), PARIS, now_ms) == (now_ms - 86_400_000, now_ms)
    with pytest.raises(BadRequest):
        range_ms(make_mocked_request("GET", "/?start=5&end=4"), PARIS, now_ms)


@pytest.mark.parametrize(("query", "limit"), [("", 100), ("limit=5", 5), ("limit=99999", 1000)])
def test_limits_are_clamped(query: str, limit: int) -> None:
    assert limit_of(make_mocked_request("GET", f"/?{query}")) == limit


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit="])
def test_what_is_no_limit_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        limit_of(make_mocked_request("GET", f"/?{query}"))


@given(st.sets(st.text(min_size=1, max_size=5)), st.integers(1, 7))
def test_pages_hold_every_item_once_in_order(names: set[str], limit: int) -> None:
    seen: list[str] = []
    query = f"limit={limit}"
    while True:
        shown, cursor = page(make_mocked_request("GET", f"/?{query}"), sorted(names), lambda name: name)
        seen += shown
        if cursor is None:
            break
        query = f"limit={limit}&cursor={cursor}"

    assert seen == sorted(names)


@pytest.mark.parametrize("cursor", ["%21", "A", "____", "x" * 400])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        page(make_mocked_request("GET", f"/?cursor={cursor}"), ["a"], lambda name: name)


def test_names_stand_between_commas_each_once() -> None:
    assert names_of(make_mocked_request("GET", "/?series=a,b&series=b,c"), "series") == ("a", "b", "c")
    assert names_of(make_mocked_request("GET", "/"), "series") is None
    for bad in ("series=", "series=a,,b", "series=" + ",".join(map(str, range(600)))):
        with pytest.raises(BadRequest):
            names_of(make_mocked_request("GET", f"/?{bad}"), "series")


def test_durations() -> None:
    assert duration_ms("90d", "expires") == 90 * 86_400_000
    assert duration_ms("1h", "expires") == 3_600_000
    for bad in ("", "d", "0d", "5", "-1d", "1.5d", "9999999d"):
        with pytest.raises(BadRequest):
            duration_ms(bad, "expires")
