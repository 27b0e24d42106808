"""The inventory of a battery: exact in all it carries, and losses are found."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.exact import Ints
from hub.energy.slots import SLOT_MS
from hub.energy.stock import CARRIED, QUIET_DAYS, Replay, Stock, StockWalk, walk
from integrations.demo.house import simulate
from integrations.demo.site import Site

amounts = st.lists(st.one_of(st.just(0), st.integers(0, 10**7)), min_size=4, max_size=40)


def walked(charged: list[int], discharged: list[int], carried: Ints | None = None) -> StockWalk:
    count = len(charged)
    along = np.zeros((len(CARRIED), count), np.int64) if carried is None else carried
    return walk(
        Stock(), 0, np.array(charged, np.int64), np.array(discharged, np.int64), along, np.full(count, np.nan)
    )


@given(amounts, st.integers(-(10**12), 10**12))
def test_nothing_that_is_carried_is_lost_or_made(charged: list[int], price: int) -> None:
    discharged = [amount * 9 // 10 for amount in [0, *charged[:-1]]]
    carried = np.array([[amount * price * (row + 1) for amount in charged] for row in range(5)], object)
    found = walked(charged, discharged, carried)

    for row in range(len(CARRIED)):
        moved = sum(int(value) for value in found.out[row]) + sum(int(value) for value in found.lost[row])
        assert moved + found.after.carried[row] == sum(int(value) for value in carried[row])
    energy = sum(charged) - sum(discharged) - int(found.loss_mwh.sum()) + int(found.opening_mwh.sum())
    assert found.after.energy_mwh == energy >= 0


def test_what_comes_out_carries_the_mean_of_what_went_in() -> None:
    carried = np.zeros((5, 4), np.int64)
    carried[CARRIED.index("cost")] = [100, 300, 0, 0]
    found = walked([10, 10, 0, 0], [0, 0, 5, 15], carried)

    assert found.out[CARRIED.index("cost")].tolist() == [0, 0, 100, 300]
    assert (found.after.energy_mwh, found.after.carried) == (0, (0, 0, 0, 0, 0))


def test_a_battery_gives_what_was_in_it_before_its_book_began() -> None:
    found = walked([0, 5], [7, 0])
    assert found.opening_mwh.tolist() == [7, 0]
    assert found.after.energy_mwh == 5


def test_without_a_charge_level_what_never_leaves_is_a_loss_after_some_days() -> None:
    per_day = 96
    charged, discharged = [0] * (30 * per_day), [0] * (30 * per_day)
    for day in range(30):
        charged[day * per_day + 40] = 10_000_000
        discharged[day * per_day + 80] = 9_000_000
    found = walked(charged, discharged)

    assert found.loss_mwh[: QUIET_DAYS * per_day].sum() == 0
    assert found.loss_mwh.sum() >= 10_000_000
    assert found.after.energy_mwh <= (QUIET_DAYS + 3) * 1_000_000
    assert found.opening_mwh.sum() == 0


def test_stops_tell_the_stock_on_the_way() -> None:
    found = walk(
        Stock(), 0, np.array([4, 0, 2, 0]), np.array([0, 3, 0, 0]), np.zeros((5, 4), np.int64),
        np.full(4, np.nan), stops=[0, 1, 2, 3],
    )  # fmt: skip
    assert [one.energy_mwh for one in found.at] == [0, 4, 1, 3]


@given(st.integers(0, 8))
def test_a_walk_may_be_cut_anywhere(at: int) -> None:
    charged, discharged = np.array([5, 0, 9, 0, 3, 0, 8, 1]), np.array([0, 2, 0, 7, 0, 1, 0, 4])
    soc = np.array([50.0, 40, 80, 20, 30, 25, np.nan, 70])
    along = np.arange(40).reshape(5, 8)
    whole = walk(Stock(), 0, charged, discharged, along, soc)
    first = walk(Stock(), 0, charged[:at], discharged[:at], along[:, :at], soc[:at])
    second = walk(first.after, at * SLOT_MS, charged[at:], discharged[at:], along[:, at:], soc[at:])

    assert np.concatenate([first.out, second.out], axis=1).tolist() == whole.out.tolist()
    assert repr(second.after) == repr(whole.after)


def test_losses_of_the_simulated_battery_are_found() -> None:
    begin = datetime(2025, 6, 1, tzinfo=UTC)
    begin_ms, count = int(begin.timestamp()) * 1000, 60 * 96
    site = Site(since=date(2025, 5, 29))
    truth = simulate(5, site, begin_ms, begin_ms + count * SLOT_MS + 1, 900)
    into, out = (
        np.rint(np.diff(truth.values[name]) * 1000).astype(np.int64)
        for name in ("battery.energy_import", "battery.energy_export")
    )
    soc = truth.values["battery.soc"]
    stored_wh = site.battery_wh * (soc[-1] - soc[0]) / 100
    true_mwh = int(into.sum() - out.sum()) - 1000 * stored_wh
    for charge in (soc[1:], np.full(count, np.nan)):
        found = walk(Stock(), begin_ms, into, out, np.zeros((5, count), np.int64), charge)
        assert abs(int(found.loss_mwh.sum()) - true_mwh) < 0.25 * true_mwh
        assert int(found.opening_mwh.sum()) < 1000 * site.battery_wh


@given(amounts, st.lists(st.one_of(st.just(float("nan")), st.floats(0, 100)), min_size=40, max_size=40))
def test_charges_that_are_told_apart_make_the_same_book_as_the_walk(
    charged: list[int], soc: list[float]
) -> None:
    discharged = [amount * 8 // 10 for amount in [3_000, *charged[:-1]]]
    count = len(charged)
    columns = np.array(charged, np.int64), np.array(discharged, np.int64)
    carried = np.array([[amount * (row + 1) * 7 for amount in charged] for row in range(5)], np.int64)
    percent = np.array(soc[:count])
    begun = Stock(energy_mwh=5_000, carried=(1, 2, 3, 4, 5), out_mwh=10**7, points=60.0, day=0)
    found = walk(begun, 0, *columns, carried, percent, stops=list(range(count)))

    replay = Replay(begun, 0, *columns, carried, percent)
    active = [at for at in range(count) if charged[at] or discharged[at]]
    for at in [*active[1::2], *active]:  # it goes back where it is asked to
        one = replay.held(at)
        assert one.begin.book.energy_mwh == found.at[at].energy_mwh
        assert one.begin.book.carried == found.at[at].carried
        assert one.unmoved_mwh + one.over_mwh == int(found.loss_mwh[at])
        for layers in (one.begin, one.charged, one.drawn):
            assert sum(left for _, left in layers.left) == layers.book.energy_mwh
            assert all(0 < left <= (charged[slot] if slot >= 0 else 5_000) for slot, left in layers.left)
