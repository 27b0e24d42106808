"""Two ways to call a Shelly: JSON over HTTP, and JSON frames on a websocket that also brings notifications.

Both offer ``call(method)``. What a device may send is limited in size, and anything but a JSON object with a
``result`` is an error; it never gets past this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import aiohttp

from hub.plugins.api import CannotConnect, InvalidAuth
from integrations.shelly.auth import USER, UnknownChallenge, auth_object

MAX_BYTES = 256 * 1024
"""Largest answer taken; a full status is about 4 kB, of a gateway with many sensors 40 kB."""

_UNAUTHORIZED = 401
_WAITING_FRAMES = 100


class NoAnswer(Exception):
    """This call brought nothing usable: no connection, no answer in time, or not what Shelly speaks."""


class Unauthorized(Exception):
    """The device wants a password, or another one."""


class Rpc(Protocol):
    """A way to call methods of a device."""

    async def call(self, method: str) -> dict[str, Any]:
        """The ``result`` of a method without parameters.

        Raises:
            NoAnswer: try again later.
            Unauthorized: the password is missing or wrong.
        """


def json_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object, or :class:`NoAnswer` for everything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoAnswer("the answer is no JSON") from error
    if not isinstance(found, dict):
        raise NoAnswer("the answer is no JSON object")
    return found


def result_of(frame: Mapping[str, Any]) -> dict[str, Any]:
    """The result of an answer frame. Raises as :meth:`Rpc.call`."""
    error = frame.get("error")
    if isinstance(error, dict):
        if error.get("code") == _UNAUTHORIZED:
            raise Unauthorized
        raise NoAnswer(f"the device says {str(error.get('message'))[:100]!r} ({str(error.get('code'))[:20]})")
    result = frame.get("result")
    if not isinstance(result, dict):
        raise NoAnswer("the answer has no result")
    return result


class HttpRpc:
    """Calls by ``POST /rpc``, with HTTP digest authentication where a password is known."""

    def __init__(
        self, session: aiohttp.ClientSession, address: str, password: str | None, timeout_s: float
    ) -> None:
        self._session = session
        self._base = f"http://{address}"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._digest = () if password is None else (aiohttp.DigestAuthMiddleware(USER, password),)
        self._last_id = 0

    async def about(self) -> dict[str, Any]:
        """``GET /shelly``: who the device is; it answers that without a password. Raises :class:`NoAnswer`."""
        return await self._send("GET", "/shelly", None)

    async def call(self, method: str) -> dict[str, Any]:
        """See :class:`Rpc`."""
        self._last_id += 1
        frame = await self._send("POST", "/rpc", {"id": self._last_id, "method": method})
        if frame.get("id") != self._last_id:
            raise NoAnswer("the answer belongs to another call")
        return result_of(frame)

    async def _send(self, verb: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            async with self._session.request(
                verb,
                self._base + path,
                json=body,
                timeout=self._timeout,
                allow_redirects=False,
                middlewares=self._digest,
            ) as response:
                if response.status == _UNAUTHORIZED:
                    raise Unauthorized
                if response.status != 200:
                    raise NoAnswer(f"{path} answers HTTP {response.status}")
                return json_object(await _limited_body(response))
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(f"{self._base}: {error}"[:200]) from error


async def _limited_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise NoAnswer(f"the answer is longer than {MAX_BYTES} bytes")
    return bytes(body)


class WebSocketRpc:
    """Calls on an open websocket; notifications wait in :attr:`notifications`, None when it has closed.

    A text that is no frame waits there as well, as bytes, so that the reader of the queue can report it.
    """

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, password: str | None, timeout_s: float
    ) -> None:
        self.notifications: asyncio.Queue[dict[str, Any] | bytes | None] = asyncio.Queue(_WAITING_FRAMES)
        self._socket = socket
        self._password = password
        self._timeout_s = timeout_s
        self._source = f"wattline-{secrets.token_hex(4)}"
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._challenge: dict[str, Any] | None = None
        self._closed = False

    async def call(self, method: str) -> dict[str, Any]:
        """See :class:`Rpc`. A challenge is answered once; notifications begin with the first answer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                frame = await self._exchange(method)
                if self._is_challenge(frame):
                    frame = await self._exchange(method)
        except TimeoutError as error:
            raise NoAnswer(f"no answer to {method} within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"websocket: {error}"[:200]) from error
        return result_of(frame)

    async def read_frames(self) -> None:
        """Sort what arrives until the socket closes; run this as a task beside the calls."""
        try:
            async for message in self._socket:
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    break
                await self._sort(message.data)
        finally:
            self._closed = True
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(NoAnswer("the device closed the websocket"))
            self._note_the_end()

    async def _sort(self, text: str | bytes) -> None:
        try:
            frame = json_object(text)
        except NoAnswer:
            await self.notifications.put(text[:1000].encode() if isinstance(text, str) else text[:1000])
            return
        answered = self._waiting.get(frame["id"]) if isinstance(frame.get("id"), int) else None
        if answered is not None and not answered.done():
            if "result" in frame:
                self._forget_waiting()
            answered.set_result(frame)
        elif "method" in frame:
            await self.notifications.put(frame)

    def _forget_waiting(self) -> None:
        """A full status has overtaken what still waits: merged after it, that would bring old values back."""
        while not self.notifications.empty():
            self.notifications.get_nowait()

    def _note_the_end(self) -> None:
        """The end must fit into the queue even where nobody empties it."""
        while True:
            try:
                self.notifications.put_nowait(None)
            except asyncio.QueueFull:
                self.notifications.get_nowait()
            else:
                return

    async def _exchange(self, method: str) -> dict[str, Any]:
        if self._closed:
            raise NoAnswer("the websocket is closed")
        self._last_id += 1
        number = self._last_id
        frame: dict[str, Any] = {"id": number, "src": self._source, "method": method}
        if self._challenge is not None and self._password is not None:
            frame["auth"] = self._auth(self._challenge, self._password)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json(frame)
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    def _auth(self, challenge: Mapping[str, Any], password: str) -> dict[str, object]:
        try:
            return auth_object(challenge, password, secrets.randbelow(2**31))
        except UnknownChallenge as error:
            raise NoAnswer(str(error)) from error

    def _is_challenge(self, frame: Mapping[str, Any]) -> bool:
        """Whether the device asks who we are, and we can say it; remembers what it asked."""
        error = frame.get("error")
        if self._password is None or not isinstance(error, dict) or error.get("code") != _UNAUTHORIZED:
            return False
        self._challenge = json_object(str(error.get("message")))
        return True


@contextlib.asynccontextmanager
async def open_websocket(
    session: aiohttp.ClientSession, address: str, password: str | None, timeout_s: float
) -> AsyncIterator[WebSocketRpc]:
    """Connect to ``ws://<address>/rpc`` and read it in the background.

    Raises:
        NoAnswer: the device takes no websocket here.
    """
    try:
        async with asyncio.timeout(timeout_s):
            socket = await session.ws_connect(
                f"ws://{address}/rpc",
                heartbeat=max(4 * timeout_s, 1.0),
                max_msg_size=MAX_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(f"no websocket at {address}: {error or 'timeout'}"[:200]) from error
    rpc = WebSocketRpc(socket, password, timeout_s)
    reading = asyncio.create_task(rpc.read_frames())
    try:
        yield rpc
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await socket.close()


def cannot_connect(error: Exception, where: str) -> CannotConnect:
    """What the hub hears of a :class:`NoAnswer`."""
    return CannotConnect(
        str(error), where=where, hint="check host and port, and that the device is in the network"
    )


def invalid_auth(where: str, password: str | None) -> InvalidAuth:
    """What the hub hears of :class:`Unauthorized`."""
    return InvalidAuth(
        "the device refuses our password" if password else "the device wants a password",
        where=where,
        hint="set `password` to the one of the device's user admin",
    )
