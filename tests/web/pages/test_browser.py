"""The pages in a real Chromium: what people see in each state, and that nothing leaves the hub."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hub.actors.auth import CreateToken, SetupState
from hub.actors.device_requests import Declare
from hub.app import Hub, HubOptions
from hub.model.access import LOCAL_PRINCIPAL
from hub.model.device import DeviceInfo
from hub.model.series import known_series
from hub.runtime.actor import request
from tests.web.conftest import PASSWORD, House
from tests.web.pages.chromium import Tab, a_tab, chromium_or_skip
from web.server import serve

pytestmark = pytest.mark.timeout(300)
HOSTILE = "<img src=x onerror=alert(1)>"
SHOWN = (
    "[...document.querySelectorAll('.bar, main > :not(noscript)')]"
    ".filter(one => !one.hidden).map(one => one.id).join()"
)


@pytest.fixture
async def tab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    """A tab of a fresh browser."""
    chromium_or_skip()
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(a_tab(tmp_path_factory.mktemp("chromium")))


Send = Callable[..., Awaitable[None]]


async def sender_of(house: House) -> Send:
    """Posts readings of a device in the owner's name."""
    made = await request(house.hub.auth, CreateToken(LOCAL_PRINCIPAL, "meter", ("ingest",), for_user="admin"))

    async def send(device: str, values: dict[str, float], **more: Any) -> None:
        item = {"device": device, "values": values, **more}
        answer = await house.post("/api/v1/ingest", by=made.secret, json=item)
        assert answer.status == 204, answer.body

    return send


async def sign_in(tab: Tab, house: House, host: str = "127.0.0.1") -> None:
    """By the form, as a person does."""
    await tab.open(house.url.replace("127.0.0.1", host))
    await tab.until("!document.getElementById('login').hidden")
    await tab.evaluate(f"username.value = 'admin'; password.value = {json.dumps(PASSWORD)}")
    await tab.evaluate("document.querySelector('#login button').click()")
    await tab.until("document.getElementById('link').textContent === 'Live'")


def strangers(tab: Tab, house: House) -> list[str]:
    """Requests that went anywhere but to the hub."""
    own = urlsplit(house.url).netloc
    return [url for url in tab.requests if urlsplit(url).netloc != own and not url.startswith("about:")]


async def test_from_the_set_up_link_to_the_first_reading(new_house: House, tab: Tab) -> None:
    house = new_house
    await tab.open(house.url)
    await tab.until(f"{SHOWN} === 'setup'")
    setup = (await request(house.hub.auth, SetupState())).token
    await tab.open(f"{house.url}/setup#{setup}")
    await tab.until("!document.getElementById('setup').hidden")
    await tab.evaluate(f"username.value = 'admin'; password.value = again.value = {json.dumps(PASSWORD)}")
    await tab.evaluate("document.querySelector('#setup button').click()")
    await tab.until("document.getElementById('done-title').textContent === 'The owner is created'")
    await sign_in(tab, house)
    await tab.until("!empty.hidden")
    commands = await tab.evaluate("[...document.querySelectorAll('#empty pre')].map(one => one.textContent)")
    send = await sender_of(house)
    await send(HOSTILE, {"power": 1594.18, "current": 5.4321})
    text = await tab.until(
        "/kW[^]* A/.test(document.querySelector('.card')?.innerText.replaceAll('\\n', ' ')) && cards.innerText"
    )

    assert len(commands) == 3
    assert all(house.url in command for command in commands[1:])
    assert HOSTILE in text
    assert "1.59\nkW" in text
    assert "5.43\nA" in text
    assert await tab.evaluate("document.querySelectorAll('#cards img').length") == 0
    assert await tab.until("empty.hidden && !roles.hidden && house.hidden")
    assert strangers(tab, house) == []
    assert tab.faults == []


async def test_both_bars_of_the_balance_have_one_length_and_name_the_rest(house: House, tab: Tab) -> None:
    send = await sender_of(house)
    await send("meter", {"power": -300}, role="grid", name="Grid meter")
    await send("roof", {"power": 2000}, role="solar", name=HOSTILE)
    await send("boiler", {"power": 900}, role="load")
    await sign_in(tab, house)
    await tab.until("!document.getElementById('house').hidden")
    await tab.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}]
    )
    widths = (
        "[...document.querySelectorAll('.stack')].map(bar => [...bar.children].filter(one => !one.hidden)"
        ".map(one => Math.round(one.getBoundingClientRect().width)))"
    )
    sources, uses = await tab.evaluate(widths)
    text = await tab.evaluate("document.getElementById('house').innerText")

    assert abs((sum(sources) + 2 * len(sources)) - (sum(uses) + 2 * len(uses))) <= 3
    assert (len(sources), len(uses)) == (1, 3)
    assert "The house uses 1.70\u00a0kW." in text
    assert "300\u00a0W goes to the grid" in text
    assert "Not measured\n800\nW" in text
    assert HOSTILE in text
    assert await tab.evaluate("document.querySelectorAll('#house img').length") == 0


