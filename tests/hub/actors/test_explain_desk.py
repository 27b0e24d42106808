"""Why this number, on a real store: every node is what its children make, and every leaf is a row that is there."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.actors.corrections import AddCorrection, Wanted
from hub.actors.counting import SetCounting
from hub.actors.device_requests import PatchDevice
from hub.actors.energy_requests import GetEnergySums
from hub.actors.explain_requests import FIGURES, Explain, Explanation, View
from hub.actors.history import History
from hub.actors.money_requests import CreatePriceSeries, CreateTariff, GetBill, PutPriceRows, SentPrice
from hub.actors.processing import GetHistory
from hub.energy.explain import COMPUTED, Op, Shown
from hub.energy.figures import flow_mwh, self_consumption
from hub.energy.installations import Installation
from hub.errors import NotFound, Refused
from hub.model.events import RangesDirtied
from hub.model.series import known_series
from hub.runtime.actor import request
from hub.storage import tables
from hub.storage.metering import InstallationRow, MeteringPoint, insert_installation, save_point
from hub.storage.users import UserRow, insert_user
from tests.hub.actors.house import NOW_MS, House, running_house

MINUTE_MS = 60_000
SLOT_MS = 900_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN_MS = NOW_MS - NOW_MS % DAY_MS - 3 * DAY_MS
EVERYTHING = View(depth=30, limit=1000)


async def explain(
    house: House, metric: str, name: str, start_ms: int, end_ms: int, view: View = EVERYTHING
) -> Shown:
    found: Explanation = await request(
        house.ref("processing"), Explain(metric, name, start_ms, end_ms, view=view), timeout_s=120
    )
    return found.shown


def leaves(shown: Shown) -> Iterator[Shown]:
    """Nodes without children; those that nobody looked into are none."""
    if not shown.children:
        yield shown
    for child in shown.children or ():
        yield from leaves(child)


def complete(shown: Shown) -> list[Shown]:
    """All leaves of a tree that was shown to its end."""
    found = list(leaves(shown))
    assert all(one.node.parts is None or one.children == () for one in found)
    return found


def kinds(shown: Shown) -> set[str]:
    return {one.node.kind for one in leaves(shown)}


async def unstored(house: House, found: list[Shown]) -> list[str]:
    """Leaves that are neither computed nor a row of the store."""
    with_rows = [one for one in found if one.node.stored is not None]
    bare = [
        one.path
        for one in found
        if one.node.stored is None and one.node.kind not in COMPUTED and not _is_nothing(one)
    ]
    there = await house.database.read(lambda conn: [_is_there(conn, house, one) for one in with_rows])
    return bare + [one.path for one, is_there in zip(with_rows, there, strict=True) if not is_there]


def _is_nothing(shown: Shown) -> bool:
    """A sum of nothing: a day on which nothing was counted."""
    return shown.node.parts is not None and shown.node.op is Op.SUM and shown.node.value == 0


def _is_there(conn: sa.Connection, house: House, shown: Shown) -> bool:
    stored = shown.node.stored
    assert stored is not None
    row = stored.row
    check: dict[str, Callable[[], bool]] = {
        "readings": lambda: _reading(conn, house, row) == row["value"],
        "corrections": lambda: _has(conn, tables.corrections, id=row["id"]),
        "energy_metrics": lambda: True,
        "configuration": lambda: row["key"] == "site.co2_factor",
        "installations": lambda: _has(conn, tables.installations, id=row["id"]),
        "prices": lambda: _has(conn, tables.prices, id=row["id"], start_ms=row["start"]),
        "tariffs": lambda: _has(conn, tables.tariffs, id=row["id"]),
        "series": lambda: house.registry.by_public_id(row["series"]).register_width is not None,
    }
    return check[stored.table]()


def _reading(conn: sa.Connection, house: House, row: Any) -> float | None:
    number = house.registry.by_public_id(row["series"]).no
    column = tables.readings.c
    query = sa.select(column.value).where(column.series == number, column.ts_ms == row["ts"])
    return conn.execute(query).scalar()


def _has(conn: sa.Connection, table: sa.Table, **key: Any) -> bool:
    query = sa.select(sa.func.count()).select_from(table)
    return bool(conn.execute(query.where(*(table.c[name] == value for name, value in key.items()))).scalar())


async def correct(house: House, action: str, start_ms: int, user_id: str | None = None, **more: Any) -> None:
    wanted = Wanted("meter.energy_import", action, start_ms, **more)
    await request(house.ref("corrections"), AddCorrection(wanted, "read off by hand", user_id))
    await house.work()


async def total_wh(house: House, series: str, start_ms: int, end_ms: int) -> float:
    found: History = await request(house.ref("processing"), GetHistory((series,), start_ms, end_ms, "15m"))
    return float(np.nansum(np.asarray(found.series[series]["energy"], np.float64)))


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["dip", "reset", "spike", "gap", "noise"]), st.integers(5, 110), st.integers(1, 6)
    ),
    max_size=3,
)
CORRECTIONS = st.lists(
    st.tuples(
        st.sampled_from(["value", "delete", "replace", "offset", "scale", "reject", "accept"]),
        st.integers(0, 115),
        st.integers(1, 9),
    ),
    max_size=3,
)


def register(faults: list[tuple[str, int, int]]) -> list[tuple[int, float]]:
    """Two hours of a counter, a reading a minute, with faults."""
    rows = {at: 50_000.0 + at * 16.5 for at in range(121)}
    for fault, at, count in faults:
        for row in [one for one in rows if one >= at]:
            inside = row < at + count
            match fault:
                case "dip" if inside:
                    rows[row] = 0.0
                case "spike" if inside:
                    rows[row] += 1e6
                case "noise" if inside:
                    rows[row] -= 20.0
                case "reset":
                    rows[row] = (row - at) * 16.5
    gone = {row for fault, at, count in faults if fault == "gap" for row in range(at, at + 6 * count)}
    return [(BEGIN_MS + row * MINUTE_MS, value) for row, value in rows.items() if row not in gone]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(FAULTS, CORRECTIONS)
async def test_trees_of_faulty_and_corrected_streams_add_up_and_end_in_stored_rows(
    faults: list[tuple[str, int, int]], corrections: list[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_house(Path(folder)) as house:
            (number,) = await house.declare("meter", "energy_import")
            await house.store([(number, ts_ms, value) for ts_ms, value in register(faults)])
            await house.work()
            for action, at, count in corrections:
                await _correct(house, action, BEGIN_MS + at * MINUTE_MS, count)
            shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + 3 * HOUR_MS)

            found = complete(shown)
            assert await unstored(house, found) == []
            assert "pending" not in kinds(shown)


async def _correct(house: House, action: str, start_ms: int, count: int) -> None:
    end_ms = start_ms + count * MINUTE_MS
    more: dict[str, Any] = {
        "value": {"value": 50_100.0},
        "delete": {"end_ms": end_ms},
        "replace": {"end_ms": end_ms, "rows": ((start_ms, 50_050.0),)},
        "offset": {"end_ms": end_ms, "value": 7.5},
        "scale": {"end_ms": end_ms, "value": 1.001},
        "reject": {"end_ms": end_ms},
        "accept": {"end_ms": end_ms},
    }
    try:
        await correct(house, action, start_ms, **more[action])
    except Refused:
        pass  # such as a correction of a range without readings


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house whose clock stands still."""
    async with running_house(tmp_path) as made:
        yield made


