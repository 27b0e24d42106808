"""What the processing actor reads and writes: derived rows with their marks, in single transactions.

Three kinds of marks stand in ``dirty_ranges``: ``readings`` (a slot whose readings are not derived yet; written by
the recorder), ``days`` (a local day whose slots changed; written with the slots) and those of decisions of people,
such as ``correction 7`` (written with the decision). A mark goes away in the transaction that makes it needless, or
after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.actors.history import day_rows
from hub.actors.marks import CAUSE, MarkBook
from hub.actors.registry import Registry
from hub.energy.calendar import local_days, zone_version
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.model.series import Series
from hub.storage import sealing, slots, tables
from hub.storage.database import Database
from hub.storage.decisions import decided_extents
from hub.storage.readings import stat
from hub.storage.rederive import Rederived, rederive
from hub.storage.registry import load_setting, save_setting

DAYS = "days"
ZONE = "zone"
_ZONE_SETTING = "derived.zone"
_FOR_EVER_MS = 1 << 53
ROWS_PER_JOB = 1_000
DAYS_PER_JOB = 100
DAY_MS = 86_400_000
SPANS_PER_JOB_MS = 5 * DAY_MS
SEALED_PER_TURN = 1_000
COMPACT_AFTER_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Span:
    """``[start_ms, end_ms)``."""

    start_ms: int
    end_ms: int

    def joined(self, other: Span) -> Span:
        """The shortest span that holds both."""
        return Span(min(self.start_ms, other.start_ms), max(self.end_ms, other.end_ms))


Decision = tuple[int, int, int, str]
"""``(series, start_ms, end_ms, cause)``: the mark of something that a person decided."""


class DerivationStore:
    """Derived rows of all series; keeps in memory which days wait for their sums."""

    def __init__(self, database: Database, marks: MarkBook, zone: str, seal_after_ms: int) -> None:
        self._database = database
        self._marks = marks
        self._zone = zone
        self._zone_version = zone_version()
        self._seal_after_ms = seal_after_ms
        self.dirty_days: dict[int, set[tuple[int, int]]] = {}
        self._rezoned: set[int] = set()
        self._decisions: set[Decision] = set()
        self.revision = 1

    def dirty(self, number: int) -> Collection[tuple[int, int]] | None:
        """Local days ``(start_ms, end_ms)`` of a series that are not summed yet; None where all are not."""
        return None if number in self._rezoned else self.dirty_days.get(number, ())

    async def follow_zone(self, numbers: Sequence[int]) -> None:
        """Mark all days of all series where the zone, or its rules, are not those they were summed with."""
        wanted = f"{self._zone} {self._zone_version}"
        known = await self._database.read(lambda conn: load_setting(conn, _ZONE_SETTING))
        if known == wanted:
            return
        now_ms = self._database.now_ms()

        def job(conn: sa.Connection) -> None:
            save_setting(conn, _ZONE_SETTING, wanted)
            if known is not None and numbers:
                marks = [_mark(number, 0, _FOR_EVER_MS, ZONE, now_ms) for number in numbers]
                conn.execute(_MARK, marks)

        await self._database.write(job, label="zone")

    async def _sum_again(self, registry: Registry) -> None:
        """Days of series that were summed by other borders: taken away, then marked one by one."""
        for number in sorted(self._rezoned):
            span = (await self.stored_spans([number])).get(number) if registry.by_no(number) else None
            days = self._new_days([(number, span.start_ms, span.end_ms)]) if span else []

            def job(conn: sa.Connection, number: int = number, days: Any = days) -> None:
                slots.delete_rows(conn, number, slots.DAY, 0, _FOR_EVER_MS)
                _mark_days(conn, days, self._database.now_ms())
                _delete_mark(conn, number, 0, _FOR_EVER_MS, ZONE)

            await self._database.write(job, label="zone")
            self._note_days(days)
            self._rezoned.discard(number)

    async def load_marks(self) -> list[tuple[int, int, int]]:
        """Marked ranges ``(series, start_ms, end_ms)`` to derive; the book and the dirty days are filled."""
        table = tables.dirty_ranges
        rows = await self._database.read(
            lambda conn: conn.execute(
                sa.select(table.c.series, table.c.start_ms, table.c.end_ms, table.c.cause)
            ).fetchall()
        )
        ranges = []
        for number, start_ms, end_ms, cause in rows:
            if cause == ZONE:
                self._rezoned.add(number)
            elif cause == DAYS:
                self.dirty_days.setdefault(number, set()).add((start_ms, end_ms))
            else:
                ranges.append((number, start_ms, end_ms))
                if cause != CAUSE:
                    self._decisions.add((number, start_ms, end_ms, cause))
        self._marks.load([(number, start_ms) for number, start_ms, _, cause in rows if cause == CAUSE])
        return ranges

    def note_decision(self, number: int, start_ms: int, end_ms: int, cause: str) -> None:
        """A mark of this cause stands in the store; it goes when its series has nothing left to derive."""
        self._decisions.add((number, start_ms, end_ms, cause))

    async def clear_decisions(self, is_settled: Callable[[int], bool]) -> None:
        """Take away the marks of decisions about series that have nothing left to derive."""
        done = [mark for mark in self._decisions if is_settled(mark[0])]
        if not done:
            return

        def job(conn: sa.Connection) -> None:
            for mark in done:
                _delete_mark(conn, *mark)

        await self._database.write(job, label="marks")
        self._decisions.difference_update(done)

    async def write_live(
        self, series: NDArray[np.int32], columns: SlotColumns, cleared: Sequence[tuple[int, int]]
    ) -> int:
        """Write folded slots and delete the marks that are done; returns the revision."""
        self.revision += 1
        for first in range(0, len(series), ROWS_PER_JOB):
            part = slice(first, first + ROWS_PER_JOB)
            await self._write(self._rows(series[part], columns.take(part)))
        if cleared:
            await self._database.write(lambda conn: _delete_marks(conn, cleared), label="marks")
        return self.revision

    async def rederive(self, wanted: Sequence[tuple[Series, Span]]) -> list[Rederived]:
        """Derive ranges again and replace their rows; marks inside the ranges that are past go away."""
        self.revision += 1
        results: list[Rederived] = []
        for group in _by_work(wanted):
            found = await self._database.read(
                lambda conn, group=group: [  # type: ignore[misc]  # bound per turn
                    rederive(conn, series, span.start_ms, span.end_ms) for series, span in group
                ]
            )
            await self._replace(found)
            results += found
        return results

    async def _replace(self, results: Sequence[Rederived]) -> None:
        now_ms = self._database.now_ms()
        closed_ms = _closed_before(slots.SLOT, now_ms)
        new_days = self._new_days([(one.series, one.start_ms, one.end_ms) for one in results])

        def job(conn: sa.Connection) -> None:
            for one in results:
                columns = one.derived.slots
                rows = self._rows(np.full(len(columns), one.series, np.int32), columns)
                slots.replace(conn, one.series, rows, one.start_ms, one.end_ms, closed_ms)
            _mark_days(conn, new_days, now_ms)

        await self._database.write(job, label="slots")
        self._note_days(new_days)

    async def _write(self, rows: slots.MetricRows) -> None:
        new_days = self._new_days(_spans(rows))

        def job(conn: sa.Connection) -> None:
            slots.write_rows(conn, rows)
            _mark_days(conn, new_days, self._database.now_ms())

        await self._database.write(job, label="slots")
        self._note_days(new_days)

    def _rows(self, series: NDArray[np.int32], columns: SlotColumns) -> slots.MetricRows:
        return slots.MetricRows(slots.SLOT, series, columns.start_ms + SLOT_MS, columns, self.revision)

    # --- days

    def _new_days(self, spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Local days of these spans ``(series, start_ms, end_ms)`` that are not marked yet."""
        new: list[tuple[int, int, int]] = []
        days_of: dict[tuple[int, int], list[tuple[int, int]]] = {}  # most series have the same span
        for number, start_ms, end_ms in spans:
            key = (start_ms, end_ms)
            if key not in days_of:
                days = local_days(self._zone, start_ms, end_ms)
                days_of[key] = list(zip(days.start_ms.tolist(), days.end_ms.tolist(), strict=True))
            known = self.dirty_days.get(number, ())
            for first_ms, last_ms in days_of[key]:
                if (first_ms, last_ms) not in known and first_ms < last_ms:
                    new.append((number, first_ms, last_ms))
        return new

    def _note_days(self, days: Iterable[tuple[int, int, int]]) -> None:
        for number, start_ms, end_ms in days:
            self.dirty_days.setdefault(number, set()).add((start_ms, end_ms))

    async def derive_days(self, registry: Registry) -> None:
        """Sum up the days that are over; the running day is summed when it is asked for."""
        if self._rezoned:
            await self._sum_again(registry)
        now_ms = self._database.now_ms()
        due = [
            (number, start_ms, end_ms)
            for number, days in self.dirty_days.items()
            for start_ms, end_ms in days
            if end_ms <= now_ms
        ]
        due.sort()
        for first in range(0, len(due), DAYS_PER_JOB):
            await self._derive_day_rows(due[first : first + DAYS_PER_JOB], registry)

    async def _derive_day_rows(self, days: list[tuple[int, int, int]], registry: Registry) -> None:
        """Sum days, given in order of series and time, and take their marks away in the same transaction.

        Only this actor's one turn of work writes slots, so none of them changes between reading and writing.
        """
        runs = [run for run in _day_runs(days) if registry.by_no(run.number) is not None]
        sums = await self._database.read(lambda conn: [_sum_days(conn, run) for run in runs])
        closed_ms = _closed_before(slots.DAY, self._database.now_ms())

        def job(conn: sa.Connection) -> None:
            for run, columns in zip(runs, sums, strict=True):
                rows = self._day_rows(run, columns)
                slots.replace(conn, run.number, rows, int(run.starts[0]), int(run.ends[-1]), closed_ms)
            for number, start_ms, end_ms in days:
                _delete_mark(conn, number, start_ms, end_ms, DAYS)

        await self._database.write(job, label="days")
        for number, start_ms, end_ms in days:
            self.dirty_days[number].discard((start_ms, end_ms))
            if not self.dirty_days[number]:
                del self.dirty_days[number]

    def _day_rows(self, run: _Run, columns: SlotColumns) -> slots.MetricRows:
        return slots.MetricRows(
            slots.DAY,
            np.full(len(columns), run.number, np.int32),
            run.ends[np.searchsorted(run.starts, columns.start_ms)],
            columns,
            self.revision,
            self._zone,
            self._zone_version,
        )

    # --- housekeeping

    async def keep_house(self, now_ms: int) -> int:
        """Seal days of readings and move older slots and days into blocks, one small transaction each."""
        days = await self._database.read(
            lambda conn: sealing.days_to_seal(conn, now_ms, self._seal_after_ms, at_most=SEALED_PER_TURN)
        )
        for number, day in days:
            await self._seal(number, day)
        moved = len(days)
        for resolution in (slots.SLOT, slots.DAY):
            moved += await self._compact(resolution, now_ms)
        return moved

    async def _seal(self, number: int, day: int) -> None:
        left = True
        while left:  # in slices, so that readings that arrive never wait long
            left = (
                await self._database.write(lambda conn: sealing.seal_day(conn, number, day), label="seal")
            ).left

    async def _compact(self, resolution: str, now_ms: int) -> int:
        before_ms = _closed_before(resolution, now_ms)
        found = await self._database.read(lambda conn: slots.periods_to_compact(conn, resolution, before_ms))
        for number, period_ms in found:
            await self._database.write(
                lambda conn, number=number, period_ms=period_ms: slots.compact(  # type: ignore[misc]  # bound per turn
                    conn, number, resolution, period_ms, before_ms
                ),
                label="compact",
            )
        return len(found)

    async def stored_spans(self, numbers: Sequence[int]) -> dict[int, Span]:
        """What each series has: from its first reading or derived row to its last; nothing for the empty ones."""

        def job(conn: sa.Connection) -> dict[int, Span]:
            found = {number: _span_of(conn, number) for number in numbers}
            return {number: span for number, span in found.items() if span is not None}

        return await self._database.read(job)


