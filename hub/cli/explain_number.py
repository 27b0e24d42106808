"""``wattline explain-number``: why a figure is what it is, as a tree down to the rows of the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import click

from hub.cli.moments import moment_ms
from hub.cli.offline import Place, site_config, through
from hub.cli.options import common, moment, show
from hub.errors import Refused

if TYPE_CHECKING:
    from rich.tree import Tree

    from hub.storage.database import Database

_LIMIT_S: Final = 120.0
_PARAMETER: Final = {"energy": "series", "figure": "figure", "device": "device", "bill": "metering_point"}


@click.command("explain-number")
@click.argument("series", required=False)
@click.option("--figure", help="A figure of the balance instead of a series, such as use or import.")
@click.option("--device", help="What a device used, with its sources and its cost.")
@click.option("--bill", metavar="POINT", help="The bill of a metering point, such as grid.")
@click.option("--tariff", help="For --bill: another tariff than that of the metering point.")
@click.option("--start", required=True, help="Begin: a date, an ISO 8601 time or epoch milliseconds.")
@click.option("--end", required=True, help="End, exclusive.")
@click.option("--path", default="", help="A node of the tree, as an answer in JSON names it.")
@click.option("--depth", type=click.IntRange(0, 30), default=2, show_default=True, help="Levels of the tree.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=40, show_default=True, help="Children of one node."
)
@common
def explain_number(
    series: str | None,
    figure: str | None,
    device: str | None,
    bill: str | None,
    tariff: str | None,
    start: str,
    end: str,
    path: str,
    depth: int,
    limit: int,
    config_dir: Path,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Explain the energy of SERIES, a figure, a device or a bill: what it is made of, down to stored rows."""
    place = Place(config_dir, data_dir)
    zone = site_config(config_dir).site.time_zone
    metric, name = _asked({"energy": series, "figure": figure, "device": device, "bill": bill})
    query: dict[str, Any] = {
        "metric": metric, _PARAMETER[metric]: name, "start": moment_ms(start, zone), "end": moment_ms(end, zone),
        "path": path, "depth": depth, "limit": limit,
    }  # fmt: skip
    query |= {"tariff": tariff} if tariff else {}
    made = through(
        place,
        lambda hub: hub.get(f"/explain?{urlencode(query)}", timeout_s=_LIMIT_S),
        lambda database: _offline(database, place, query),
    )
    show(made, "" if as_json else _text(made), as_json=as_json)


def _asked(named: Mapping[str, str | None]) -> tuple[str, str]:
    """The one thing that was asked for."""
    given = [(metric, name) for metric, name in named.items() if name]
    if len(given) != 1:
        raise Refused(
            "WL-NRG-013",
            "name one thing: a series, or --figure, --device or --bill",
            where="command line",
            hint="such as wattline explain-number main-meter.energy_import --start 2026-11-01 --end 2026-12-01",
        )
    return given[0]


async def _offline(database: Database, place: Place, query: Mapping[str, Any]) -> dict[str, Any]:
    """The same by the desk of a hub that does not run."""
    from hub.actors.board import LatestBoard
    from hub.actors.energy_desk import EnergyDesk
    from hub.actors.energy_months import EnergySettings
    from hub.actors.explain_desk import ExplainDesk
    from hub.actors.explain_requests import Explain, View
    from hub.actors.money import MoneyDesk
    from hub.actors.money_requests import MoneySettings
    from hub.cli.offline import load_registry

    config = site_config(place.config_dir)
    zone, registry = config.site.time_zone, await load_registry(database)
    money = MoneyDesk(database, registry, LatestBoard(), zone, MoneySettings.of(config))
    await money.load()
    site = config.site
    settings = EnergySettings(site.co2_factor_g_per_kwh, site.gas_kwh_per_m3, site.first_fed)
    energy = EnergyDesk(database, registry, zone, prices=money.prices, settings=settings)
    desk = ExplainDesk(database, registry, zone, energy, money.sources)
    metric = query["metric"]
    view = View(query["path"], query["depth"], query["limit"])
    question = Explain(
        metric, query[_PARAMETER[metric]], query["start"], query["end"], query.get("tariff"), view
    )
    return (await desk.explain(question)).as_json()


def _text(made: Mapping[str, Any]) -> str:
    """The tree for people, as wide as it needs to be."""
    from io import StringIO

    from rich.console import Console
    from rich.tree import Tree

    tree = Tree(_label(made["node"]), guide_style="dim")
    _grow(tree, made["node"])
    console = Console(file=StringIO(), width=200, soft_wrap=True, color_system=None)
    console.print(f"{moment(made['start'])} to {moment(made['end'])}", highlight=False)
    console.print(tree, highlight=False)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def _grow(tree: Tree, node: Mapping[str, Any]) -> None:
    for child in node.get("children") or ():
        _grow(tree.add(_label(child)), child)
    if node.get("op") and node.get("children") is None:
        tree.add("…")


def _label(node: Mapping[str, Any]) -> Any:
    from rich.text import Text

    words = [f"{node['value']} {node['unit']}".strip(), node["label"]]
    if node.get("op") in ("product", "formula") and node.get("formula"):
        words.append(f"= {node['formula']}")
    if node.get("class") not in (None, "measured"):
        words.append(f"[{node['class']}]")
    if node.get("flags"):
        words.append(f"[{', '.join(node['flags'])}]")
    if node["kind"] == "correction":
        words.append(f"by {node['by'] or 'nobody signed in'}, {moment(node['at'])}")
    if node.get("stored"):
        words.append(_row(node["stored"]))
    text = "  ".join(words)
    return Text("".join(char if char.isprintable() else "?" for char in text))


def _row(stored: Mapping[str, Any]) -> str:
    cells = ", ".join(f"{name} {value}" for name, value in stored.items() if name != "table")
    return f"‹{stored['table']}: {cells}›"
