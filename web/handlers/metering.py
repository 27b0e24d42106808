"""Metering points, dated installations, replaced devices, and meters that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from hub.actors.history import RESOLUTIONS
from hub.actors.metering_requests import (
    AddInstallation,
    GetInstallation,
    GetPoint,
    GetPointHistory,
    ImportQuarantined,
    InstallationView,
    ListInstallations,
    ListPoints,
    ManualReading,
    PatchInstallation,
    PointView,
    Register,
    RemoveInstallation,
    RemovePoint,
    ReplaceDevice,
    SavePoint,
    StoreManual,
)
from hub.actors.metering_rules import KINDS
from hub.actors.point_history import PointFigures
from hub.errors import NotFound
from hub.model.names import device_id
from hub.model.reading import Stored
from hub.runtime.actor import request as ask
from web.body import json_body
from web.hub import hub_of
from web.params import body_ms, names_of, page, range_ms
from web.problems import RefusedInParts
from web.routes import Answer, Routes
from web.schemas import END, PAGE, START, Body, Items, Moment, Number, Param, Text, page_of, path_id, ref
from web.serialize import json_response, no_content, page_response
from web.zone import site_zone

routes = Routes("metering")

_HISTORY_LIMIT_S = 60.0
_STORE_LIMIT_S = 90.0
_UNIT = Text("unit of the values, such as kWh; the stored unit (Wh, m3) if absent", max_chars=24)
_NOTE = Text("anything worth knowing", max_chars=1000)
POINT: Body = {
    "name": Text("what people call it", max_chars=200),
    "kind": Text("what it measures", choices=KINDS),
    "code": Text("the number that the grid operator gave it", max_chars=100),
}
NEW_POINT: Body = {"id": Text("a-z 0-9 _ -; made of the name if absent", max_chars=64), **POINT}
INSTALLATION: Body = {
    "from": Moment("since when the register is there"),
    "to": Moment("until when; null: until further notice", nullable=True),
    "factor": Number("of transformers; 1 if absent", above=0),
    "opening": Number("register value at from; the stream of the series is cut there", nullable=True),
    "closing": Number("register value at to", nullable=True),
    "calorific_value": Number("of gas, in kWh per m3", nullable=True, above=0),
    "state_number": Number("of gas: from metered to standard volume", nullable=True, above=0),
    "unit": _UNIT,
    "note": _NOTE,
}
NEW_INSTALLATION: Body = {
    "metering_point": Text("id of the point", required=True, min_chars=1),
    "series": Text("id of the series that is its register", required=True, min_chars=1),
    **INSTALLATION,
    "from": Moment("since when the register is there", required=True),
}
REPLACE: Body = {
    "device": Text(
        "id of the new device; if absent the same id: the meter behind it was swapped",
        min_chars=1,
        max_chars=64,
    ),
    "at": Moment("when; now if absent"),
    "registers": Items(
        "closing and opening values; without this, every counter closes with its last reading",
        {
            "key": Text("register of the old device, such as energy_import", required=True, min_chars=1),
            "closing": Number("what it showed when it went; its last reading if absent", nullable=True),
            "opening": Number(
                "what the new one showed when it came; its first reading if absent", nullable=True
            ),
            "new_key": Text("register of the new device; the same key if absent", min_chars=1),
        },
        most=100,
    ),
    "metering_point": Text(
        "id of the point where these registers are at none yet", min_chars=1, max_chars=64
    ),
    "unit": _UNIT,
    "note": _NOTE,
}
_READINGS = Items(
    "what was read off",
    {"ts": Moment("when", required=True), "value": Number("what the register showed", required=True)},
    required=True,
)
_SENT_UNIT = Text("unit of the values; that of the series as it is sent (kWh, m3) if absent", max_chars=24)
MANUAL: Body = {"readings": _READINGS, "unit": _SENT_UNIT}
MANUAL_AT_POINT: Body = {
    **MANUAL,
    "register": Text("which register, such as energy_import, where the point has several", max_chars=64),
}
_POINT_ID = path_id("point", "id of the metering point")
_INSTALLATION_ID = path_id("installation", "number of the installation")
_POINT = {
    200: Answer("the metering point", ref("MeteringPoint")),
    404: Answer("missing, or not yours", ref("Problem")),
}
_INSTALLED = {
    200: Answer("the installation", ref("Installation")),
    404: Answer("missing, or not yours", ref("Problem")),
}
_STORED = {
    201: Answer("stored", ref("StoredReadings")),
    207: Answer("some stored, the others named with their reasons", ref("StoredReadings")),
    404: Answer("missing, or not yours", ref("Problem")),
    422: Answer("nothing stored", ref("Problem")),
}


# --- metering points


@routes.get(
    "/api/v1/metering-points",
    permission="read",
    params=PAGE,
    answers={200: Answer("metering points", page_of("MeteringPoint"))},
)
async def list_points(request: web.Request) -> web.Response:
    """All metering points with their installations."""
    points = await ask(hub_of(request).metering, ListPoints())
    shown, cursor = page(request, points, lambda view: view.point.id)
    return page_response(shown, point_json, cursor)


@routes.post(
    "/api/v1/metering-points",
    permission="metering_points.write",
    body=NEW_POINT,
    answers={
        201: Answer("the metering point", ref("MeteringPoint")),
        422: Answer("the id is taken or a field does not fit", ref("Problem")),
    },
)
async def create_point(request: web.Request) -> web.Response:
    """Create a metering point."""
    sent = await json_body(request, NEW_POINT)
    name = sent.get("name") or sent.get("id", "")
    id_ = device_id(sent.pop("id", "") or name)
    view = await ask(hub_of(request).metering, SavePoint(id_, {**sent, "name": name or id_}, new=True))
    return json_response(point_json(view), status=201)


@routes.get("/api/v1/metering-points/{point}", permission="read", params=[_POINT_ID], answers=_POINT)
async def get_point(request: web.Request) -> web.Response:
    """One metering point with its installations."""
    return json_response(point_json(await ask(hub_of(request).metering, GetPoint(_point(request)))))


@routes.patch(
    "/api/v1/metering-points/{point}",
    permission="metering_points.write",
    params=[_POINT_ID],
    body=POINT,
    answers=_POINT,
)
async def patch_point(request: web.Request) -> web.Response:
    """Change name, kind or code of a metering point."""
    sent = await json_body(request, POINT)
    return json_response(point_json(await ask(hub_of(request).metering, SavePoint(_point(request), sent))))


@routes.delete(
    "/api/v1/metering-points/{point}",
    permission="metering_points.write",
    params=[_POINT_ID],
    answers={204: Answer("gone"), 404: Answer("missing, or not yours", ref("Problem"))},
)
async def remove_point(request: web.Request) -> web.Response:
    """Remove a metering point with its installations; registers and readings stay."""
    await ask(hub_of(request).metering, RemovePoint(_point(request)))
    return no_content()


@routes.get(
    "/api/v1/metering-points/{point}/history",
    permission="read",
    params=[
        _POINT_ID,
        START,
        END,
        Param(
            "resolution",
            "auto if absent; the finest is 15m",
            {"type": "string", "enum": [one for one in RESOLUTIONS if one not in ("raw", "1m")]},
        ),
    ],
    answers={
        200: Answer("energy by bucket and direction, and the total of the range", ref("Object")),
        404: Answer("missing, or not yours", ref("Problem")),
        422: Answer("the range does not fit the resolution", ref("Problem")),
    },
)
async def get_point_history(request: web.Request) -> web.Response:
    """Energy of a metering point across all its meters, in the shape of a history."""
    hub, point = hub_of(request), _point(request)
    start_ms, end_ms = range_ms(request, site_zone(hub), hub.clock.now_ms())
    question = GetPointHistory(point, start_ms, end_ms, request.query.get("resolution", "auto"))
    figures = await ask(hub.metering, question, timeout_s=_HISTORY_LIMIT_S)
    return json_response(figures_json(point, figures))


@routes.post(
    "/api/v1/metering-points/{point}/readings",
    permission="metering_points.write",
    params=[_POINT_ID],
    body=MANUAL_AT_POINT,
    answers=_STORED,
)
async def read_point_by_hand(request: web.Request) -> web.Response:
    """Store what a person read off the meter of a point; a point without a device gets one."""
    sent = await json_body(request, MANUAL_AT_POINT)
    wanted = StoreManual(
        _readings(request, sent),
        metering_point=_point(request),
        register=sent.get("register"),
        unit=sent.get("unit"),
    )
    return _stored(await ask(hub_of(request).metering, wanted, timeout_s=_STORE_LIMIT_S))


@routes.post(
    "/api/v1/series/{series}/manual-readings",
    permission="metering_points.write",
    params=[path_id("series", "id of the series")],
    body=MANUAL,
    answers=_STORED,
)
async def read_series_by_hand(request: web.Request) -> web.Response:
    """Store what a person read off, for a series that is there."""
    sent = await json_body(request, MANUAL)
    wanted = StoreManual(_readings(request, sent), series=request.match_info["series"], unit=sent.get("unit"))
    return _stored(await ask(hub_of(request).metering, wanted, timeout_s=_STORE_LIMIT_S))


@routes.post(
    "/api/v1/quarantine/{kept}/import",
    permission="corrections.write",
    params=[path_id("kept", "number of what was kept aside")],
    answers=_STORED,
)
async def import_quarantined(request: web.Request) -> web.Response:
    """Store a reading that was kept aside, whatever its time; it leaves the quarantine."""
    kept = _number(request.match_info["kept"])
    return _stored(await ask(hub_of(request).metering, ImportQuarantined(kept), timeout_s=_STORE_LIMIT_S))


# --- installations


@routes.get(
    "/api/v1/installations",
    permission="read",
    params=[*PAGE, Param("metering_point", "only those of this point")],
    answers={200: Answer("installations", page_of("Installation"))},
)
async def list_installations(request: web.Request) -> web.Response:
    """All installations."""
    point = names_of(request, "metering_point", most=1)
    found = await ask(hub_of(request).metering, ListInstallations(point[0] if point else None))
    shown, cursor = page(request, found, lambda view: f"{view.row.id:018d}")
    return page_response(shown, installation_json, cursor)


@routes.post(
    "/api/v1/installations",
    permission="metering_points.write",
    body=NEW_INSTALLATION,
    answers={
        201: Answer("the installation", ref("Installation")),
        404: Answer("no such point or series", ref("Problem")),
        422: Answer("it does not fit, or overlaps another", ref("Problem")),
    },
)
async def create_installation(request: web.Request) -> web.Response:
    """Attach the register of a series to a metering point, from a date on."""
    sent = await json_body(request, NEW_INSTALLATION)
    wanted = AddInstallation(sent["metering_point"], sent["series"], _fields(request, sent))
    return json_response(installation_json(await ask(hub_of(request).metering, wanted)), status=201)


@routes.get(
    "/api/v1/installations/{installation}", permission="read", params=[_INSTALLATION_ID], answers=_INSTALLED
)
async def get_installation(request: web.Request) -> web.Response:
    """One installation."""
    view = await ask(hub_of(request).metering, GetInstallation(_installation(request)))
    return json_response(installation_json(view))


@routes.patch(
    "/api/v1/installations/{installation}",
    permission="metering_points.write",
    params=[_INSTALLATION_ID],
    body=INSTALLATION,
    answers=_INSTALLED,
)
async def patch_installation(request: web.Request) -> web.Response:
    """Change an installation, such as ending it with a closing value."""
    sent = await json_body(request, INSTALLATION)
    wanted = PatchInstallation(_installation(request), _fields(request, sent))
    return json_response(installation_json(await ask(hub_of(request).metering, wanted)))


@routes.delete(
    "/api/v1/installations/{installation}",
    permission="metering_points.write",
    params=[_INSTALLATION_ID],
    answers={204: Answer("gone"), 404: Answer("missing, or not yours", ref("Problem"))},
)
async def remove_installation(request: web.Request) -> web.Response:
    """Take an installation away; the register and its readings stay."""
    await ask(hub_of(request).metering, RemoveInstallation(_installation(request)))
    return no_content()


@routes.post(
    "/api/v1/devices/{device}/replace",
    permission="devices.write",
    params=[path_id("device", "id of the old device")],
    body=REPLACE,
    answers={
        200: Answer("the metering point that goes on", ref("MeteringPoint")),
        404: Answer("missing, or not yours", ref("Problem")),
        422: Answer("a register or a value does not fit", ref("Problem")),
    },
)
async def replace_device(request: web.Request) -> web.Response:
    """Put a new meter in the place of an old one: the old registers close, the new ones open, the point goes on."""
    hub, sent = hub_of(request), await json_body(request, REPLACE)
    old, unit = request.match_info["device"], sent.get("unit")
    registers = tuple(
        Register(one["key"], one.get("closing"), one.get("opening"), one.get("new_key"), unit)
        for one in sent.get("registers", ())
    )
    at_ms = body_ms(sent.get("at"), "at", site_zone(hub))
    wanted = ReplaceDevice(
        old,
        hub.clock.now_ms() if at_ms is None else at_ms,
        device_id(sent.get("device") or old),
        registers,
        sent.get("metering_point"),
        sent.get("note", ""),
    )
    return json_response(point_json(await ask(hub.metering, wanted, timeout_s=_STORE_LIMIT_S)))


# --- shapes


def point_json(view: PointView) -> dict[str, Any]:
    """A metering point with its installations by time."""
    point = view.point
    return {
        "id": point.id,
        "name": point.name,
        "kind": point.kind,
        "code": point.code,
        "created_ms": point.created_ms,
        "installations": [installation_json(one) for one in view.installations],
    }


def installation_json(view: InstallationView) -> dict[str, Any]:
    """An installation; opening and closing are in ``unit``, the stored unit of the series."""
    row, one = view.row, view.row.installation
    return {
        "id": row.id,
        "metering_point": row.metering_point,
        "series": view.series.public_id if view.series else None,
        "unit": view.series.unit if view.series else "",
        "from": one.from_ms,
        "to": one.to_ms,
        "factor": one.factor,
        "opening": one.opening,
        "closing": one.closing,
        "calorific_value": one.calorific_value,
        "state_number": one.state_number,
        "note": row.note,
        "created_ms": row.created_ms,
    }


def figures_json(point: str, figures: PointFigures) -> dict[str, Any]:
    """As a history: series ``<point>.import`` and ``<point>.export``."""
    count = len(figures.labels)
    column = "energy" if figures.unit == "Wh" else "delta"
    series = {
        f"{point}.{direction.value}": {
            column: amounts,
            "quality": [*figures.qualities[direction], *[None] * (count - len(figures.qualities[direction]))],
        }
        for direction, amounts in figures.amounts.items()
    }
    return {
        "resolution": figures.resolution,
        "unit": dict.fromkeys(series, figures.unit),
        "start": figures.labels,
        "series": series,
        "total": {f"{point}.{direction.value}": total for direction, total in figures.totals.items()},
        "partial": [figures.labels[at] for at in figures.partial],
    }


def _stored(stored: Stored) -> web.Response:
    failed = [one.as_json() for one in stored.rejections]
    content = {"accepted": stored.accepted, "duplicates": stored.duplicates, "rejections": failed}
    if not failed:
        return json_response(content, status=201)
    if stored.accepted or stored.duplicates:
        return json_response(content, status=207)
    first = stored.rejections[0]
    raise RefusedInParts(
        "WL-MET-005",
        first.text,
        failed,
        where=f"readings[{first.index}]",
        hint="correct a stored value with POST /api/v1/corrections",
    )


def _readings(request: web.Request, sent: Mapping[str, Any]) -> tuple[ManualReading, ...]:
    zone = site_zone(hub_of(request))
    return tuple(
        ManualReading(body_ms(row["ts"], f"readings[{at}].ts", zone) or 0, float(row["value"]))
        for at, row in enumerate(sent["readings"])
    )


def _fields(request: web.Request, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an installation as the model names them."""
    zone = site_zone(hub_of(request))
    fields = {name: value for name, value in sent.items() if name not in ("metering_point", "series")}
    for name in ("from", "to"):
        if name in fields:
            fields[f"{name}_ms"] = body_ms(fields.pop(name), name, zone)
    return fields


def _point(request: web.Request) -> str:
    return request.match_info["point"]


def _installation(request: web.Request) -> int:
    return _number(request.match_info["installation"])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound("WL-API-404", f"there is nothing under {text[:40]!r}", where="id")
    return int(text)
