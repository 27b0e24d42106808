"""Reading a body: within a size, within a time, unpacked without trusting the sender.

Nothing is read before the caller is known and allowed (the gate), nothing by ``request.post()``. Packed bodies
grow in steps: a small one that would unpack to gigabytes ends as soon as it passes the limit.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson
from aiohttp import web

from hub.errors import QueueFull
from web.problems import BadRequest, TooLarge, TooSlow, WrongType
from web.routes import API_BODY_BYTES
from web.schemas import Body, checked

READ_DEADLINE_S = 10.0
MAX_DEPTH = 40
"""Levels of lists and objects in a body."""
_STEP = 256 * 1024
LARGE_BODY_BYTES = 1 << 20
MAX_LARGE_BODIES = 4


class LargeBodies:
    """How many large bodies are in memory: a handful, so that no crowd of senders fills it."""

    def __init__(self, limit: int = MAX_LARGE_BODIES) -> None:
        self._free = limit

    def take(self) -> None:
        """Count one more.

        Raises:
            QueueFull: ``WL-API-429``.
        """
        if self._free <= 0:
            raise QueueFull(
                "WL-API-429", "several large bodies are being read; send it again", retry_after_s=1
            )
        self._free -= 1

    def give_back(self) -> None:
        """Count one less."""
        self._free += 1


LARGE_BODIES = web.AppKey("large_bodies", LargeBodies)
DEADLINE_S: web.AppKey[float] = web.AppKey("read_deadline_s", float)


class _Unpacker(Protocol):
    def step(self, data: bytes) -> tuple[bytes, bytes]: ...
    @property
    def complete(self) -> bool: ...


class _Plain:
    complete = True

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""


class _Zlib:
    """gzip (also several members in a row) and deflate (with or without its header)."""

    def __init__(self, encoding: str) -> None:
        self._bits = 31 if encoding == "gzip" else 15
        self._open = zlib.decompressobj(self._bits)
        self._begun = False

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        """At most one step of unpacked bytes, and the packed ones that are left."""
        if self._open.eof:
            if self._bits != 31 or not data.strip(b"\0"):
                return b"", b""
            self._open = zlib.decompressobj(self._bits)
        try:
            out = self._open.decompress(data, _STEP)
        except zlib.error:
            if self._begun or self._bits != 15:
                raise
            self._bits = -15
            self._open = zlib.decompressobj(self._bits)
            out = self._open.decompress(data, _STEP)
        self._begun = True
        return out, self._open.unused_data if self._open.eof else self._open.unconsumed_tail

    @property
    def complete(self) -> bool:
        """False where the packed stream was cut off."""
        return self._open.eof or not self._begun


async def read_body(
    request: web.Request, limit: int = API_BODY_BYTES, unpacked_limit: int | None = None
) -> bytes:
    """The whole body, unpacked, for callers of this module's routes.

    Raises:
        TooLarge: ``WL-API-413``. TooSlow: ``WL-API-408``. WrongType: ``WL-API-415``, an unknown packing.
        BadRequest: ``WL-API-400``, the packed stream is broken.
    """
    async with open_body(request, limit, unpacked_limit) as body:
        return body


@asynccontextmanager
async def open_body(
    request: web.Request, limit: int, unpacked_limit: int | None = None
) -> AsyncIterator[bytes]:
    """As :func:`read_body`; a large body counts against :class:`LargeBodies` until the context ends."""
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    unpacker = _unpacker(request)
    large = request.app[LARGE_BODIES]
    taken = False
    received, unpacked = 0, bytearray()
    try:
        try:
            async with asyncio.timeout(request.app[DEADLINE_S]):
                async for chunk in request.content.iter_any():
                    received += len(chunk)
                    if received > limit:
                        raise _too_large(limit)
                    await _unpack(unpacker, chunk, unpacked, unpacked_limit or limit)
                    if len(unpacked) > LARGE_BODY_BYTES and not taken:
                        large.take()
                        taken = True
        except TimeoutError as error:
            raise TooSlow(
                "WL-API-408", f"the body did not come within {request.app[DEADLINE_S]:g} s"
            ) from error
        except ConnectionError as error:  # nobody is there any more to read the answer
            raise BadRequest("WL-API-400", "the connection ended before the body did") from error
        except zlib.error as error:
            raise BadRequest("WL-API-400", "the packed body is broken", where="Content-Encoding") from error
        if not unpacker.complete:
            raise BadRequest("WL-API-400", "the packed body is cut off", where="Content-Encoding")
        yield bytes(unpacked)
    finally:
        if taken:
            large.give_back()


async def _unpack(unpacker: _Unpacker, chunk: bytes, into: bytearray, limit: int) -> None:
    left = chunk
    while left:
        out, left = unpacker.step(left)
        into += out
        if len(into) > limit:
            raise _too_large(limit)
        if left:
            await asyncio.sleep(0)


async def json_body(request: web.Request, body: Body) -> dict[str, Any]:
    """The JSON object of a request, checked against its declaration.

    Raises:
        InvalidBody: ``WL-API-422``, all fields that do not fit. And as :func:`json_document`.
    """
    return checked(body, await json_document(request))


async def json_document(request: web.Request, limit: int = API_BODY_BYTES) -> Any:
    """Whatever JSON a request carries; for bodies that another part of the hub checks (:class:`Shape`).

    Raises:
        WrongType: ``WL-API-415``, not ``application/json``. BadRequest: ``WL-API-400``, no JSON.
            And as :func:`read_body`.
    """
    if request.content_type != "application/json":
        raise WrongType(
            "WL-API-415",
            "this address reads JSON",
            where="Content-Type",
            hint="send the header Content-Type: application/json",
        )
    raw = await read_body(request, limit)
    try:
        sent = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest("WL-API-400", f"the body is not JSON: {error.msg}", where="body") from error
    if _is_too_deep(sent):
        raise BadRequest("WL-API-400", f"the body is nested deeper than {MAX_DEPTH} levels", where="body")
    return sent


def _is_too_deep(sent: Any) -> bool:
    """Nothing that is meant is so deep, and whoever walks through it by recursion would fall."""
    level = [sent]
    for _ in range(MAX_DEPTH):
        inner = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        ]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _unpacker(request: web.Request) -> _Unpacker:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return _Zlib("gzip")
    if encoding == "deflate":
        return _Zlib("deflate")
    raise WrongType(
        "WL-API-415",
        "this packing of the body is not known",
        where="Content-Encoding",
        hint="gzip or deflate",
    )


def _too_large(limit: int) -> TooLarge:
    return TooLarge("WL-API-413", f"the body is larger than {limit} bytes", where="body")