async def metered(house: House, device: str, role: str, *keys: str, parent: str | None = None) -> list[int]:
    numbers = await house.declare(device, *keys)
    await request(house.ref("device"), PatchDevice(device, {"role": role, "parent": parent}))
    return numbers


async def test_the_value_is_that_of_the_history_and_paths_lead_through_the_tree(house: House) -> None:
    (number,) = await house.declare("meter", "energy_import")
    await house.store([(number, BEGIN_MS + at * 10 * MINUTE_MS, at * 111.1) for at in range(3 * 144)])
    await house.work()
    end_ms = BEGIN_MS + 3 * DAY_MS

    root = await explain(house, "energy", "meter.energy_import", BEGIN_MS, end_ms, View())
    told = await total_wh(house, "meter.energy_import", BEGIN_MS, end_ms)
    assert root.node.value / 1000 == pytest.approx(told)
    assert [one.node.kind for one in root.children or ()] == [
        "day"
    ] * 4  # the site's midnights are not those of UTC
    day = (root.children or ())[1]
    below = await explain(house, "energy", "meter.energy_import", BEGIN_MS, end_ms, View(day.path, 1, 10, 20))
    assert below.node.value == day.node.value
    assert [one.node.kind for one in below.children or ()] == ["rest", *["slot"] * 10, "rest"]
    assert sum(one.node.value for one in below.children or ()) == day.node.value
    slot = (below.children or ())[1]
    single = await explain(house, "energy", "meter.energy_import", BEGIN_MS, end_ms, View(slot.path, 3))
    assert {one.node.kind for one in complete(single)} <= {"reading", "rounding"}


