"""The work of a command where no hub runs: it takes the lock and opens the store itself, for as long as it takes.

What people may do goes through the same actor as in the hub, so that the answers, refusals and the audit trail are
the same.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hub.cli.remote import PATIENCE_S, RunningHub, running_hub
from hub.errors import AskUser

if TYPE_CHECKING:
    from hub.actors.registry import Registry
    from hub.config.settings import HubConfig
    from hub.runtime.actor import Ref
    from hub.storage.database import Database

T = TypeVar("T")

LOCKED = "WL-STO-002"
_STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where the hub's files are."""

    config_dir: Path
    data_dir: Path


def through(
    place: Place,
    online: Callable[[RunningHub], T],
    offline: Callable[[Database], Awaitable[T]],
    *,
    create: bool = False,
) -> T:
    """Have the running hub do it, or do it here.

    Args:
        create: a store that is not there yet is made; otherwise that is an error.

    Raises:
        WattlineError: whatever either way refuses.
    """

    async def work() -> T:
        async with open_store(place, create=create) as database:
            return await offline(database)

    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        hub = running_hub(place.data_dir)
        if hub is not None:
            return online(hub)
        try:
            return asyncio.run(work())
        except AskUser as error:
            # somebody took the lock between the look and the try: nothing was done yet, so look again
            if error.code != LOCKED or time.monotonic() >= give_up_s:
                raise
        time.sleep(_STEP_S)


@asynccontextmanager
async def open_store(place: Place, *, create: bool = False, upgrade: bool = True) -> AsyncIterator[Database]:
    """The store of a data directory, with its lock.

    Raises:
        AskUser: ``WL-CLI-004`` there is none and ``create`` is False; ``WL-STO-002`` a hub has just started.
    """
    from hub.runtime.clock import SystemClock
    from hub.storage.database import Database

    url = store_url(place.config_dir)
    if not create:
        _refuse_missing(url, place.data_dir)
    database = await Database.open(url, place.data_dir, clock=SystemClock(), upgrade=upgrade)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_auth(database: Database) -> AsyncIterator[Ref]:
    """The actor that owns users and tokens, on a store that is open."""
    from hub.actors.auth import AuthActor, AuthBook
    from hub.bus import EventBus
    from hub.runtime.actor import stop
    from hub.runtime.clock import SystemClock

    auth = AuthActor.start(database, EventBus(), SystemClock(), database.data_dir, AuthBook())
    try:
        yield auth
    finally:
        await stop(auth)


@asynccontextmanager
async def open_metering(database: Database, zone: str) -> AsyncIterator[Ref]:
    """The actor of metering points, with those that it asks: devices and the recorder."""
    from hub.actors.board import LatestBoard
    from hub.actors.device import DeviceActor
    from hub.actors.marks import MarkBook
    from hub.actors.metering import MeteringActor
    from hub.actors.recorder import IngestLoad, RecorderActor
    from hub.bus import EventBus
    from hub.model.admission import Frontier, TimeLimits
    from hub.runtime.actor import stop
    from hub.runtime.clock import SystemClock

    bus, clock, registry = EventBus(), SystemClock(), await load_registry(database)
    device = DeviceActor.start(database, bus, clock, registry=registry, board=LatestBoard())
    recorder = RecorderActor.start(
        database, bus, clock, registry=registry, frontier=Frontier(), marks=MarkBook(), load=IngestLoad(),
        limits=TimeLimits(),
    )  # fmt: skip
    metering = MeteringActor.start(
        database, bus, clock, registry=registry, device=device, recorder=recorder, zone=zone
    )
    try:
        yield metering
    finally:
        for one in (metering, recorder, device):
            await stop(one)


async def load_registry(database: Database) -> Registry:
    """Devices and series as the store knows them."""
    from hub.actors.registry import Registry
    from hub.storage.registry import load_devices, load_series

    registry = Registry()
    registry.load(*await database.read(lambda conn: (load_devices(conn), load_series(conn))))
    return registry


async def note_in_trail(database: Database, action: str, target: str) -> None:
    """A line in the audit trail for what the command line did."""
    from hub.model.access import LOCAL_PRINCIPAL
    from hub.storage.users import AuditRow, insert_audit

    row = AuditRow(database.now_ms(), None, action, target, {"by": LOCAL_PRINCIPAL.name}, "")
    await database.write(lambda conn: insert_audit(conn, [row]), label="audit")


def site_config(config_dir: Path) -> HubConfig:
    """What can be read of the configuration without its integrations; defaults for the rest.

    Raises:
        ConfigErrors: the part that says where the store is has an error: a guess might open the wrong one.
    """
    from hub.config.loader import load_tolerant

    config, errors = load_tolerant(config_dir, {})
    if errors is None:
        return config
    if [item.code for item in errors.errors] == ["WL-CFG-001"]:
        sys.stderr.write(
            f"note: no hub.yaml in {config_dir}, the store is taken to be {config.storage.url}\n"
        )
        return config
    written = config.raw.get("storage")
    readable = written is None and not any(item.code < "WL-CFG-020" for item in errors.errors)
    if readable or (isinstance(written, dict) and _is_taken(written, config)):
        return config
    raise errors


def store_url(config_dir: Path) -> str:
    """``storage.url`` of the configuration. Raises as :func:`site_config`."""
    return site_config(config_dir).storage.url


def _is_taken(written: dict[str, object], config: HubConfig) -> bool:
    """Whether the ``storage`` section that is written was valid, so that the typed settings show it."""
    from hub.config.secret import Secret

    url = written.get("url", "sqlite:///hub.db")
    return (url.reveal() if isinstance(url, Secret) else url) == config.storage.url


def _refuse_missing(url: str, data_dir: Path) -> None:
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and not (data_dir / path).exists():
        raise AskUser(
            "WL-CLI-004",
            "there is no database yet",
            where=str(data_dir / path),
            hint="name the right directory with --data, or start the hub once",
        )