def _span_of(conn: sa.Connection, number: int) -> Span | None:
    readings, derived = stat(conn, number), slots.extent(conn, number, slots.SLOT)
    spans = [Span(derived[0], derived[1] + 1)] if derived else []
    if readings.first_ms is not None and readings.last_ms is not None:
        spans.append(Span(readings.first_ms, readings.last_ms + 1))
    spans += [Span(*one) for one in decided_extents(conn, number)]
    return Span(min(one.start_ms for one in spans), max(one.end_ms for one in spans)) if spans else None


def _spans(rows: slots.MetricRows) -> list[tuple[int, int, int]]:
    """First and last slot of each series among the rows."""
    if not len(rows.series):
        return []
    order = np.lexsort((rows.columns.start_ms, rows.series))
    series, starts = rows.series[order], rows.columns.start_ms[order]
    first = np.flatnonzero(np.diff(series, prepend=-1))
    last = np.append(first[1:], len(series)) - 1
    ends = starts[last] + SLOT_MS
    return list(zip(series[first].tolist(), starts[first].tolist(), ends.tolist(), strict=True))


def _by_work(wanted: Sequence[tuple[Series, Span]]) -> list[list[tuple[Series, Span]]]:
    """Short ranges together, long ones alone: neither reading nor writing them may take long."""
    groups: list[list[tuple[Series, Span]]] = []
    room_ms = 0
    for series, span in wanted:
        length_ms = span.end_ms - span.start_ms
        if not groups or length_ms > room_ms:
            groups.append([])
            room_ms = SPANS_PER_JOB_MS
        groups[-1].append((series, span))
        room_ms -= length_ms + SLOT_MS
    return groups