async def test_a_corrected_reading_names_who_when_and_why(house: House) -> None:
    user = UserRow("u1", "ada", None, False, (), 1)
    await house.database.write(lambda conn: insert_user(conn, user))
    (number,) = await house.declare("meter", "energy_import")
    await house.store([(number, BEGIN_MS + at * 5 * MINUTE_MS, 1000.0 + at * 10) for at in range(24)])
    await house.work()
    await correct(house, "value", BEGIN_MS + 30 * MINUTE_MS, "u1", value=1065.0)
    await correct(house, "delete", BEGIN_MS + 50 * MINUTE_MS, "u1", end_ms=BEGIN_MS + 51 * MINUTE_MS)

    shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS)
    found = [one.node for one in complete(shown) if one.node.kind == "correction"]

    assert {node.facts["by"] for node in found} == {"ada"}
    assert {node.facts["reason"] for node in found} == {"read off by hand"}
    assert {node.facts["at"] for node in found} == {NOW_MS}
    assert {node.value for node in found} == {5000, -5000, 0}
    assert await unstored(house, complete(shown)) == []


async def test_power_is_explained_by_trapezoids(house: House) -> None:
    (number,) = await house.declare("plug", "power")
    await house.store([(number, BEGIN_MS + at * MINUTE_MS, 100.0 + at % 7 * 33.3) for at in range(90)])
    await house.work()

    shown = await explain(house, "energy", "plug.power", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS)
    assert await unstored(house, complete(shown)) == []
    assert kinds(shown) == {"reading", "rounding"}


async def test_a_meter_that_was_swapped_is_explained_by_the_values_of_its_installations(house: House) -> None:
    (number,) = await house.declare("meter", "energy_import")
    await house.store([(number, BEGIN_MS + at * 5 * MINUTE_MS, 1000.0 + at * 10) for at in range(12)])
    await house.store([(number, BEGIN_MS + (12 + at) * 5 * MINUTE_MS, at * 10.0) for at in range(12)])
    at_ms = BEGIN_MS + 57 * MINUTE_MS
    rows = (
        InstallationRow(0, "house", Installation(number, 0, at_ms, closing=1114.0)),
        InstallationRow(0, "house", Installation(number, at_ms, None, opening=0.0)),
    )

    def put(conn: sa.Connection) -> None:
        save_point(conn, MeteringPoint("house", "House"))
        for row in rows:
            insert_installation(conn, row)

    await house.database.write(put)
    house.bus.publish(RangesDirtied((number,), BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, "installation"))
    await house.work()

    shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS)
    found = complete(shown)
    assert await unstored(house, found) == []
    assert [one.node.value for one in found if one.node.kind == "installation"] == [1_114_000, 0]
    assert shown.node.value == 114_000 + 110_000


async def site(house: House) -> None:
    """A grid meter, a roof, a battery, a sub-meter with a car behind it, and a plug that only tells its power."""
    grid = await metered(house, "grid", "grid", "energy_import", "energy_export")
    (sun,) = await metered(house, "roof", "solar", "energy_export")
    battery = await metered(house, "store", "battery", "energy_import", "energy_export")
    (cellar,) = await metered(house, "cellar", "load", "energy_import")
    (car,) = await metered(house, "car", "ev", "energy_import", parent="cellar")
    (plug,) = await metered(house, "plug", "load", "power")
    rows = []
    for at in range(49):
        ts_ms, hour = BEGIN_MS + at * 30 * MINUTE_MS, at / 2
        rows += [
            (grid[0], ts_ms, 10_000 + min(at, 30) * 301.0 + max(at - 40, 0) * 77.7),
            (grid[1], ts_ms, 500 + max(min(at, 36) - 30, 0) * 211.0),
            (sun, ts_ms, 70_000 + max(min(at, 40) - 20, 0) * 640.5),
            (battery[0], ts_ms, 100 + max(min(at, 28) - 22, 0) * 150.0),
            (battery[1], ts_ms, 90 + max(at - 36, 0) * 60.0),
            (cellar, ts_ms, 4000 + at * 120.4),
            (car, ts_ms, 800 + max(min(at, 36) - 10, 0) * 90.0),
        ]
        rows += [(plug, ts_ms + minute * MINUTE_MS, 40.0 + hour) for minute in range(0, 30, 5)]
    await house.store([row for row in rows if row[1] <= BEGIN_MS + DAY_MS])
    await house.work()