async def counted(house: House) -> None:
    """A grid meter that counted one kWh in the last hour, and whose energy is derived."""
    send, now_ms = await sender_of(house), int(time.time() * 1000)
    await send("meter", {"energy_import": 12.5}, ts=now_ms - 3_600_000, role="grid", name="Grid meter")
    await send("meter", {"energy_import": 13.5, "power": 800}, ts=now_ms)
    end_s = time.monotonic() + 60.0
    path = f"/api/v1/energy/summary?start={now_ms - 3_600_000}&end={now_ms}"
    while (await house.get(path)).json["figures"]["use"]["energy"] is None:
        assert time.monotonic() < end_s, "the energy of the hour is not derived"
        await asyncio.sleep(0.05)  # another thread derives


COSTS = "document.getElementById('costs')"


async def test_without_a_tariff_energy_is_shown_and_the_way_to_costs(house: House, tab: Tab) -> None:
    await counted(house)
    await sign_in(tab, house)
    text = await tab.until(
        f"!{COSTS}.hidden && !document.getElementById('costs-none').hidden && {COSTS}.innerText"
    )

    assert "This month" in text
    assert "used" in text
    assert "hub.yaml" in text
    assert "Cost now" not in text
    assert "bill so far" not in text
    assert tab.faults == []


async def test_with_a_tariff_price_bill_and_peak_are_shown(house: House, tab: Tab) -> None:
    versions = [
        {
            "from": "2020-01-01",
            "import": [
                {"energy": HOSTILE, "price": "0.3127"},
                {"capacity": "Peak", "price": "5", "per": "month", "minimum_kw": "2.5"},
            ],
        }
    ]
    made = await house.post("/api/v1/tariffs", json={"id": "home", "currency": "EUR", "versions": versions})
    assert made.status == 201, made.body
    await counted(house)
    await tab.send("Emulation.setLocaleOverride", locale="en-US")
    await sign_in(tab, house)
    text = await tab.until(f"/0\\.3127[^]*2\\.50/.test({COSTS}.innerText) && {COSTS}.innerText")

    assert "Price €0.3127/kWh" in text
    assert "€0.25 per hour" in text
    assert "bill so far" in text
    assert "W this quarter hour" in text
    assert "below 2.50\u00a0kW, the highest billed" in text
    assert "hub.yaml" not in text
    assert strangers(tab, house) == []
    assert tab.faults == []


async def test_a_frozen_row_looks_old_beside_a_live_one(house: House, tab: Tab) -> None:
    send = await sender_of(house)
    now_ms = int(time.time() * 1000)
    await send("meter", {"energy_import": 12.5}, ts=now_ms - 3_600_000)
    await send("meter", {"power": 7}, ts=now_ms)
    await sign_in(tab, house)
    rows = await tab.evaluate(
        "[...document.querySelectorAll('.row')].map(row => [row.className, row.innerText])"
    )

    (live, live_text), (frozen, frozen_text) = rows
    assert "old" not in live.split()
    assert live_text.endswith("now")
    assert "old" in frozen.split()
    assert "12.50\nkWh" in frozen_text
    assert frozen_text.endswith("old value,\n1 h")


async def test_found_devices_are_added_from_the_page(house: House, tab: Tab) -> None:
    info = (known_series("power"),)
    found = DeviceInfo("plug-a", name=HOSTILE)
    await request(house.hub.device, Declare(found, info, "mqtt", "mqtt", found=True, sample="{}"))
    await sign_in(tab, house)
    await tab.until("!found.hidden")
    await tab.evaluate("document.querySelector('#found-list button').click()")
    await tab.until("found.hidden")

    assert [one["name"] for one in (await house.get("/api/v1/devices")).json["items"]] == [HOSTILE]


