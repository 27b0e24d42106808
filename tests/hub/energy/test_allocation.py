"""Who was fed by what: whatever the meters say, both sides of every slot are equal, and all sums are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.allocation import Allocation, Rule, SlotCarbon, SlotPrices, allocate
from hub.energy.site_balance import RESIDUALS, Balance, Residual, Source, UseKind, balance
from hub.energy.site_slots import SiteSlots
from hub.energy.stock import CARRIED
from hub.model.series import Role
from tests.hub.energy.sites import Column, a_site

SLOTS = 6
amounts = st.one_of(st.none(), st.integers(0, 3), st.integers(0, 2_000_000), st.integers(0, 10**13))
sides = st.lists(amounts, min_size=SLOTS, max_size=SLOTS)
roles = st.sampled_from([Role.GRID, Role.SOLAR, Role.BATTERY, Role.LOAD, Role.EV, Role.HEAT_PUMP])


@st.composite
def sites(draw: st.DrawFn) -> SiteSlots:
    """Any house: silent meters, both sides at once, any tree, registers that ran backwards."""
    names = [f"m{at}" for at in range(draw(st.integers(1, 6)))]
    columns: dict[str, Column] = {}
    for at, name in enumerate(names):
        role = draw(roles)
        parent = draw(st.sampled_from([None, *names[:at]])) if role is not Role.GRID else None
        if parent is not None and columns[parent].role is Role.GRID:
            parent = None
        wrong = draw(st.dictionaries(st.integers(0, SLOTS - 1), st.integers(1, 1000), max_size=2))
        columns[name] = Column(role, draw(sides), draw(sides), parent, wrong)
    soc = draw(st.lists(st.one_of(st.just(float("nan")), st.floats(0, 100)), min_size=SLOTS, max_size=SLOTS))
    return a_site(columns, soc=soc)


@st.composite
def prices(draw: st.DrawFn) -> SlotPrices:
    price = st.lists(st.integers(-(10**8), 10**9), min_size=SLOTS, max_size=SLOTS)
    mask = st.lists(st.booleans(), min_size=SLOTS, max_size=SLOTS)
    return SlotPrices(
        np.array(draw(price)), np.array(draw(mask)), np.array(draw(price)), np.array(draw(mask))
    )


def exactly(column: object) -> list[int]:
    """Numbers without a limit, so that the oracle cannot overflow."""
    return [int(value) for value in np.asarray(column, dtype=object).tolist()]


def added(rows: object) -> list[int]:
    return [sum(column) for column in zip(*np.asarray(rows, dtype=object).tolist(), strict=True)]


@given(sites())
def test_both_sides_of_every_slot_are_equal_and_nothing_is_negative(site: SiteSlots) -> None:
    closed = balance(site)

    assert added(closed.sources_mwh) == added(closed.used_mwh)
    for column in (
        closed.sources_mwh,
        closed.used_mwh,
        closed.residual_mwh,
        closed.give_mwh,
        closed.take_mwh,
    ):
        assert int(column.min()) >= 0
    assert exactly(closed.sources_mwh[Source.OTHER]) == added(closed.residual_mwh)


@given(sites())
def test_a_meter_is_the_sum_of_what_is_behind_it(site: SiteSlots) -> None:
    closed = balance(site)
    excess = np.zeros(site.count, np.int64)
    for row, meter in enumerate(site.meters):
        behind = [at for at, one in enumerate(site.meters) if one.parent == meter.device]
        if not behind:
            continue
        nets = [net_below(site, at) for at in behind]
        own = closed.take_mwh[row] - closed.give_mwh[row]
        shown = site.take_mwh[row] - site.give_mwh[row]
        short = np.where(site.known[row], np.maximum(sum(nets) - shown, 0), 0)
        if meter.role in (Role.SOLAR, Role.BATTERY):
            short = np.zeros_like(short)
        excess += short
        expected = np.where(site.known[row], shown, sum(nets))
        assert exactly(own + sum(nets)) == exactly(expected + short)
    assert exactly(closed.residual_mwh[RESIDUALS.index(Residual.EXCESS)]) == exactly(excess)


def net_below(site: SiteSlots, row: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """What a meter shows, or those behind it where it is silent: the rule, written a second time."""
    shown = site.take_mwh[row] - site.give_mwh[row]
    behind = [at for at, one in enumerate(site.meters) if one.parent == site.meters[row].device]
    if not behind:
        return np.asarray(shown)
    return np.asarray(np.where(site.known[row], shown, sum(net_below(site, at) for at in behind)))


@given(sites(), prices(), st.sampled_from(Rule), st.permutations([f"m{at}" for at in range(6)]))
def test_every_node_gives_what_it_gets(
    site: SiteSlots, paid: SlotPrices, rule: Rule, order: list[str]
) -> None:
    found = allocate(site, prices=paid, rule=rule, order=order)
    fed = found.fed_mwh.astype(object)

    assert int(found.fed_mwh.min()) >= 0
    assert fed.sum(axis=0).tolist() == found.balance.used_mwh.tolist()
    assert fed.sum(axis=1).tolist() == found.balance.sources_mwh.tolist()


@given(sites(), prices())
def test_devices_and_losses_and_stock_change_are_the_site(site: SiteSlots, paid: SlotPrices) -> None:
    carbon = SlotCarbon(np.abs(paid.export_e8) // 1000, paid.export_known)
    found = allocate(site, prices=paid, carbon=carbon)
    uses = [at for at, use in enumerate(found.balance.uses) if use.kind is not UseKind.CHARGE]

    bought = [
        energy * price * known
        for energy, price, known in zip(
            exactly(found.balance.sources_mwh[Source.GRID]),
            exactly(paid.import_e8),
            exactly(paid.import_known),
            strict=True,
        )
    ]
    assert exactly(found.import_cost) == bought
    for what, of_uses, whole in (
        ("cost", found.cost, found.import_cost),
        ("co2", found.co2, found.import_co2),
    ):
        parts = [
            added(np.asarray(of_uses, dtype=object)[uses]),
            exactly(found.stock.lost[CARRIED.index(what)]),
            exactly(found.stock_change(what)),
        ]
        assert added(parts) == exactly(whole)
    energy = [
        exactly(found.stored_mwh),
        [-value for value in exactly(found.drawn_mwh)],
        [-value for value in exactly(found.stock.loss_mwh)],
        exactly(found.stock.opening_mwh),
    ]
    assert added(energy) == exactly(found.stock_change("energy"))
    assert min(exactly(found.stock.loss_mwh)) >= 0
    assert found.stock.after.energy_mwh == sum(exactly(found.stock_change("energy"))) >= 0


@given(sites(), prices(), st.integers(0, SLOTS))
def test_any_split_of_the_time_gives_the_same_slots(site: SiteSlots, paid: SlotPrices, at: int) -> None:
    whole = allocate(site, prices=paid)
    first = allocate(site.part(0, at), prices=cut(paid, 0, at))
    second = allocate(site.part(at, SLOTS), prices=cut(paid, at, SLOTS), stock=first.stock.after)

    for name in ("fed_mwh", "cost", "co2", "unpriced_mwh", "from_grid_mwh", "revenue"):
        joined = np.concatenate([getattr(first, name), getattr(second, name)], axis=-1)
        assert joined.tolist() == getattr(whole, name).tolist()
    assert [*exactly(first.stock.loss_mwh), *exactly(second.stock.loss_mwh)] == exactly(whole.stock.loss_mwh)
    assert repr(second.stock.after) == repr(whole.stock.after)


def cut(paid: SlotPrices, low: int, high: int) -> SlotPrices:
    span = slice(low, high)
    return SlotPrices(
        paid.import_e8[span], paid.import_known[span], paid.export_e8[span], paid.export_known[span]
    )


def by_use(found: Allocation, kind: UseKind, device: str = "") -> list[list[int]]:
    row = next(at for at, use in enumerate(found.balance.uses) if (use.kind, use.device) == (kind, device))
    fed: list[list[int]] = found.fed_mwh[:, row].tolist()
    return fed


def residuals(closed: Balance) -> dict[str, int]:
    return {
        reason.value: int(total)
        for reason, total in zip(RESIDUALS, closed.residual_mwh.sum(axis=1), strict=True)
        if total
    }


def test_sources_feed_uses_in_proportion() -> None:
    site = a_site(
        {
            "grid": Column(Role.GRID, [100], [0]),
            "roof": Column(Role.SOLAR, [300], [0]),
            "oven": Column(Role.LOAD, [0], [100]),
        }
    )
    found = allocate(site)

    assert by_use(found, UseKind.CONSUMPTION, "oven") == [[25], [75], [0], [0]]
    assert by_use(found, UseKind.NOT_MEASURED) == [[75], [225], [0], [0]]


def test_the_sun_is_exported_before_the_grid() -> None:
    site = a_site({"grid": Column(Role.GRID, [100], [200]), "roof": Column(Role.SOLAR, [500], [0])})
    assert by_use(allocate(site), UseKind.EXPORT) == [[0], [200], [0], [0]]


def test_priority_serves_the_first_of_the_order_by_the_sun() -> None:
    site = a_site(
        {
            "grid": Column(Role.GRID, [150], [0]),
            "roof": Column(Role.SOLAR, [100], [0]),
            "car": Column(Role.EV, [0], [150]),
            "oven": Column(Role.LOAD, [0], [100]),
        }
    )
    found = allocate(site, rule=Rule.PRIORITY, order=["oven"])

    assert by_use(found, UseKind.CONSUMPTION, "oven") == [[0], [100], [0], [0]]
    assert by_use(found, UseKind.CONSUMPTION, "car") == [[150], [0], [0], [0]]


def test_energy_without_a_price_is_pending_and_never_free() -> None:
    site = a_site({"grid": Column(Role.GRID, [1000], [0]), "oven": Column(Role.LOAD, [0], [400])})
    found = allocate(site)

    assert found.unpriced_mwh.sum() == 1000
    assert found.cost.sum() == 0


def test_a_battery_passes_on_what_charging_cost() -> None:
    site = a_site(
        {
            "grid": Column(Role.GRID, [1000, 1000, 0], [0, 0, 0]),
            "store": Column(Role.BATTERY, [0, 0, 1000], [1000, 1000, 0]),
            "oven": Column(Role.LOAD, [0, 0, 0], [0, 0, 1000]),
        }
    )
    known = np.ones(3, np.bool_)
    paid = SlotPrices(
        np.array([10_000_000, 30_000_000, 50_000_000]), known, np.zeros(3, np.int64), np.zeros(3, np.bool_)
    )
    found = allocate(site, prices=paid)
    oven = next(at for at, use in enumerate(found.balance.uses) if use.device == "oven")

    # half of 1,000 mWh at 0.10 and 1,000 mWh at 0.30 is left, the other half went to the oven at 0.20
    assert exactly(found.cost[oven]) == [0, 0, 1000 * 20_000_000]
    assert found.stock.after.energy_mwh == 1000
    assert found.stock.after.carried[CARRIED.index("cost")] == 1000 * 20_000_000


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"grid": Column(Role.GRID, [None], [0]), "oven": Column(Role.LOAD, [0], [700])},
         {"missing_meter": 700}),
        ({"oven": Column(Role.LOAD, [0], [700])}, {"no_grid_meter": 700}),
        ({"grid": Column(Role.GRID, [0], [0], wrong={0: 5}), "oven": Column(Role.LOAD, [0], [700])},
         {"wrong_sign": 700}),
        ({"grid": Column(Role.GRID, [100_000], [0]), "oven": Column(Role.LOAD, [0], [104_000])},
         {"meter_skew": 4_000}),
        ({"grid": Column(Role.GRID, [100_000], [0]), "oven": Column(Role.LOAD, [0], [150_000])},
         {"unmeasured_generation": 50_000}),
        ({"grid": Column(Role.GRID, [600], [0]), "board": Column(Role.LOAD, [0], [500]),
          "oven": Column(Role.LOAD, [0], [600], parent="board")}, {"submeters_exceed_parent": 100}),
    ],
)  # fmt: skip
def test_a_residual_source_has_the_name_of_its_reason(
    columns: dict[str, Column], expected: dict[str, int]
) -> None:
    assert residuals(balance(a_site(columns))) == expected


def test_own_use_of_a_meter_with_a_silent_child_is_named() -> None:
    site = a_site(
        {
            "grid": Column(Role.GRID, [900, 900], [0, 0]),
            "board": Column(Role.LOAD, [0, 0], [900, 900]),
            "oven": Column(Role.LOAD, [0, 0], [400, None], parent="board"),
        }
    )
    found = allocate(site)

    assert by_use(found, UseKind.CONSUMPTION, "board")[Source.GRID] == [500, 0]
    assert by_use(found, UseKind.MISSING_CHILD, "board")[Source.GRID] == [0, 900]


def test_losses_of_a_battery_are_found_by_its_charge() -> None:
    # ten cycles of 10 in and 9 out, between 0 and 90 %
    give, take, soc = [], [], []
    for _ in range(10):
        give += [0, 0, 4_500_000, 4_500_000]
        take += [5_000_000, 5_000_000, 0, 0]
        soc += [45.0, 90.0, 45.0, 0.0]
    site = a_site({"grid": Column(Role.GRID, take, give), "store": Column(Role.BATTERY, give, take)}, soc=soc)
    found = allocate(site)

    assert found.stock.after.energy_mwh <= 1_000_000
    assert sum(exactly(found.stock.loss_mwh)) >= 9_000_000
    assert sum(exactly(found.stock.opening_mwh)) == 0