SPOT = [SentPrice(BEGIN_MS + at * HOUR_MS, BEGIN_MS + (at + 1) * HOUR_MS, f"0.{10 + at}") for at in range(24)]
TARIFF: dict[str, Any] = {
    "id": "home",
    "versions": [
        {
            "from": "2020-01-01",
            "rounding": {"line": "0.01"},
            "import": [
                {"energy": "Day", "price": "0.31", "when": {"hours": "07:00-23:00"}},
                {"energy": "Night", "price": "0.2345", "when": "otherwise"},
                {"energy": "Market", "group": "market", "formula": "spot * 1.05 + 0.0123"},
                {
                    "tier": "Network",
                    "per": "month",
                    "blocks": [{"up_to_kwh": 2, "price": "0.04"}, {"price": "0.06"}],
                },
                {"standing": "Meter", "price": "9.99", "per": "month"},
                {"capacity": "Peak", "price": "4.2", "per": "month", "basis": "monthly_peak"},
                {"tax": "Energy tax", "per_kwh": "0.0205"},
                {"tax": "VAT", "percent": "21", "on": "all"},
                {"cap": "Ceiling", "per_kwh": "0.30", "on": ["Day", "Night"]},
            ],
            "export": [{"energy": "Feed-in", "price": "0.0811"}],
        }
    ],
}


@pytest.mark.parametrize("figure", FIGURES)
async def test_every_figure_of_the_balance_leads_to_the_series_that_decide(house: House, figure: str) -> None:
    await site(house)
    end_ms = BEGIN_MS + DAY_MS
    sums = (await request(house.ref("processing"), GetEnergySums(BEGIN_MS, end_ms, "1d"))).whole

    top = await explain(house, "figure", figure, BEGIN_MS, end_ms, View(depth=3, limit=1000))
    if figure == "self_consumption":
        assert top.node.value == round((self_consumption(sums, 0) or 0) * 1_000_000)
    elif figure == "co2":
        assert top.node.value == int(sums.import_co2[0])
    else:
        assert top.node.value == int(flow_mwh(sums, figure)[0])
    for path in _some([one.path for one in leaves(top) if one.node.parts is not None]):
        deep = await explain(house, "figure", figure, BEGIN_MS, end_ms, View(path, 30, 1000))
        assert await unstored(house, complete(deep)) == []


@pytest.mark.parametrize("device", ["cellar", "car", "plug", "grid", "roof", "store"])
async def test_a_device_is_explained_with_its_sources_and_its_cost(house: House, device: str) -> None:
    await site(house)
    await request(house.ref("processing"), CreateTariff(TARIFF))
    await request(house.ref("processing"), PutPriceRows("spot", SPOT))
    end_ms = BEGIN_MS + DAY_MS

    top = await explain(house, "device", device, BEGIN_MS, end_ms, View(depth=1))
    parts = {one.node.key: one.node.value for one in top.children or ()}
    shares = [value for key, value in parts.items() if key in ("grid", "solar", "battery", "other")]
    assert sum(shares) in (parts.get("energy", 0), 0)
    found = await explain(house, "device", device, BEGIN_MS, end_ms, View(depth=4, limit=1000))
    for path in _some([one.path for one in leaves(found) if one.node.parts is not None]):
        deep = await explain(house, "device", device, BEGIN_MS, end_ms, View(path, 30, 1000))
        assert await unstored(house, complete(deep)) == []


async def test_the_cost_of_devices_is_what_the_balance_tells(house: House) -> None:
    await site(house)
    await request(house.ref("processing"), CreateTariff(TARIFF))
    await request(house.ref("processing"), PutPriceRows("spot", SPOT))
    end_ms = BEGIN_MS + DAY_MS
    sums = (await request(house.ref("processing"), GetEnergySums(BEGIN_MS, end_ms, "1d"))).whole
    rows = [at for at, use in enumerate(sums.uses) if use.device == "car"]

    top = await explain(house, "device", "car", BEGIN_MS, end_ms, View(depth=1))
    cost = next(one.node for one in top.children or () if one.node.key == "cost")
    assert cost.value == int(sums.cost[rows, 0].sum()) * 10_000
    assert cost.value > 0


