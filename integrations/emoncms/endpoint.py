"""``/emoncms/input/post``, ``bulk`` and ``get``.

Senders know two answers: ``ok`` (or ``{"success": true}``) and anything else, upon which emonHub and IoTaWatt
send the same again, for ever. So single values that can never be stored are recorded as refused and the
request is answered ``ok`` if anything else in it was taken; a request of which nothing can be taken answers
``{"success": false, "message": …}`` with status 200, as emonCMS does. The encrypted transport (``aes128cbc``)
is not spoken: use TLS, or a network you trust.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson

from hub.plugins.api import Intake, PushAnswer, PushRequest, Refused, Rejection, Stored
from integrations.emoncms.inputs import Heard, bulk, node_name, posted
from integrations.emoncms.mapping import device_of, series_of
from integrations.emoncms.nodes import Nodes
from integrations.emoncms.parameters import parameters_of

FRAMES_PER_SLICE = 200
"""Frames between two breaths of the event loop."""

INLINE_BYTES = 64 << 10
"""Larger bodies are read beside the event loop."""

_TEXT = "text/plain; charset=utf-8"
_POSITIONS = range(1, 129)
_SAMPLE_BYTES = 4_096
_UNKNOWN_NODE = b'"Node does not exist"'


class InputEndpoints:
    """The routes; they share what was learned of nodes."""

    def __init__(self) -> None:
        self._nodes = Nodes()

    async def post(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """One frame. 200 ``ok``, ``{"success": true}`` for ``fulljson``, or ``{"success": false, …}``.

        Raises:
            RetryLater: queue full, disk full or database away.
        """
        return await self._take(request, intake, posted)

    async def bulk(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """Many frames. 200 ``ok`` or ``{"success": false, …}``.

        Raises:
            RetryLater: queue full, disk full or database away.
        """
        now_ms = intake.now_ms()
        return await self._take(request, intake, lambda parameters: bulk(parameters, now_ms))

    async def get(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """Last time and value of a node's inputs, newest first; IoTaWatt resumes its upload there.

        200 ``{"1": {"time": s, "value": v, "processList": ""}, …}``, or the JSON text ``"Node does not exist"``.
        """
        try:
            device = device_of(node_name(parameters_of(request).get("node", "")))
            found = self._last(device.id, intake)
        except Refused:
            found = []
        if not found:
            return PushAnswer(200, _UNKNOWN_NODE)
        return PushAnswer(200, orjson.dumps({name: last for _, name, last in found}))

    async def _take(
        self, request: PushRequest, intake: Intake, read: Callable[[dict[str, str]], Heard]
    ) -> PushAnswer:
        try:
            if len(request.body) <= INLINE_BYTES:
                parameters, heard = _read(request, read)
            else:
                parameters, heard = await asyncio.to_thread(_read, request, read)
        except Refused as error:
            intake.reject([Rejection(0, error.code, error.message, error.where)], _sample(request))
            return _failure(f"{error.message} [{error.code}]")
        stored = await self._store(heard, intake)
        if heard.rejections:
            intake.reject(heard.rejections, _sample(request))
        if heard.rejections and stored is None:
            first = heard.rejections[0]
            return _failure(f"{first.field}: {first.text} [{first.code}]")
        full_json = "fulljson" in parameters and not request.path.startswith("/emoncms/input/bulk")
        return PushAnswer(200, b'{"success": true}') if full_json else PushAnswer(200, b"ok", _TEXT)

    async def _store(self, heard: Heard, intake: Intake) -> Stored | None:
        """None where there was nothing to store."""
        handles = self._nodes.current(intake)
        inputs = dict.fromkeys((frame.node, name) for frame in heard.frames for name, _ in frame.inputs)
        refused = await self._nodes.register(inputs, handles, intake)
        batch = intake.batch()
        for index, frame in enumerate(heard.frames):
            for name, value in frame.inputs:
                handle = handles.get((frame.node, name))
                if handle is None:
                    error = refused[frame.node, name]
                    heard.rejections.append(Rejection(index, error.code, error.message, name[:80]))
                else:
                    batch.add(handle, frame.ts_ms, value, index)
            if index % FRAMES_PER_SLICE == FRAMES_PER_SLICE - 1:
                await asyncio.sleep(0)
        return await intake.store(batch) if len(batch) else None

    def _last(self, device: str, intake: Intake) -> list[tuple[int, str, dict[str, object]]]:
        names = {*map(str, _POSITIONS), *self._nodes.names_of(device)}
        found: list[tuple[int, str, dict[str, object]]] = []
        for name in sorted(names):
            last = intake.last_reading(device, series_of(name).key)
            if last is not None:
                time_s = last[0] // 1000
                found.append((-time_s, name, {"time": time_s, "value": last[1], "processList": ""}))
        return sorted(found, key=lambda one: one[:2])


def _read(request: PushRequest, read: Callable[[dict[str, str]], Heard]) -> tuple[dict[str, str], Heard]:
    parameters = parameters_of(request)
    return parameters, read(parameters)


def denied(status: int, text: str) -> PushAnswer:
    """What the gate answers to a caller without the right, in the words of emonCMS."""
    if status == 401:
        challenge = 'Bearer realm="API KEY", error="invalid_apikey", error_description="Invalid API key"'
        return PushAnswer(401, b"Invalid API key", _TEXT, {"WWW-Authenticate": challenge})
    return PushAnswer(status, text.encode("utf-8", "backslashreplace"), _TEXT)


def _failure(message: str) -> PushAnswer:
    return PushAnswer(200, orjson.dumps({"success": False, "message": message}))


def _sample(request: PushRequest) -> bytes:
    """The data of a request for the quarantine list, without its key."""
    if request.body:
        return b"" if b"apikey" in request.body else request.body[:_SAMPLE_BYTES]
    shown = {name: value for name, value in request.query.items() if name != "apikey"}
    return repr(shown).encode("utf-8", "backslashreplace")[:_SAMPLE_BYTES]
