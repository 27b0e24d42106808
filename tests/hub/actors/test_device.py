"""Registry, latest values, silence and inbox: what is known survives a restart, what was not added is not stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.actors.device_requests import (
    AddFromInbox,
    ApplyDevices,
    CheckSilence,
    CreateDevice,
    Declare,
    GetDevice,
    GetInbox,
    GetLatest,
    IgnoreInbox,
    IgnoreSource,
    PatchDevice,
    RemoveDevice,
    ReportAvailability,
    ShowStale,
)
from hub.errors import NotFound, Refused
from hub.model.device import Availability, DeviceInfo
from hub.model.events import AvailabilityChanged, StatesChanged
from hub.model.series import Behaviour, Role, SeriesInfo, known_series
from hub.model.units import Quantity
from hub.runtime.actor import request
from hub.storage.registry import load_inbox
from tests.hub.actors.house import NOW_MS, House, running_house


async def find(house: House, device: str, *keys: str, entry: str = "mqtt-1") -> tuple[int | None, ...]:
    """An integration finds a device that nobody configured."""
    infos = tuple(known_series(key) for key in keys)
    return await request(
        house.ref("device"), Declare(DeviceInfo(device), infos, entry, "mqtt", found=True, sample="{}")
    )


async def test_what_is_declared_is_there_after_a_restart_with_the_same_numbers(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        numbers = await house.declare("meter", "power", "energy_import")
    async with running_house(tmp_path) as house:
        assert await house.declare("meter", "power", "energy_import", "voltage") == [
            *numbers,
            numbers[-1] + 1,
        ]
        view = await request(house.ref("device"), GetDevice("meter"))
        assert [series.public_id for series in view.series] == [
            "meter.power",
            "meter.energy_import",
            "meter.voltage",
        ]


async def test_a_series_keeps_its_quantity(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await house.declare("meter", "power")
        with pytest.raises(Refused, match="WL-ING-022"):
            await house.declare("meter", SeriesInfo("power", Quantity.VOLTAGE, Behaviour.GAUGE))


async def test_latest_is_the_newest_by_time_not_by_arrival(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        seen: list[float] = []
        house.bus.subscribe(StatesChanged, lambda event: seen.extend(event.values))
        await house.store([(power, NOW_MS, 5.0)])
        await house.store([(power, NOW_MS - 1000, 4.0)])
        (row,) = await request(house.ref("device"), GetLatest(("meter.power",)))
        assert (row.value, row.ts_ms, row.quality) == (5.0, NOW_MS, "measured")
        assert seen == [5.0]


async def test_latest_ages_into_stale(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        await house.store([(power, NOW_MS, 5.0)])
        house.clock.advance(16 * 60)
        (row,) = await request(house.ref("device"), GetLatest())
        assert (row.quality, row.age_s) == ("stale", 960.0)


async def test_a_retained_value_is_shown_but_not_stored(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        house.ref("device").tell(ShowStale(power, 7.0))
        (row,) = await request(house.ref("device"), GetLatest())
        assert (row.value, row.quality) == (7.0, "stale")
    async with running_house(tmp_path) as house:
        assert await request(house.ref("device"), GetLatest()) == ()


async def test_unknown_series_look_like_foreign_ones(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        with pytest.raises(NotFound, match="WL-API-404"):
            await request(house.ref("device"), GetLatest(("meter.power",)))


async def test_a_silent_device_is_told_once_and_its_return_too(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        (power,) = await house.declare("meter", "power")
        told: list[str] = []
        house.bus.subscribe(AvailabilityChanged, lambda event: told.append(event.availability))
        await house.store([(power, NOW_MS, 5.0)])
        house.clock.advance(20 * 60)
        house.ref("device").tell(CheckSilence())
        house.ref("device").tell(CheckSilence())
        await request(house.ref("device"), GetInbox())
        await house.store([(power, house.clock.now_ms(), 6.0)])
        view = await request(house.ref("device"), GetDevice("meter"))
        assert told == ["silent", "online"]
        assert view.availability is Availability.ONLINE


async def test_availability_comes_from_the_integration(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await house.declare("meter", "power")
        house.ref("device").tell(ReportAvailability("meter", online=False))
        assert (await request(house.ref("device"), GetDevice("meter"))).availability is Availability.OFFLINE


async def test_a_found_device_waits_and_nothing_is_registered(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        assert await find(house, "plug", "power", "energy") == (None, None)
        assert await find(house, "plug", "voltage") == (None,)
        assert house.registry.all_series() == ()
    async with running_house(tmp_path) as house:
        (item,) = await house.database.read(load_inbox)
        assert item["device"].id == "plug"
        assert [series.key for series in item["series"]] == ["power", "energy", "voltage"]


async def test_an_added_device_is_taken_from_then_on(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await find(house, "plug", "power")
        version = house.registry.version
        view = await request(house.ref("device"), AddFromInbox("plug", name="Fridge", role="load"))
        assert (view.device.name, view.device.role) == ("Fridge", Role.LOAD)
        assert house.registry.version > version
        assert await request(house.ref("device"), GetInbox()) == ()
        (number,) = await find(house, "plug", "power")
        assert number == view.series[0].no


async def test_an_ignored_device_stays_ignored_and_can_still_be_added(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await find(house, "plug", "power")
        await request(house.ref("device"), IgnoreInbox("plug"))
        assert await find(house, "plug", "power") == (None,)
        (item,) = await request(house.ref("device"), GetInbox())
        assert item.state == "ignored"
        await request(house.ref("device"), AddFromInbox("plug"))
        assert "plug" in house.registry.devices


async def test_an_ignored_source_fills_no_inbox(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await find(house, "plug", "power")
        await request(house.ref("device"), IgnoreSource("mqtt-1"))
        await find(house, "lamp", "power")
        assert await request(house.ref("device"), GetInbox()) == ()
        await request(house.ref("device"), IgnoreSource("mqtt-1", ignored=False))
        await find(house, "lamp", "power")
        assert [item.device.id for item in await request(house.ref("device"), GetInbox())] == ["lamp"]


async def test_discovery_auto_takes_and_off_drops(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await request(house.ref("device"), ApplyDevices((), "auto"))
        assert (await find(house, "plug", "power"))[0] is not None
        await request(house.ref("device"), ApplyDevices((), "off"))
        assert await find(house, "lamp", "power") == (None,)
        assert await request(house.ref("device"), GetInbox()) == ()


async def test_people_edit_and_the_hardware_does_not_overwrite(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        await house.declare("meter", "power")
        await request(house.ref("device"), PatchDevice("meter", {"name": "Main", "role": "grid"}))
        await request(
            house.ref("device"),
            Declare(DeviceInfo("meter", name="SDM630", firmware="2.1", role=Role.LOAD), (), "e", "d"),
        )
        device = (await request(house.ref("device"), GetDevice("meter"))).device
        assert (device.name, device.role, device.firmware) == ("Main", Role.GRID, "2.1")
        with pytest.raises(Refused, match="WL-DEV-001"):
            await request(house.ref("device"), PatchDevice("meter", {"role": "king"}))


async def test_a_device_is_not_its_own_parent(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        for name in ("a", "b"):
            await request(house.ref("device"), CreateDevice(DeviceInfo(name)))
        await request(house.ref("device"), PatchDevice("b", {"parent": "a"}))
        with pytest.raises(Refused, match="WL-DEV-005"):
            await request(house.ref("device"), PatchDevice("a", {"parent": "b"}))


async def test_a_removed_device_is_gone_and_its_numbers_are_not_given_again(tmp_path: Path) -> None:
    async with running_house(tmp_path) as house:
        numbers = await house.declare("meter", "power")
        await request(house.ref("device"), RemoveDevice("meter"))
        with pytest.raises(NotFound):
            await request(house.ref("device"), GetDevice("meter"))
        assert (await house.declare("meter", "power"))[0] > numbers[0]
