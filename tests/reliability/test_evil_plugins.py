"""One bad plugin is one bad plugin: the others go on, and people see which one it is and why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import store
from tests.chaos.deadline import on_this_machine, until
from tests.chaos.evil import write_plugin
from tests.chaos.hub_process import HubProcess, quiet_config
from tests.chaos.ledger import Ledger
from tests.chaos.loads import HttpLoad, Meter, under_load

WATCHED_S = 6.0
QUARANTINE_LIMIT_S = 60.0
STOP_LIMIT_S = 6.0


def prepared(folder: Path, domains: Sequence[str], **more: Any) -> HubProcess:
    """A hub, not started yet, with these plugins configured."""
    hub = HubProcess(folder, quiet_config(*(f"{domain}: {{}}" for domain in domains), **more))
    for domain in domains:
        write_plugin(hub.config, domain)
    return hub


async def stored_by_honest(hub: HubProcess) -> list[float]:
    """Values of the well-behaved plugin, which counts its turns."""
    rows = await asyncio.to_thread(store.stored_rows, hub.database_path)
    return [value for _, value in rows.get("honest.power", [])]


async def others_go_on(hub: HubProcess) -> None:
    """The honest plugin and an HTTP sender deliver at least 99 % while the evil one does its worst."""

    async def begun() -> bool:
        return bool(await stored_by_honest(hub))

    await until(begun, 30, "the honest plugin delivers", step_s=0.2)
    ledger = Ledger()
    http = HttpLoad(hub, ledger, 50.0, [Meter("json-0"), Meter("json-1")], per_batch=4)
    began_s = time.monotonic()
    first = len(await stored_by_honest(hub))
    async with under_load(http):

        async def watched() -> bool:
            return time.monotonic() - began_s > WATCHED_S

        await until(watched, WATCHED_S + 10, "the time is over", step_s=0.1)
        turns = (await stored_by_honest(hub))[first:]

    async def all_there() -> bool:
        return ledger.judge(await asyncio.to_thread(store.stored_rows, hub.database_path)).lost == []

    await until(all_there, 10, "what the HTTP sender was told is stored", step_s=0.2)
    assert set(http.statuses) <= {204, 429}
    assert turns, "the honest plugin was silenced"
    expected = turns[-1] - turns[0] + 1
    assert len(turns) >= 0.99 * expected
    assert (await hub.ask("GET", "/healthz", login=False)).status == 200


@pytest.mark.timeout(300)
async def test_all_evil_plugins_together_leave_the_others_alone_and_are_named(tmp_path: Path) -> None:
    running = [
        "run_raises",
        "run_returns",
        "run_cancels_itself",
        "connect_exits",
        "connect_hangs",
        "leaks_tasks",
    ]
    running += ["never_ends", "wrong_types", "logs"]
    broken = ["raises_in_hook", "raises_at_import", "exits_at_import", "returns_nonsense"]
    hub = prepared(tmp_path, ["honest", *running])
    for domain in broken:
        write_plugin(hub.config, domain)
    write_plugin(hub.config, "manifest_broken", "domain: [")
    write_plugin(hub.config, "manifest_of_another", "domain: other\nname: o\nversion: '1'\napi: 1\n")
    write_plugin(hub.config, "manifest_future", "domain: manifest_future\nname: f\nversion: '1'\napi: 99\n")
    try:
        await hub.start()
        mark = hub.log_mark()
        await others_go_on(hub)
        assert await codes_of_plugins(hub) >= {
            ("raises_in_hook", "WL-PLG-004"), ("raises_at_import", "WL-PLG-004"), ("exits_at_import", "WL-PLG-004"),
            ("returns_nonsense", "WL-PLG-006"), ("manifest_broken", "WL-PLG-001"),
            ("manifest_of_another", "WL-PLG-007"), ("manifest_future", "WL-PLG-003"),
        }  # fmt: skip
        assert "evil import" in (await plugin(hub, "raises_at_import"))["stack"]

        async def raises_rests() -> bool:
            return bool((await hub.entry("run_raises"))["state"] == "quarantined")

        await until(raises_rests, QUARANTINE_LIMIT_S, "the plugin that always raises rests", step_s=0.5)
        resting = await hub.entry("run_raises")
        assert "KeyError" in resting["detail"]
        assert "evil run" in resting["stack"]
        states = {
            domain: (await hub.entry(domain))["state"]
            for domain in ("honest", "connect_hangs", "run_returns")
        }
        assert states == {"honest": "running", "connect_hangs": "connecting", "run_returns": "retrying"}
        assert len(hub.log_since(mark)) < 2_000
        code, took_s = await hub.stop()
        assert code == 0
        assert took_s <= on_this_machine(STOP_LIMIT_S)
        assert store.damage(hub.database_path) == "ok"
        assert store.not_derived(hub.database_path) == []
    finally:
        await hub.close()


async def codes_of_plugins(hub: HubProcess) -> set[tuple[str, str]]:
    """``(domain, code)`` of every plugin that was found."""
    return {(one["domain"], one["code"]) for one in (await hub.get("/api/v1/plugins?limit=1000"))["items"]}


async def plugin(hub: HubProcess, domain: str) -> dict[str, Any]:
    """One plugin as the API shows it."""
    items: list[dict[str, Any]] = (await hub.get("/api/v1/plugins?limit=1000"))["items"]
    return next(item for item in items if item["domain"] == domain)


@pytest.mark.timeout(300)
async def test_a_plugin_that_holds_the_loop_is_named_and_rests(tmp_path: Path) -> None:
    hub = prepared(tmp_path, ["honest", "blocks_loop"])
    try:
        await hub.start()

        async def rests() -> bool:
            return bool((await hub.entry("blocks_loop"))["state"] == "quarantined")

        await until(rests, QUARANTINE_LIMIT_S, "the plugin that blocks rests", step_s=0.3)
        entry = await hub.entry("blocks_loop")
        assert entry["code"] == "WL-INT-007"
        assert "time.sleep(0.5)" in entry["stack"]
        assert "plugin:blocks_loop held the event loop" in hub.log
        await others_go_on(hub)
    finally:
        await hub.close()


@pytest.mark.timeout(300)
async def test_a_plugin_that_floods_is_slowed_down_and_the_others_are_served(tmp_path: Path) -> None:
    hub = prepared(tmp_path, ["honest", "floods"])
    try:
        await hub.start()
        await others_go_on(hub)
        code, _ = await hub.stop()
        assert code == 0
        assert store.damage(hub.database_path) == "ok"
    finally:
        await hub.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "domain",
    [
        "run_raises", "run_returns", "run_cancels_itself", "connect_exits", "connect_hangs", "blocks_loop",
        "leaks_tasks", "never_ends", "wrong_types", "logs", "floods", "sleeps_in_hook",
    ],
)  # fmt: skip
async def test_others_deliver_beside_a_plugin_that(tmp_path: Path, domain: str) -> None:
    hub = prepared(tmp_path, ["honest", domain])
    try:
        await hub.start()
        await others_go_on(hub)
        code, took_s = await hub.stop()
        assert code == 0
        assert took_s <= on_this_machine(STOP_LIMIT_S)
        assert store.damage(hub.database_path) == "ok"
    finally:
        await hub.close()
