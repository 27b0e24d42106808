"""Any sequence of readings with any restarts, clean or not, gives the figures of a hub that never stopped."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.actors.processing import KeepHouse
from hub.energy.slots import SlotColumns
from hub.runtime.actor import request
from hub.storage import slots
from hub.storage.rederive import rederive
from tests.hub.actors.house import NOW_MS, House, running_house

STEP_MS = 30_000
DAY_MS = 86_400_000
SERIES = ("power", "energy_import", "energy_export", "temperature")
CLEAN, KILLED, SEALED = "clean", "killed", "sealed"


@dataclass(frozen=True, slots=True)
class Reading:
    """``position`` in steps of 30 s; ``kind`` says what a register does there."""

    position: int
    series: int
    kind: str

    def row(self, numbers: Sequence[int], first_ms: int) -> tuple[int, int, float]:
        register = {
            "rise": 10_000.0 + self.position * 4.25,
            "same": 10_000.0,
            "dip": 10_000.0 + self.position * 4.25 - 1.0,
            "reset": (self.position % 97) / 8,
            "zero": 0.0,
            "spike": 9e9,
        }[self.kind]
        values = (500.0 + self.position % 400, register, register / 2, 20.0 + self.position % 7)
        return numbers[self.series], first_ms + self.position * STEP_MS, values[self.series]


readings = st.builds(
    Reading,
    st.integers(0, 4 * 2880),  # four days
    st.integers(0, len(SERIES) - 1),
    st.sampled_from(["rise", "rise", "rise", "same", "dip", "reset", "zero", "spike"]),
)
runs = st.builds(  # dense stretches: a device that reports every 30 s
    lambda first, length, series, kind: [Reading(first + at, series, kind) for at in range(length)],
    st.integers(0, 4 * 2880),
    st.integers(2, 60),
    st.integers(0, len(SERIES) - 1),
    st.sampled_from(["rise", "same", "reset"]),
)
batches = st.lists(st.one_of(st.lists(readings, min_size=1, max_size=20), runs), min_size=1, max_size=10)
events = st.lists(st.sampled_from(["", "", "work", CLEAN, KILLED, SEALED]), min_size=10, max_size=10)


async def figures(folder: Path, plan: list[list[Reading]], happenings: Sequence[str]) -> list[SlotColumns]:
    """Store the batches in order with what happens after each, then the derived slots of every series."""
    first_ms = NOW_MS - 4 * DAY_MS
    pending = list(zip(plan, happenings, strict=False))
    while True:
        image = folder.with_name(f"{folder.name}-{len(pending)}")
        async with running_house(folder) as house:
            numbers = await house.declare("meter", *SERIES)
            happened = await _until_it_stops(house, numbers, pending, first_ms)
            if happened == KILLED:
                await asyncio.to_thread(_copy_as_killed, folder, image)
            elif not happened:
                await house.work()
                return [await _compared(house, number) for number in numbers]
        if happened == KILLED:
            folder = image


async def _until_it_stops(
    house: House, numbers: Sequence[int], pending: list[tuple[list[Reading], str]], first_ms: int
) -> str:
    while pending:
        batch, happens = pending.pop(0)
        await house.store([reading.row(numbers, first_ms) for reading in batch])
        if happens == "work":
            await house.work()
        elif happens == SEALED:
            await house.work()
            await request(house.ref("processing"), KeepHouse(), timeout_s=60)
        elif happens:
            return happens
    return ""


def _copy_as_killed(folder: Path, image: Path) -> None:
    """What a killed process leaves: the files as they are, without the orderly end."""
    image.mkdir()
    for file in folder.glob("hub.db*"):
        if not file.name.endswith("-shm"):
            shutil.copyfile(file, image / file.name)


async def _compared(house: House, number: int) -> SlotColumns:
    """The stored slots, which must be those of one derivation of everything."""
    series = house.registry.by_no(number)
    assert series is not None
    stored = await house.database.read(
        lambda conn: slots.read(conn, [number], slots.SLOT, 0, 1 << 52)[number]
    )
    whole = await house.database.read(
        lambda conn: rederive(conn, series, NOW_MS - 9 * DAY_MS, NOW_MS + DAY_MS)
    )
    assert stored.same_as(whole.derived.slots)
    return stored


async def _same_with_and_without_restarts(plan: list[list[Reading]], happenings: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        restarted = await figures(Path(folder) / "restarted", plan, happenings)
        steady = await figures(Path(folder) / "steady", plan, [""] * len(plan))
    assert [one.same_as(other) for one, other in zip(restarted, steady, strict=True)] == [True] * len(SERIES)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(batches, events)
async def test_restarts_change_no_figure(plan: list[list[Reading]], happenings: list[str]) -> None:
    await _same_with_and_without_restarts(plan, happenings)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(batches, events)
async def test_restarts_change_no_figure_in_many_cases(
    plan: list[list[Reading]], happenings: list[str]
) -> None:
    await _same_with_and_without_restarts(plan, happenings)