def _closed_before(resolution: str, now_ms: int) -> int:
    """Rows that start before this lie in blocks; days change a little longer than the slots they are made of."""
    border_ms = (now_ms - COMPACT_AFTER_MS) // DAY_MS * DAY_MS
    return border_ms - 2 * DAY_MS if resolution == slots.DAY else border_ms


@dataclass(frozen=True, slots=True)
class _Run:
    """Days of one series that follow each other."""

    number: int
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def _day_runs(days: Sequence[tuple[int, int, int]]) -> list[_Run]:
    """Days in order of series and time, joined where one begins as the other ends."""
    runs: list[list[tuple[int, int, int]]] = []
    for day in days:
        follows = runs and runs[-1][-1][0] == day[0] and runs[-1][-1][2] == day[1]
        if follows:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [
        _Run(run[0][0], np.array([day[1] for day in run]), np.array([day[2] for day in run])) for run in runs
    ]


def _sum_days(conn: sa.Connection, run: _Run) -> SlotColumns:
    first_ms, last_ms = int(run.starts[0]), int(run.ends[-1])
    columns = slots.read(conn, [run.number], slots.SLOT, first_ms, last_ms)[run.number]
    return day_rows(columns, run.starts, run.ends)


def _mark(number: int, start_ms: int, end_ms: int, cause: str, now_ms: int) -> dict[str, Any]:
    return {"series": number, "start_ms": start_ms, "end_ms": end_ms, "cause": cause, "created_ms": now_ms}


