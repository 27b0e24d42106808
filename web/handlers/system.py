"""The hub itself: state, configuration, backups, plugins, integrations."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from hub.actors.processing import RebuildDerived
from hub.config.masking import Mask
from hub.runtime.actor import request as ask
from hub.storage import backup
from web.hub import hub_of, principal_of
from web.params import page
from web.problems import RefusedInParts
from web.routes import Answer, Routes
from web.schemas import PAGE, page_of, ref
from web.serialize import entry_json, json_response, page_response

routes = Routes("system")

BACKUP_DIR = "backups"
_OBJECT = {200: Answer("see the manual", ref("Object"))}


@routes.get("/api/v1/health", permission="read", answers={200: Answer("every part", ref("Health"))})
async def get_health(request: web.Request) -> web.Response:
    """How every part of the hub is; `status` is ok or degraded."""
    parts = hub_of(request).health()
    well = all(part["ok"] for part in parts.values())
    return json_response({"status": "ok" if well else "degraded", "parts": parts})


@routes.get("/api/v1/version", permission="read", answers={200: Answer("versions", ref("Version"))})
async def get_version(request: web.Request) -> web.Response:
    """Version of the hub, of the API and of Python."""
    return json_response(
        {
            "version": hub_of(request).version,
            "api": "v1",
            "python": platform.python_version(),
            "platform": sys.platform,
        }
    )


@routes.get(
    "/api/v1/integrations", permission="read", params=PAGE, answers={200: Answer("entries", page_of("Entry"))}
)
async def list_integrations(request: web.Request) -> web.Response:
    """The configured integration entries and how they are; admins also see the stack of the last failure."""
    shown, cursor = page(request, hub_of(request).entries(), lambda entry: entry.entry_id)
    with_stack = principal_of(request).may("plugins.manage")
    return page_response(shown, lambda entry: entry_json(entry, with_stack=with_stack), cursor)


@routes.get(
    "/api/v1/plugins",
    permission="plugins.manage",
    params=PAGE,
    answers={200: Answer("plugins", page_of("Object"))},
)
async def list_plugins(request: web.Request) -> web.Response:
    """Found integrations, loaded or not, and why not."""
    shown, cursor = page(request, list(hub_of(request).plugins.plugins.values()), lambda one: one.domain)
    return page_response(
        shown,
        lambda one: {
            "domain": one.domain,
            "name": one.manifest.name if one.manifest else one.domain,
            "version": one.manifest.version if one.manifest else "",
            "source": one.source,
            "state": one.state,
            "code": one.code,
            "error": one.error,
            "stack": one.stack,
        },
        cursor,
    )


def _masked(data: Any) -> Any:
    """Plain data whose addresses hold no logins or tokens; values under secret keys hide themselves."""
    if isinstance(data, Mapping):
        return {name: _masked(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_masked(value) for value in data]
    return Mask().text(data) if isinstance(data, str) else data


@routes.get("/api/v1/config", permission="config.manage", answers=_OBJECT)
async def get_config(request: web.Request) -> web.Response:
    """The configuration in force with its secrets hidden, its warnings, and the errors of safe mode."""
    hub = hub_of(request)
    return json_response(
        {
            "config": _masked(hub.config.raw),
            "files": [source.name for source in hub.config.sources],
            "warnings": [warning.as_json() for warning in hub.config.warnings],
            "errors": hub.safe_mode.as_json() if hub.safe_mode is not None else [],
            "safe_mode": hub.safe_mode is not None,
        }
    )


@routes.post(
    "/api/v1/config/reload",
    permission="config.manage",
    answers={
        200: Answer("what changed", ref("Object")),
        422: Answer("the files have errors; the last good configuration stays", ref("Problem")),
    },
)
async def reload_config(request: web.Request) -> web.Response:
    """Read the configuration again and apply the difference."""
    outcome = await hub_of(request).reload()
    if not outcome["applied"]:
        raise RefusedInParts(
            "WL-API-423",
            f"the configuration has {len(outcome['errors'])} errors; the last good one stays in force",
            outcome["errors"],
            where="config",
            hint="correct the files and reload again; `wattline check` shows the same errors",
        )
    return json_response(outcome)


@routes.get(
    "/api/v1/backups",
    permission="backups.manage",
    params=PAGE,
    answers={200: Answer("backups", page_of("Object"))},
)
async def list_backups(request: web.Request) -> web.Response:
    """Backups in the data directory."""
    found = backup.list_backups(hub_of(request).data_dir / BACKUP_DIR)
    shown, cursor = page(request, found, lambda path: path.name)
    return page_response(shown, lambda path: {"id": path.name, "bytes": path.stat().st_size}, cursor)


@routes.post(
    "/api/v1/backups", permission="backups.manage", answers={201: Answer("the backup", ref("Object"))}
)
async def create_backup(request: web.Request) -> web.Response:
    """Make a backup now; the hub keeps working meanwhile."""
    hub = hub_of(request)
    made = await backup.create(hub.database, hub.data_dir / BACKUP_DIR, config_dir=hub.config_dir)
    return json_response({"id": made.path.name, "path": str(made.path), "bytes": made.bytes}, status=201)


@routes.post(
    "/api/v1/derived/rebuild",
    permission="config.manage",
    answers={200: Answer("how many series", ref("Object"))},
)
async def rebuild_derived(request: web.Request) -> web.Response:
    """Derive everything again from the stored readings."""
    count = await ask(hub_of(request).processing, RebuildDerived(), timeout_s=60.0)
    return json_response({"series": count})
