"""``wattline correct``: correct readings, look at corrections, try one out, take one back."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.moments import moment_ms
from hub.cli.offline import Place, site_config, through
from hub.cli.options import common, counted, moment, show, table
from hub.cli.remote import RunningHub
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.actors.corrections import Wanted
    from hub.runtime.actor import Ref
    from hub.storage.database import Database

ACTIONS = ("value", "delete", "replace", "offset", "scale", "accept", "reject")
_PREVIEW_LIMIT_S = 120.0


@click.group()
def correct() -> None:
    """Correct readings: as events that can be taken back; the readings stay as they came."""


def _what(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say what is corrected."""
    options = (
        click.option("--start", required=True, help="First reading, ISO 8601 (site's time without offset)."),
        click.option(
            "--end", help="End, exclusive; without it the one reading, or (offset, scale) for good."
        ),
        click.option("--value", type=float, help="The value, the offset or the factor."),
        click.option("--unit", help="Unit of value and rows, such as kWh; the stored unit if absent."),
        click.option(
            "--rows",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="CSV of time and value, for replace.",
        ),
    )
    for option in reversed(options):  # the innermost is shown last
        command = option(command)
    command = click.argument("action", type=click.Choice(ACTIONS))(command)
    return click.argument("series")(command)


@correct.command("add")
@_what
@click.option("--reason", required=True, help="Why, for those who ask in a year.")
@common
def add(
    series: str, action: str, reason: str, config_dir: Path, data_dir: Path, as_json: bool, **what: Any
) -> None:
    """Correct readings of SERIES; everything derived follows."""
    place = Place(config_dir, data_dir)
    body = _body(place, series, action, what)

    async def offline(database: Database) -> Any:
        from hub.actors.corrections import AddCorrection
        from hub.runtime.actor import request

        async def work(actor: Ref) -> Any:
            return (await request(actor, AddCorrection(_wanted(body), reason))).as_json()

        return await _with_actor(database, place, work, "correct add")

    made = through(place, lambda hub: hub.call("POST", "/corrections", {**body, "reason": reason}), offline)
    show(
        made,
        f"correction {made['id']} made; `wattline correct undo {made['id']}` takes it back",
        as_json=as_json,
    )


@correct.command("preview")
@_what
@common
def preview(series: str, action: str, config_dir: Path, data_dir: Path, as_json: bool, **what: Any) -> None:
    """Show what a correction would change, month by month; nothing is stored."""
    place = Place(config_dir, data_dir)
    body = _body(place, series, action, what)

    async def offline(database: Database) -> Any:
        from hub.actors.corrections import PreviewCorrection
        from hub.runtime.actor import request

        async def work(actor: Ref) -> Any:
            question = PreviewCorrection(_wanted(body))
            return (await request(actor, question, timeout_s=_PREVIEW_LIMIT_S)).as_json()

        return await _with_actor(database, place, work)

    def online(hub: RunningHub) -> Any:
        return hub.call("POST", "/corrections/preview", body, timeout_s=_PREVIEW_LIMIT_S)

    found = through(place, online, offline)
    months = [*found["months"], found["total"]]
    rows = [
        (one["month"][:7], *(_figure(one[name]) for name in ("before", "after", "change")), _costs(one))
        for one in months
    ]
    unit = found["unit"]
    heads = ("MONTH", f"BEFORE {unit}", f"AFTER {unit}", f"CHANGE {unit}", "COST")
    text = table(heads, rows, numbers=heads[1:])
    changed = counted(found["slots_changed"], "slot")
    text += f"\n{counted(found['readings'], 'reading')} in the range, {changed} of 15 minutes would differ"
    show(found, text, as_json=as_json)


