"""``POST /api/v1/ingest``: from the body to the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson

from hub.plugins.api import (
    Intake,
    PushAnswer,
    PushRequest,
    ReadingBatch,
    Refused,
    Rejection,
    Stored,
)
from integrations.http_json.decode import items_of
from integrations.http_json.heads import Handles, Heads
from integrations.http_json.items import Head, ItemReader, Row, path

ITEMS_PER_SLICE = 2_000
"""Items between two breaths of the event loop: about 5 ms of work."""

INLINE_BYTES = 256 << 10
"""Larger bodies are decoded in a thread: a list of 1,000 items has about 80 kB and 0.5 ms."""

_PROBLEM = "application/problem+json"
_SAMPLE_BYTES = 4_096


class IngestEndpoint:
    """Keeps the heads that were seen, so that known series cost one look-up a value."""

    def __init__(self) -> None:
        self._heads = Heads()

    async def handle(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """Store what is good and say what is not.

        204: everything is committed; identical repeats count, and so does an empty list.
        207: ``{"stored": n, "errors": [{index, stored, quarantined, code, detail, field}]}``, ``n`` values
            are committed, the others are named by the index of their item and their path in it.
        400: the body is no JSON object or list of them (problem+json).
        413: more items than one request may have (problem+json).
        422: JSON, but nothing of it could be taken (problem+json with ``errors``).

        Raises:
            RetryLater: queue full, disk full or database away; nothing is acknowledged.
        """
        try:
            items = await _decoded(request.body)
        except Refused as error:
            return _unreadable(error, request, intake)
        reader = ItemReader()
        handles = self._heads.current(intake)
        batch, placed = intake.batch(), list[Row]()
        for start in range(0, len(items), ITEMS_PER_SLICE):
            for index, item in enumerate(items[start : start + ITEMS_PER_SLICE], start):
                reader.read(index, item)
            rows = await self._known_rows(reader, handles, intake)
            _append(rows, handles, batch, len(placed))
            placed += rows
            await asyncio.sleep(0)
        stored = await intake.store(batch) if placed else Stored()
        if reader.rejections:
            intake.reject(reader.rejections, request.body[:_SAMPLE_BYTES])
        return _answer(stored, [*reader.rejections, *_placed(stored, placed)])

    async def _known_rows(self, reader: ItemReader, handles: Handles, intake: Intake) -> Sequence[Row]:
        """Rows whose series have handles now; the others become rejections."""
        rows, abouts = reader.take()
        wanted = dict.fromkeys(head for head, _, _, _ in rows if head not in handles)
        if not wanted and not abouts:
            return rows
        refused = await self._heads.resolve(intake, wanted, abouts, handles)
        for head, _, _, index in rows:
            if head in refused:
                reader.refuse(index, refused[head], _field(head, refused[head]))
        return [row for row in rows if row[0] not in refused]


async def _decoded(body: bytes) -> list[Any]:
    """Large bodies are decoded beside the event loop."""
    return items_of(body) if len(body) <= INLINE_BYTES else await asyncio.to_thread(items_of, body)


def _append(rows: Sequence[Row], handles: Handles, batch: ReadingBatch, first: int) -> None:
    """``batch.item`` counts rows here, so that a refusal of the recorder finds its field again."""
    add = batch.add
    for position, (head, ts_ms, value, _) in enumerate(rows, first):
        add(handles[head], ts_ms, float(value), position)


def _field(head: Head, error: Refused) -> str:
    if error.where.startswith(("kinds.", "device")):
        return error.where
    _, key, unit, _ = head
    return f"units.{key}" if error.code == "WL-ING-020" and unit is not None else f"values.{key}"


def _placed(stored: Stored, rows: Sequence[Row]) -> list[Rejection]:
    """The recorder's refusals, named by item and path."""
    placed = []
    for one in stored.rejections:
        (_, key, _, _), _, _, index = rows[one.index]
        field = "ts" if one.field == "ts" else path(f"values.{key}")
        placed.append(Rejection(index, one.code, one.text, field, one.quarantined))
    return placed


def _answer(stored: Stored, rejections: Sequence[Rejection]) -> PushAnswer:
    if not rejections:
        return PushAnswer(204)
    count = stored.accepted + stored.duplicates
    errors = [one.as_json() for one in sorted(rejections, key=lambda one: one.index)]
    if count == 0 and not any(one.quarantined for one in rejections):
        first = errors[0]
        where = str(first["field"] or "")
        return _problem(422, str(first["code"]), str(first["detail"]), where, stored=0, errors=errors)
    return PushAnswer(207, orjson.dumps({"stored": count, "errors": errors}))


def _unreadable(error: Refused, request: PushRequest, intake: Intake) -> PushAnswer:
    intake.reject([Rejection(0, error.code, error.message)], request.body[:_SAMPLE_BYTES])
    more = {"hint": error.hint} if error.hint else {}
    return _problem(
        413 if error.code == "WL-ING-006" else 400, error.code, error.message, error.where, **more
    )


def _problem(status: int, code: str, detail: str, field: str, **more: object) -> PushAnswer:
    """A problem in the shape of the hub's own; the web side adds the id of the request."""
    document = {
        "type": f"urn:wattline:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "field": field or None,
        **more,
    }
    return PushAnswer(status, orjson.dumps(document), _PROBLEM)
