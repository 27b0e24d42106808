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
