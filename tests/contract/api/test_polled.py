"""Polled devices: a meter on a real Modbus server and Shelly recordings, seen through the API."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api, eventually
from tests.contract.api.conftest import begin, end
from tests.integrations.modbus.devices import serve as serve_modbus
from tests.integrations.modbus.devices import unit
from tests.integrations.shelly.device import FIXTURES, FakeShelly, recorded
from tests.integrations.shelly.device import serve as serve_shelly

# an SDM630 with current from the grid on phase 1, to the grid on phase 2; kWh registers
METER = {
    0x00: [230.5, 231.5, 232.5, 5.0, 4.0, 3.0, 1100.0, -900.0, 700.0],
    0x34: [900.0],
    0x3E: [0.98],
    0x46: [50.02, 1234.5, 56.75],
}
HOUSE = """\
hub: {{name: Contract, time_zone: Europe/Paris, currency: EUR}}
mqtt_broker: {{mode: "off"}}
integrations:
  - modbus: {{{meter}, unit: 1, name: Main meter, role: grid}}
  - modbus: {{{meter}, unit: 2, name: Garage, role: solar, reversed: true}}
  - shelly: {{host: 127.0.0.1, port: {three}, name: Heat pump, role: heat_pump, interval: 1s}}
  - shelly: {{host: 127.0.0.1, port: {plug}, name: Boiler, role: load, interval: 1s, password: "right"}}
  - shelly: {{host: 127.0.0.1, port: {locked}, name: Locked, role: load, interval: 1s, password: "wrong"}}
"""


@contextmanager
def in_background(opened: Callable[[], Any]) -> Iterator[Any]:
    """Run an asynchronous context in a thread of its own; yields what it yields."""
    ready: threading.Event = threading.Event()
    holder: dict[str, Any] = {}

    async def hold() -> None:
        async with opened() as value:
            holder.update({"value": value, "loop": asyncio.get_running_loop(), "done": asyncio.Event()})
            ready.set()
            await holder["done"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), daemon=True)
    thread.start()
    assert ready.wait(60), "the devices do not start"
    try:
        yield holder["value"]
    finally:
        holder["loop"].call_soon_threadsafe(holder["done"].set)
        thread.join(60)


def plugged(pattern: str, **about: Any) -> FakeShelly:
    """A device that says what a real one said."""
    status = recorded(pattern)
    return FakeShelly(status=status.get("status", status), about={**FakeShelly().about, **about})


@asynccontextmanager
async def devices() -> AsyncIterator[dict[str, Any]]:
    """The meter, a three-phase Shelly, a plug behind a password, and another with another password."""
    three = plugged(
        "gen2_Shelly_Pro_3EM*", id="shellypro3em-aabbccddeeff", model="SPEM-003CEBEU", app="Pro3EM"
    )
    plug = FakeShelly(password="right")
    locked = FakeShelly(password="another", about={**FakeShelly().about, "id": "shellyplus1pm-000000000001"})
    async with AsyncExitStack() as stack:
        modbus = await stack.enter_async_context(
            serve_modbus(unit(1, input_floats=METER), unit(2, input_floats=METER))
        )
        for shelly in (three, plug, locked):
            await stack.enter_async_context(serve_shelly(shelly))
        yield {"modbus": modbus, "three": three, "plug": plug, "locked": locked}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, dict[str, Any]]]:
    """A hub that polls all of them."""
    with in_background(devices) as found:
        meter = f"host: 127.0.0.1, port: {found['modbus']}, template: eastron-sdm630, interval: 1s"
        text = HOUSE.format(
            meter=meter,
            three=found["three"].port,
            plug=found["plug"].port,
            locked=found["locked"].port,
        )
        hub = HubProcess(tmp_path_factory.mktemp("polled"), text)
        try:
            yield begin(hub), found
        finally:
            end(hub)


House = tuple[Api, dict[str, Any]]


def named(api: Api, name: str) -> dict[str, Any]:
    """The device of this name."""
    found: dict[str, Any] = eventually(
        lambda: next((one for one in api.get("devices")["items"] if one["name"] == name), None)
    )
    return found


def test_an_sdm630_by_its_template(house: House) -> None:
    api, _ = house
    meter = named(api, "Main meter")
    assert (meter["role"], meter["maker"]) == ("grid", "Eastron")
    eventually(lambda: api.latest(f"{meter['id']}.energy_export"))
    shown = {
        item["series"].partition(".")[2]: (item["value"], item["unit"])
        for item in api.get("latest")["items"]
        if item["series"].startswith(f"{meter['id']}.")
    }
    assert shown["power"] == (900.0, "W")
    assert shown["power_l2"] == (-900.0, "W")
    assert shown["voltage_l3"] == (232.5, "V")
    assert shown["current_l1"] == (5.0, "A")
    assert shown["frequency"][0] == pytest.approx(50.02, rel=1e-6)
    assert shown["energy_import"] == (1_234_500.0, "Wh")
    assert shown["energy_export"] == (56_750.0, "Wh")


def test_a_reversed_meter_changes_its_signs_and_registers(house: House) -> None:
    api, _ = house
    garage = named(api, "Garage")["id"]
    eventually(lambda: api.latest(f"{garage}.energy_export"))
    assert api.latest(f"{garage}.power")["value"] == -900.0  # type: ignore[index]
    assert api.latest(f"{garage}.energy_import")["value"] == 56_750.0  # type: ignore[index]


def test_the_grid_meter_shows_as_import(house: House) -> None:
    api, _ = house

    def live() -> Any:
        found = api.get("energy/live")
        return found if found["totals"]["import"] == 900.0 else None

    found = eventually(live)
    assert found["totals"]["export"] == 0.0
    assert {"flow": "import", "device": named(api, "Main meter")["id"], "power": 900.0} in found["sources"]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="recordings of real devices are not there")
def test_a_recorded_three_phase_shelly(house: House) -> None:
    api, found = house
    pump = named(api, "Heat pump")["id"]
    said = found["three"].status
    eventually(lambda: api.latest(f"{pump}.power"))
    assert api.latest(f"{pump}.power")["value"] == said["em:0"]["total_act_power"]  # type: ignore[index]
    assert api.latest(f"{pump}.voltage_l1")["value"] == said["em:0"]["a_voltage"]  # type: ignore[index]
    register = api.latest(f"{pump}.energy_import") or api.latest(f"{pump}.energy")
    assert register is not None
    assert register["value"] == pytest.approx(said["emdata:0"]["total_act"])


def test_a_shelly_behind_a_password(house: House) -> None:
    api, _ = house
    boiler = named(api, "Boiler")["id"]
    eventually(lambda: api.latest(f"{boiler}.power"))
    assert api.latest(f"{boiler}.power")["value"] == 1200.5  # type: ignore[index]
    assert api.latest(f"{boiler}.energy_import")["value"] == 5000.25  # type: ignore[index]


def test_a_wrong_password_waits_for_new_configuration_and_harms_nobody(house: House) -> None:
    api, _ = house

    def entry() -> Any:
        items = api.get("integrations")["items"]
        return next(
            (one for one in items if one["domain"] == "shelly" and one["state"] == "needs_user"), None
        )

    found = eventually(entry)
    assert found["code"].startswith("WL-")
    assert "wrong" not in json.dumps(found)
    others = [one["state"] for one in api.get("integrations")["items"] if one["id"] != found["id"]]
    assert set(others) == {"running"}
