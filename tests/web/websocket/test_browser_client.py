"""The public browser client for Home Assistant connects unchanged (in node, the same code as in a browser)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hub.actors.auth import RevokeToken
from hub.actors.device_requests import RemoveDevice
from hub.model.access import LOCAL_PRINCIPAL
from hub.runtime.actor import request

from .conftest import Live
from .node import installed, node_command


class Follower:
    """The running script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, "the script has ended"
        return json.loads(line)

    async def entities(self, until: Callable[[Any], bool]) -> Any:
        """The first set of entities that is as wanted."""
        while not until(seen := (await self.says())["entities"]):
            continue
        return seen


Follow = Callable[[str], Awaitable[Follower]]


@pytest.fixture
async def follow(live: Live) -> AsyncIterator[Follow]:
    folder = await asyncio.to_thread(installed)
    processes = []

    async def start(token: str) -> Follower:
        url = live.url.replace("ws://", "http://").removesuffix("/api/websocket")
        process = await asyncio.create_subprocess_exec(
            *node_command(),
            "follow.mjs",
            url,
            token,
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        return Follower(process)

    yield start
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"end\n")
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


async def test_it_reads_everything_it_asks_for(live: Live, follow: Follow) -> None:
    (power,) = await live.declare("meter", "power", name="Meter")
    await live.store((power, 5.5))

    seen = await (await follow(live.tokens["viewer"])).says()

    assert seen == {
        "version": "2026.11.0",
        "place": "Home",
        "services": {},
        "user": "viewer",
        "states": ["sensor.meter_power"],
        "refused": "not_found",
    }


async def test_it_follows_entities_as_they_come_change_and_go(live: Live, follow: Follow) -> None:
    (power,) = await live.declare("meter", "power", name="Meter")
    follower = await follow(live.tokens["viewer"])
    await follower.says()
    await follower.entities(lambda seen: seen["sensor.meter_power"]["state"] == "unknown")

    now_ms = live.hub.clock.now_ms()
    await live.store((power, 1.25), ts_ms=now_ms)
    changed = await follower.entities(lambda seen: seen["sensor.meter_power"]["state"] == "1.25")
    await live.declare("other", "power", name="Other")
    await follower.entities(lambda seen: set(seen) == {"sensor.meter_power", "sensor.other_power"})
    await request(live.hub.device, RemoveDevice("meter"))
    left = await follower.entities(lambda seen: "sensor.meter_power" not in seen)

    assert changed["sensor.meter_power"] == {"state": "1.25", "name": "Meter Power", "updated": now_ms}
    assert set(left) == {"sensor.other_power"}


async def test_a_wrong_token_is_told_apart_from_a_hub_that_is_away(follow: Follow) -> None:
    err_invalid_auth = 2

    assert await (await follow("wrong")).says() == {"error": err_invalid_auth}


async def test_a_revoked_token_ends_in_the_question_for_a_new_one(live: Live, follow: Follow) -> None:
    follower = await follow(live.tokens["viewer"])
    await follower.says()
    await follower.entities(lambda seen: seen == {})

    await request(live.hub.auth, RevokeToken(live.token_ids["viewer"], LOCAL_PRINCIPAL))

    assert await follower.says() == {"event": "disconnected"}
    assert await follower.says() == {"event": "reconnect-error", "error": 2}
