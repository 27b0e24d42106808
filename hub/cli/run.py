"""``wattline run``: one hub process, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from hub.app import Hub, HubOptions
from hub.cli.logs import LogFormat, set_up_logging
from hub.cli.options import common
from hub.errors import AskUser
from hub.runtime.lasting import lasting, settle

LOGGER = logging.getLogger("wattline")
_EVERYWHERE = ("0.0.0.0", "::")
"""Addresses to listen on that no browser can open."""
LINGER_S = 1.0
"""How long the loop may take to close after the hub has stopped."""


@click.command()
@common
@click.option("--host", default=None, help="Address to listen on, instead of http.host.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port, instead of http.port.")
@click.option(
    "--role",
    type=click.Choice(["all", "ingest"]),
    default="all",
    show_default=True,
    help="Parts of the hub that run here; this version runs all.",
)
@click.option("--safe-mode", is_flag=True, help="Start without integrations.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="One event a line.",
)
def run(
    config_dir: Path,
    data_dir: Path,
    as_json: bool,
    host: str | None,
    port: int | None,
    role: str,
    safe_mode: bool,
    log_format: LogFormat,
) -> None:
    """Start the hub and serve it until SIGTERM or Ctrl-C. SIGHUP reloads the configuration."""
    set_up_logging("json" if as_json else log_format)
    if role == "ingest":
        raise AskUser(
            "WL-CLI-010",
            "ingest-only hubs are not part of this version",
            where="--role",
            hint="run one hub with --role all; it takes far more than a building sends",
        )
    options = HubOptions(config_dir, data_dir, host, port, safe_mode)
    run_loop(serve(options))


SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread keeps the interpreter from another that wants it.

The database writer gives the interpreter away at every row and waits for it again; with Python's 5 ms, a busy event
loop makes each commit wait for tens of milliseconds (measured: 12,000 to 48,000 rows/s beside a busy loop, with
half a millisecond 115,000 to 155,000).
"""


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop there is; the process ends soon after it, whatever plugins hold on to."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_to_the_end(main))
        return
    uvloop.run(_to_the_end(main))


async def _to_the_end(main: Coroutine[Any, Any, None]) -> None:
    """Everything of ours is closed when ``main`` returns; a task or thread of a plugin must not keep the process."""
    code = 1
    try:
        await main
        code = 0
    finally:
        leave = threading.Timer(LINGER_S, _leave, (code,))
        leave.daemon = True
        leave.start()


def _leave(code: int) -> None:
    LOGGER.warning("something of a plugin did not end; leaving without it")
    sys.stderr.flush()
    os._exit(code)


async def serve(
    options: HubOptions, beside: Callable[[Hub], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Start hub and web, announce the address, and wait for the end; ``beside`` runs as long as they do."""
    with lasting():
        from web.server import serve as serve_web

        ending = asyncio.Event()
        hub = Hub(options)
        await hub.start()
    try:
        host = options.host or hub.config.http.host
        port = options.port if options.port is not None else hub.config.http.port
        server = await serve_web(hub, host, port)
        extra = None if beside is None else asyncio.create_task(beside(hub))
        try:
            hub.announce(*server.loopback)
            await _greet(hub, host, server.port)
            settle()
            _on_signals(hub, ending)
            await ending.wait()
            LOGGER.info("stopping")
        finally:
            if extra is not None:
                extra.cancel()
            await server.stop()
    finally:
        await hub.stop()
    LOGGER.info("stopped")


async def _greet(hub: Hub, host: str, port: int) -> None:
    from hub.actors.auth import SetupState
    from hub.runtime.actor import request

    shown = f"[{host}]" if ":" in host else host
    LOGGER.info("Wattline %s serves http://%s:%s, data in %s", hub.version, shown, port, hub.data_dir)
    setup = await request(hub.auth, SetupState())
    if setup.token:
        reached = "localhost" if host in _EVERYWHERE else shown
        link = f"http://{reached}:{port}/setup#{setup.token}"
        sys.stderr.write(
            f"\nFirst start. Open this link once to create the owner's account:\n\n    {link}\n\n"
        )
        sys.stderr.flush()


def _on_signals(hub: Hub, ending: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ending.set)
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = loop.create_task(hub.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