async def test_every_line_of_a_bill_is_explained_to_the_end(house: House) -> None:
    await site(house)
    await request(house.ref("processing"), CreateTariff(TARIFF))
    await request(house.ref("processing"), PutPriceRows("spot", SPOT))
    start_ms, end_ms = BEGIN_MS, BEGIN_MS + DAY_MS
    bill = await request(house.ref("processing"), GetBill("grid", start_ms, end_ms))

    top = await explain(house, "bill", "grid", start_ms, end_ms, View(depth=4, limit=1000))
    assert top.node.value == bill.total_e8 * 10**10
    assert [one.node.value for one in top.children or ()] == [line.amount_e8 * 10**10 for line in bill.lines]
    for line in top.children or ():
        for path in _some([one.path for one in leaves(line) if one.node.parts is not None]):
            deep = await explain(house, "bill", "grid", start_ms, end_ms, View(path, 30, 1000))
            assert await unstored(house, complete(deep)) == []


def _some(paths: list[str]) -> list[str]:
    """The first, the last and a few between them."""
    step = max(len(paths) // 5, 1)
    return list(dict.fromkeys([*paths[::step], *paths[-1:]]))


async def test_what_cannot_be_explained_is_refused_with_a_code(house: House) -> None:
    await house.declare("meter", "energy_import", "voltage")
    end_ms = BEGIN_MS + DAY_MS

    for metric, name, code, error in (
        ("energy", "meter.voltage", "WL-NRG-011", Refused),
        ("energy", "meter.nothing", "WL-API-404", NotFound),
        ("figure", "happiness", "WL-NRG-012", Refused),
        ("device", "nobody", "WL-API-404", NotFound),
        ("bill", "grid", "WL-MNY-010", NotFound),
    ):
        with pytest.raises(error) as caught:
            await explain(house, metric, name, BEGIN_MS, end_ms)
        assert caught.value.code == code
    with pytest.raises(NotFound) as lost:
        await explain(house, "energy", "meter.energy_import", BEGIN_MS, end_ms, View("nowhere"))
    assert lost.value.code == "WL-NRG-010"
    with pytest.raises(Refused) as longer:
        await explain(house, "figure", "use", BEGIN_MS - 500 * DAY_MS, end_ms)
    assert longer.value.code == "WL-API-031"
    with pytest.raises(Refused) as empty:
        await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS)
    assert empty.value.code == "WL-API-032"


async def test_a_time_that_has_not_come_is_a_sum_of_nothing(house: House) -> None:
    await site(house)
    start_ms = NOW_MS + 40 * DAY_MS
    for metric, name in (("figure", "use"), ("device", "car"), ("energy", "car.energy_import")):
        shown = await explain(house, metric, name, start_ms, start_ms + DAY_MS)
        assert shown.node.value == 0
        assert await unstored(house, complete(shown)) == []


async def all_of(house: House, metric: str, name: str, start_ms: int, end_ms: int) -> set[str]:
    """Kinds of the leaves under some nodes of each level, after checking all of them."""
    top = await explain(house, metric, name, start_ms, end_ms, View(depth=4, limit=1000))
    seen: set[str] = set()
    for path in _some([one.path for one in leaves(top) if one.node.parts is not None]):
        deep = await explain(house, metric, name, start_ms, end_ms, View(path, 30, 1000))
        assert await unstored(house, complete(deep)) == []
        seen |= kinds(deep)
    return seen


async def test_an_hourly_counter_that_power_shapes_is_explained_by_its_readings(house: House) -> None:
    counter, power = await house.declare("meter", "energy_import", "power")
    await house.store([(counter, BEGIN_MS + at * HOUR_MS, at * 1234.567) for at in range(7)])
    await house.store([(power, BEGIN_MS + at * 2 * MINUTE_MS, 500.0 + at % 13 * 91.7) for at in range(180)])
    await house.work()
    await request(house.ref("processing"), SetCounting("meter.energy_import", shape="power"))
    await house.work()

    shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + 6 * HOUR_MS)
    assert await unstored(house, complete(shown)) == []
    assert kinds(shown) <= {"reading", "rounding"}
    assert len({one.node.value for one in (shown.children or ())[:4]}) == 4  # by power, not flat


async def test_transformers_multiply_registers_in_the_balance_and_on_the_bill(house: House) -> None:
    await site(house)
    number = house.registry.by_public_id("grid.energy_import").no
    row = InstallationRow(0, "house", Installation(number, 0, None, factor=1.37))

    def put(conn: sa.Connection) -> None:
        save_point(conn, MeteringPoint("house", "House"))
        insert_installation(conn, row)

    await house.database.write(put)
    version = {"from": "2020-01-01", "import": [{"energy": "All", "price": "0.3"}]}
    await request(
        house.ref("processing"), CreateTariff({"id": "t", "metering_point": "house", "versions": [version]})
    )
    end_ms = BEGIN_MS + DAY_MS

    assert "installation" in await all_of(house, "figure", "import", BEGIN_MS, end_ms)
    assert "installation" in await all_of(house, "bill", "house", BEGIN_MS, end_ms)


