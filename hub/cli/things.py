"""``wattline device``: what is measured, and when it was heard last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.offline import Place, through
from hub.cli.options import common, moment, show, table

if TYPE_CHECKING:
    from hub.storage.database import Database


@click.group()
def device() -> None:
    """Look at devices."""


@device.command("list")
@common
def list_devices(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List all devices with their series and their last reading."""
    devices = through(Place(config_dir, data_dir), lambda hub: hub.all("/devices"), _stored)
    rows = [
        (
            one["id"],
            one["name"],
            one["role"],
            one["availability"],
            moment(one["last_ms"]),
            ", ".join(series["key"] for series in one["series"]),
        )
        for one in devices
    ]
    text = table(("ID", "NAME", "ROLE", "STATE", "LAST READING", "SERIES"), rows)
    show({"items": devices}, text, as_json=as_json)


async def _stored(database: Database) -> list[dict[str, Any]]:
    """As the API shows them; without a hub nobody knows whether a device is there, so it is ``unknown``."""
    from hub.storage.readings import last_rows
    from hub.storage.registry import load_devices, load_series

    devices, series = await database.read(lambda conn: (load_devices(conn), load_series(conn)))
    newest = await database.read(lambda conn: last_rows(conn, [one.no for one in series]))
    found = []
    for one in devices:
        mine = [row for row in series if row.device_id == one.id]
        found.append(
            {
                "id": one.id,
                "name": one.name,
                "integration": one.integration,
                "kind": one.kind,
                "maker": one.maker,
                "model": one.model,
                "firmware": one.firmware,
                "serial": one.serial,
                "role": one.role.value,
                "area": one.area,
                "parent": one.parent,
                "site": one.site,
                "created_ms": one.created_ms,
                "availability": "unknown",
                "last_ms": max((newest[row.no][0] for row in mine if row.no in newest), default=None),
                "series": [
                    {
                        "id": row.public_id,
                        "device": row.device_id,
                        "key": row.key,
                        "name": row.name,
                        "quantity": row.quantity.value,
                        "unit": row.unit,
                        "kind": row.behaviour.value,
                        "direction": row.direction.value,
                        "physical_limit": row.physical_limit,
                        "register_width": row.register_width,
                        "resolution": row.resolution,
                        "in_balance": row.in_balance,
                    }
                    for row in mine
                ],
            }
        )
    return sorted(found, key=lambda one: str(one["id"]))
