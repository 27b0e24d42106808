"""Import and export set off against each other, with exact sums."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.bill import bill
from hub.energy.netting import net_period, net_phases
from hub.energy.usage import Calendar, Usage
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import KWH, midnight, tariff

SLOTS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 2)), max_size=60)


def test_phases_are_summed_or_count_by_themselves() -> None:
    taken = [np.array([5, 0]), np.array([3, 0]), np.array([0, 1])]
    given_back = [np.array([0, 4]), np.array([0, 2]), np.array([6, 0])]

    summed, each = net_phases(taken, given_back, summed=True), net_phases(taken, given_back, summed=False)

    assert [column.tolist() for column in summed] == [[2, 0], [0, 5]]
    assert [column.tolist() for column in each] == [[8, 1], [6, 6]]


@given(SLOTS, st.integers(1, 20))
@settings(parent=UNDER_LOAD, max_examples=60)
def test_what_is_cancelled_is_the_same_on_both_sides_of_each_register(
    rows: list[tuple[int, int, int]], length: int
) -> None:
    usage = Usage.measured(0, [row[0] for row in rows], [row[1] for row in rows])
    register = np.array([row[2] for row in rows], np.int64)
    period = np.arange(len(rows)) // length

    found = net_period(usage, period, register)

    assert ((found.import_mwh >= 0) & (found.import_mwh <= usage.import_mwh)).all()
    assert ((found.export_mwh >= 0) & (found.export_mwh <= usage.export_mwh)).all()
    for number in range(len(rows) // length + 1):
        for one in range(3):
            at = (period == number) & (register == one)
            net = int(usage.import_mwh[at].sum()) - int(usage.export_mwh[at].sum())
            assert int(found.import_mwh[at].sum()) == max(net, 0)
            assert int(found.export_mwh[at].sum()) == max(-net, 0)


def test_peaks_are_read_before_anything_is_set_off() -> None:
    start, end = midnight("2026-03-01"), midnight("2026-04-01")
    usage = Usage.measured(
        start, [KWH, *[0] * ((end - start) // 900_000 - 1)], [3 * KWH] * ((end - start) // 900_000)
    )
    contract = tariff(
        {"energy": "E", "price": 1}, {"capacity": "P", "price": 1, "per": "month"},
        export=[{"feed_in": "Back", "price": 0.1}], netting={"period": "month"},
    )  # fmt: skip

    found = {
        line.component: line.quantity
        for line in bill(contract, usage, {}, Calendar("Europe/Paris"), start, end).lines
    }

    assert found == {"E": 0, "P": 4, "Back": Fraction(int(usage.export_mwh.sum()) - KWH, KWH)}
