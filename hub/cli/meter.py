"""``wattline meter``: meters that people read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.moments import moment_ms
from hub.cli.offline import Place, site_config, through
from hub.cli.options import common, counted, moment, show
from hub.cli.remote import RunningHub, in_path
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.storage.database import Database

_STORE_LIMIT_S = 90.0


@click.group()
def meter() -> None:
    """Enter what a person read off a meter."""


@meter.command("read")
@click.argument("target")
@click.argument("value", type=float)
@click.option("--at", "when", help="When it was read, ISO 8601 (site's time without offset); now if absent.")
@click.option("--unit", help="Unit of the value; that of the register (kWh, m3) if absent.")
@click.option("--register", help="Which register, where a metering point has several.")
@common
def read(
    target: str,
    value: float,
    when: str | None,
    unit: str | None,
    register: str | None,
    config_dir: Path,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Store VALUE as the reading of TARGET: a metering point, or a series such as main-meter.energy_import."""
    place = Place(config_dir, data_dir)
    ts_ms = moment_ms(when, site_config(config_dir).site.time_zone) if when else _now_ms()

    def online(hub: RunningHub) -> Any:
        body: dict[str, Any] = {"readings": [{"ts": ts_ms, "value": value}]}
        body |= {name: text for name, text in (("unit", unit), ("register", register)) if text is not None}
        path = (
            f"/series/{in_path(target)}/manual-readings"
            if "." in target
            else f"/metering-points/{in_path(target)}/readings"
        )
        return hub.call("POST", path, body, timeout_s=_STORE_LIMIT_S)

    async def offline(database: Database) -> Any:
        return await _store(database, place, target, ts_ms, value, unit, register)

    stored = through(place, online, offline)
    text = f"stored for {moment(ts_ms)}" if stored["accepted"] else "it was stored before"
    if stored["duplicates"] > 1:
        text = counted(stored["duplicates"], "reading") + " stored before"
    show(stored, text, as_json=as_json)


async def _store(
    database: Database,
    place: Place,
    target: str,
    ts_ms: int,
    value: float,
    unit: str | None,
    register: str | None,
) -> dict[str, Any]:
    """By the same actors as in the hub; figures follow when the hub starts."""
    from hub.actors.metering_requests import ManualReading, StoreManual
    from hub.cli.offline import note_in_trail, open_metering
    from hub.runtime.actor import request

    is_series = "." in target
    wanted = StoreManual(
        (ManualReading(ts_ms, value),),
        series=target if is_series else None,
        metering_point=None if is_series else target,
        register=register,
        unit=unit,
    )
    async with open_metering(database, site_config(place.config_dir).site.time_zone) as metering:
        stored = await request(metering, wanted, timeout_s=_STORE_LIMIT_S)
    if stored.rejections:
        raise Refused("WL-MET-005", stored.rejections[0].text, where=target)
    await note_in_trail(database, "meter read", target)
    return {"accepted": stored.accepted, "duplicates": stored.duplicates, "rejections": []}


def _now_ms() -> int:
    from hub.runtime.clock import SystemClock

    return SystemClock().now_ms()
