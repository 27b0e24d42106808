"""The fan-out: facts of the bus in, frames to every subscribed connection out.

The first change after quiet goes out in the same turn of the loop; what comes meanwhile waits for the next
flush, 10 ms later at the earliest and 250 ms at the latest, so that sending takes a small share of the loop.
A flush renders each channel once and writes ready bytes: no task and no serialisation per client.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import orjson

from hub.actors.auth import GetAuthBook, RoleChanged, SessionEnded
from hub.actors.auth_book import AuthBook
from hub.actors.device_requests import GetDevices
from hub.actors.processing import GetLive
from hub.app import Hub
from hub.bus import Subscription as BusSubscription
from hub.errors import Unauthenticated, WattlineError
from hub.model.events import AvailabilityChanged, DeviceChanged, SeriesAdded, StatesChanged
from hub.runtime.actor import request
from hub.runtime.jobs import BackgroundTasks, PeriodicTask
from web.websocket.channels import Channel, LiveChannel
from web.websocket.client import Client, HangUp, Subscription
from web.websocket.limits import Limits
from web.websocket.live_money import LiveMoney
from web.websocket.states import StateBook, newest_of

LOGGER = logging.getLogger(__name__)

GOING_AWAY, TRY_LATER, SESSION_ENDED = 1001, 1013, 4001
PAUSE_PER_WORK = 6
"""Sending takes a seventh of the loop at most: so many times its CPU time passes until the next flush."""
SWEEP_EVERY_TICKS = 15
LIVE_EVERY_S = 0.25
LIVE_QUIET_S = 5.0


class Fanout:
    """Owns the state book, the channels and the clients of one hub."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self.hub = hub
        self.limits = limits
        self.clock = hub.clock
        self.book = StateBook(hub.registry, hub.board)
        self.live = LiveChannel(("live",), self.book)
        self.accounts: AuthBook
        self.connections: dict[object, HangUp] = {}
        self.clients: dict[Client, None] = {}
        self.closing = False
        self.channels: dict[tuple[object, ...], Channel] = {}
        self._pending: dict[int, tuple[int, float]] = {}
        self._states: bytes | None = None
        self._timer: asyncio.Handle | None = None
        self._next_s = 0.0
        self._planned_s = 0.0
        self._ticks = 0
        self._live_failing = ""
        self._live_meaning: dict[str, object] = {}
        self._changed = asyncio.Event()
        self._bus: list[BusSubscription] = []
        self._tasks = BackgroundTasks("websocket")
        self._money = LiveMoney(hub, self._tasks)
        self._tick = PeriodicTask("websocket", limits.tick_s, self._look_at_all, self.clock)

    # --- life

    async def start(self) -> None:
        """Take over the state of the hub and follow it from here on."""
        self.accounts = await request(self.hub.auth, GetAuthBook())
        bus, now_ms = self.hub.bus, self.clock.now_ms()
        self._bus = [
            bus.subscribe(StatesChanged, self._on_states),
            bus.subscribe(SeriesAdded, self._on_series),
            bus.subscribe(DeviceChanged, self._on_device),
            bus.subscribe(AvailabilityChanged, self._on_availability),
            bus.subscribe(SessionEnded, self._on_session),
            bus.subscribe(RoleChanged, self._on_role),
        ]
        self.book.load(now_ms)
        for view in await request(self.hub.device, GetDevices()):
            self.book.set_availability(view.device.id, view.availability, now_ms, now_ms)
        self._tick.start()
        self._tasks.spawn(self._follow_live(), name="live")

    def close_all(self) -> None:
        """Say goodbye to every connection: the hub stops."""
        self.closing = True
        for client in self.clients:
            client.closing = True
        for hang_up in [*self.connections.values()]:
            hang_up(GOING_AWAY, "the hub stops")

    async def stop(self) -> None:
        """Follow the hub no more."""
        for subscription in self._bus:
            subscription.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await self._tick.stop()
        await self._tasks.close()

    # --- clients

    def join(self, client: Client) -> None:
        """A connection has signed in."""
        self.settle()
        self.clients[client] = None

    def leave(self, client: Client) -> None:
        """A connection has ended."""
        self.clients.pop(client, None)
        for subscription_id in [*client.subscriptions]:
            self.unsubscribe(client, subscription_id)

    def channel(self, key: tuple[object, ...], make: Callable[[], Channel]) -> Channel:
        """The channel of a key, made if nobody uses it yet."""
        return self.channels.get(key) or make()

    def subscribe(self, client: Client, subscription_id: int, channel: Channel, since: int) -> None:
        """News of ``channel`` after flush ``since`` go to the client from now on."""
        self.channels.setdefault(channel.key, channel)
        channel.users += 1
        client.begin(self.clock.monotonic_s())
        client.subscriptions[subscription_id] = Subscription(subscription_id, channel, since)
        if since < self.book.seq:
            self.catch_up(client)
        if channel is self.live:
            self._changed.set()

    def unsubscribe(self, client: Client, subscription_id: int) -> bool:
        """End a subscription; false if there is none of this id."""
        subscription = client.subscriptions.pop(subscription_id, None)
        if subscription is None:
            return False
        subscription.channel.users -= 1
        if not subscription.channel.users:
            self.channels.pop(subscription.channel.key, None)
        return True

    def pong(self, client: Client, payload: bytes) -> None:
        """A client has read up to a mark; if it was held back it gets the newest values now."""
        client.pong(payload, self.clock.monotonic_s())
        if client.behind:
            self.catch_up(client)

    def catch_up(self, client: Client) -> None:
        """Send what a client has missed, if it is ready for it."""
        self.settle()
        client.offer(self.book.seq, self.clock.monotonic_s())

    def states(self, render: Callable[[StateBook], bytes]) -> bytes:
        """All states as JSON, rendered once between two flushes."""
        self.settle()
        if self._states is None:
            self._states = render(self.book)
        return self._states

    def end(self, client: Client, code: int, reason: str) -> None:
        """Close a connection; it gets nothing more but the close frame."""
        if not client.closing:
            client.closing = True
            client.hang_up(code, reason)

    # --- facts

    def _on_states(self, event: StatesChanged) -> None:
        self._pending.update(newest_of(event))
        self.schedule()

    def _on_series(self, event: SeriesAdded) -> None:
        self.book.add(event.series, self.clock.now_ms())
        self.schedule()

    def _on_device(self, event: DeviceChanged) -> None:
        self._changed.set()  # a role decides on which side of the balance a device is
        if event.removed:
            changed = self.book.drop_device(event.device.id)
        else:
            changed = self.book.rename(event.device, self.clock.now_ms())
        if changed:
            self.schedule()

    def _on_availability(self, event: AvailabilityChanged) -> None:
        now_ms = self.clock.now_ms()
        self._changed.set()
        if self.book.set_availability(event.device_id, event.availability, event.since_ms, now_ms):
            self.schedule()

    def _on_session(self, event: SessionEnded) -> None:
        whole_user = event.session_id is None and event.token_id is None
        for client in self.clients:
            who = client.principal
            if who.user_id == event.user_id and (
                whole_user
                or (event.session_id is not None and who.session_id == event.session_id)
                or (event.token_id is not None and who.token_id == event.token_id)
            ):
                self.end(client, SESSION_ENDED, "session ended")

    def _on_role(self, event: RoleChanged) -> None:
        for client in self.clients:
            if client.principal.user_id == event.user_id:
                self.end(client, SESSION_ENDED, "roles changed")

    # --- flushing

    def schedule(self) -> None:
        """Flush as soon as the distance to the last flush allows; while nobody listens, news just wait."""
        if self._timer is not None or self.closing or not self.clients:
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._planned_s = max(now_s, self._next_s)
        if self._planned_s <= now_s:
            self._timer = loop.call_soon(self._flush)
        else:
            self._timer = loop.call_at(self._planned_s, self._flush)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        begun_cpu_s = time.thread_time()
        self._timer = None
        self._take_pending()
        seq, now_s = self.book.seq, self.clock.monotonic_s()
        for client in self.clients:
            client.offer(seq, now_s)
        pause_s = PAUSE_PER_WORK * (time.thread_time() - begun_cpu_s)
        distance_s = min(max(pause_s, self.limits.flush_min_s), self.limits.flush_max_s)
        # from the planned time on: a late turn of the loop must not make all later ones late
        self._next_s = max(self._planned_s + distance_s, loop.time())

    def settle(self) -> None:
        """Show in the book what has happened but was not sent yet, so that an answer is never behind."""
        if self._pending or self.book.dirty:
            self._take_pending()

    def _take_pending(self) -> None:
        pending, self._pending = self._pending, {}
        self.book.apply(pending, self.clock.now_ms())
        self._states = None
        for channel in self.channels.values():
            channel.forget()
        if pending:
            self._changed.set()

    async def _look_at_all(self) -> None:
        """Once a second: rights, stuck clients, heartbeats, and what clients missed that read again."""
        self._ticks += 1
        now_ms, now_s = self.clock.now_ms(), self.clock.monotonic_s()
        if self._ticks % SWEEP_EVERY_TICKS == 0 and self.book.sweep(now_ms):
            self.schedule()
        for client in [*self.clients]:
            if not self._may_stay(client, now_ms):
                self.end(client, SESSION_ENDED, "session ended")
            elif not client.check(now_s):
                LOGGER.info("a websocket client does not read and is closed")
                self.end(client, TRY_LATER, "does not read")
            elif client.behind:
                self.catch_up(client)

    def _may_stay(self, client: Client, now_ms: int) -> bool:
        try:
            renewed = self.accounts.renew(client.principal, now_ms)
        except Unauthenticated:
            return False
        return renewed.permissions == client.principal.permissions

    # --- the balance

    async def _follow_live(self) -> None:
        """Ask for the balance while somebody watches: after changes, and slowly without any (things grow stale)."""
        changed = True
        while True:
            if not self.live.users:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._changed.clear()
            await self._ask_live(changed)
            await asyncio.sleep(LIVE_EVERY_S)
            changed = await self._change_within(LIVE_QUIET_S)

    async def _ask_live(self, changed: bool) -> None:
        try:
            balance = (await request(self.hub.processing, GetLive())).as_json()
            balance |= self._money.shown()
        except WattlineError as error:
            if self._live_failing != error.code:
                LOGGER.warning("no live balance: %s", error)
            self._live_failing = error.code
            return
        self._live_failing = ""
        meaning = {name: value for name, value in balance.items() if name != "ts"}
        if changed or meaning != self._live_meaning:
            self._live_meaning = meaning
            self.live.put(orjson.dumps(balance))
            self.schedule()

    async def _change_within(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                return await self._changed.wait()
        except TimeoutError:
            return False