@correct.command("list")
@click.option("--series", help="Only corrections of this series.")
@common
def list_corrections(series: str | None, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List corrections and undos, the newest first."""
    place = Place(config_dir, data_dir)

    async def offline(database: Database) -> Any:
        from hub.actors.corrections import ListCorrections
        from hub.runtime.actor import request

        async def work(actor: Ref) -> list[Any]:
            found: list[Any] = []
            before_id = None
            while True:
                part = await request(actor, ListCorrections(1000, before_id, series))
                found += [view.as_json() for view in part]
                if len(part) < 1000:
                    return found
                before_id = part[-1].event.id

        return await _with_actor(database, place, work)

    found = through(place, lambda hub: _online_list(hub, series), offline)
    rows = [
        (
            one["id"],
            one["series"],
            one["action"] if one["undoes"] is None else f"undo of {one['undoes']}",
            moment(one["start"]),
            moment(one["end"]),
            _figure(one["value"]),
            "yes" if one["active"] else "no",
            one["reason"],
        )
        for one in found
    ]
    heads = ("ID", "SERIES", "ACTION", "START", "END", "VALUE", "HOLDS", "REASON")
    show({"items": found}, table(heads, rows), as_json=as_json)


@correct.command("undo")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--reason", default="", help="Why it is taken back.")
@common
def undo(number: int, reason: str, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Take correction NUMBER back."""
    place = Place(config_dir, data_dir)

    async def offline(database: Database) -> Any:
        from hub.actors.corrections import UndoCorrection
        from hub.runtime.actor import request

        async def work(actor: Ref) -> Any:
            return (await request(actor, UndoCorrection(number, reason))).as_json()

        return await _with_actor(database, place, work, "correct undo")

    made = through(
        place, lambda hub: hub.call("DELETE", f"/corrections/{number}", {"reason": reason}), offline
    )
    show(made, f"correction {number} is undone", as_json=as_json)


def _online_list(hub: RunningHub, series: str | None) -> list[dict[str, Any]]:
    found = hub.all("/corrections")
    return [one for one in found if series in (None, one["series"])]


def _body(place: Place, series: str, action: str, what: Mapping[str, Any]) -> dict[str, Any]:
    """The correction as the API takes it."""
    zone = site_config(place.config_dir).site.time_zone
    body: dict[str, Any] = {"series": series, "action": action, "start": moment_ms(what["start"], zone)}
    if what["end"] is not None:
        body["end"] = moment_ms(what["end"], zone)
    if what["rows"] is not None:
        body["rows"] = _rows(what["rows"], zone)
    return body | {name: what[name] for name in ("value", "unit") if what[name] is not None}


def _rows(path: Path, zone: str) -> list[dict[str, Any]]:
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for line, cells in enumerate(csv.reader(file), 1):
            if not cells or (line == 1 and not cells[0][:1].isdigit()):
                continue  # an empty line, or a head
            try:
                rows.append({"ts": moment_ms(cells[0], zone), "value": float(cells[1])})
            except (IndexError, ValueError) as error:
                raise Refused(
                    "WL-COR-003", f"line {line} is no time and value", where=f"{path}:{line}"
                ) from error
    return rows


def _wanted(body: Mapping[str, Any]) -> Wanted:
    from hub.actors.corrections import Wanted

    return Wanted(
        body["series"],
        body["action"],
        body["start"],
        body.get("end"),
        body.get("value"),
        tuple((row["ts"], row["value"]) for row in body.get("rows", ())),
        body.get("unit"),
    )


async def _with_actor(
    database: Database, place: Place, work: Callable[[Ref], Awaitable[Any]], action: str = ""
) -> Any:
    """Do it by the same actor as in the hub; figures follow when the hub starts."""
    from hub.actors.corrections import CorrectionsActor
    from hub.bus import EventBus
    from hub.cli.offline import load_registry, note_in_trail
    from hub.runtime.actor import stop
    from hub.runtime.clock import SystemClock

    registry = await load_registry(database)
    zone = site_config(place.config_dir).site.time_zone
    actor = CorrectionsActor.start(database, EventBus(), SystemClock(), registry=registry, zone=zone)
    try:
        answer = await work(actor)
    finally:
        await stop(actor)
    if action:
        await note_in_trail(database, action, f"{answer['id']}: {answer['series']}")
    return answer


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")


def _costs(one: Mapping[str, Any]) -> str:
    return "" if one["cost_before"] is None else f"{one['cost_before']} → {one['cost_after']}"
