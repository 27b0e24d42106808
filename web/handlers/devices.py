"""Devices, what was found and waits, series, sites and areas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from hub.actors.device_requests import (
    AddFromInbox,
    CreateDevice,
    FindSeries,
    GetDevice,
    GetDevices,
    GetInbox,
    GetSeries,
    IgnoreInbox,
    IgnoreSource,
    PatchDevice,
    PatchSeries,
    RemoveDevice,
)
from hub.errors import NotFound, Refused
from hub.model.device import Device, DeviceInfo
from hub.model.names import device_id
from hub.model.series import Role
from hub.runtime.actor import request as ask
from web.body import json_body
from web.hub import hub_of
from web.params import names_of, page
from web.routes import Answer, Routes
from web.schemas import PAGE, Body, Flag, Number, Param, Text, page_of, path_id, ref
from web.serialize import (
    device_json,
    inbox_json,
    json_response,
    no_content,
    page_response,
    series_json,
    site_json,
)

routes = Routes("things")

_ROLE = Text("what the device is in the house", choices=tuple(role.value for role in Role))
_NAME = Text("what people call it", max_chars=200)
_AREA = Text("id of the area", nullable=True)
CHANGES = {
    "name": _NAME,
    "role": _ROLE,
    "area": _AREA,
    "parent": Text("id of the device above it", nullable=True),
}
NEW_DEVICE = {
    "id": Text("a-z 0-9 _ -; made of the name if absent", max_chars=64),
    "maker": Text("maker"),
    "model": Text("model"),
    "serial": Text("serial number"),
    "kind": Text("kind of device"),
    **CHANGES,
}
FROM_INBOX = {"name": _NAME, "role": _ROLE, "area": _AREA}
SOURCE: Body = {
    "source": Text("id of the integration entry", required=True, min_chars=1),
    "ignored": Flag("false takes it again; true if absent"),
}
SERIES_CHANGES: Body = {
    "name": _NAME,
    "physical_limit": Number(
        "largest plausible power in W of an energy register, else units per hour; largest value of a gauge",
        nullable=True,
        above=0,
    ),
    "register_width": Number("where the register rolls over, in the stored unit", nullable=True, above=0),
    "resolution": Number("smallest step of the register, in the stored unit", nullable=True, above=0),
    "in_balance": Flag("whether it counts in the balance of the house"),
}
_DEVICE = path_id("device", "id of the device")
_ONE = {200: Answer("the device", ref("Device")), 404: Answer("missing, or not yours", ref("Problem"))}


@routes.get(
    "/api/v1/devices", permission="read", params=PAGE, answers={200: Answer("devices", page_of("Device"))}
)
async def list_devices(request: web.Request) -> web.Response:
    """All devices with their series."""
    devices = await ask(hub_of(request).device, GetDevices())
    shown, cursor = page(request, devices, lambda view: view.device.id)
    return page_response(shown, device_json, cursor)


@routes.post(
    "/api/v1/devices",
    permission="devices.write",
    body=NEW_DEVICE,
    answers={
        201: Answer("the device", ref("Device")),
        422: Answer("the id is taken or no id", ref("Problem")),
    },
)
async def create_device(request: web.Request) -> web.Response:
    """Create a device before anything reports for it."""
    sent = await json_body(request, NEW_DEVICE)
    name = sent.get("name", "")
    if not (sent.get("id") or name):
        raise Refused("WL-API-422", "a device needs an id or a name", where="id")
    role = sent.pop("role", None)
    sent["id"] = device_id(sent.get("id") or name)
    info = DeviceInfo(**sent, role=Role(role) if role else None)
    return json_response(device_json(await ask(hub_of(request).device, CreateDevice(info))), status=201)


@routes.get(
    "/api/v1/devices/inbox",
    permission="read",
    params=PAGE,
    answers={200: Answer("found", page_of("InboxItem"))},
)
async def list_inbox(request: web.Request) -> web.Response:
    """Found devices that wait for a person, and those that nobody wants."""
    items = await ask(hub_of(request).device, GetInbox())
    shown, cursor = page(request, items, lambda item: item.device.id)
    return page_response(shown, inbox_json, cursor)


@routes.post(
    "/api/v1/devices/inbox/ignore-source",
    permission="devices.write",
    body=SOURCE,
    answers={
        204: Answer("nothing this entry finds is shown any more, or it is again"),
        404: Answer("no such entry", ref("Problem")),
    },
)
async def ignore_source(request: web.Request) -> web.Response:
    """Ignore everything that an integration entry finds, or no longer."""
    hub, sent = hub_of(request), await json_body(request, SOURCE)
    source = sent["source"]
    # an entry that was removed from the configuration may have left something in the inbox
    entries = {one.entry_id for one in hub.entries()} | {one.entry_id for one in hub.registry.inbox.values()}
    entries |= hub.registry.ignored_sources
    if source not in entries:
        raise NotFound("WL-API-404", f"there is no integration entry {source[:80]!r}", where="source")
    await ask(hub.device, IgnoreSource(source, sent.get("ignored", True)))
    return no_content()


@routes.post(
    "/api/v1/devices/inbox/{device}/add",
    permission="devices.write",
    params=[_DEVICE],
    body=FROM_INBOX,
    answers=_ONE,
)
async def add_from_inbox(request: web.Request) -> web.Response:
    """Add a found device; its readings are stored from now on."""
    sent = await json_body(request, FROM_INBOX) if request.can_read_body else {}
    view = await ask(
        hub_of(request).device,
        AddFromInbox(request.match_info["device"], sent.get("name"), sent.get("role"), sent.get("area")),
    )
    return json_response(device_json(view))


@routes.post(
    "/api/v1/devices/inbox/{device}/ignore",
    permission="devices.write",
    params=[_DEVICE],
    answers={204: Answer("not shown again"), 404: Answer("it does not wait", ref("Problem"))},
)
async def ignore_inbox(request: web.Request) -> web.Response:
    """Ignore a found device; it can still be added later."""
    await ask(hub_of(request).device, IgnoreInbox(request.match_info["device"]))
    return no_content()


@routes.get("/api/v1/devices/{device}", permission="read", params=[_DEVICE], answers=_ONE)
async def get_device(request: web.Request) -> web.Response:
    """One device."""
    view = await ask(hub_of(request).device, GetDevice(request.match_info["device"]))
    return json_response(device_json(view))


@routes.patch(
    "/api/v1/devices/{device}", permission="devices.write", params=[_DEVICE], body=CHANGES, answers=_ONE
)
async def patch_device(request: web.Request) -> web.Response:
    """Change name, role, area or parent of a device."""
    sent = await json_body(request, CHANGES)
    view = await ask(hub_of(request).device, PatchDevice(request.match_info["device"], sent))
    return json_response(device_json(view))


@routes.delete(
    "/api/v1/devices/{device}",
    permission="devices.write",
    params=[_DEVICE],
    answers={204: Answer("gone"), 404: Answer("missing, or not yours", ref("Problem"))},
)
async def remove_device(request: web.Request) -> web.Response:
    """Forget a device and its series."""
    await ask(hub_of(request).device, RemoveDevice(request.match_info["device"]))
    return no_content()


@routes.get("/api/v1/sites", permission="read", answers={200: Answer("sites", page_of("Site"))})
async def list_sites(request: web.Request) -> web.Response:
    """The site of this hub, as the configuration says it."""
    return page_response([hub_of(request).config.site], site_json)


@routes.get("/api/v1/areas", permission="read", params=PAGE, answers={200: Answer("areas", page_of("Area"))})
async def list_areas(request: web.Request) -> web.Response:
    """Areas: those of the configuration, and those that devices are in."""
    hub = hub_of(request)
    areas = known_areas(hub.config.kept.get("areas") or (), hub.registry.devices.values())
    shown, cursor = page(request, areas, lambda area: area["id"])
    return page_response(shown, dict, cursor)


def known_areas(configured: Iterable[Any], devices: Iterable[Device]) -> list[dict[str, Any]]:
    """Configured areas win; a device may name one that is configured nowhere."""
    found = {device.area: {"id": device.area} for device in devices if device.area}
    for area in configured:
        described = {"id": area} if isinstance(area, str) else dict(area)
        area_id = str(described.get("id") or described.get("name") or "")
        if area_id:
            found[area_id] = {**described, "id": area_id}
    return [
        {
            "id": area["id"],
            "name": str(area.get("name") or area["id"]),
            "parent": area.get("parent"),
            "kind": str(area.get("kind") or ""),
        }
        for area in found.values()
    ]


@routes.get(
    "/api/v1/series",
    permission="read",
    params=[*PAGE, Param("device", "only series of these devices, with commas between")],
    answers={200: Answer("series", page_of("Series"))},
)
async def list_series(request: web.Request) -> web.Response:
    """All series."""
    devices = names_of(request, "device")
    series = await ask(hub_of(request).device, GetSeries())
    wanted = [one for one in series if devices is None or one.device_id in devices]
    shown, cursor = page(request, wanted, lambda one: one.public_id)
    return page_response(shown, series_json, cursor)


@routes.get(
    "/api/v1/series/{series}",
    permission="read",
    params=[path_id("series", "id of the series, such as main-meter.power")],
    answers={200: Answer("the series", ref("Series")), 404: Answer("missing, or not yours", ref("Problem"))},
)
async def get_series(request: web.Request) -> web.Response:
    """One series."""
    series = await ask(hub_of(request).device, FindSeries(request.match_info["series"]))
    return json_response(series_json(series))


@routes.patch(
    "/api/v1/series/{series}",
    permission="series.write",
    params=[path_id("series", "id of the series, such as main-meter.power")],
    body=SERIES_CHANGES,
    answers={200: Answer("the series", ref("Series")), 404: Answer("missing, or not yours", ref("Problem"))},
)
async def patch_series(request: web.Request) -> web.Response:
    """Change limits, width, resolution or name of a series; its figures are derived again where they follow."""
    sent = await json_body(request, SERIES_CHANGES)
    changed = await ask(hub_of(request).device, PatchSeries(request.match_info["series"], sent))
    return json_response(series_json(changed))
