"""A register with faults, corrections and a meter swap: any arrival, any kill gives the rows of a rebuild."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.actors.corrections import AddCorrection, Wanted
from hub.actors.metering_requests import AddInstallation, PatchInstallation, RemoveInstallation, SavePoint
from hub.actors.processing import RebuildDerived
from hub.energy.slots import Readings, SlotColumns
from hub.errors import StateConflict
from hub.runtime.actor import request
from hub.storage import slots
from hub.storage.rederive import rederive
from tests.hub.actors.house import House, running_house
from tests.hub.energy.streams import counter_streams

SERIES = "meter.energy_import"
SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


async def stored_rows(house: House, number: int) -> SlotColumns:
    found = await house.database.read(lambda conn: slots.read(conn, [number], slots.SLOT, 0, 1 << 52))
    return found[number]


async def of_one_derivation(house: House, number: int, readings: Readings) -> SlotColumns:
    series = house.registry.by_no(number)
    assert series is not None
    day_ms = 86_400_000
    first_ms, last_ms = int(readings.ts_ms[0]) - day_ms, int(readings.ts_ms[-1]) + day_ms
    found = await house.database.read(lambda conn: rederive(conn, series, first_ms, last_ms))
    return found.derived.slots


class Story:
    """What happens to the register, in an order that chance decides."""

    def __init__(self, readings: Readings, chance: Random) -> None:
        self.readings = readings
        self.chance = chance
        self.installations: list[int] = []
        self.end_ms = int(readings.ts_ms[-1]) + 600_000
        rows = list(zip(readings.ts_ms.tolist(), readings.value.tolist(), strict=True))
        self.batches: list[list[tuple[int, float]]] = []
        while rows:
            size = chance.randint(1, 40)
            self.batches.append(rows[:size])
            rows = rows[size:]
        for _ in range(chance.randint(0, 4)):  # some come late, or long before their neighbours
            batch = self.batches.pop(chance.randrange(len(self.batches)))
            self.batches.insert(chance.randint(0, len(self.batches)), batch)

    async def go_on(self, house: House) -> bool:
        """One turn; false when the hub is to be killed."""
        (number,) = await house.declare("meter", "energy_import")
        if self.batches and self.chance.random() < 0.7:
            await house.store([(number, ts_ms, value) for ts_ms, value in self.batches.pop(0)])
        turn = self.chance.random()
        if turn < 0.35:
            await house.work()
        elif turn < 0.5:
            await self._judge(house)
        elif turn < 0.65:
            await self._install(house)
        elif turn < 0.75:
            return False
        return True

    def _some_ms(self) -> int:
        at = int(self.chance.choice(self.readings.ts_ms.tolist()))
        return at + self.chance.choice([0, 0, 1, -1, 450_000])

    async def _judge(self, house: House) -> None:
        start_ms = self._some_ms()
        action = self.chance.choice(["accept", "reject", "delete", "value", "offset"])
        later_ms = min(start_ms + self.chance.choice([1, 60_000, 4_000_000]), self.end_ms)
        end_ms = None if action == "value" else later_ms
        value = {"value": 70_000.0, "offset": 300.0}.get(action)
        wanted = Wanted(SERIES, action, start_ms, end_ms, value)
        with suppress(StateConflict):  # chance may say the same twice
            await request(house.ref("corrections"), AddCorrection(wanted, "a test"))

    async def _install(self, house: House) -> None:
        """One installation, swapped once; taken away and made again as people do who mistyped."""
        meter = house.ref("metering")
        if len(self.installations) == 2:
            await request(meter, RemoveInstallation(self.installations.pop()))
            await request(meter, PatchInstallation(self.installations[0], {"to_ms": None, "closing": None}))
            return
        if not self.installations:
            await request(meter, SavePoint("grid", {"name": "grid"}, new=True))
            first_ms = int(self.readings.ts_ms[0]) - 3_600_000
            made = await request(meter, AddInstallation("grid", SERIES, {"from_ms": first_ms}))
        else:
            swap_ms = self._some_ms()
            closing = self.chance.choice([None, 0.0, 60_500.0, 1_000_000.0])
            await request(
                meter, PatchInstallation(self.installations[0], {"to_ms": swap_ms, "closing": closing})
            )
            opening = self.chance.choice([None, 0.0, 5.0, 60_000.0, 1_000_000.0])
            made = await request(
                meter, AddInstallation("grid", SERIES, {"from_ms": swap_ms, "opening": opening})
            )
        self.installations.append(made.row.id)


async def assert_ends_in_one_truth(readings: Readings, chance: Random) -> None:
    story = Story(readings, chance)
    with tempfile.TemporaryDirectory() as folder:
        life = 0
        home = Path(folder)
        while story.batches:
            async with running_house(home, now_ms=story.end_ms) as house:
                while story.batches and await story.go_on(house):
                    pass
                life += 1
                left = Path(folder, f"killed-{life}")
                # what a hub that is killed now leaves
                shutil.copytree(home, left, ignore=shutil.ignore_patterns("killed-*"))
            home = left
        async with running_house(home, now_ms=story.end_ms) as house:
            (number,) = await house.declare("meter", "energy_import")
            await house.work()
            await house.work()
            rows = await stored_rows(house, number)
            assert rows.same_as(await of_one_derivation(house, number, readings))
            await request(house.ref("processing"), RebuildDerived(), timeout_s=60)
            assert rows.same_as(await stored_rows(house, number))


@settings(SETTINGS, max_examples=12)
@given(counter_streams(flags=(0,)), st.randoms(use_true_random=False))
async def test_any_arrival_decision_and_kill_ends_in_the_rows_of_a_rebuild(
    readings: Readings, chance: Random
) -> None:
    await assert_ends_in_one_truth(readings, chance)


@pytest.mark.slow
@settings(SETTINGS, max_examples=400)
@given(counter_streams(flags=(0,)), st.randoms(use_true_random=False))
async def test_many_arrivals_decisions_and_kills_end_in_the_rows_of_a_rebuild(
    readings: Readings, chance: Random
) -> None:
    await assert_ends_in_one_truth(readings, chance)
