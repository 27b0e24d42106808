"""All that an integration may import from the hub.

An integration describes itself in one hook (:func:`hub.plugins.hookspecs.hub_integration` returns an
:class:`Integration`). ``connect(options)`` is an async context manager that yields a :class:`Source`; it
works, or it raises :class:`CannotConnect` (the hub retries with back-off) or :class:`InvalidAuth` (the hub
waits for new configuration). The hub owns retry, logging and availability; the source owns the wire.

A source turns what it hears into a :class:`ReadingBatch` and awaits :meth:`Intake.store`, which returns
*after* the rows are committed and fsynced. Only then does the source acknowledge to its device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pluggy
import voluptuous as vol

from hub.errors import CannotConnect, InvalidAuth, QueueFull, Refused, Rejection, RetryLater, WattlineError
from hub.model.device import Availability, Device, DeviceInfo
from hub.model.names import device_id, series_key
from hub.model.reading import MAX_ABS_VALUE, NO_TIME, ReadingBatch, SeriesHandle, Stored
from hub.model.series import Behaviour, Direction, Role, SeriesInfo, known_series, same_kind
from hub.model.times import epoch_ms, iso_ms
from hub.model.units import Quantity, conversion, quantity_of_unit
from hub.plugins.declaring import declare_each
from hub.plugins.options import Revealing, device_name, duration_s, host_name, password, whole

API_VERSION = 1
"""Raised when a change here breaks integrations; a manifest names the version it was made for."""

hookimpl = pluggy.HookimplMarker("wattline")

Options = Mapping[str, Any]
"""What the user wrote for one entry, validated by the integration's schema."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the hub's own MQTT broker listens; credentials only where it needs them."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mqtt5: bool = True


class Intake(Protocol):
    """What the hub offers to a running source or an endpoint handler."""

    @property
    def entry_id(self) -> str:
        """Id of the configured entry; goes into logs and ``ReadingBatch.source``."""

    @property
    def registry_version(self) -> int:
        """Rises whenever devices or series were added, changed or removed: caches of handles compare it."""

    @property
    def congested(self) -> bool:
        """True over 80 % of the ingest queue: polls skip a turn, streams stop acknowledging."""

    @property
    def broker(self) -> BrokerAddress | None:
        """The hub's own MQTT broker, None where it has none."""

    def now_ms(self) -> int:
        """Arrival time: UTC epoch milliseconds by the hub's clock."""

    def batch(self) -> ReadingBatch:
        """An empty batch of this source, stamped with the arrival now."""

    def handle(self, device: str, key: str) -> SeriesHandle | None:
        """Handle of a registered series, in the unit its first message named; None where there is none (yet)."""

    def behaviour(self, device: str, key: str) -> Behaviour | None:
        """Whether a registered series is a gauge, a counter or a delta; None where there is none (yet)."""

    async def declare(
        self, device: DeviceInfo, series: Sequence[SeriesInfo], *, found: bool = False, sample: str = ""
    ) -> Sequence[SeriesHandle | None]:
        """Register a device and its series, durably; known ones cost a dictionary look-up.

        Args:
            device: what is known of it; fields of a known device are only filled, never emptied.
            series: the series wanted; handles come back in this order, with the factor of the sent unit.
            found: True for a device that nobody configured (MQTT discovery, a scan): it then follows the
                hub's ``discovery`` setting, and waits in the inbox unless that is ``auto``.
            sample: a short raw example that helps a person to recognise a found device.

        Returns:
            A handle per series, ``None`` for each that waits in the inbox or is ignored: store nothing.

        Raises:
            Refused: a unit that does not fit, or a series that exists with another quantity.
        """

    async def store(self, batch: ReadingBatch) -> Stored:
        """Store a batch and return after its commit.

        Raises:
            QueueFull, DiskFull, StorageAway: nothing of the batch is acknowledged; send it again later.
        """

    def show_stale(self, handle: SeriesHandle, sent: float) -> None:
        """Show a retained value without device time as latest, marked stale; it is not stored."""

    def set_availability(self, device: str, online: bool) -> None:
        """The device says so itself (last will, availability topic, a poll that fails or works again)."""

    def last_reading(self, device: str, key: str) -> tuple[int, float] | None:
        """Newest stored ``(ts_ms, value)`` in stored units, for senders that ask where to resume."""

    def reject(self, rejections: Sequence[Rejection], payload: bytes = b"") -> None:
        """Count, keep for the quarantine list and log once what a message could not be read as."""


