"""The device by both transports: values, authentication, notifications, loss and return."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hub.plugins.api import CannotConnect, InvalidAuth, QueueFull
from hub.plugins.testing import MemoryIntake
from integrations.shelly.client import connect
from integrations.shelly.rpc import open_websocket
from integrations.shelly.schema import SCHEMA
from tests.integrations.shelly.device import PLUS_1PM, FakeShelly, recorded, serve, switch

ID = "shellyplus1pm-a1b2c3d4e5f6"
BOTH = pytest.mark.parametrize("transport", ["http", "websocket"])


class TickingIntake(MemoryIntake):
    """Each look at the clock is a second later."""

    def now_ms(self) -> int:
        self.clock_ms += 1000
        return self.clock_ms


def options(port: int, **more: Any) -> dict[str, Any]:
    entry = {"host": "127.0.0.1", "port": port, "interval": 0.1, "timeout": 3.0, **more}
    checked: dict[str, Any] = SCHEMA(entry)
    return checked


@contextlib.asynccontextmanager
async def running(intake: MemoryIntake, entry: dict[str, Any]) -> AsyncIterator[asyncio.Task[None]]:
    async with connect(entry) as source:
        run = asyncio.create_task(source.run(intake))
        try:
            yield run
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)


async def first_values(intake: MemoryIntake, entry: dict[str, Any], rows: int = 1) -> dict[str, float]:
    async with running(intake, entry):
        await intake.wait_rows(rows)
    return {name: next(iter(kept.values())) for name, kept in intake.rows.items()}


@BOTH
async def test_switch_becomes_stored_series(transport: str) -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly:
        values = await first_values(intake, options(shelly.port, transport=transport, role="load"))
    assert values == {
        f"{ID}.power": 1200.5,
        f"{ID}.voltage": 230.1,
        f"{ID}.current": 5.21,
        f"{ID}.temperature": 41.5,
        f"{ID}.energy_import": 5000.25,
    }
    device = intake.devices[ID]
    assert (device.name, device.maker, device.model) == ("Boiler", "Shelly", "SNSW-001P16EU")
    assert (device.firmware, device.serial, device.role) == ("1.4.4", "A1B2C3D4E5F6", "load")
    assert intake.infos[f"{ID}.power"].interval_ms == 100
    assert intake.online == {ID: True}


@BOTH
async def test_password_is_given_as_a_digest(transport: str) -> None:
    intake = TickingIntake()
    async with serve(FakeShelly(password="correct horse")) as shelly:
        entry = options(shelly.port, transport=transport, password="correct horse")
        values = await first_values(intake, entry, 10)
    assert values[f"{ID}.power"] == 1200.5


class Hidden:
    """A secret as the configuration hands it over."""

    def reveal(self) -> str:
        return "correct horse"


async def test_password_may_be_a_secret_that_reveals_itself() -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly(password="correct horse")) as shelly:
        values = await first_values(intake, options(shelly.port, password=Hidden()))
    assert values[f"{ID}.power"] == 1200.5


@BOTH
@pytest.mark.parametrize("password", [{}, {"password": "wrong"}, {"password": ""}])
async def test_missing_or_wrong_password_waits_for_the_user(transport: str, password: dict[str, str]) -> None:
    async with serve(FakeShelly(password="correct horse")) as shelly:
        with pytest.raises(InvalidAuth) as refused:
            async with connect(options(shelly.port, transport=transport, **password)):
                pytest.fail("connected without the right password")
    assert "password" in refused.value.message
    assert "wrong" not in str(refused.value)


@BOTH
async def test_password_that_is_changed_while_running_ends_the_source(transport: str) -> None:
    intake = TickingIntake()
    async with (
        serve(FakeShelly(password="old")) as shelly,
        running(intake, options(shelly.port, transport=transport, password="old")) as run,
    ):
        await intake.wait_rows(1)
        shelly.password = "new"
        with pytest.raises(InvalidAuth):
            await asyncio.wait_for(run, 30)
    assert intake.online == {ID: False}


async def test_websocket_is_preferred_and_http_is_the_fallback() -> None:
    for has_websocket in (True, False):
        intake = MemoryIntake()
        async with (
            serve(FakeShelly(has_websocket=has_websocket)) as shelly,
            running(intake, options(shelly.port)),
        ):
            await intake.wait_rows(1)
            assert bool(shelly.sockets) is has_websocket


async def test_notification_stores_only_what_changed_at_the_device_time() -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, interval=3600)):
        await intake.wait_rows(5)
        ts_s = intake.clock_ms / 1000 + 2.25
        await shelly.notify(ts=ts_s, switch_0={"id": 0, "apower": 900.0})
        await intake.wait_rows(6)
    assert intake.rows[f"{ID}.power"] == {intake.clock_ms: 1200.5, intake.clock_ms + 2250: 900.0}
    assert len(intake.rows[f"{ID}.voltage"]) == 1


@pytest.mark.parametrize("ts", [None, 12.5, "soon", 4e9, 1e300])
async def test_notification_without_a_sane_time_counts_on_arrival(ts: Any) -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, interval=3600)):
        await intake.wait_rows(5)
        intake.clock_ms += 5000
        await shelly.notify(ts=ts, switch_0={"apower": 900.0})
        await intake.wait_rows(6)
    assert intake.rows[f"{ID}.power"][intake.clock_ms] == 900.0


async def test_status_reads_use_the_clock_that_notifications_showed() -> None:
    """A device clock three seconds ahead: the counter must not seem to run backwards."""
    intake = MemoryIntake()
    began_ms = intake.clock_ms
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port)):
        await intake.wait_rows(5)
        await shelly.notify(ts=began_ms / 1000 + 3, switch_0={"apower": 900.0})
        await _stored(intake, f"{ID}.power", began_ms + 3000)
        shelly.status["switch:0"]["apower"] = 800.0
        intake.clock_ms += 1000
        await _stored(intake, f"{ID}.power", began_ms + 4000)
    assert intake.rows[f"{ID}.power"][began_ms + 3000] == 900.0
    assert intake.rows[f"{ID}.power"][began_ms + 4000] == 800.0


async def _stored(intake: MemoryIntake, name: str, ts_ms: int) -> None:
    """Wait until a value of this time is there."""
    async with asyncio.timeout(30), intake.changed:
        await intake.changed.wait_for(lambda: ts_ms in intake.rows.get(name, {}))


async def test_notifications_of_one_moment_are_all_kept_in_their_order() -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, interval=3600)):
        await intake.wait_rows(5)
        for power_w in (1.0, 2.0, 3.0):
            await shelly.notify(ts=intake.clock_ms / 1000 + 1, switch_0={"apower": power_w})
        await intake.wait_rows(8)
    assert [value for _, value in sorted(intake.rows[f"{ID}.power"].items())] == [1200.5, 1.0, 2.0, 3.0]


async def test_full_status_overtakes_notifications_that_still_wait() -> None:
    """Merged after it, they would bring older counters back."""
    async with (
        serve(FakeShelly()) as shelly,
        aiohttp.ClientSession() as session,
        open_websocket(session, f"127.0.0.1:{shelly.port}", None, 2.0) as rpc,
    ):
        await rpc.call("Shelly.GetStatus")
        await shelly.notify(switch_0={"aenergy": {"total": 1.0}})
        await rpc.call("Shelly.GetStatus")
        assert rpc.notifications.empty()
        await shelly.notify(switch_0={"aenergy": {"total": 2.0}})
        newer = await asyncio.wait_for(rpc.notifications.get(), 30)
    assert isinstance(newer, dict)
    assert newer["params"]["switch:0"] == {"aenergy": {"total": 2.0}}


async def test_removed_device_is_declared_again() -> None:
    intake = TickingIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port)):
        await intake.wait_rows(5)
        intake.devices.clear()
        intake.registry_version += 1
        await intake.wait_rows(15)
        assert set(intake.devices) == {ID}


async def test_notify_merges_fields_into_what_is_known() -> None:
    """Import is aenergy minus ret_aenergy, also when only one of both changes."""
    intake = MemoryIntake()
    status = {"switch:0": switch(aenergy={"total": 1000.0}, ret_aenergy={"total": 400.0})}
    async with (
        serve(FakeShelly(status=status)) as shelly,
        running(intake, options(shelly.port, interval=3600)),
    ):
        await intake.wait_rows(6)
        intake.clock_ms += 1000
        await shelly.notify(switch_0={"aenergy": {"total": 1010.0}})
        await intake.wait_rows(7)
        intake.clock_ms += 1000
        await shelly.notify(switch_0={"ret_aenergy": {"total": 404.0}})
        await intake.wait_rows(9)
    assert list(intake.rows[f"{ID}.energy_import"].values()) == [600.0, 610.0, 606.0]
    assert list(intake.rows[f"{ID}.energy_export"].values()) == [400.0, 404.0]


async def test_full_notification_replaces_everything() -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, interval=3600)):
        await intake.wait_rows(5)
        intake.clock_ms += 1000
        await shelly.notify(
            "NotifyFullStatus",
            switch_0={"apower": 1.0, "aenergy": {"total": 5001.0}},
            switch_1={"apower": 2.0},
        )
        await intake.wait_rows(8)
    assert list(intake.rows[f"{ID}.power"].values()) == [1200.5, 1.0]
    assert list(intake.rows[f"{ID}-ch1.power"].values()) == [2.0]


async def test_events_and_foreign_frames_are_passed_over() -> None:
    intake = MemoryIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, interval=3600)):
        await intake.wait_rows(5)
        await shelly.notify("NotifyEvent", switch_0={"apower": 66.0})
        await shelly.send('{"id": 999, "result": {"switch:0": {"apower": 66.0}}}')
        await shelly.send('{"method": "NotifyStatus"}')
        await shelly.send('{"method": "NotifyStatus", "params": [1, 2]}')
        await shelly.send("not json at all")
        await shelly.send("[" * 50_000)
        await shelly.send(
            '{"method": "NotifyStatus", "params": {"switch:0": 7, "switch:x": {"apower": 66.0}}}'
        )
        await shelly.send(
            '{"method": "NotifyStatus", "params": {"switch:0": {"apower": NaN, "voltage": 1e999}}}'
        )
        await shelly.send(
            '{"method": "NotifyStatus", "params": {"switch:0": {"current": 1' + "0" * 400 + "}}}"
        )
        intake.clock_ms += 1000
        await shelly.notify(switch_0={"apower": 7.0})
        await intake.wait_rows(6)
    assert list(intake.rows[f"{ID}.power"].values()) == [1200.5, 7.0]
    assert {one.code for one in intake.rejected} == {"WL-SHE-003"}
    assert len(intake.rejected) == 4


async def test_profile_switched_at_run_time_makes_devices_of_its_own() -> None:
    """The sum of three phases and the first of three meters must not end in one series."""
    about = {**PLUS_1PM, "id": "shellypro3em-aabbccddeeff", "profile": "triphase"}
    triphase = {"em:0": {"total_act_power": 600.0}, "emdata:0": {"total_act": 9000.0}}
    monophase: dict[str, Any] = {f"em1:{n}": {"act_power": 100.0 + n} for n in range(3)}
    monophase |= {f"em1data:{n}": {"total_act_energy": 10.0 + n} for n in range(3)}
    intake = TickingIntake()
    async with (
        serve(FakeShelly(about=about, status=triphase)) as shelly,
        running(intake, options(shelly.port)),
    ):
        await intake.wait_rows(2)
        shelly.status = monophase
        await intake.wait_rows(14)
    base = "shellypro3em-aabbccddeeff"
    assert set(intake.devices) == {base, f"{base}-ch0", f"{base}-ch1", f"{base}-ch2"}
    assert set(intake.rows[f"{base}.power"].values()) == {600.0}
    assert set(intake.rows[f"{base}-ch2.energy_import"].values()) == {12.0}


async def test_channels_are_devices_that_the_user_can_describe() -> None:
    status = {f"switch:{n}": switch(id=n, apower=10.0 * n) for n in range(3)}
    intake = MemoryIntake()
    channels = {1: {"name": "Freezer", "role": "load"}}
    async with serve(FakeShelly(status=status)) as shelly:
        values = await first_values(
            intake, options(shelly.port, id="cellar", name="Cellar", role="grid", channels=channels), 15
        )
    assert [values[f"cellar{suffix}.power"] for suffix in ("", "-ch1", "-ch2")] == [0.0, 10.0, 20.0]
    shown = {name: (one.name, one.role) for name, one in intake.devices.items()}
    assert shown == {
        "cellar": ("Cellar", "grid"),
        "cellar-ch1": ("Freezer", "load"),
        "cellar-ch2": ("Cellar 2", None),
    }


# ------------------------------------------------------------------------------------------- away and back
@BOTH
async def test_device_goes_and_comes_back(transport: str) -> None:
    intake = TickingIntake()
    shelly = FakeShelly()
    async with serve(shelly):
        entry = options(shelly.port, transport=transport, timeout=0.7)
        async with running(intake, entry) as run:
            await intake.wait_rows(5)
            assert intake.online == {ID: True}
            shelly.mute = True
            await shelly.drop()
            with pytest.raises(CannotConnect):
                await asyncio.wait_for(run, 30)
    assert intake.online == {ID: False}
    with pytest.raises(CannotConnect):
        async with connect(entry):
            pytest.fail("connected to a device that is away")
    before = sum(len(kept) for kept in intake.rows.values())
    shelly.mute = False
    async with serve(shelly), running(intake, entry):
        await intake.wait_rows(before + 5)
        assert intake.online == {ID: True}


async def test_websocket_that_stays_open_but_silent_is_lost_in_time() -> None:
    intake = TickingIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, timeout=0.7)) as run:
        await intake.wait_rows(5)
        shelly.mute = True
        with pytest.raises(CannotConnect):
            await asyncio.wait_for(run, 30)
    assert intake.online == {ID: False}


async def test_one_lost_http_answer_does_not_lose_the_device() -> None:
    intake = TickingIntake()
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port, transport="http")):
        await intake.wait_rows(5)
        shelly.spoil_next = b"oops"
        await intake.wait_rows(15)
        assert shelly.spoil_next is None
    assert intake.online == {ID: True}


async def test_full_queue_is_survived() -> None:
    intake = TickingIntake(failure=QueueFull("WL-ING-090", "the queue is full"))
    async with serve(FakeShelly()) as shelly, running(intake, options(shelly.port)):
        await shelly.notify(switch_0={"apower": 1.0})
        await shelly.notify(switch_0={"apower": 2.0})
        intake.failure = None
        await intake.wait_rows(5)
    assert intake.rows


# --------------------------------------------------------------------------------------- not what we speak with
@BOTH
@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"null", b'{"id": 1}', b"\xff\xfe", b"[" * 200_000, b'{"id":1,"result":7}', b"x" * 10**6],
)  # fmt: skip
async def test_garbage_cannot_connect(transport: str, raw: bytes) -> None:
    async with serve(FakeShelly(raw=raw)) as shelly:
        with pytest.raises(CannotConnect):
            async with connect(options(shelly.port, transport=transport, timeout=0.2)):
                pytest.fail("connected to garbage")


async def test_first_generation_is_named_as_such() -> None:
    about = {
        "type": "SHPLG-S",
        "mac": "AABBCCDDEEFF",
        "auth": False,
        "fw": "20230913-113421/v1.14.0-gcb84623",
    }
    async with serve(FakeShelly(about=about)) as shelly:
        with pytest.raises(CannotConnect) as refused:
            async with connect(options(shelly.port)):
                pytest.fail("connected to a first generation device")
    assert refused.value.code == "WL-SHE-001"
    assert "first generation" in refused.value.message


@pytest.mark.parametrize("about", [{}, {"gen": 2}, {"gen": 2, "id": 7}, {"gen": 2, "id": "///"}])
async def test_other_devices_cannot_connect(about: dict[str, Any]) -> None:
    async with serve(FakeShelly(about=about)) as shelly:
        with pytest.raises(CannotConnect, match="no Shelly"):
            async with connect(options(shelly.port)):
                pytest.fail("connected to something else")


async def test_device_without_metering_says_so() -> None:
    dump = recorded("gen2_Shelly_BLU_Gateway*.json")
    async with serve(FakeShelly(about=dump["shelly"], status=dump["status"])) as shelly:
        with pytest.raises(CannotConnect) as refused:
            async with connect(options(shelly.port)):
                pytest.fail("connected to a device that measures nothing")
    assert refused.value.code == "WL-SHE-002"


# ----------------------------------------------------------------------------------------- recorded real devices
@BOTH
async def test_recorded_pro_3em(transport: str) -> None:
    dump = recorded("gen2_Shelly_Pro_3EM*.json")
    intake = MemoryIntake()
    async with serve(FakeShelly(about=dump["shelly"], status=dump["status"])) as shelly:
        values = await first_values(intake, options(shelly.port, transport=transport, role="grid"), 20)
    base = "shellypro3em-aabbccddeeff"
    assert set(intake.devices) == {base}
    wanted = {
        "power": 558.965, "power_l1": 375.5, "power_l2": 170.8, "power_l3": 12.7, "apparent_power": 882.413,
        "voltage_l1": 229.0, "voltage_l3": 229.2, "current_l2": 1.037, "current": 3.856, "frequency": 50.0,
        "energy_import": 2589773.39, "energy_export": 1026.61, "energy_import_l1": 2034616.71,
        "energy_export_l3": 985.91, "power_factor_l1": 0.76,
    }  # fmt: skip
    assert {key: values[f"{base}.{key}"] for key in wanted} == wanted
    assert f"{base}.current_n" not in values


async def test_recorded_plus_1pm_and_plug() -> None:
    for pattern, base, energy_wh in (
        ("gen2_Shelly_Plus_1PM*.json", "shellyplus1pm-aabbccddeeff", 110.046),
        ("gen2_Shelly_Plus_Plug_S*.json", "shellyplusplugs-aabbccddeeff", None),
    ):
        dump = recorded(pattern)
        intake = MemoryIntake()
        async with serve(FakeShelly(about=dump["shelly"], status=dump["status"])) as shelly:
            values = await first_values(intake, options(shelly.port))
        recorded_wh = dump["status"]["switch:0"]["aenergy"]["total"]
        assert values[f"{base}.energy_import"] == (energy_wh or recorded_wh)


async def test_recorded_cover_of_a_device_with_profiles() -> None:
    about = {**recorded("rpc_shellyplus2pm_shelly.json"), "auth_en": False, "profile": "cover"}
    status = recorded("rpc_shelly2pmg3_Shelly.GetStatus.json")
    intake = MemoryIntake()
    async with (
        serve(FakeShelly(about=about, status=status)) as shelly,
        running(intake, options(shelly.port, interval=3600)),
    ):
        await intake.wait_rows(7)
        intake.clock_ms += 1000
        moving = recorded("rpc_shelly2pmg3_Cover.GetStatus.json")
        await shelly.notify(cover_0=moving)
        await intake.wait_rows(14)
    base = "shellyplus2pm-aabbccddeeff-cover0"
    assert list(intake.rows[f"{base}.power"].values()) == [0.0, 123.1]
    assert list(intake.rows[f"{base}.energy_import"].values()) == [314.614, 314.801]
