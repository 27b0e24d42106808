"""Received messages → stored batches → acknowledgements, in the order of arrival.

One worker takes what has arrived since the last turn, has it decoded into one batch, waits for the commit and
acknowledges the whole group in one write. A batch is never overtaken by a later one, so that readings without a
device time keep their order. While the store says "later", nothing is acknowledged: the receive window of the
session fills and the broker keeps the rest.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hub.plugins.api import Intake, ReadingBatch, Rejection, RetryLater
from integrations.mqtt.connection import RECEIVE_MAXIMUM, Link
from integrations.mqtt.wire import DUP, TOO_LARGE, Record

LOGGER = logging.getLogger(__name__)
GROUP_RECORDS = 2000
GROUP_ROWS = 10_000
QOS0_LIMIT = 20_000
HELD_LIMIT_BYTES = 32 * 1024 * 1024
PAYLOAD_LIMIT_BYTES = 64 * 1024
_CONGESTED_S = 0.05
_RETRY_FIRST_S, _RETRY_CAP_S = 0.05, 5.0

Answer = TypeVar("Answer")
Process = Callable[[list[Record], int, ReadingBatch], Awaitable[int]]
"""Decodes records from a position on into the batch; returns the position it came to."""


class Inflow:
    """The queue between the tap and the store.

    Args:
        intake: where batches go.
        process: decodes.
        is_control: topics (discovery, availability) that are handled even while others are held.
    """

    def __init__(self, intake: Intake, process: Process, is_control: Callable[[bytes], bool]) -> None:
        self._intake = intake
        self._process = process
        self._is_control = is_control
        self._link: Link | None = None
        self._records: list[Record] = []
        self._seen = 0
        self._held_bytes = 0
        self._orphans: list[Record] = []
        self._current: list[Record] = []
        self._acked: deque[list[Record]] = deque()
        self._acked_records = 0
        self._doubtful: dict[bytes, Record] = {}
        self._wake = asyncio.Event()
        self._holding = False
        self._closing = False
        self.received = 0
        self.dropped = 0
        self._dropping = False

    def arrived(self) -> None:
        """Messages were appended to the records of the connection."""
        self._wake.set()
        records = self._records
        if len(records) <= self._seen:
            return
        size = 0
        self.received += len(records) - self._seen
        for position in range(self._seen, len(records)):
            record = records[position]
            length = len(record.payload)
            if length > PAYLOAD_LIMIT_BYTES and not self._is_control(record.topic):
                records[position] = Record(
                    record.topic, record.payload[:1024], record.mid, record.head | TOO_LARGE
                )
                length = 1024
            size += length
        self._held_bytes += size
        if len(records) > QOS0_LIMIT or self._held_bytes > HELD_LIMIT_BYTES:
            self._shed()
        self._seen = len(records)

    def hold(self, holding: bool) -> None:
        """Keep all but control messages waiting: a backlog must not be decoded before discovery is known."""
        self._holding = holding
        self._wake.set()

    def connected(self, link: Link) -> None:
        """Go on with the messages of a new connection.

        With its session still there the broker repeats what was not acknowledged: what had not been looked at
        is forgotten, and what was stored meanwhile is recognised by packet id and content. Without the session
        nothing comes again, so everything is kept.
        """
        kept = [record for record in self._records if not record.mid]
        if link.session_present:
            recent = [record for group in self._acked for record in group]
            self._doubtful = {record.mid: record for record in recent[-RECEIVE_MAXIMUM:]}
            self._doubtful |= {record.mid: record for record in self._current if record.mid}
        else:
            kept = [record._replace(mid=b"") for record in self._orphans] + kept
            self._doubtful = {}
        self._orphans = []
        self._acked.clear()
        self._acked_records = 0
        link.records[:0] = kept
        self._records = link.records
        self._held_bytes = self._seen = 0
        self._link = link
        self.arrived()

    def disconnected(self) -> None:
        """The connection is gone: nothing of it can be acknowledged any more."""
        self._link = None
        self._orphans += [record for record in self._records if record.mid]
        self._records[:] = [record for record in self._records if not record.mid]
        self._seen = len(self._records)

    async def work(self) -> None:
        """Decode, store, acknowledge; for ever.

        Raises:
            WattlineError: the store refuses for good.
        """
        while not self._closing:
            group = self._take()
            if not group:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._settle(group, self._link)

    async def close(self, worker: asyncio.Task[None], timeout_s: float) -> None:
        """Let the worker finish what it has in hand, then end it."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([worker], timeout=timeout_s)
        worker.cancel()
        await asyncio.wait([worker])

    async def insist(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask the hub again and again while it answers "later"; nothing is acknowledged meanwhile."""
        ceiling_s = _RETRY_FIRST_S
        while True:
            try:
                return await ask()
            except RetryLater as error:
                LOGGER.debug("the hub takes no readings now, asking again: %s", error)
            await asyncio.sleep(random.uniform(ceiling_s / 2, ceiling_s))
            ceiling_s = min(ceiling_s * 2, _RETRY_CAP_S)

    def _take(self) -> list[Record]:
        records = self._records
        if self._holding:
            group = [record for record in records if self._is_control(record.topic)]
            records[:] = [record for record in records if not self._is_control(record.topic)]
        else:
            group = records[:GROUP_RECORDS]
            del records[:GROUP_RECORDS]
        self._seen = len(records)
        self._held_bytes -= sum([len(record.payload) for record in group])
        if not records:
            self._held_bytes = 0
            self._dropping = False
        return group

    async def _settle(self, group: list[Record], link: Link | None) -> None:
        self._current = group
        fresh = self._without_repeats(group) if self._doubtful else group
        at = 0
        while at < len(fresh):
            while self._intake.congested:  # noqa: ASYNC110  # a property of the hub, nothing to wait for
                await asyncio.sleep(_CONGESTED_S)
            batch = self._intake.batch()
            at = await self._process(fresh, at, batch)
            if len(batch):
                await self.insist(lambda batch=batch: self._intake.store(batch))  # type: ignore[misc]
        self._current = []
        mids = [record.mid for record in group if record.mid]
        if not mids:
            return
        if link is not None and link is self._link:
            link.ack(mids)
        if link is self._link or self._link is None:
            self._remember(group)  # also what was stored while no connection could be told of it

    def _remember(self, group: list[Record]) -> None:
        """Keep what the broker may not have heard of: never more than its window."""
        self._acked.append(group)
        self._acked_records += len(group)
        while self._acked_records - len(self._acked[0]) >= RECEIVE_MAXIMUM:
            self._acked_records -= len(self._acked.popleft())

    def _without_repeats(self, group: list[Record]) -> list[Record]:
        fresh = []
        for record in group:
            known = self._doubtful.pop(record.mid, None) if record.mid else None
            if known is None or not record.head & DUP or known[:2] != record[:2]:
                fresh.append(record)
        return fresh

    def _shed(self) -> None:
        """Drop the newest QoS 0 messages over the limit; QoS 1 is bounded by the receive window."""
        records, kept = self._records, self._records[: self._seen]
        held_bytes = sum([len(record.payload) for record in kept])
        for record in records[self._seen :]:
            fits = len(kept) < QOS0_LIMIT and held_bytes < HELD_LIMIT_BYTES
            if fits or record.mid or self._is_control(record.topic):
                kept.append(record)
                held_bytes += len(record.payload)
        gone = len(records) - len(kept)
        if not gone:
            return
        records[:] = kept
        self._held_bytes = held_bytes
        self.dropped += gone
        if not self._dropping:
            self._dropping = True
            text = "messages of QoS 0 come faster than they can be stored and are dropped; use QoS 1"
            LOGGER.warning(text)
            self._intake.reject([Rejection(0, "WL-MQT-016", text)])
