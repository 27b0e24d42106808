"""A year of the balance over HTTP: summary, balance by month, and flows, of a house with roof, battery and 20 meters.

The store holds a year of slots as the hub's housekeeping leaves them. "First" is the first answer after a start:
thirteen months are read and allocated, the battery's inventory with them. Later answers have the closed months in
memory. The floor allocates in memory what lies there as columns, without reading and without HTTP.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from bench.hub_process import HubProcess
from bench.prepared import ENERGY, POWER, YEAR_DAYS, slots_of_a_year, today_ms, write_year, written
from bench.rows import Context, Row
from bench.statistics import median_s, percentile
from hub.energy.allocation import allocate
from hub.energy.site_meters import SiteMeter, Term
from hub.energy.site_slots import SiteSlots, site_slots
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.device import Device
from hub.model.series import Behaviour, Direction, Role, SeriesInfo, known_series
from hub.model.units import Quantity
from hub.storage import registry
from hub.storage.database import Database

LOADS = 17
WARM_MS, COLD_MS = 50.0, 500.0
_EXPORT = SeriesInfo("energy_export", Quantity.ENERGY, Behaviour.COUNTER, "kWh", Direction.EXPORT)
_HOUSE = (
    ("grid", Role.GRID, None, (ENERGY, _EXPORT, POWER)),
    ("roof", Role.SOLAR, None, (known_series("energy"), POWER)),
    ("store", Role.BATTERY, None, (ENERGY, _EXPORT, POWER)),
    *((f"load{at:02d}", Role.LOAD, "load00" if 0 < at < 5 else None, (known_series("energy"), POWER))
      for at in range(LOADS)),
)  # fmt: skip
QUESTIONS = ("summary", "balance", "flows")


def run(context: Context) -> list[Row]:
    """Prepare the store, ask each question of a fresh hub and of one that was asked before."""
    times = 5 if context.quick else 15
    floor_ms = _floor_ms(1 if context.quick else 3)
    rows = []
    with context.directory("energy") as directory:
        written(directory / "data", _fill)
        for question in QUESTIONS:
            with HubProcess(directory) as hub:
                connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
                before_s = hub.cpu_s()
                taken_ms = [_asked(hub, connection, question)]
                cpu_ms = (hub.cpu_s() - before_s) * 1e3
                taken_ms += [_asked(hub, connection, question) for _ in range(times)]
                connection.close()
            name = f"a year of energy, {len(_HOUSE)} devices: {question}"
            rows += [
                Row(
                    f"{name}, first",
                    taken_ms[0],
                    "ms",
                    "lower",
                    floor_ms,
                    "allocation in memory",
                    COLD_MS,
                    note=f"CPU {cpu_ms:.0f} ms",
                ),
                Row(name, percentile(taken_ms[1:], 50), "ms", "lower", target=WARM_MS),
            ]
    return rows


def _asked(hub: HubProcess, connection: http.client.HTTPConnection, question: str) -> float:
    begin_s = time.perf_counter()
    connection.request("GET", f"/api/v1/energy/{question}?period=year", headers=hub.headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"energy answers {answer.status}")
    return (time.perf_counter() - begin_s) * 1e3


async def _fill(database: Database) -> None:
    def house(conn: sa.Connection) -> list[int]:
        numbers: list[int] = []
        for name, role, parent, infos in _HOUSE:
            device = Device(name, name, "bench", role=role, parent=parent, created_ms=1_700_000_000_000)
            registry.save_device(conn, device)
            units = ["W" if info is POWER else "Wh" for info in infos]
            made = registry.insert_series(conn, name, list(infos), units, 1_700_000_000_000)
            numbers += [int(one.no) for one in made]
        return numbers

    infos = [info for *_, infos in _HOUSE for info in infos]
    names = [name for name, _, _, own in _HOUSE for _ in own]
    for at, number in enumerate(await database.write(house)):
        columns = slots_of_a_year(at, gauge=infos[at] is POWER)
        if names[at] in ("store", "roof"):
            columns = _at_its_hours(columns, 17 if infos[at] is _EXPORT else 9)
        await write_year(database, number, columns)


def _at_its_hours(columns: SlotColumns, begin: int) -> SlotColumns:
    """A roof and charging by day, discharging in the evening."""
    hour = columns.start_ms // 3_600_000 % 24
    return replace(columns, delta=np.where((hour >= begin) & (hour < begin + 7), columns.delta, 0))


def _floor_ms(times: int) -> float:
    site = _in_memory()
    return median_s(lambda: allocate(site), times) * 1e3


def _in_memory() -> SiteSlots:
    """Thirteen months of the same house as columns."""
    columns = {at: slots_of_a_year(at, gauge=False) for at in range(2 * len(_HOUSE))}
    meters = tuple(
        SiteMeter(name, role, parent, (Term((2 * at,)),) if role in (Role.GRID, Role.SOLAR, Role.BATTERY) else (),
                  () if role is Role.SOLAR else (Term((2 * at + 1,)),))
        for at, (name, role, parent, _) in enumerate(_HOUSE)
    )  # fmt: skip
    first_ms = today_ms() - YEAR_DAYS * 86_400_000
    return site_slots(meters, first_ms, int(np.int64(YEAR_DAYS * 86_400_000 // SLOT_MS)), columns)
