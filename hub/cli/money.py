"""``wattline tariff`` and ``wattline bill``: contracts and what they ask for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from hub.cli.offline import Place, site_config, through
from hub.cli.options import common, counted, show, table

if TYPE_CHECKING:
    from hub.actors.money import MoneyDesk
    from hub.storage.database import Database


@click.group()
def tariff() -> None:
    """Look at tariffs."""


@tariff.command("list")
@common
def list_tariffs(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List all tariffs, of the configuration and of people."""
    place = Place(config_dir, data_dir)
    found = through(place, lambda hub: hub.all("/tariffs"), lambda database: _tariffs(database, place))
    rows = [
        (
            one["id"],
            one["name"],
            one["metering_point"],
            one["currency"],
            one["kept_by"],
            ", ".join(str(version["from"]) for version in one["versions"]),
        )
        for one in found
    ]
    heads = ("ID", "NAME", "METERING POINT", "CURRENCY", "KEPT BY", "VERSIONS FROM")
    show({"items": found}, table(heads, rows), as_json=as_json)


@tariff.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@common
def check_tariff(file: Path, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Check FILE: one tariff, or `tariffs:`, `prices:` and `budgets:` as in hub.yaml. Shows every error at once."""
    from hub.config.money import check_file

    found, errors = check_file(file)
    if as_json:
        problems = [item.as_json() for item in errors.errors] if errors else []
        show({"ok": errors is None, "errors": problems, "tariffs": found}, "", as_json=True)
        sys.exit(0 if errors is None else 1)
    if errors is not None:
        raise errors
    names = f": {', '.join(found)}" if found else ""
    click.echo(f"ok: {counted(len(found), 'tariff')}{names}")


@click.command()
@click.option("--start", required=True, help="Begin: a date, an ISO 8601 time or epoch milliseconds.")
@click.option("--end", required=True, help="End, exclusive.")
@click.option(
    "--metering-point",
    default="grid",
    show_default=True,
    help="`grid`, another metering point, or the id of a device.",
)
@click.option("--tariff", "tariff_id", default=None, help="Another tariff than that of the metering point.")
@common
def bill(
    start: str,
    end: str,
    metering_point: str,
    tariff_id: str | None,
    config_dir: Path,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Print the itemised bill of a metering point."""
    query = {"metering_point": metering_point, "start": start, "end": end}
    query |= {"tariff": tariff_id} if tariff_id else {}
    place = Place(config_dir, data_dir)
    made = through(
        place,
        lambda hub: hub.get(f"/bills?{urlencode(query)}"),
        lambda database: _bill(database, place, query),
    )
    show(made, _bill_text(made), as_json=as_json)


def _bill_text(made: dict[str, Any]) -> str:
    rows = [
        (line["component"], line["side"], line["quantity"], line["unit"], line["unit_price"], line["amount"])
        for line in made["lines"]
    ]
    rows.append(("Total", " ", " ", " ", " ", made["total"]))
    amount = f"AMOUNT {made['currency']}"
    heads = ("LINE", "SIDE", "QUANTITY", "UNIT", "UNIT PRICE", amount)
    text = [
        f"{made['metering_point']}, {made['tariff']}, {made['start']} to {made['end']}",
        "",
        table(heads, rows, numbers=("QUANTITY", "UNIT PRICE", amount)),
    ]
    text += [""] if made["peaks"] else []
    text += [
        f"peak of {one['month']}: {one['power_w'] / 1000:.2f} kW at {one['start']}" for one in made["peaks"]
    ]
    if made["pending_kwh"] != "0":
        text += ["", f"pending: {made['pending_kwh']} kWh have no price yet"]
    return "\n".join(text)


async def _tariffs(database: Database, place: Place) -> list[dict[str, Any]]:
    from web.money_json import tariff_json

    desk = await _desk(database, place)
    return [tariff_json(desk.book.tariffs[key]) for key in sorted(desk.book.tariffs)]


async def _bill(database: Database, place: Place, query: dict[str, str]) -> dict[str, Any]:
    from zoneinfo import ZoneInfo

    from web.money_json import bill_json
    from web.params import moment_ms

    zone = ZoneInfo(site_config(place.config_dir).site.time_zone)
    start_ms, end_ms = (moment_ms(query[name], name, zone) for name in ("start", "end"))
    desk = await _desk(database, place)
    made = await desk.bills.bill(query["metering_point"], start_ms, end_ms, query.get("tariff"))
    return bill_json(made, zone)


async def _desk(database: Database, place: Place) -> MoneyDesk:
    """The desk of a hub that does not run, on its store and its configuration."""
    from hub.actors.board import LatestBoard
    from hub.actors.money import MoneyDesk
    from hub.actors.money_requests import MoneySettings
    from hub.actors.registry import Registry
    from hub.storage.registry import load_devices, load_series

    config = site_config(place.config_dir)
    registry = Registry()
    registry.load(*await database.read(lambda conn: (load_devices(conn), load_series(conn))))
    desk = MoneyDesk(database, registry, LatestBoard(), config.site.time_zone, MoneySettings.of(config))
    await desk.load()
    return desk
