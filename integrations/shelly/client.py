"""A Shelly device: full status at an interval, and by websocket every change between.

The websocket is preferred, HTTP polling is the way where it does not open. Times are those of the device
where its clock agrees with the hub's to five minutes, else the arrival; both kinds of message use one clock,
so that a counter cannot seem to run backwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import aiohttp

from hub.plugins.api import (
    CannotConnect,
    DeviceInfo,
    Intake,
    Options,
    ReadingBatch,
    Rejection,
    RetryLater,
    Revealing,
    SeriesHandle,
    WattlineError,
    poll,
)
from integrations.shelly.mapping import (
    Identity,
    Value,
    identity_of,
    measures,
    number_of,
    series_of,
    values_of,
)
from integrations.shelly.rpc import (
    HttpRpc,
    NoAnswer,
    Rpc,
    Unauthorized,
    WebSocketRpc,
    cannot_connect,
    invalid_auth,
    open_websocket,
)
from integrations.shelly.status import Status

LOGGER = logging.getLogger(__name__)

FAILURES_BEFORE_LOST = 3
"""HTTP polls in a row without an answer after which the device counts as lost."""

CLOCK_TOLERANCE_MS = 300_000
"""A device clock further off than this is not set (no time server yet), and arrival is the better time."""


@contextlib.asynccontextmanager
async def connect(options: Options) -> AsyncIterator[ShellyDevice]:
    """Find out who the device is, and read its status once.

    Raises:
        CannotConnect: nothing answers, or it is no Shelly of the second generation that measures something.
        InvalidAuth: the password is missing or wrong.
    """
    host, timeout_s = options["host"], options["timeout"]
    address = f"[{host}]:{options['port']}" if ":" in host else f"{host}:{options['port']}"
    password = _revealed(options.get("password"))
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        http = HttpRpc(session, address, password, timeout_s)
        try:
            identity = _identity(await http.about(), options, address)
            rpc = await _transport(stack, session, http, address, password, options)
            status = await rpc.call("Shelly.GetStatus")
        except NoAnswer as error:
            raise cannot_connect(error, address) from error
        except Unauthorized as error:
            raise invalid_auth(address, password) from error
        device = ShellyDevice(identity, rpc, address, password, options)
        device.refuse_what_measures_nothing(status)
        yield device


async def _transport(
    stack: contextlib.AsyncExitStack,
    session: aiohttp.ClientSession,
    http: HttpRpc,
    address: str,
    password: str | None,
    options: Options,
) -> Rpc:
    """The websocket where it opens and is wanted, else HTTP."""
    if options["transport"] == "http":
        return http
    try:
        return await stack.enter_async_context(open_websocket(session, address, password, options["timeout"]))
    except NoAnswer as error:
        if options["transport"] == "websocket":
            raise
        LOGGER.info("%s has no websocket, polling over HTTP: %s", address, error)
        return http


def _identity(about: Mapping[str, Any], options: Options, address: str) -> Identity:
    if "gen" not in about and "type" in about:
        raise CannotConnect(
            f"{str(about['type'])[:40]} is a Shelly of the first generation, which has another interface",
            code="WL-SHE-001",
            where=address,
            hint="connect it by MQTT; this integration speaks with Plus, Pro, Gen3 and newer devices",
        )
    try:
        return identity_of(about, options)
    except (ValueError, WattlineError) as error:
        raise CannotConnect(
            f"what answers is no Shelly: {error}", where=address, hint="check host and port"
        ) from error


def _revealed(password: str | Revealing | None) -> str | None:
    return password.reveal() if isinstance(password, Revealing) else password


class ShellyDevice:
    """A connected device and its channels."""

    def __init__(
        self, identity: Identity, rpc: Rpc, address: str, password: str | None, options: Options
    ) -> None:
        self._identity = identity
        self._rpc = rpc
        self._address = address
        self._password = password
        self._reverse: bool = options["reversed"]
        self._interval_s: float = options["interval"]
        self._status = Status()
        self._handles: dict[tuple[str, str], SeriesHandle | None] = {}
        self._registry_version = -1
        self._declaring = asyncio.Lock()
        self._online: dict[str, bool] = {}
        self._failures = 0
        self._skew_ms = 0
        self._last_ms = 0

    def refuse_what_measures_nothing(self, status: Mapping[str, Any]) -> None:
        """Raises :class:`CannotConnect` for a device without any metering component."""
        self._status.replace(status)
        if not any(measures(name, self._status[name]) for name in self._status):
            raise CannotConnect(
                "the device measures neither power nor energy",
                code="WL-SHE-002",
                where=self._address,
                hint="remove it, or choose a model with power metering (PM, EM)",
            )

    async def run(self, intake: Intake) -> None:
        """Store until cancelled. Raises :class:`CannotConnect` when the connection is lost."""
        try:
            if isinstance(self._rpc, WebSocketRpc):
                await self._run_websocket(intake, self._rpc)
            else:
                await poll(intake, self._interval_s, partial(self._poll_http, intake))
        except Unauthorized as error:
            self._show_all(intake, False)
            raise invalid_auth(self._address, self._password) from error
        except NoAnswer as error:
            self._show_all(intake, False)
            raise cannot_connect(error, self._address) from error

    async def _run_websocket(self, intake: Intake, rpc: WebSocketRpc) -> None:
        """Ask and listen side by side; the first of both that ends, ends both with its error."""
        asking = asyncio.create_task(poll(intake, self._interval_s, partial(self._full_status, intake)))
        listening = asyncio.create_task(self._listen(intake, rpc))
        try:
            done, _ = await asyncio.wait({asking, listening}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            asking.cancel()
            listening.cancel()
            await asyncio.gather(asking, listening, return_exceptions=True)

    async def _listen(self, intake: Intake, rpc: WebSocketRpc) -> None:
        while (frame := await rpc.notifications.get()) is not None:
            if isinstance(frame, bytes):
                self._reject(intake, "frame is no JSON object", frame)
                continue
            changed, device_ms = self._take(intake, frame)
            batch = await self._batch(intake, changed, device_ms)
            if len(batch) and not intake.congested:
                # What the hub cannot take now is brought again, newer, by the next full status.
                with contextlib.suppress(RetryLater):
                    await intake.store(batch)
        raise NoAnswer("the device closed the websocket")

    def _take(self, intake: Intake, frame: Mapping[str, Any]) -> tuple[dict[str, set[str]], int | None]:
        """Merge a notification; what changed and the device's time of it, where it has one."""
        params = frame.get("params")
        if frame.get("method") not in ("NotifyStatus", "NotifyFullStatus"):
            return {}, None
        if not isinstance(params, dict):
            self._reject(intake, "notification without params", b"")
            return {}, None
        full = frame["method"] == "NotifyFullStatus"
        changed = self._status.replace(params) if full else self._status.merge(params)
        ts_s = number_of(params.get("ts"))
        return changed, None if ts_s is None else round(ts_s * 1000)

    async def _full_status(self, intake: Intake) -> ReadingBatch:
        """Ask for everything → the readings to store."""
        status = await self._rpc.call("Shelly.GetStatus")
        changed = self._status.replace(status)
        return await self._batch(intake, changed, None)

    async def _poll_http(self, intake: Intake) -> ReadingBatch:
        """As :meth:`_full_status`, but a single lost answer does not lose the device."""
        try:
            batch = await self._full_status(intake)
        except NoAnswer as error:
            self._failures += 1
            LOGGER.debug("poll %s of %s failed: %s", self._failures, self._address, error)
            if self._failures >= FAILURES_BEFORE_LOST:
                raise
            return intake.batch()
        self._failures = 0
        return batch

    def _stamp(self, intake: Intake, device_ms: int | None) -> int:
        """Device time where there is a sane one, else the hub's, moved by what the device's clock is off.

        Never before the stamp given last.
        """
        now_ms = intake.now_ms()
        if device_ms is not None and abs(device_ms - now_ms) <= CLOCK_TOLERANCE_MS:
            self._skew_ms = device_ms - now_ms
        ts_ms = now_ms + self._skew_ms
        self._last_ms = max(ts_ms, self._last_ms + 1)
        return self._last_ms

    async def _batch(
        self, intake: Intake, changed: Mapping[str, set[str]], device_ms: int | None
    ) -> ReadingBatch:
        # Values and time are taken before the first await: meanwhile the status may be merged further.
        found = [
            (self._identity.device(name), values)
            for name, fields in changed.items()
            if (values := self._values(name, fields))
        ]
        batch = intake.batch()
        if not found:
            return batch
        ts_ms = self._stamp(intake, device_ms)
        async with self._declaring:
            if intake.registry_version != self._registry_version:
                self._handles.clear()
            for device, values in found:
                await self._declare(intake, device, values)
            self._registry_version = intake.registry_version
            for item, (device, values) in enumerate(found):
                self._add(batch, device.id, values, ts_ms, item)
        for device, _ in found:
            self._show(intake, device.id, True)
        return batch

    def _add(self, batch: ReadingBatch, device: str, values: list[Value], ts_ms: int, item: int) -> None:
        for value in values:
            handle = self._handles[device, value.key]
            if handle is not None:
                batch.add(handle, ts_ms, value.value, item)

    def _values(self, component: str, changed: set[str]) -> list[Value]:
        fields = self._status[component]
        if not measures(component, fields):
            return []
        return values_of(component, fields, changed, reverse=self._reverse)

    async def _declare(self, intake: Intake, device: DeviceInfo, values: list[Value]) -> None:
        """Register what was not seen before."""
        new = [value for value in values if (device.id, value.key) not in self._handles]
        if new:
            series = [series_of(value, self._interval_s) for value in new]
            handles = await intake.declare(device, series, found=False)
            for value, handle in zip(new, handles, strict=True):
                self._handles[device.id, value.key] = handle

    def _show(self, intake: Intake, device: str, online: bool) -> None:
        if self._online.get(device) is not online:
            self._online[device] = online
            intake.set_availability(device, online)

    def _show_all(self, intake: Intake, online: bool) -> None:
        for device in self._online:
            self._show(intake, device, online)

    def _reject(self, intake: Intake, text: str, payload: bytes) -> None:
        intake.reject([Rejection(0, "WL-SHE-003", text, self._identity.id)], payload)
