"""A meter with a day of readings, for tests."""

from __future__ import annotations

from hub.actors.device_requests import Declare
from hub.actors.recorder import StoreReadings
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch
from hub.model.series import SeriesInfo, known_series
from hub.runtime.actor import request
from tests.web.conftest import House

COUNT = 25


async def measure(house: House, begin: int = 0, count: int = COUNT) -> int:
    """A meter with an hourly counter and power; returns the time of its first reading, that of hour 0."""
    infos: tuple[SeriesInfo, ...] = (known_series("energy_import"), known_series("power"))
    numbers = await request(
        house.hub.device,
        Declare(DeviceInfo("main-meter", name="<img src=x>"), infos, "test", "test"),
    )
    start_ms = house.hub.clock.now_ms() // 3_600_000 * 3_600_000 - COUNT * 3_600_000
    batch = ReadingBatch("test", house.hub.clock.now_ms())
    for hour in range(begin, count):
        for number, value in zip(numbers, (1000.0 * hour, 1000.0), strict=True):
            assert number is not None
            batch.series.append(number)
            batch.ts_ms.append(start_ms + hour * 3_600_000)
            batch.values.append(value)
            batch.item.append(hour)
    await request(house.hub.recorder, StoreReadings(batch))
    await house.hub.wait_idle()
    return start_ms
