"""A real hub process for each module; ``hub_yaml`` of a module says with which configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.hub_process import HubProcess
from tests.contract.api.client import Api

QUIET = """\
hub: {name: Contract, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {mode: "off"}
"""


def begin(hub: HubProcess) -> Api:
    """Start a hub, make its owner and a token, and hand over a client."""

    async def start() -> None:
        await hub.start()
        if hub.session is not None:
            await hub.session.close()
            hub.session = None

    asyncio.run(start())
    return Api(hub.port, hub.token)


def end(hub: HubProcess) -> int:
    """Stop a hub in order; its exit code."""
    try:
        return asyncio.run(hub.stop())[0] if hub.running else 0
    finally:
        asyncio.run(hub.close())


@pytest.fixture(scope="module")
def hub_yaml() -> str:
    """Configuration of the module's hub."""
    return QUIET


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, hub_yaml: str) -> Iterator[HubProcess]:
    """The module's hub, running."""
    folder: Path = tmp_path_factory.mktemp("hub")
    hub = HubProcess(folder, hub_yaml)
    try:
        begin(hub)
        yield hub
    finally:
        end(hub)


@pytest.fixture(scope="module")
def api(process: HubProcess) -> Api:
    """The module's hub as its owner's API token sees it."""
    return Api(process.port, process.token)
