"""One websocket connection from the handshake to its end: sign in, then commands one after the other."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, WSMessage, WSMsgType, web

from hub.errors import RetryLater, Unauthenticated
from hub.model.access import Principal
from web.websocket.client import Client
from web.websocket.commands import COMMANDS, HA_VERSION, CommandError
from web.websocket.fanout import TRY_LATER, Fanout

LOGGER = logging.getLogger(__name__)

POLICY, UNSUPPORTED, INVALID_TEXT = 1008, 1003, 1007
MAX_BATCH = 100
LARGEST_ID = 2**53
CLOSE_LIMIT_S = 5.0
_PERMISSION = "read"


class Closing(Exception):
    """The connection must end now, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Connection:
    """Speaks with one client. Commands are answered in order; a client that is too fast waits."""

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.client: Client
        self._limits = fanout.limits
        self._ws = web.WebSocketResponse(
            max_msg_size=fanout.limits.message_bytes, autoping=False, compress=False, timeout=CLOSE_LIMIT_S
        )
        self._task: asyncio.Task[Any]
        self._ending: Closing | None = None
        self._last_id = 0
        self._credit = fanout.limits.command_burst
        self._credited_s = fanout.clock.monotonic_s()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Upgrade the request and stay until one side closes."""
        await self._ws.prepare(request)
        transport, task = request.transport, asyncio.current_task()
        if transport is None or task is None:
            return self._ws
        self._task = task
        _shrink_send_buffer(transport, self._limits.kernel_buffer_bytes)
        self.fanout.connections[self] = self.hang_up
        try:
            await self._live(transport)
        finally:
            self.fanout.connections.pop(self, None)
            if transport.get_write_buffer_size():
                # what a client does not take would keep the closed transport open for ever
                asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, transport.abort)
        return self._ws

    def hang_up(self, code: int, reason: str) -> None:
        """End the connection from outside, whatever it waits for."""
        if self._ending is None:
            self._ending = Closing(code, reason)
            self._task.cancel()

    async def _live(self, transport: asyncio.Transport) -> None:
        try:
            await self._sign_in_and_converse(transport)
        except Closing as closing:
            await self._close(closing)
        except ClientConnectionResetError:
            return  # the client went while something was on its way to it
        except asyncio.CancelledError:
            if self._ending is None or self._task.uncancel():
                raise  # not by hang_up: the server ends
            await self._close(self._ending)

    async def _sign_in_and_converse(self, transport: asyncio.Transport) -> None:
        principal = await self._sign_in()
        self.client = Client(transport, principal, self._limits, self.hang_up)
        self.fanout.join(self.client)
        try:
            await self._send({"type": "auth_ok", "ha_version": HA_VERSION})
            self.client.begin(self.fanout.clock.monotonic_s())
            await self._converse()
        finally:
            self.client.closing = True
            self.fanout.leave(self.client)

    async def _close(self, closing: Closing) -> None:
        """Say why, and wait a little for the answer."""
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._ws.close(code=closing.code, message=str(closing).encode(), drain=False)
        except TimeoutError:
            return  # the close frame waits behind what the client does not read

    # --- signing in

    async def _sign_in(self) -> Principal:
        await self._send({"type": "auth_required", "ha_version": HA_VERSION})
        try:
            async with asyncio.timeout(self._limits.auth_s):
                message = await self._first_message()
        except TimeoutError:
            raise Closing(POLICY, "no sign-in in time") from None
        token = message.get("access_token")
        if message.get("type") != "auth" or not isinstance(token, str):
            await self._refuse("Auth message incorrectly formatted: type auth and access_token are needed")
        try:
            principal = self.fanout.accounts.authenticate(str(token), self.fanout.clock.now_ms())
        except Unauthenticated:
            await self._refuse("Invalid access token or password")
        except RetryLater:
            raise Closing(TRY_LATER, "accounts are not loaded yet") from None
        if not principal.may(_PERMISSION):
            await self._refuse("This token may not read")
        return principal

    async def _first_message(self) -> Mapping[str, Any]:
        while True:
            text = await self._receive()
            if text is None:
                continue
            message = _parsed(text)
            if isinstance(message, dict):
                return message
            await self._refuse("Auth message incorrectly formatted: an object is needed")

    async def _refuse(self, text: str) -> Any:
        await self._send({"type": "auth_invalid", "message": text})
        raise Closing(1000, "")

    # --- commands

    async def _converse(self) -> None:
        while not self.client.closing:
            text = await self._receive()
            if text is None:
                continue
            message = _parsed(text)
            batch = message if isinstance(message, list) else [message]
            if len(batch) > MAX_BATCH:
                raise Closing(POLICY, "too many messages in one frame")
            for one in batch:
                await self._pay()
                await self._answer(one)

    async def _answer(self, message: Any) -> None:
        command_id = message.get("id") if isinstance(message, dict) else None
        if type(command_id) is not int or not 0 < command_id <= LARGEST_ID:
            await self._fail(None, "invalid_format", "Message incorrectly formatted.")
            return
        kind = message.get("type")
        if not isinstance(kind, str) or not kind:
            await self._fail(command_id, "invalid_format", "Message incorrectly formatted.")
            return
        if command_id <= self._last_id:
            await self._fail(command_id, "id_reuse", "Identifier values have to increase.")
            return
        self._last_id = command_id
        await self._run(command_id, kind, message)

    async def _run(self, command_id: int, kind: str, message: Mapping[str, Any]) -> None:
        command = COMMANDS.get(kind)
        if command is None:
            await self._fail(command_id, "unknown_command", "Unknown command.")
            return
        problem = command.problem_with(message)
        if problem is not None:
            await self._fail(command_id, "invalid_format", problem)
            return
        try:
            await command.run(self, command_id, message)
        except CommandError as error:
            await self._fail(command_id, error.code, str(error))

    async def result(self, command_id: int, result: object) -> None:
        """Answer with success."""
        await self._send({"id": command_id, "type": "result", "success": True, "result": result})

    async def send(self, message: bytes) -> None:
        """Send one message that is JSON already; waits while the client does not take what it has."""
        await self._ws.send_frame(message, WSMsgType.TEXT)

    async def _fail(self, command_id: int | None, code: str, text: str) -> None:
        error = {"code": code, "message": text}
        await self._send({"id": command_id, "type": "result", "success": False, "error": error})

    async def _send(self, message: Mapping[str, object]) -> None:
        await self.send(orjson.dumps(message))

    # --- frames

    async def _receive(self) -> str | None:
        """The next text, ``None`` for a control frame that was dealt with; raises when it is over."""
        message: WSMessage = await self._ws.receive()
        match message.type:
            case WSMsgType.TEXT:
                return str(message.data)
            case WSMsgType.PING:
                await self._pay()
                await self._ws.pong(message.data)
            case WSMsgType.PONG:
                if hasattr(self, "client"):
                    self.fanout.pong(self.client, bytes(message.data))
            case WSMsgType.BINARY:
                raise Closing(UNSUPPORTED, "binary messages are not taken")
            case _:
                raise Closing(1000, "")
        return None

    async def _pay(self) -> None:
        """Let a client that sends commands faster than its rate wait for its turn."""
        clock, limits = self.fanout.clock, self._limits
        now_s = clock.monotonic_s()
        earned = (now_s - self._credited_s) * limits.commands_per_s
        self._credit = min(self._credit + earned, limits.command_burst) - 1.0
        self._credited_s = now_s
        if self._credit < 0:
            await clock.sleep(-self._credit / limits.commands_per_s)


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        raise Closing(INVALID_TEXT, "invalid JSON") from None


def _shrink_send_buffer(transport: asyncio.Transport, size: int) -> None:
    """Keep what waits for a client in few places: the system would take megabytes for one that never reads."""
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
