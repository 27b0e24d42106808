"""Charging sessions: where they begin and end, what they took and from where."""

from __future__ import annotations

import numpy as np

from hub.energy.allocation import SlotPrices, allocate
from hub.energy.sessions import Session, sessions
from hub.energy.site_balance import Source
from hub.energy.site_sums import summed
from hub.energy.slots import SLOT_MS
from hub.model.series import Role
from tests.hub.energy.sites import Column, a_site

KW = 250_000  # mWh of a quarter of an hour


def found(car: list[int], roof: list[int] | None = None) -> tuple[Session, ...]:
    sun = roof or [0] * len(car)
    grid = [max(use - made, 0) for use, made in zip(car, sun, strict=True)]
    site = a_site(
        {
            "main": Column(Role.GRID, grid, [0] * len(car)),
            "roof": Column(Role.SOLAR, sun, [0] * len(car)),
            "box": Column(Role.EV, [0] * len(car), car),
        }
    )
    known = np.ones(len(car), np.bool_)
    price = np.full(len(car), 30_000_000, np.int64)
    starts = np.arange(len(car), dtype=np.int64) * SLOT_MS
    paid = allocate(site, prices=SlotPrices(price, known, price, known))
    return sessions(summed(paid, starts, starts + SLOT_MS), "box")


def test_a_session_has_its_energy_its_cost_and_its_sources() -> None:
    (one,) = found([0, 4 * KW, 4 * KW, 0, 0, 0], [0, 2 * KW, 4 * KW, 0, 0, 0])

    assert (one.start_ms, one.end_ms) == (SLOT_MS, 3 * SLOT_MS)
    assert one.energy_mwh == 8 * KW
    assert one.fed_mwh[Source.GRID] == 2 * KW
    assert one.solar_share == 0.75
    assert one.cost == 2 * KW * 30_000_000
    assert one.peak_w == 4000
    assert not one.running


def test_a_short_pause_belongs_to_the_session_and_a_long_one_ends_it() -> None:
    short = found([4 * KW, 0, 0, 4 * KW, 0, 0, 0, 0])
    long = found([4 * KW, 0, 0, 0, 4 * KW, 0, 0, 0])

    assert [(one.start_ms, one.end_ms) for one in short] == [(0, 4 * SLOT_MS)]
    assert [(one.start_ms, one.end_ms) for one in long] == [(0, SLOT_MS), (4 * SLOT_MS, 5 * SLOT_MS)]


def test_standby_is_no_session_and_the_last_slot_still_charges() -> None:
    (one,) = found([2_000, 2_000, 2_000, 2_000, 4 * KW])
    assert (one.start_ms, one.running) == (4 * SLOT_MS, True)


def test_a_device_that_is_not_there_has_none() -> None:
    site = a_site({"main": Column(Role.GRID, [1], [0])})
    one = np.array([0], np.int64)
    assert sessions(summed(allocate(site), one, one + SLOT_MS), "box") == ()
