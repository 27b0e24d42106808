"""The desk of energy: any question about the same slots gives the same sums, and a change is seen at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from hub.actors.device_requests import PatchDevice
from hub.actors.energy_desk import EnergyDesk
from hub.actors.energy_months import PriceBook
from hub.actors.energy_requests import GetEnergySums
from hub.actors.processing import KeepHouse
from hub.energy.allocation import SlotPrices
from hub.energy.asked import asked, compared, custom, day_start_ms
from hub.energy.figures import flow_mwh, self_sufficiency, summary_json
from hub.energy.installations import Installation
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.energy.stock import CARRIED
from hub.model.series import Role
from hub.runtime.actor import request
from hub.storage import metering, slots
from hub.storage.metering import InstallationRow
from tests.hub.actors.house import NOW_MS, House, running_house

DAY_MS = 86_400_000
KW_SLOT = 250_000
"""mWh of 1 kW in a quarter of an hour."""


def constant(first_ms: int, amounts: Sequence[int]) -> SlotColumns:
    """Measured slots with these mWh."""
    count = len(amounts)
    nothing = np.zeros(count, np.int32)
    unknown = np.full(count, np.nan)
    return SlotColumns(
        start_ms=first_ms + np.arange(count, dtype=np.int64) * SLOT_MS,
        delta=np.array(amounts, np.int64),
        has_delta=np.ones(count, np.bool_),
        count=np.ones(count, np.int32),
        mean=unknown, min=unknown, max=unknown, last=unknown,
        measured_ms=np.full(count, SLOT_MS, np.int32),
        late_ms=nothing, estimated_ms=nothing, suspect_ms=nothing, flags=nothing,
    )  # fmt: skip


async def put(house: House, number: int, first_ms: int, amounts: Sequence[int]) -> None:
    """Slots of a series, as derivation leaves them."""
    columns = constant(first_ms, amounts)
    rows = slots.MetricRows(
        slots.SLOT, np.full(len(columns), number, np.int32), columns.start_ms + SLOT_MS, columns, 1
    )
    end_ms = first_ms + len(amounts) * SLOT_MS
    await house.database.write(lambda conn: slots.replace(conn, number, rows, first_ms, end_ms, end_ms))


async def meter(house: House, device: str, role: Role, *keys: str, parent: str | None = None) -> list[int]:
    """A device with a role and its registers."""
    numbers = await house.declare(device, *keys)
    await request(house.ref("device"), PatchDevice(device, {"role": role.value, "parent": parent}))
    return numbers


class Flat(PriceBook):
    """One price for every slot."""

    def __init__(self, price_e8: int, known_from_ms: int = 0) -> None:
        self.price_e8, self.known_from_ms, self.version = price_e8, known_from_ms, 1

    @property
    def revision(self) -> int:
        return self.version

    async def slot_prices(self, first_ms: int, count: int) -> SlotPrices | None:
        known = first_ms + np.arange(count) * SLOT_MS >= self.known_from_ms
        price = np.full(count, self.price_e8, np.int64)
        return SlotPrices(price, known, price // 4, known)


# Days whose length is not 24 hours, and plain ones beside them: 23, 25, 23.5, 24.5 and 0 hours
DAYS = [
    ("Europe/Paris", date(2025, 3, 30), 23.0),
    ("Europe/Paris", date(2025, 10, 26), 25.0),
    ("America/New_York", date(2025, 3, 9), 23.0),
    ("America/New_York", date(2025, 11, 2), 25.0),
    ("Australia/Lord_Howe", date(2025, 4, 6), 24.5),
    ("Australia/Lord_Howe", date(2025, 10, 5), 23.5),
    ("America/Santiago", date(2025, 4, 5), 25.0),
    ("America/Santiago", date(2025, 9, 7), 23.0),
    ("Asia/Beirut", date(2025, 3, 30), 23.0),
    ("Africa/Casablanca", date(2025, 2, 23), 25.0),
    ("Pacific/Apia", date(2011, 12, 30), 0.0),
    ("Pacific/Apia", date(2011, 12, 29), 24.0),
    ("Asia/Kathmandu", date(2025, 5, 5), 24.0),
    ("UTC", date(2025, 5, 5), 24.0),
]


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
async def test_a_constant_kilowatt_is_the_length_of_the_day(
    tmp_path: Path, zone: str, day: date, hours: float
) -> None:
    async with running_house(tmp_path, NOW_MS + 60 * DAY_MS, zone) as house:
        (register,) = await meter(house, "main", Role.GRID, "energy_import")
        desk = EnergyDesk(house.database, house.registry, zone)
        month, one = asked(zone, "month", day), asked(zone, "day", day)
        count = (month.end_ms - month.start_ms) // SLOT_MS
        await put(house, register, month.start_ms, [KW_SLOT] * count)
        by_day = await desk.sums(month.start_ms, month.end_ms, "1d")
        by_hour = await desk.sums(month.start_ms, month.end_ms, "1h")
        by_month = await desk.sums(month.start_ms, month.end_ms, "1mo")

        at = [label[:10] for label in by_day.grid.label].index(day.isoformat())
        used = flow_mwh(by_day.sums, "use")
        assert used[at] == round(hours * 1_000_000)
        assert (one.end_ms - one.start_ms) / 3_600_000 == hours
        starts, of_hours = by_hour.grid.start_ms, flow_mwh(by_hour.sums, "use")
        inside = (starts >= one.start_ms) & (starts < one.end_ms)
        assert of_hours[inside].sum() == used[at]
        assert used.sum() == flow_mwh(by_month.sums, "use")[0] == count * KW_SLOT
        assert flow_mwh(by_day.whole, "import")[0] == count * KW_SLOT


async def test_any_period_holds_the_same_slots(tmp_path: Path) -> None:
    zone = "Europe/Paris"
    async with running_house(tmp_path, zone=zone) as house:
        bought, sold = await meter(house, "main", Role.GRID, "energy_import", "energy_export")
        charged, given = await meter(house, "store", Role.BATTERY, "energy_import", "energy_export")
        (used,) = await meter(house, "oven", Role.LOAD, "energy")
        first_ms = day_start_ms(zone, date(2024, 11, 20))
        count = 70 * 96
        random = np.random.default_rng(7)
        flow = {number: random.integers(0, 400_000, count) for number in (bought, sold, charged, used)}
        flow[given] = flow[charged] * 9 // 10
        for number, amounts in flow.items():
            await put(house, number, first_ms, amounts.tolist())
        desk = EnergyDesk(house.database, house.registry, zone, prices=Flat(30_000_000))
        start_ms, end_ms = day_start_ms(zone, date(2024, 12, 20)), day_start_ms(zone, date(2025, 1, 20))
        whole = await desk.sums(start_ms, end_ms, "1d")

        for low, high in ((0, 5), (5, 6), (11, 13), (12, 31)):
            days = whole.grid.start_ms[low], whole.grid.end_ms[high - 1]
            again = EnergyDesk(house.database, house.registry, zone, prices=Flat(30_000_000))
            fine = await again.sums(int(days[0]), int(days[1]), "15m")
            part = whole.sums.between(int(days[0]), int(days[1])).whole(int(days[0]), int(days[1]))
            for name in ("fed_mwh", "cost", "lost", "change", "revenue"):
                assert getattr(fine.whole, name).tolist() == getattr(part, name).tolist()
        cost = CARRIED.index("cost") + 1
        parts = int(np.delete(whole.whole.cost, 1, axis=0).sum())
        assert parts + int(whole.whole.lost[cost, 0] + whole.whole.change[cost, 0]) == int(
            whole.whole.import_cost[0]
        )


async def test_the_inventory_begins_empty_on_the_first_of_december(tmp_path: Path) -> None:
    zone = "UTC"
    async with running_house(tmp_path, zone=zone) as house:
        charged, given = await meter(house, "store", Role.BATTERY, "energy_import", "energy_export")
        await put(house, charged, day_start_ms(zone, date(2024, 11, 30)), [1_000_000])
        await put(house, given, day_start_ms(zone, date(2024, 12, 2)), [1_000_000])
        desk = EnergyDesk(house.database, house.registry, zone)
        in_2024 = await desk.sums(*span(zone, date(2024, 12, 2)), "1d")
        await put(house, given, day_start_ms(zone, date(2025, 1, 2)), [1_000_000])
        desk.note([given], day_start_ms(zone, date(2025, 1, 2)), day_start_ms(zone, date(2025, 1, 3)))
        in_2025 = await desk.sums(*span(zone, date(2025, 1, 2)), "1d")

        # the year 2024 knows of the charge in November, the walk of 2025 does not
        assert in_2024.whole.opening_mwh.tolist() == [0]
        assert in_2025.whole.opening_mwh.tolist() == [1_000_000]


def span(zone: str, day: date) -> tuple[int, int]:
    one = asked(zone, "day", day)
    return one.start_ms, one.end_ms


async def test_a_change_of_slots_or_roles_or_prices_is_seen_at_once(tmp_path: Path) -> None:
    zone = "UTC"
    async with running_house(tmp_path, zone=zone) as house:
        (register,) = await meter(house, "main", Role.GRID, "energy_import")
        (oven,) = await meter(house, "oven", Role.NONE, "energy")
        start_ms, end_ms = span(zone, date(2025, 5, 5))
        await put(house, register, start_ms, [KW_SLOT] * 96)
        await put(house, oven, start_ms, [KW_SLOT] * 96)
        prices = Flat(20_000_000)
        desk = EnergyDesk(house.database, house.registry, zone, prices=prices)
        first = await desk.sums(start_ms, end_ms, "1d")
        await put(house, register, start_ms, [2 * KW_SLOT] * 96)
        assert (await desk.sums(start_ms, end_ms, "1d")).whole.import_cost == first.whole.import_cost
        desk.note([register], start_ms, end_ms)
        more = await desk.sums(start_ms, end_ms, "1d")
        prices.price_e8, prices.version = 40_000_000, 2
        dearer = await desk.sums(start_ms, end_ms, "1d")
        await request(house.ref("device"), PatchDevice("oven", {"role": "load"}))
        with_oven = await desk.sums(start_ms, end_ms, "1d")

        assert more.whole.import_cost == 2 * first.whole.import_cost
        assert dearer.whole.import_cost == 2 * more.whole.import_cost
        assert flow_mwh(with_oven.whole, "not_measured").tolist() == [24_000_000]


async def test_days_without_data_are_unknown_and_not_zero(tmp_path: Path) -> None:
    zone = "Europe/Paris"
    async with running_house(tmp_path, zone=zone) as house:
        (register,) = await meter(house, "main", Role.GRID, "energy_import")
        one = asked(zone, "week", date(2025, 5, 5))
        await put(house, register, one.start_ms, [KW_SLOT] * 96 + [0] * 96)
        found = await EnergyDesk(house.database, house.registry, zone).sums(one.start_ms, one.end_ms, "1d")
        figures = [summary_json(found.sums, at, found.now_ms)["figures"]["use"]["energy"] for at in range(7)]

        assert figures == [24_000.0, 0.0, None, None, None, None, None]
        assert summary_json(found.whole, 0, found.now_ms)["complete"] == round(2 / 7, 6)


async def test_a_factor_of_a_transformer_counts_from_its_day_on(tmp_path: Path) -> None:
    zone = "UTC"
    async with running_house(tmp_path, zone=zone) as house:
        (register,) = await meter(house, "main", Role.GRID, "energy_import")
        start_ms, end_ms = span(zone, date(2025, 5, 5))
        await put(house, register, start_ms, [KW_SLOT] * 192)
        desk = EnergyDesk(house.database, house.registry, zone)
        before = await desk.sums(start_ms, end_ms + DAY_MS, "1d")
        row = InstallationRow(0, "grid", Installation(register, end_ms, factor=40.0))

        def install(conn: sa.Connection) -> None:
            metering.save_point(conn, metering.MeteringPoint("grid", "Grid"))
            metering.insert_installation(conn, row)

        await house.database.write(install)
        after = await desk.sums(start_ms, end_ms + DAY_MS, "1d")

        assert flow_mwh(before.sums, "import").tolist() == [96 * KW_SLOT, 96 * KW_SLOT]
        assert flow_mwh(after.sums, "import").tolist() == [96 * KW_SLOT, 40 * 96 * KW_SLOT]


async def test_the_actor_answers_by_what_it_derives(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        bought, sold = await meter(house, "main", Role.GRID, "energy_import", "energy_export")
        (made,) = await meter(house, "roof", Role.SOLAR, "energy")
        start_ms = NOW_MS - NOW_MS % DAY_MS
        rows = []
        for at in range(8 * 4 + 1):
            ts_ms = start_ms + at * SLOT_MS
            rows += [(bought, ts_ms, 100.0 * at), (sold, ts_ms, 50.0 * at), (made, ts_ms, 150.0 * at)]
        await house.store(rows)
        await house.work()
        found = await request(
            house.ref("processing"), GetEnergySums(start_ms, start_ms + 8 * 3_600_000, "1h"), timeout_s=60
        )

        assert [int(value) for value in flow_mwh(found.sums, "use")] == [800_000] * 8
        assert [int(value) for value in flow_mwh(found.sums, "export")] == [200_000] * 8
        assert self_sufficiency(found.whole) == [0.5]


# --- periods and comparisons, by the calendar


@pytest.mark.parametrize(
    ("period", "at", "how", "expected"),
    [
        ("day", date(2024, 2, 29), "previous", (date(2024, 2, 28), date(2024, 2, 29))),
        ("day", date(2024, 2, 29), "year", (date(2023, 2, 28), date(2023, 3, 1))),
        ("day", date(2025, 3, 1), "previous", (date(2025, 2, 28), date(2025, 3, 1))),
        ("day", date(2025, 4, 1), "week", (date(2025, 3, 25), date(2025, 3, 26))),
        ("week", date(2025, 4, 1), "week", (date(2025, 3, 24), date(2025, 3, 31))),
        ("month", date(2025, 4, 1), "week", (date(2025, 3, 1), date(2025, 4, 1))),
        ("day", date(2025, 1, 1), "previous", (date(2024, 12, 31), date(2025, 1, 1))),
        ("week", date(2025, 1, 1), "previous", (date(2024, 12, 23), date(2024, 12, 30))),
        ("week", date(2020, 12, 31), "year", (date(2019, 12, 30), date(2020, 1, 6))),
        ("week", date(2025, 5, 7), "year", (date(2024, 5, 6), date(2024, 5, 13))),
        ("month", date(2024, 3, 31), "previous", (date(2024, 2, 1), date(2024, 3, 1))),
        ("month", date(2024, 2, 10), "year", (date(2023, 2, 1), date(2023, 3, 1))),
        ("month", date(2025, 1, 10), "previous", (date(2024, 12, 1), date(2025, 1, 1))),
        ("billing", date(2025, 1, 10), "year", (date(2024, 1, 1), date(2024, 2, 1))),
        ("year", date(2024, 6, 1), "previous", (date(2023, 1, 1), date(2024, 1, 1))),
        ("year", date(2024, 6, 1), "year", (date(2023, 1, 1), date(2024, 1, 1))),
    ],
)
def test_comparisons_keep_the_place_in_the_calendar(
    period: str, at: date, how: str, expected: tuple[date, date]
) -> None:
    zone = "Europe/Paris"
    other = compared(zone, asked(zone, period, at), how, NOW_MS * 2)

    assert (other.first, other.after) == expected
    assert other.start_ms == day_start_ms(zone, expected[0])
    assert other.end_ms == day_start_ms(zone, expected[1])


def test_a_running_month_is_compared_as_far_as_it_has_come() -> None:
    zone = "Europe/Paris"
    now = date(2025, 3, 30)
    now_ms = day_start_ms(zone, now) + 12 * 3_600_000  # 13:00, the clock went forward that night
    other = compared(zone, asked(zone, "month", now), "year", now_ms)

    assert other.end_ms == day_start_ms(zone, date(2024, 3, 30)) + 13 * 3_600_000
    assert other.note


def test_any_range_is_compared_with_the_same_clocks() -> None:
    zone = "Europe/Paris"
    hour_ms = 3_600_000
    one = custom(zone, day_start_ms(zone, date(2025, 3, 29)), day_start_ms(zone, date(2025, 3, 31)))
    before, year = (compared(zone, one, how, NOW_MS) for how in ("previous", "year"))
    part = custom(zone, one.start_ms + 6 * hour_ms, one.start_ms + 10 * hour_ms)

    assert one.end_ms - one.start_ms == 47 * hour_ms
    assert (before.start_ms, before.end_ms) == (day_start_ms(zone, date(2025, 3, 27)), one.start_ms)
    assert (year.start_ms, year.end_ms) == tuple(
        day_start_ms(zone, day) for day in (date(2024, 3, 29), date(2024, 3, 31))
    )
    assert compared(zone, part, "previous", NOW_MS).start_ms == one.start_ms + 2 * hour_ms
    assert compared(zone, one, "week", NOW_MS).start_ms == day_start_ms(zone, date(2025, 3, 22))
    assert (
        compared(zone, part, "week", NOW_MS).start_ms == day_start_ms(zone, date(2025, 3, 22)) + 6 * hour_ms
    )


async def test_rows_and_blocks_on_postgresql_give_the_same_year(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, url=postgres_url) as house:
        (register,) = await meter(house, "main", Role.GRID, "energy_import")
        first_ms = NOW_MS - 70 * DAY_MS
        await house.store([(register, first_ms + at * 3_600_000, at * 100.0) for at in range(1000)])
        await house.work()
        ask = GetEnergySums(first_ms, NOW_MS, "1mo")
        before = await request(house.ref("processing"), ask, timeout_s=60)
        await request(house.ref("processing"), KeepHouse(), timeout_s=100)
        desk = EnergyDesk(house.database, house.registry, house.zone)
        after = await desk.sums(first_ms, NOW_MS, "1mo")

        assert flow_mwh(before.whole, "import").tolist() == [99_900_000]
        assert flow_mwh(before.sums, "import").tolist() == flow_mwh(after.sums, "import").tolist()