async def test_the_page_comes_back_with_the_hub_and_the_session_still_lives(
    house: House, tab: Tab, tmp_path: Path
) -> None:
    await (await sender_of(house))("meter", {"power": 7})
    await sign_in(tab, house)
    await house.server.stop()
    await house.hub.stop()
    await tab.until("document.getElementById('link').textContent === 'Reconnecting'")
    await tab.until("!document.getElementById('lost').hidden")
    kept = await tab.evaluate("document.querySelector('.card').innerText")
    house.hub = Hub(HubOptions(tmp_path / "config", tmp_path / "data"))
    await house.hub.start()
    house.server = await serve(house.hub, "127.0.0.1", house.server.port)
    try:
        await tab.evaluate("document.getElementById('retry').click()")
        await tab.until("document.getElementById('link').textContent === 'Live'")
        await (await sender_of(house))("meter", {"power": 9})
        await tab.until("document.querySelector('.value .number').textContent === '9'")
    finally:
        await house.server.stop()
        await house.hub.stop()

    assert "7" in kept
    assert await tab.evaluate("document.getElementById('lost').hidden")


async def test_without_encryption_the_page_says_so_and_works(house: House, tab: Tab) -> None:
    await (await sender_of(house))("meter", {"power": 7})
    await sign_in(tab, house, "hub.test")
    warned = await tab.evaluate("!plain.hidden && plain.innerText")
    await tab.open(house.url.replace("127.0.0.1", "hub.test"))
    await tab.until("document.getElementById('link').textContent === 'Live'")
    await tab.evaluate("document.getElementById('logout').click()")
    await tab.until(f"{SHOWN} === 'plain,login'")

    assert "not encrypted" in warned
    assert await tab.evaluate("cards.children.length") == 0


async def test_a_wrong_password_is_said_in_a_sentence(house: House, tab: Tab) -> None:
    await tab.open(house.url)
    await tab.until(f"{SHOWN} === 'login'")
    await tab.evaluate("username.value = 'admin'; password.value = 'wrong'")
    await tab.evaluate("document.querySelector('#login button').click()")
    said = await tab.until("document.getElementById('problem').textContent")

    assert said[0].isupper()
    assert said.endswith(".")
    assert await tab.evaluate("document.getElementById('live').hidden")


async def test_no_page_is_wider_than_a_phone(house: House, tab: Tab) -> None:
    await (await sender_of(house))(
        "W" * 60, {"power": 7, "a_very_long_name_of_a_series_that_never_ends": 123456789.123}
    )
    await tab.look(width=320, height=640)
    await sign_in(tab, house)
    widths = {"/": await tab.evaluate("document.documentElement.scrollWidth")}
    await tab.open(f"{house.url}/api/docs")
    await tab.until("document.querySelectorAll('.route').length > 40")
    widths["/api/docs"] = await tab.evaluate("document.documentElement.scrollWidth")
    await tab.open(f"{house.url}/setup")
    await tab.until("!document.getElementById('done').hidden")
    widths["/setup"] = await tab.evaluate("document.documentElement.scrollWidth")

    assert widths == {"/": 320, "/api/docs": 320, "/setup": 320}


FIGURES = [
    (999.4, "W", "999 W"),
    (999.6, "W", "1.00 kW"),
    (-1594.18, "W", "−1.59 kW"),
    (-0.2, "W", "0 W"),
    (2_500_000, "W", "2.50 MW"),
    (20_345_678, "Wh", "20.346 MWh"),
    (230.04, "V", "230.0 V"),
    (5.4321, "A", "5.43 A"),
    (49.987, "Hz", "49.99 Hz"),
    (77.6, "%", "78 %"),
    (21.44, "°C", "21.4 °C"),
    (7, "m3", "7.000 m³"),
    (0.987, "", "0.99"),
    (None, "W", "–"),
]


async def test_numbers_have_fixed_decimals_and_follow_the_reader(house: House, tab: Tab) -> None:
    asked = json.dumps([[value, unit] for value, unit, _ in FIGURES])
    script = (
        f"import('/assets/figures.js').then(m => {asked}.map(([value, unit]) => m.figureText(value, unit)))"
    )
    await tab.send("Emulation.setLocaleOverride", locale="en-US")
    await tab.open(f"{house.url}/setup")
    english = await tab.evaluate(script)
    await tab.send("Emulation.setLocaleOverride", locale="de-DE")
    await tab.open(f"{house.url}/api/docs")
    german = await tab.evaluate(script)

    assert english == [shown.replace(" ", "\u00a0") for _, _, shown in FIGURES]
    assert german[2] == "−1,59\u00a0kW"
