"""``wattline db``: how big the store is, whether it is whole, and figures derived again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.offline import Place, open_store, site_config, through
from hub.cli.options import common, counted, fail, moment, show, table
from hub.cli.remote import RunningHub, in_path, running_hub
from hub.errors import RetryLater, WattlineError

if TYPE_CHECKING:
    from hub.model.series import Series
    from hub.storage.database import Database

_REBUILD_LIMIT_S = 7 * 86_400.0
_CHECK_LIMIT_S = 3600.0
_STEP_S = 0.5
_MIB = 1 << 20


@click.group()
def db() -> None:
    """Look at the store, check it, derive its figures again."""


@db.command("stats")
@common
def stats(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Show how many readings are stored, what they take, and what a year more will take."""

    async def offline(database: Database) -> dict[str, Any]:
        from hub.storage.migrations import stored_revision
        from hub.storage.stats import stats

        sizes = await database.read(stats)
        revision = await database.read(stored_revision)
        return {"engine": database.dialect, "revision": revision, **sizes._asdict()}

    answer = through(Place(config_dir, data_dir), lambda hub: _object(hub.get("/storage")), offline)
    show(answer, _stats_text(answer), as_json=as_json)


@db.command("check")
@common
def check(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Check the structure of the store and every sealed block; exit code 1 where something is damaged."""

    def online(hub: RunningHub) -> list[str]:
        return [str(one) for one in hub.call("POST", "/storage/check", timeout_s=_CHECK_LIMIT_S)["problems"]]

    problems = through(Place(config_dir, data_dir), online, _problems)
    text = "\n".join([*problems, counted(len(problems), "problem")]) if problems else "the store is whole"
    show({"ok": not problems, "problems": problems}, text, as_json=as_json)
    if problems:
        click.echo("next: restore a backup, or keep the file and ask for help", err=True)
        sys.exit(1)


@db.command("migrate")
@common
def migrate(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Bring the tables to this version; a backup is made before. A hub does so itself when it starts."""
    import asyncio

    place = Place(config_dir, data_dir)
    hub = running_hub(data_dir)
    if hub is None:
        before, after = asyncio.run(_migrated(place))
    else:
        before = after = str(hub.get("/storage")["revision"])
    done = f"migrated from {before} to {after}" if before != after else f"up to date (revision {after})"
    show({"before": before, "after": after, "changed": before != after}, done, as_json=as_json)


@db.command("rebuild")
@click.option("--check", "only_check", is_flag=True, help="Compare only; exit code 1 where a figure differs.")
@common
def rebuild(only_check: bool, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Derive every figure again from the stored readings; with --check compare them, value for value."""
    place = Place(config_dir, data_dir)
    if only_check:
        _report(
            through(place, _check_online, lambda database: _check_offline(database, place)), as_json=as_json
        )
        return
    count = through(place, _rebuild_online, lambda database: _rebuild_offline(database, place))
    show({"series": count}, f"derived {counted(count, 'series').removesuffix('s')} again", as_json=as_json)


# --- checking the store


async def _problems(database: Database) -> list[str]:
    from hub.storage.stats import check_blocks, quick_check

    problems = list(await database.read(quick_check))
    after: tuple[int, int] | None = None
    while True:
        found, after = await database.read(lambda conn, after=after: check_blocks(conn, after))  # type: ignore[misc]  # bound per turn
        problems += found
        if after is None:
            return problems


async def _migrated(place: Place) -> tuple[str, str]:
    from hub.storage.migrations import HEAD, migrate, stored_revision

    async with open_store(place, upgrade=False) as database:
        before = await database.read(stored_revision)
        await migrate(database)
    return before or "none", HEAD


# --- deriving again


def _rebuild_online(hub: RunningHub) -> int:
    """Ask for it, and wait as long as it takes: the hub goes on by itself if this command is ended."""
    import time

    try:
        return int(hub.call("POST", "/derived/rebuild", timeout_s=120.0)["series"])
    except RetryLater as error:
        if error.code != "WL-RUN-001":
            raise
    began_s = time.monotonic()
    with _progress("deriving") as bar:
        total = waiting = int(hub.get("/derived")["dirty_series"])
        while waiting and time.monotonic() - began_s < _REBUILD_LIMIT_S:
            time.sleep(_STEP_S)
            waiting = int(hub.get("/derived")["dirty_series"])
            total = max(total, waiting)
            bar(total - waiting, total)
    return len(list(_series_of(hub)))


async def _rebuild_offline(database: Database, place: Place) -> int:
    """Derive month by month, with the same writer of derived rows as in the hub."""
    from hub.actors.derivation import DerivationStore, Span
    from hub.actors.marks import MarkBook
    from hub.actors.processing import MAX_SPAN_MS

    registry = await _registry(database)
    config = site_config(place.config_dir)
    store = DerivationStore(
        database, MarkBook(), config.site.time_zone, int(config.storage.seal_after_s * 1000)
    )
    await store.load_marks()
    everything = registry.all_series()
    spans = await store.stored_spans([one.no for one in everything])
    parts = [
        (one, Span(max(end_ms - MAX_SPAN_MS, span.start_ms), end_ms))
        for one in everything
        if (span := spans.get(one.no)) is not None
        for end_ms in range(span.end_ms, span.start_ms, -MAX_SPAN_MS)
    ]
    with _progress("deriving") as bar:
        for one in everything:
            await _clear_outside(database, one, spans.get(one.no))
        done_from: dict[int, int] = {}  # readings far apart widen a part, what it covered does not come again
        for number, (one, part) in enumerate(parts):
            bar(number, len(parts))
            end_ms = min(part.end_ms, done_from.get(one.no, part.end_ms))
            if part.start_ms < end_ms:
                (made,) = await store.rederive([(one, Span(part.start_ms, end_ms))])
                done_from[one.no] = made.start_ms
        await store.derive_days(registry)
    return len(everything)


async def _clear_outside(database: Database, series: Series, span: Any) -> None:
    """Take away rows that no reading stands behind: before the first and far behind the last reading."""
    from hub.storage import slots
    from hub.storage.rederive import FIRST_MS, LAST_MS

    def job(conn: Any) -> None:
        for resolution in (slots.SLOT, slots.DAY):
            if span is None:
                slots.delete_rows(conn, series.no, resolution, FIRST_MS, LAST_MS)
            else:
                slots.delete_rows(conn, series.no, resolution, FIRST_MS, span.start_ms - _REACH_MS)
                slots.delete_rows(conn, series.no, resolution, span.end_ms + _REACH_MS, LAST_MS)

    await database.write(job, label="clear")


_REACH_MS = 26 * 3_600_000
"""Rows this near to a reading are replaced when they are derived; further away nothing can come from it."""


# --- comparing


def _check_online(hub: RunningHub) -> list[dict[str, Any]]:
    names = sorted(_series_of(hub))
    checked = []
    with _progress("comparing") as bar:
        for number, name in enumerate(names):
            bar(number, len(names))
            path = f"/derived/check/{in_path(name)}"
            checked.append(_object(hub.call("POST", path, timeout_s=_CHECK_LIMIT_S)))
    return checked


async def _check_offline(database: Database, place: Place) -> list[dict[str, Any]]:
    from hub.actors.recheck import check_derived

    registry = await _registry(database)
    zone = site_config(place.config_dir).site.time_zone
    everything = sorted(registry.all_series(), key=lambda one: one.public_id)
    checked = []
    with _progress("comparing") as bar:
        for number, one in enumerate(everything):
            bar(number, len(everything))
            checked.append(asdict(await check_derived(database, one, zone)))
    return checked


def _report(checked: list[dict[str, Any]], *, as_json: bool) -> None:
    total = {name: sum(int(one[name]) for one in checked) for name in ("rows", "waiting", "different")}
    answer = {"ok": not total["different"], **total, "series": checked}
    lines = [
        f"compared {counted(total['rows'], 'row')} of {len(checked)} series:"
        f" {counted(total['different'], 'value')} different, {counted(total['waiting'], 'row')} not derived yet"
    ]
    shown = [one for series in checked for one in series["shown"]]
    if shown:
        rows = [
            (
                one["series"],
                one["resolution"],
                moment(one["start_ms"]),
                one["column"],
                one["stored"],
                one["derived"],
            )
            for one in shown
        ]
        lines.append(table(("SERIES", "ROW", "START", "COLUMN", "STORED", "DERIVED"), rows))
    if total["different"] and not as_json:
        click.echo("\n".join(lines))
        verb = "differs" if total["different"] == 1 else "differ"
        text = f"{counted(total['different'], 'stored value')} {verb} from what the readings give"
        fail(
            WattlineError("WL-CLI-010", text, where="derived figures", hint="wattline db rebuild"),
            as_json=False,
        )
    show(answer, "\n".join(lines), as_json=as_json)
    if total["different"]:
        sys.exit(1)


# --- shared


async def _registry(database: Database) -> Any:
    from hub.actors.registry import Registry
    from hub.storage.registry import load_devices, load_series

    registry = Registry()
    registry.load(*await database.read(lambda conn: (load_devices(conn), load_series(conn))))
    return registry


def _series_of(hub: RunningHub) -> Iterator[str]:
    for device in hub.all("/devices"):
        yield from (str(series["id"]) for series in device["series"])


@contextmanager
def _progress(word: str) -> Iterator[Any]:
    """A bar on stderr where somebody watches, nothing in a log."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(word, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _object(answer: Any) -> dict[str, Any]:
    return dict(answer)


def _stats_text(answer: dict[str, Any]) -> str:
    def size(number: float | None) -> str:
        return "-" if number is None else f"{number / _MIB:,.1f} MiB"

    lines: Iterable[tuple[str, str]] = (
        ("engine", f"{answer['engine']}, tables of revision {answer['revision']}"),
        (
            "readings",
            f"{answer['rows_hot']:,} hot, {answer['rows_sealed']:,} sealed in {answer['blocks']:,} blocks",
        ),
        ("from, to", f"{moment(answer['first_ms'])}, {moment(answer['last_ms'])}"),
        ("size", f"{size(answer['bytes_total'])}, of it sealed {size(answer['bytes_sealed'])}"),
        ("per day", "-" if answer["rows_per_day"] is None else f"{answer['rows_per_day']:,.0f} readings"),
        ("a year more", size(answer["forecast_bytes_per_year"])),
    )
    return "\n".join(f"{name:<12} {text}" for name, text in lines)