def _mark_days(conn: sa.Connection, days: Sequence[tuple[int, int, int]], now_ms: int) -> None:
    if days:
        conn.execute(
            _MARK,
            [
                {
                    "series": number,
                    "start_ms": start_ms,
                    "end_ms": end_ms,
                    "cause": DAYS,
                    "created_ms": now_ms,
                }
                for number, start_ms, end_ms in days
            ],
        )


_MARK = sa.text(
    "INSERT INTO dirty_ranges (series, start_ms, end_ms, cause, created_ms)"
    " VALUES (:series, :start_ms, :end_ms, :cause, :created_ms) ON CONFLICT DO NOTHING"
)


def _delete_marks(conn: sa.Connection, marks: Sequence[tuple[int, int]]) -> None:
    for number, start_ms in marks:
        _delete_mark(conn, number, start_ms, start_ms + SLOT_MS, CAUSE)


def _delete_mark(conn: sa.Connection, number: int, start_ms: int, end_ms: int, cause: str) -> None:
    conn.execute(_UNMARK, {"series": number, "start_ms": start_ms, "end_ms": end_ms, "cause": cause})


_UNMARK: Any = sa.text(
    "DELETE FROM dirty_ranges WHERE series = :series AND start_ms = :start_ms"
    " AND end_ms = :end_ms AND cause = :cause"
)
