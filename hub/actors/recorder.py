"""Recorder actor: reading batches in, committed rows out; the only writer of readings.

In: :class:`StoreReadings` (answered after the commit, fsynced), :class:`NoteRejections`.
Out: :class:`hub.model.events.ReadingsStored`, and :class:`hub.model.events.HealthChanged` when storing fails
or works again.

Group commit: while one commit runs everything that arrives waits, and the next commit takes it all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hub.actors.marks import MarkBook
from hub.actors.registry import Registry
from hub.bus import EventBus
from hub.errors import Bug, DiskFull, QueueFull, Rejection, StorageAway, StorageCorrupt, WattlineError
from hub.model.admission import Admitted, Frontier, TimeLimits, admit
from hub.model.events import HealthChanged, ReadingsStored
from hub.model.names import printable
from hub.model.reading import ReadingBatch, ReadingColumns, Stored, columns_of
from hub.runtime.actor import AsyncActor, Request
from hub.runtime.clock import Clock
from hub.storage.batches import AppendOutcome, AppendRows, QuarantineRow
from hub.storage.database import Database

LOGGER = logging.getLogger(__name__)

QUEUE_LIMIT_VALUES = 200_000
COMMIT_LIMIT_VALUES = 20_000
CONGESTED_SHARE = 0.8
QUARANTINE_PER_COMMIT = 200
HELD_PER_COMMIT = 50_000
"""Readings of one commit that are kept aside, such as the backlog of a device with a wrong clock; the table keeps
the newest 100,000."""
PAYLOAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class StoreReadings(Request[Stored]):
    """Store a batch; the answer comes after the commit. ``columns`` are its readings as arrays, if at hand.

    Raises:
        QueueFull: the queue (200,000 values) is over 80 % full.
        DiskFull, StorageAway, StorageCorrupt: nothing of the batch is stored.
    """

    batch: ReadingBatch
    columns: ReadingColumns | None = None


@dataclass(frozen=True, slots=True)
class NoteRejections:
    """What an integration could not read at all: counted and kept in the quarantine list."""

    source: str
    rejections: tuple[Rejection, ...]
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class SetTimeLimits:
    """A reloaded configuration believes other device times."""

    limits: TimeLimits


@dataclass(frozen=True, slots=True)
class RecorderState:
    """What the recorder did since it started, and how it is."""

    queued_values: int
    queue_limit: int
    oldest_wait_s: float
    committed: int
    deduplicated: int
    conflicts: int
    rejected: dict[str, int]
    commits: int
    seq: int
    stored_up_to_ms: int
    failing: str
    disk_full: bool
    corrupt: bool


@dataclass(frozen=True, slots=True)
class GetRecorderState(Request[RecorderState]):
    """Ask for the counters and the state of the queue."""


@dataclass(slots=True)
class Tally:
    """What became of readings since the process started; it outlives a restart of the recorder."""

    committed: int = 0
    deduplicated: int = 0
    conflicts: int = 0
    commits: int = 0
    stored_up_to_ms: int = 0
    seq: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class IngestLoad:
    """The queue and the counts as everyone on the loop may see them, without asking."""

    values: int = 0
    limit: int = QUEUE_LIMIT_VALUES
    oldest_since_s: float | None = None
    tally: Tally = field(default_factory=Tally)

    @property
    def congested(self) -> bool:
        """Over 80 % of the queue."""
        return self.values > self.limit * CONGESTED_SHARE


@dataclass(slots=True)
class _Waiting:
    batch: ReadingBatch
    columns: ReadingColumns
    answer: asyncio.Future[Any]
    since_s: float

    def __len__(self) -> int:
        return len(self.columns.series)


class RecorderActor(AsyncActor):
    """Owns the ingest queue and the group commit."""

    inbox_limit = 20_000

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        clock: Clock,
        *,
        registry: Registry,
        frontier: Frontier,
        marks: MarkBook,
        load: IngestLoad,
        limits: TimeLimits,
    ) -> None:
        super().__init__()
        self._database = database
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._frontier = frontier
        self._marks = marks
        self._load = load
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._quarantine: list[QuarantineRow] = []
        self._pump: asyncio.Task[None] | None = None
        self._tally = load.tally
        self._failing: WattlineError | None = None
        self._load.values = 0

    def on_receive(self, message: Any) -> Any:
        """Take a batch into the queue, or tell how the queue is."""
        match message:
            case StoreReadings(batch, columns):
                return self._enqueue(batch, columns)
            case NoteRejections(source, rejections, payload):
                self._note(source, rejections, payload)
            case SetTimeLimits(limits):
                self._limits = limits
            case GetRecorderState():
                return self._state()
            case _:
                return super().on_receive(message)
        return None

    async def teardown(self) -> None:
        """Commit what waits, so that a stop loses nothing that could still be stored."""
        if self._pump is not None:
            await self._pump

    def _enqueue(self, batch: ReadingBatch, columns: ReadingColumns | None) -> asyncio.Future[Any]:
        if self._load.values + len(batch) > self._load.limit * CONGESTED_SHARE and self._load.values:
            raise QueueFull(
                "WL-ING-050",
                f"{self._load.values} values wait to be stored, the queue takes {self._load.limit}",
                hint="send the same again after Retry-After",
                retry_after_s=2.0,
            )
        answer = self.deferred()
        if not len(batch):
            answer.set_result(Stored())
            return answer
        columns = columns or columns_of(batch)
        self._queue.append(_Waiting(batch, columns, answer, self._clock.monotonic_s()))
        self._load.values += len(batch)
        self._wake()
        return answer

    def _wake(self) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._commit_all(), name="recorder-commit")

    async def _commit_all(self) -> None:
        while self._queue or self._quarantine:
            waiting = self._take()
            self._load.oldest_since_s = waiting[0].since_s if waiting else None
            try:
                await self._commit(waiting)
            except WattlineError as error:
                self._fail(waiting, error)
            except Exception as error:
                LOGGER.exception("a commit failed for a reason of our own")
                self._fail(waiting, Bug("WL-REC-001", f"a commit failed: {type(error).__name__}"))
            finally:
                self._load.values -= sum(len(one) for one in waiting)
                self._load.oldest_since_s = self._queue[0].since_s if self._queue else None

    def _take(self) -> list[_Waiting]:
        """The oldest batches, up to one commit's worth; at least one, however large."""
        taken: list[_Waiting] = []
        room = COMMIT_LIMIT_VALUES
        while self._queue and (not taken or len(self._queue[0]) <= room):
            taken.append(self._queue.popleft())
            room -= len(taken[-1])
        return taken

    async def _commit(self, waiting: list[_Waiting]) -> None:
        admitted = self._admit(waiting)
        seq = self._tally.seq + 1
        marks = self._marks.needed(admitted.series, admitted.ts_ms, seq)
        quarantine = self._quarantine[:QUARANTINE_PER_COMMIT] + self._quarantined(waiting, admitted)
        rows = AppendRows(
            waiting[0].batch.arrival_ms if waiting else self._clock.now_ms(),
            admitted.series,
            admitted.ts_ms,
            admitted.values,
            admitted.flags,
            admitted.fresh,
            marks=marks,
            quarantine=quarantine,
            sources=_source_of_rows(waiting, admitted),
        )
        try:
            outcome = await self._append(rows)
        except BaseException:
            self._marks.forget(marks)
            raise
        del self._quarantine[:QUARANTINE_PER_COMMIT]
        self._tally.seq = seq
        self._recovered()
        self._publish(seq, admitted, outcome, rows.arrival_ms)
        self._answer(waiting, admitted, outcome)

    def _admit(self, waiting: Sequence[_Waiting]) -> Admitted:
        self._frontier.cover(self._registry.count)
        counts = [len(one) for one in waiting]
        return admit(
            self._frontier,
            *_joined([one.columns for one in waiting]),
            np.repeat(np.array([one.batch.arrival_ms for one in waiting], np.int64), counts),
            np.repeat(np.array([one.batch.imported for one in waiting], np.bool_), counts),
            self._limits,
            self._registry.deltas,
        )

    async def _append(self, rows: AppendRows) -> AppendOutcome:
        """One replay on a new connection, as a broken connection says nothing about the next one."""
        try:
            return await self._database.append(rows)
        except (DiskFull, StorageCorrupt):
            raise
        except StorageAway:
            return await self._database.append(rows)

    def _publish(self, seq: int, admitted: Admitted, outcome: AppendOutcome, arrival_ms: int) -> None:
        stored = outcome.outcome == 0
        new = int(stored.sum())
        tally = self._tally
        tally.commits += 1
        tally.committed += new
        if not new:
            return
        series, ts_ms, values, flags = admitted.series, admitted.ts_ms, admitted.values, admitted.flags
        if new < len(stored):
            series, ts_ms, values, flags = series[stored], ts_ms[stored], values[stored], flags[stored]
        tally.stored_up_to_ms = max(tally.stored_up_to_ms, int(ts_ms.max()))
        self._bus.publish(ReadingsStored(seq, arrival_ms, series, ts_ms, values, flags))

    def _answer(self, waiting: list[_Waiting], admitted: Admitted, outcome: AppendOutcome) -> None:
        results = outcome.outcome
        if not admitted.refused and not results.any():
            for one in waiting:
                _resolve(one.answer, Stored(accepted=len(one)))
            return
        first = 0
        by_row = dict(zip(admitted.row.tolist(), results.tolist(), strict=True))
        refused = {one.row: one for one in admitted.refused}
        held = {one.row for one in admitted.refused if one.quarantined}
        if len(held) > HELD_PER_COMMIT:
            held = set(sorted(held)[:HELD_PER_COMMIT])
        for one in waiting:
            rejections: list[Rejection] = []
            accepted = duplicates = 0
            for position in range(len(one)):
                row = first + position
                item = one.batch.item[position]
                name = self._registry.name_of(one.batch.series[position])
                if row in refused:
                    why = refused[row]
                    field = "ts" if why.code in _TIME_CODES else name
                    rejections.append(Rejection(item, why.code, why.text, field, row in held))
                elif by_row[row] == 2:
                    rejections.append(Rejection(item, "WL-ING-043", _CONFLICT, name))
                else:
                    accepted += by_row[row] == 0
                    duplicates += by_row[row] == 1
            self._tally.deduplicated += duplicates
            self._tally.rejected.update(rejection.code for rejection in rejections)
            self._tally.conflicts += sum(rejection.code == "WL-ING-043" for rejection in rejections)
            _resolve(one.answer, Stored(accepted, duplicates, tuple(rejections)))
            first += len(one)

    def _quarantined(self, waiting: list[_Waiting], admitted: Admitted) -> list[QuarantineRow]:
        """Rows for the refusals of this commit that can be imported again once their cause is gone."""
        wanted = {one.row: one for one in admitted.refused if one.quarantined}
        rows: list[QuarantineRow] = []
        first = 0
        for one in waiting if wanted else ():
            batch = one.batch
            for position in range(len(one)):
                why = wanted.get(first + position)
                if why is not None and len(rows) < HELD_PER_COMMIT:
                    number = batch.series[position]
                    rows.append(
                        QuarantineRow(
                            source=batch.source,
                            arrival_ms=batch.arrival_ms,
                            series=number,
                            ts_ms=batch.ts_ms[position],
                            value=repr(batch.values[position]),
                            code=why.code,
                            text=why.text,
                            field=self._registry.name_of(number),
                        )
                    )
            first += len(one)
        return rows

    def _note(self, source: str, rejections: tuple[Rejection, ...], payload: bytes) -> None:
        self._tally.rejected.update(rejection.code for rejection in rejections)
        room = QUARANTINE_PER_COMMIT * 5 - len(self._quarantine)
        arrival_ms = self._clock.now_ms()
        self._quarantine += [
            QuarantineRow(
                source=source,
                arrival_ms=arrival_ms,
                series=None,
                ts_ms=None,
                value=None,
                code=one.code,
                text=printable(one.text),
                field=printable(one.field),
                payload=payload[:PAYLOAD_BYTES],
            )
            for one in rejections[: max(room, 0)]
        ]
        self._wake()

    def _fail(self, waiting: list[_Waiting], error: WattlineError) -> None:
        """Nobody is acknowledged; the log and the bus hear of it once, not per batch."""
        del self._quarantine[:]  # a list for people must not grow while nothing can be written
        for one in waiting:
            if not one.answer.done():
                one.answer.set_exception(error)
        if self._failing is None or self._failing.code != error.code:
            LOGGER.error("readings cannot be stored: %s", error)
            self._bus.publish(HealthChanged("recorder", False, error.code, error.message))
        self._failing = error

    def _recovered(self) -> None:
        if self._failing is not None:
            LOGGER.info("readings are stored again")
            self._failing = None
            self._bus.publish(HealthChanged("recorder", True))

    def _state(self) -> RecorderState:
        tally = self._tally
        since = self._load.oldest_since_s
        return RecorderState(
            queued_values=self._load.values,
            queue_limit=self._load.limit,
            oldest_wait_s=self._clock.monotonic_s() - since if since is not None else 0.0,
            committed=tally.committed,
            deduplicated=tally.deduplicated,
            conflicts=tally.conflicts,
            rejected=dict(tally.rejected),
            commits=tally.commits,
            seq=tally.seq,
            stored_up_to_ms=tally.stored_up_to_ms,
            failing=self._failing.code if self._failing else "",
            disk_full=isinstance(self._failing, DiskFull),
            corrupt=isinstance(self._failing, StorageCorrupt),
        )


_TIME_CODES = frozenset({"WL-ING-033", "WL-ING-034", "WL-ING-035", "WL-ING-044"})
_CONFLICT = "another value is stored for this time; the first one wins and this one is kept as a conflict"


def _resolve(answer: asyncio.Future[Any], stored: Stored) -> None:
    if not answer.done():  # the asker may have gone
        answer.set_result(stored)


def _joined(batches: Sequence[ReadingColumns]) -> ReadingColumns:
    if len(batches) == 1:
        return batches[0]
    empty = columns_of(ReadingBatch("", 0))  # a commit may hold refusals alone
    return ReadingColumns(*(np.concatenate(column) for column in zip(empty, *batches, strict=True)))


def _source_of_rows(waiting: list[_Waiting], admitted: Admitted) -> list[str]:
    """Source per admitted row that is not fresh, which a conflict row names; empty where all are fresh."""
    if admitted.fresh.all():
        return []
    by_row = [one.batch.source for one in waiting for _ in range(len(one))]
    return [by_row[row] for row in admitted.row.tolist()]
