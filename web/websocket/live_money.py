"""Price and peak of this moment beside the live balance: asked for seldom, while somebody watches."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from hub.actors.money_requests import GetPeak, GetPriceNow, PriceNow
from hub.app import Hub
from hub.energy.slots import SLOT_MS
from hub.errors import WattlineError
from hub.runtime.actor import request
from hub.runtime.jobs import BackgroundTasks
from web.money_json import money_text, peak_json
from web.zone import site_zone

EVERY_S: Final = 15.0
_POINT: Final = "grid"


class LiveMoney:
    """What the grid connection costs now and where its running quarter hour is heading."""

    def __init__(self, hub: Hub, tasks: BackgroundTasks) -> None:
        self._hub = hub
        self._tasks = tasks
        self._shown: dict[str, Any] = {}
        self._asked: tuple[int, float] | None = None
        self._task: asyncio.Task[Any] | None = None

    def shown(self) -> dict[str, Any]:
        """The newest answer, empty where nothing is known; asks anew when it is old or its quarter is over."""
        quarter, now_s = self._hub.clock.now_ms() // SLOT_MS, self._hub.clock.monotonic_s()
        due = self._asked is None or self._asked[0] != quarter or now_s - self._asked[1] >= EVERY_S
        if due and (self._task is None or self._task.done()):
            self._asked = quarter, now_s
            self._task = self._tasks.spawn(self._ask(), name="live money")
        return self._shown

    async def _ask(self) -> None:
        found: dict[str, Any] = {}
        try:
            price = await request(self._hub.processing, GetPriceNow(_POINT))
            if price is not None:
                found["price"] = _price_json(price)
            peak = await request(self._hub.processing, GetPeak(_POINT))
            found["peak"] = peak_json(peak, site_zone(self._hub))
        except WattlineError:
            pass  # no grid meter yet, or the store is away: what is known is shown, and it is asked again later
        self._shown = found


def _price_json(price: PriceNow) -> dict[str, Any]:
    """Decimal texts per kWh; null where a price is pending."""
    return {
        "tariff": price.tariff,
        "currency": price.currency,
        "import": None if price.import_e8 is None else money_text(price.import_e8),
        "export": None if price.export_e8 is None else money_text(price.export_e8),
    }