async def test_energy_that_was_set_off_over_a_month_is_told_apart(house: House) -> None:
    await site(house)
    version = {
        "from": "2020-01-01", "netting": {"period": "month"},
        "import": [{"energy": "All", "price": "0.3"}], "export": [{"energy": "In", "price": "0.1"}],
    }  # fmt: skip
    await request(
        house.ref("processing"), CreateTariff({"id": "t", "metering_point": "grid", "versions": [version]})
    )

    assert "limit" in await all_of(house, "bill", "grid", BEGIN_MS, BEGIN_MS + DAY_MS)


async def test_phases_that_count_by_themselves_are_shown_each(house: House) -> None:
    keys = [f"energy_{way}_l{phase}" for way in ("import", "export") for phase in (1, 2, 3)]
    numbers = await metered(house, "grid", "grid", *keys)
    rows = [
        (number, BEGIN_MS + at * 10 * MINUTE_MS, at * (10.0 + place * 3.3))
        for place, number in enumerate(numbers)
        for at in range(37)
    ]
    await house.store(rows)
    await house.work()
    version = {
        "from": "2020-01-01", "netting": {"phases": "per_phase"}, "import": [{"energy": "All", "price": "0.3"}],
    }  # fmt: skip
    await request(
        house.ref("processing"), CreateTariff({"id": "t", "metering_point": "grid", "versions": [version]})
    )

    found = await explain(house, "bill", "grid", BEGIN_MS, BEGIN_MS + 6 * HOUR_MS)
    assert found.node.value > 0
    assert await unstored(house, complete(found)) == []


async def test_prices_that_a_series_of_the_hub_carries_lead_to_its_slots(house: House) -> None:
    await site(house)
    (number,) = await house.declare("market", "price")
    await house.store([(number, BEGIN_MS + at * HOUR_MS, 0.1 + at / 100) for at in range(25)])
    await house.work()
    wanted = {"id": "spot", "series": "market.price", "unit": "EUR/kWh"}
    await request(house.ref("processing"), CreatePriceSeries(wanted))
    version = {"from": "2020-01-01", "import": [{"energy": "All", "formula": "max(spot, 0.12) + 0.01"}]}
    await request(
        house.ref("processing"), CreateTariff({"id": "t", "metering_point": "grid", "versions": [version]})
    )

    assert "price_row" in await all_of(house, "bill", "grid", BEGIN_MS, BEGIN_MS + 6 * HOUR_MS)


async def test_the_border_of_a_scale_leads_to_the_readings_around_it(house: House) -> None:
    (number,) = await house.declare("meter", "energy_import")
    await house.store([(number, BEGIN_MS + at * 10 * MINUTE_MS, 1000.0 + at * 60) for at in range(13)])
    await house.work()
    begin_ms = BEGIN_MS + 25 * MINUTE_MS
    await correct(house, "scale", begin_ms, end_ms=begin_ms + HOUR_MS, value=2.0)

    shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS)
    assert shown.node.value == (720 + 360) * 1000
    assert await unstored(house, complete(shown)) == []
    assert "correction" in kinds(shown)


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([99_970.0, 99_980.0, 99_990.0, *(at * 10.0 for at in range(30))], "rollover"),
        ([50_000.0, 50_010.0, 50_020.0, *(at * 10.0 for at in range(1, 30))], "reset"),
    ],
)
async def test_what_the_counter_machine_decided_is_a_part_of_its_own(
    house: House, values: list[float], flag: str
) -> None:
    info = known_series("energy_import")
    assert info is not None
    (number,) = await house.declare("meter", replace(info, register_width=100_000.0))
    await house.store([(number, BEGIN_MS + at * MINUTE_MS, value) for at, value in enumerate(values)])
    await house.work()

    shown = await explain(house, "energy", "meter.energy_import", BEGIN_MS, BEGIN_MS + HOUR_MS)
    assert await unstored(house, complete(shown)) == []
    found = [one for one in _inside(shown) if one.node.kind == flag]
    assert len(found) == 1
    assert shown.node.value == (20 + 10 * (flag == "rollover") + 290) * 1000


def _inside(shown: Shown) -> Iterator[Shown]:
    yield shown
    for child in shown.children or ():
        yield from _inside(child)
