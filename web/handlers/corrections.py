"""Corrections of readings: make, look at, try out, take back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from hub.actors.corrections import (
    AddCorrection,
    CorrectionView,
    GetCorrection,
    ListCorrections,
    PreviewCorrection,
    UndoCorrection,
    Wanted,
)
from hub.energy.corrections import Action
from hub.errors import NotFound
from hub.runtime.actor import request as ask
from web.body import json_body
from web.hub import hub_of, principal_of
from web.middleware.gate import record_write
from web.params import body_ms, limit_of, names_of, number_cursor
from web.routes import Answer, Routes
from web.schemas import PAGE, Body, Items, Moment, Number, Param, Text, page_of, path_id, ref
from web.serialize import json_response, page_response
from web.zone import site_zone

routes = Routes("corrections")

PREVIEW_LIMIT_S = 120.0
_REASON = Text("why, for those who ask in a year", required=True, min_chars=1, max_chars=1000)
_ROWS = Items(
    "readings that stand for the replaced range",
    {"ts": Moment("when", required=True), "value": Number("reading", required=True)},
)
_WHAT: dict[str, Any] = {
    "series": Text("id of the series", min_chars=1),
    "action": Text("what is done", choices=tuple(action.value for action in Action)),
    "start": Moment("first reading of the range, or the one reading"),
    "end": Moment(
        "end of the range, exclusive; if absent: the one reading at start, for offset and scale until further notice",
        nullable=True,
    ),
    "value": Number("the value, the offset or the factor", nullable=True),
    "rows": _ROWS,
    "unit": Text("unit of value and rows, such as kWh; the stored unit (Wh) if absent", max_chars=24),
}
CORRECTION: Body = {
    **_WHAT,
    "series": Text("id of the series", required=True, min_chars=1),
    "action": Text("what is done", required=True, choices=tuple(action.value for action in Action)),
    "start": Moment("first reading of the range, or the one reading", required=True),
    "reason": _REASON,
}
PREVIEW: Body = {
    **_WHAT,
    "reason": Text("not looked at", max_chars=1000),
    "undo": Number("instead of all others: number of a correction that would be taken back"),
}
UNDO: Body = {"reason": Text("why it is taken back", max_chars=1000)}
_ID = path_id("correction", "number of the correction")
_ONE = {
    200: Answer("the correction", ref("Correction")),
    404: Answer("missing, or not yours", ref("Problem")),
}


@routes.get(
    "/api/v1/corrections",
    permission="read",
    params=[*PAGE, Param("series", "only corrections of this series")],
    answers={200: Answer("corrections and undos, the newest first", page_of("Correction"))},
)
async def list_corrections(request: web.Request) -> web.Response:
    """All corrections ever made, and their undos."""
    limit, before_id = limit_of(request), number_cursor(request)
    series = names_of(request, "series", most=1)
    found = await ask(
        hub_of(request).corrections, ListCorrections(limit, before_id, series[0] if series else None)
    )
    cursor = str(found[-1].event.id) if len(found) == limit else None
    return page_response(found, CorrectionView.as_json, cursor)


@routes.post(
    "/api/v1/corrections",
    permission="corrections.write",
    body=CORRECTION,
    audited=False,
    answers={
        201: Answer("made; everything derived follows", ref("Correction")),
        404: Answer("no such series", ref("Problem")),
        409: Answer("a correction that holds says the same", ref("Problem")),
        422: Answer("it does not fit", ref("Problem")),
    },
)
async def create_correction(request: web.Request) -> web.Response:
    """Correct readings of a series; the readings themselves stay as they came."""
    sent = await json_body(request, CORRECTION)
    view = await ask(
        hub_of(request).corrections,
        AddCorrection(_wanted(request, sent), sent["reason"], principal_of(request).user_id or None),
    )
    _record(request, view)
    return json_response(view.as_json(), status=201)


@routes.post(
    "/api/v1/corrections/preview",
    permission="corrections.write",
    body=PREVIEW,
    audited=False,
    answers={
        200: Answer("months before and after, in Wh (volumes in m3) and money", ref("CorrectionPreview")),
        404: Answer("no such series or correction", ref("Problem")),
        409: Answer("undone already", ref("Problem")),
        422: Answer("it does not fit", ref("Problem")),
    },
)
async def preview_correction(request: web.Request) -> web.Response:
    """What a correction would change; nothing is stored."""
    sent = await json_body(request, PREVIEW)
    if "undo" in sent:
        question = PreviewCorrection(undo=int(sent["undo"]))
    else:
        question = PreviewCorrection(_wanted(request, sent))
    found = await ask(hub_of(request).corrections, question, timeout_s=PREVIEW_LIMIT_S)
    return json_response(found.as_json())


@routes.get("/api/v1/corrections/{correction}", permission="read", params=[_ID], answers=_ONE)
async def get_correction(request: web.Request) -> web.Response:
    """One correction."""
    view = await ask(hub_of(request).corrections, GetCorrection(_number(request)))
    return json_response(view.as_json())


@routes.delete(
    "/api/v1/corrections/{correction}",
    permission="corrections.write",
    params=[_ID],
    body=UNDO,
    audited=False,
    answers={
        200: Answer("the undo, an event of its own", ref("Correction")),
        404: Answer("missing, or not yours", ref("Problem")),
        409: Answer("undone already, or an undo itself", ref("Problem")),
    },
)
async def undo_correction(request: web.Request) -> web.Response:
    """Take a correction back; both stay in the list."""
    sent = await json_body(request, UNDO) if request.can_read_body else {}
    view = await ask(
        hub_of(request).corrections,
        UndoCorrection(_number(request), sent.get("reason", ""), principal_of(request).user_id or None),
    )
    _record(request, view)
    return json_response(view.as_json())


def _wanted(request: web.Request, sent: Mapping[str, Any]) -> Wanted:
    zone = site_zone(hub_of(request))
    rows = [
        (body_ms(row["ts"], f"rows[{at}].ts", zone) or 0, float(row["value"]))
        for at, row in enumerate(sent.get("rows", ()))
    ]
    value = sent.get("value")
    return Wanted(
        sent.get("series", ""),
        sent.get("action", ""),
        body_ms(sent.get("start"), "start", zone) or 0,
        body_ms(sent.get("end"), "end", zone),
        None if value is None else float(value),
        tuple(rows),
        sent.get("unit"),
    )


def _number(request: web.Request) -> int:
    text = request.match_info["correction"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound("WL-API-404", f"there is no correction {text[:40]!r}", where="id")
    return int(text)


def _record(request: web.Request, view: CorrectionView) -> None:
    """The trail names the correction that was made, which the path does not know yet."""
    event = view.event
    series = view.series.public_id if view.series else ""
    what = event.action if event.undoes is None else f"undo of {event.undoes}"
    action = f"{request.method} corrections"
    record_write(request, principal_of(request), action, f"{event.id}: {what} {series}")