class Source(Protocol):
    """A connected device, broker or push format."""

    async def run(self, intake: Intake) -> None:
        """Work until cancelled. Raise :class:`CannotConnect` when the connection is lost."""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """An authorised HTTP request to a plugin's endpoint; the body is read and decompressed, within limits."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: str = ""


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What goes back; ``body`` is sent as it is."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


PushHandler = Callable[[PushRequest, Intake], Awaitable[PushAnswer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An HTTP route that web mounts behind its own gate.

    ``scope`` is the token scope a caller needs (``ingest``, ``read``), ``None`` marks the few routes that the
    format's clients call without credentials (``GET /ping``). ``credentials`` names the places, besides
    ``Authorization: Bearer``, where this format's clients put a token: ``token`` (``Authorization: Token``),
    ``basic`` (password of Basic), ``query:apikey``, ``query:p``, ``form:apikey``. ``denied`` words the answer
    to a caller without the right (status 401, 403, 413 or 429) as those clients expect it.
    """

    method: str
    path: str
    handler: PushHandler
    scope: str | None = "ingest"
    credentials: tuple[str, ...] = ()
    denied: Callable[[int, str], PushAnswer] | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """What one integration is.

    ``always`` integrations (push formats) run without an entry in the configuration, with default options.
    """

    domain: str
    schema: vol.Schema
    connect: Callable[[Options], AbstractAsyncContextManager[Source]]
    endpoints: Sequence[Endpoint] = ()
    always: bool = False


async def poll(intake: Intake, interval_s: float, read: Callable[[], Awaitable[ReadingBatch]]) -> None:
    """Read and store every ``interval_s`` seconds, for ever; a slow or congested turn is skipped, not queued.

    Raises whatever ``read`` raises (:class:`CannotConnect` ends the source and the hub reconnects).
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        if not intake.congested:
            batch = await read()
            if len(batch):
                try:
                    await intake.store(batch)
                except (
                    RetryLater
                ):  # the reading of this turn is lost and its gap is seen; the next turn tries again
                    pass
        due_s += interval_s
        now_s = loop.time()
        if due_s <= now_s:
            due_s = now_s + interval_s - (now_s - due_s) % interval_s
        await asyncio.sleep(due_s - now_s)


__all__ = [
    "API_VERSION",
    "MAX_ABS_VALUE",
    "NO_TIME",
    "Availability",
    "Behaviour",
    "BrokerAddress",
    "CannotConnect",
    "Device",
    "DeviceInfo",
    "Direction",
    "Endpoint",
    "Intake",
    "Integration",
    "InvalidAuth",
    "Options",
    "PushAnswer",
    "PushHandler",
    "PushRequest",
    "Quantity",
    "QueueFull",
    "ReadingBatch",
    "Refused",
    "Rejection",
    "RetryLater",
    "Revealing",
    "Role",
    "SeriesHandle",
    "SeriesInfo",
    "Source",
    "Stored",
    "WattlineError",
    "conversion",
    "declare_each",
    "device_id",
    "device_name",
    "duration_s",
    "epoch_ms",
    "hookimpl",
    "host_name",
    "iso_ms",
    "known_series",
    "password",
    "poll",
    "quantity_of_unit",
    "same_kind",
    "series_key",
    "whole",
]
