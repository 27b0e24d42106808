"""``wattline demo``: the simulated house, with a past behind it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.logs import LogFormat, set_up_logging
from hub.cli.options import DEFAULT_CONFIG, fail
from hub.errors import AskUser, WattlineError

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.cli.demo_market import Market
    from hub.config.settings import HubConfig, IntegrationEntry
    from hub.storage.database import Database

MAIN_FILE = "demo.yaml"
DEFAULT_DATA = Path("data-demo")
_MOST_DAYS = 10 * 366


@click.command()
@click.option(
    "--config",
    "config_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_CONFIG,
    envvar="WATTLINE_CONFIG",
    show_default=True,
    help="Directory of demo.yaml.",
)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Directory of the demo's data; the history is written into an empty one only.",
)
@click.option(
    "--days",
    type=click.IntRange(0, _MOST_DAYS),
    default=365,
    show_default=True,
    help="Days of history before today.",
)
@click.option("--host", default=None, help="Address to listen on, instead of http.host.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port, instead of http.port.")
@click.option("--prepare-only", is_flag=True, help="Write the history and end.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="One event a line.",
)
@click.option("--json", "as_json", is_flag=True, help="Log and report errors as JSON.")
def demo(
    config_dir: Path,
    data_dir: Path,
    days: int,
    host: str | None,
    port: int | None,
    prepare_only: bool,
    log_format: LogFormat,
    as_json: bool,
) -> None:
    """Run a simulated house with a year of history behind it."""
    from hub.app import HubOptions
    from hub.cli.run import run_loop, serve

    async def keep(hub: Hub) -> None:
        from hub.cli.demo_market import keep_market

        entry = demo_entry(hub.config, config_dir)
        await keep_market(hub.processing, hub.clock, _market(hub.config, entry))

    set_up_logging("json" if as_json else log_format)
    try:
        # a loop of its own, which has ended before the hub starts
        asyncio.run(prepare(config_dir, data_dir, days, quiet=as_json))
        if not prepare_only:
            run_loop(serve(HubOptions(config_dir, data_dir, host, port, main_file=MAIN_FILE), keep))
    except WattlineError as error:
        fail(error, as_json=as_json)


async def prepare(config_dir: Path, data_dir: Path, days: int, *, quiet: bool = False) -> int:
    """Write the history where there is none yet → number of readings written.

    Raises:
        ConfigErrors: demo.yaml is wrong.
        AskUser: ``WL-DEM-002`` the data directory belongs to another house, ``WL-DEM-003`` the house is too
            young, ``WL-STO-002`` a hub runs on it.
    """
    from hub.runtime.clock import SystemClock
    from hub.storage.database import Database

    config, entry = await asyncio.to_thread(_configuration, config_dir)
    database = await Database.open(config.storage.url, data_dir, clock=SystemClock())
    try:
        return await _prepare(database, config, entry, days, quiet=quiet)
    finally:
        await database.close()


async def _prepare(
    database: Database, config: HubConfig, entry: IntegrationEntry, days: int, *, quiet: bool
) -> int:
    from hub.cli.demo_history import DONE, begun_ms, past_of, state_of, write_past
    from hub.cli.demo_market import write_market
    from integrations.demo.devices import declarations
    from integrations.demo.schema import site_of

    market = _market(config, entry)
    if await state_of(database) == DONE:
        since_ms = await database.read(begun_ms)
        if since_ms is not None:  # what was published while the demo was stopped
            await write_market(database, market, since_ms)
        return 0
    past = past_of(
        entry.options["seed"],
        site_of(entry.options),
        config.site.time_zone,
        days,
        database.now_ms(),
        int(config.storage.seal_after_s * 1000),
    )
    with _progress(days, quiet=quiet) as progress:
        declared = declarations(entry.options["interval"])
        await write_market(database, market, past.start_ms)
        return await write_past(database, past, declared, entry.entry_id, progress)


def _configuration(config_dir: Path) -> tuple[HubConfig, IntegrationEntry]:
    from hub.config.loader import load
    from hub.plugins.manager import PluginManager

    plugins = PluginManager(config_dir)
    plugins.load()
    config = load(config_dir, plugins.schemas(), main_file=MAIN_FILE)
    return config, demo_entry(config, config_dir)


def demo_entry(config: HubConfig, config_dir: Path) -> IntegrationEntry:
    """The simulated house of a configuration.

    Raises:
        AskUser: ``WL-DEM-004`` it has none.
    """
    entry = next((one for one in config.integrations if one.domain == "demo"), None)
    if entry is None:
        raise AskUser(
            "WL-DEM-004",
            f"{MAIN_FILE} has no demo integration",
            where=str(config_dir / MAIN_FILE),
            hint="add `- demo: {}` under `integrations:`",
        )
    return entry


def _market(config: HubConfig, entry: IntegrationEntry) -> Market:
    from hub.cli.demo_market import Market
    from integrations.demo.schema import site_of

    return Market.of(config, entry.options["seed"], site_of(entry.options))


class _Progress:
    """One line on stderr that grows; on a terminal it is written over."""

    def __init__(self, days: int, *, quiet: bool) -> None:
        self._days = days
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, months: int) -> None:
        if self._quiet or not (self._terminal or done == 0):
            return
        share = f"{done / months:.0%}" if months else ""
        end = "" if self._terminal else "\n"
        start = "\r" if self._terminal else ""
        sys.stderr.write(f"{start}Writing {self._days} days of history … {share}{end}")
        sys.stderr.flush()

    def finished(self, seconds: float) -> None:
        """Say how long it took."""
        if not self._quiet:
            sys.stderr.write(f"{chr(10) if self._terminal else ''}The history is ready ({seconds:.1f} s).\n")


@contextmanager
def _progress(days: int, *, quiet: bool) -> Iterator[_Progress]:
    started_s = time.monotonic()
    progress = _Progress(days, quiet=quiet)
    yield progress
    progress.finished(time.monotonic() - started_s)
