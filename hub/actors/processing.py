"""Processing actor: decides *what* is derived *when*; sums are in ``hub.energy``, rows in ``hub.storage``.

In: ``ReadingsStored``, ``RangesDirtied``, questions about history and live figures.
Out: ``SlotsDerived``.

Readings that come in order are folded in memory (:class:`hub.energy.live.LiveSlots`) and written every two
seconds. Whatever is not ordinary (late, a gap, a counter that fell) makes its range *dirty*: it is derived
again from the stored readings by the same pure function. Marks of both are in the store with their causes, so a
killed hub takes up where it was.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.actors.board import LatestBoard
from hub.actors.counting import CountingBook, CountingView, GetCounting, SetCounting
from hub.actors.derivation import DerivationStore, Span
from hub.actors.doubts import GetSuspects, find_suspects
from hub.actors.energy_desk import EnergyDesk
from hub.actors.energy_months import EnergySettings
from hub.actors.energy_requests import EnergyRequest
from hub.actors.explain_desk import ExplainDesk
from hub.actors.explain_requests import Explain
from hub.actors.history import History, HistoryReader, ReadingsPage
from hub.actors.live import LiveView, live_view
from hub.actors.marks import MarkBook
from hub.actors.money import MoneyDesk
from hub.actors.money_requests import MoneyRequest
from hub.actors.registry import Registry
from hub.bus import EventBus
from hub.energy.live import LiveSlots, Outcome
from hub.energy.slots import SLOT_MS, Rule
from hub.errors import RetryLater, StorageCorrupt
from hub.model.events import DeviceChanged, RangesDirtied, ReadingsStored, SlotsDerived
from hub.runtime.actor import AsyncActor, Request
from hub.runtime.clock import Clock
from hub.storage.database import Database
from hub.storage.rederive import Rederived

LOGGER = logging.getLogger(__name__)

SERIES_PER_TURN = 25
FAREWELL_S = 1.0
"""How long a stop may go on deriving."""
CLEARED_PER_TURN = 2_000
MAX_SPAN_MS = 31 * 86_400_000
"""Longer ranges are derived a month at a time, so that no read transaction is long."""


@dataclass(frozen=True, slots=True)
class GetHistory(Request[History]):
    """Figures of series by buckets. Raises NotFound for an unknown series, Refused for an absurd range."""

    series: tuple[str, ...]
    start_ms: int
    end_ms: int
    resolution: str = "auto"
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GetReadings(Request[ReadingsPage]):
    """Readings of one series, raw or ``corrected``, a page at a time; ``cursor`` is the ``next`` before."""

    series: str
    start_ms: int
    end_ms: int
    limit: int = 10_000
    cursor: int | None = None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class GetLive(Request[LiveView]):
    """The balance of the house now."""


@dataclass(frozen=True, slots=True)
class DerivationState:
    """How far derivation is behind; ``unwritten_slots`` are folded, but not in the store yet."""

    dirty_series: int
    unwritten_slots: int
    live_series: int
    marks: int
    seen_seq: int
    failing: str


@dataclass(frozen=True, slots=True)
class GetDerivationState(Request[DerivationState]):
    """Ask how far derivation is behind."""


@dataclass(frozen=True, slots=True)
class RebuildDerived(Request[int]):
    """Derive again from the readings, all series where none is named; the answer counts the series."""

    series: tuple[str, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class WorkNow(Request[None]):
    """Write what is folded and derive what is dirty; answered when that is done."""


@dataclass(frozen=True, slots=True)
class KeepHouse(Request[int]):
    """Seal days and compact months that are closed; the answer counts what was moved."""


@dataclass(slots=True)
class _Buffered:
    """Rows of a series that arrived while its range was being derived."""

    ts_ms: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    flags: list[NDArray[np.uint8]] = field(default_factory=list)


class ProcessingActor(AsyncActor):
    """Folds, derives, answers questions about the past."""

    inbox_limit = 50_000

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        clock: Clock,
        *,
        registry: Registry,
        board: LatestBoard,
        marks: MarkBook,
        zone: str,
        seal_after_ms: int,
        money: MoneyDesk | None = None,
        energy: EnergyDesk | None = None,
    ) -> None:
        super().__init__()
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._board = board
        self._marks = marks
        self._database = database
        self._store = DerivationStore(database, marks, zone, seal_after_ms)
        self._counting = CountingBook(database, registry, zone)
        self._reader = HistoryReader(database, registry, self._store, zone)
        self._money = money or MoneyDesk(database, registry, board, zone)
        self._energy = energy or EnergyDesk(database, registry, zone, prices=self._money.prices)
        self._explain = ExplainDesk(database, registry, zone, self._energy, self._money.sources)
        self._open = LiveSlots()
        self._writing = 0
        self._started: set[int] = set()
        self._dirty: dict[int, Span] = {}
        self._buffers: dict[int, _Buffered] = {}
        self._settling: dict[int, tuple[NDArray[np.int64], int]] = {}
        self._undecided: dict[int, int] = {}
        self._rechosen: set[int] = set()
        self._seen_seq = 0
        self._work: asyncio.Task[None] | None = None
        self._work_again = False
        self._warming: asyncio.Task[None] | None = None
        self._failing = ""
        self._until_s = math.inf
        for event in (ReadingsStored, RangesDirtied, DeviceChanged):
            self.at_end(bus.subscribe(event, self.ref).cancel)

    async def setup(self) -> None:
        """Take up every range that was marked when the hub stopped."""
        await self._money.load()
        new = [number for number in await self._counting.load() if self._registry.by_no(number)]
        for number, span in (await self._store.stored_spans(new)).items():
            self._soil(number, span.start_ms, span.end_ms)
        self._rechosen.update(new)
        await self._store.follow_zone([one.no for one in self._registry.all_series()])
        for number, start_ms, end_ms in await self._store.load_marks():
            if self._registry.by_no(number) is not None:
                self._soil(number, start_ms, end_ms)

    async def teardown(self) -> None:
        """Write what is folded and derive what is dirty, so that a clean start has nothing to derive again.

        What takes longer than ``FAREWELL_S`` stays marked in the store, and the next start takes it up.
        """
        self._until_s = self._clock.monotonic_s() + FAREWELL_S
        if self._warming is not None:
            self._warming.cancel()
        if self._work is not None:
            await self._work
        if not self._failing:
            await self._turns()
        if not self._failing:
            await self._flush()

    def on_receive(self, message: Any) -> Any:
        """One line per message; long answers come later, as deferred ones."""
        match message:
            case ReadingsStored():
                self._fold(message)
            case WorkNow():
                return self._work_soon()
            case GetHistory(series, start_ms, end_ms, resolution, columns):
                return self._later(self._reader.history(series, start_ms, end_ms, resolution, columns))
            case GetReadings(series, start_ms, end_ms, limit, cursor, corrected):
                return self._later(self._reader.readings(series, start_ms, end_ms, limit, cursor, corrected))
            case MoneyRequest():
                return self._later(self._money.answer(message))
            case GetSuspects():
                return self._later(find_suspects(self._database, self._registry, message))
            case GetCounting(series):
                return self._later(self._counting.view(series))
            case SetCounting():
                return self._later(self._choose(message))
            case EnergySettings():
                self._energy.configure(message)
            case EnergyRequest():
                return self._later(self._energy.answer(message))
            case Explain():
                return self._later(self._explain.explain(message))
            case GetLive():
                return live_view(self._registry, self._board, self._clock.now_ms())
            case RangesDirtied(series, start_ms, end_ms, cause):
                for number in series:
                    self._soil(number, start_ms, end_ms)
                    self._store.note_decision(number, start_ms, end_ms, cause)
            case RebuildDerived():
                return self._later(self._rebuild(message))
            case GetDerivationState():
                return self._state()
            case KeepHouse():
                return self._later(self._store.keep_house(self._clock.now_ms()))
            case DeviceChanged(_, removed):
                if removed:
                    self._drop_unknown()
            case _:
                return super().on_receive(message)
        return None

    # --- folding

    def _fold(self, event: ReadingsStored) -> None:
        self._seen_seq = event.seq
        series, ts_ms, values, flags = event.series, event.ts_ms, event.values, event.flags
        for number, first_ms, last_ms in self._counting.news(series, ts_ms):
            self._soil(number, first_ms, last_ms + 1)
        if self._buffers or self._settling:
            keep = self._set_aside(event)
            series, ts_ms, values, flags = series[keep], ts_ms[keep], values[keep], flags[keep]
        if not len(series):
            return
        outcome = self._open.fold(series, ts_ms, values, flags)
        if outcome.left:
            self._soil_left(outcome, series, ts_ms)

    def _soil_left(self, outcome: Outcome, series: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> None:
        """Series that are not followed live, or no more: derive from the first of these rows on, or earlier."""
        inside = np.isin(series, list(outcome.left))
        numbers, at = np.unique(series[inside], return_inverse=True)
        order = np.lexsort((ts_ms[inside], at))
        first = np.flatnonzero(np.diff(at[order], prepend=-1))
        by_time = ts_ms[inside][order]
        first_ms, last_ms = by_time[first], by_time[np.append(first[1:], len(order)) - 1]
        spans = zip(numbers.tolist(), first_ms.tolist(), last_ms.tolist(), strict=True)
        for number, begin_ms, end_ms in spans:
            self._started.discard(number)
            begin_ms = min(
                begin_ms,
                outcome.dirty_from_ms.get(number, begin_ms),
                self._undecided.pop(number, begin_ms),
            )
            self._soil(number, begin_ms, end_ms + 1)

    def _set_aside(self, event: ReadingsStored) -> NDArray[np.bool_]:
        """Buffer the rows of series in work, drop those that a derivation has seen already."""
        keep = np.ones(len(event.series), np.bool_)
        present = set(event.series.tolist())
        for number, (seen_ms, until_seq) in list(self._settling.items()):
            if number in present:
                keep &= ~((event.series == number) & np.isin(event.ts_ms, seen_ms))
            if event.seq >= until_seq:
                del self._settling[number]
        for number in present.intersection(self._buffers):
            buffer = self._buffers[number]
            mine = (event.series == number) & keep
            if mine.any():
                buffer.ts_ms.append(event.ts_ms[mine])
                buffer.values.append(event.values[mine])
                buffer.flags.append(event.flags[mine])
                keep &= ~mine
        return keep

    def _soil(self, number: int, start_ms: int, end_ms: int) -> None:
        span = Span(start_ms - start_ms % SLOT_MS, end_ms + -end_ms % SLOT_MS)
        before = self._dirty.get(number)
        self._dirty[number] = span if before is None else before.joined(span)
        for counter in self._counting.shaped_by(number):
            self._soil(counter, start_ms, end_ms)

    def _drop_unknown(self) -> None:
        for number in [no for no in self._started | self._dirty.keys() if self._registry.by_no(no) is None]:
            self._open.forget(number)
            self._started.discard(number)
            self._dirty.pop(number, None)

    async def _choose(self, wanted: SetCounting) -> CountingView:
        """Keep how a counter is spread, and derive it again soon."""
        series, view = await self._counting.choose(wanted, self._clock.now_ms())
        for number, span in (await self._store.stored_spans([series.no])).items():
            self._soil(number, span.start_ms, span.end_ms)
        self._rechosen.add(series.no)
        return view

    async def _settle_choices(self) -> None:
        """Note in the store which chosen counters are wholly derived, so that no start does it again."""
        for number in [no for no in self._rechosen if no not in self._dirty]:
            await self._counting.settle(number)
            self._rechosen.discard(number)

    # --- working

    def _work_soon(self) -> asyncio.Future[Any]:
        """Start a turn of work, or let the one that runs be followed by another."""
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._turns(), name="processing-work")
        else:
            self._work_again = True
        return self._later(self._wait(self._work))

    async def _wait(self, work: asyncio.Task[None]) -> None:
        await asyncio.shield(work)

    async def _turns(self) -> None:
        while True:
            self._work_again = False
            try:
                await self._flush()
                while self._dirty and self._clock.monotonic_s() < self._until_s:
                    await self._derive_some()
                await self._store.clear_decisions(self._is_settled)
                await self._settle_choices()
                await self._store.derive_days(self._registry)
                self._recovered()
                self._warm_once()
            except (RetryLater, StorageCorrupt) as error:
                self._postpone(error)
            if not self._work_again:
                return

    def _warm_once(self) -> None:
        """After the first turn of work the balance of the year is made beside everything else."""
        if self._warming is None and math.isinf(self._until_s):
            self._warming = asyncio.get_running_loop().create_task(self._warm(), name="energy-warm")

    async def _warm(self) -> None:
        try:
            await self._energy.warm()
        except (RetryLater, StorageCorrupt) as error:
            LOGGER.debug("the year of energy is not made beforehand: %s", error)

    async def _flush(self) -> None:
        """Write folded rows, and take away the marks of slots that are past and written."""
        changed = self._open.take_changed()
        series = changed.series.astype(np.int32)
        done = [
            (number, start_ms)
            for number, start_ms in self._marks.past(self._seen_seq)[:CLEARED_PER_TURN]
            if self._is_settled(number)
        ]
        cleared = [mark for mark in done if self._marks.clear(*mark, self._seen_seq)]
        if not len(changed.series) and not cleared:
            return
        self._writing = len(changed)
        try:
            revision = await self._store.write_live(series, changed.slots, cleared)
        except BaseException:
            self._distrust(series, changed.slots.start_ms)
            raise
        finally:
            self._writing = 0
        self._tell(series, changed.slots.start_ms, revision)

    def _is_settled(self, number: int) -> bool:
        """Whether nothing that depends on readings of this series waits to be derived."""
        return not any(one in self._dirty or one in self._buffers for one in self._moved_by(number))

    def _moved_by(self, number: int) -> list[int]:
        """Series whose figures depend on readings of this one."""
        return [number, *self._counting.shaped_by(number)]

    def _distrust(self, series: NDArray[np.int32], start_ms: NDArray[np.int64]) -> None:
        """These slots could not be written: derive them again, whenever their readings were taken."""
        for number in np.unique(series).tolist():
            mine = start_ms[series == number]
            self._open.forget(number)
            self._started.discard(number)
            self._soil(number, int(mine.min()), int(mine.max()) + SLOT_MS)

    async def _derive_some(self) -> None:
        """Derive the dirty ranges of a few series and start them live again."""
        numbers = list(self._dirty)[:SERIES_PER_TURN]
        wanted = []
        rests: dict[int, Span] = {}
        for number in numbers:
            series = self._registry.by_no(number)
            span = self._dirty[number]
            if series is None:
                del self._dirty[number]
                continue
            part = Span(span.start_ms, min(span.end_ms, span.start_ms + MAX_SPAN_MS))
            wanted.append((series, part))
            self._open.forget(number)
            self._started.discard(number)
            self._buffers[number] = _Buffered()
            self._counting.begin(number)
            if part.end_ms < span.end_ms:
                self._dirty[number] = rests[number] = Span(part.end_ms, span.end_ms)
            else:
                del self._dirty[number]
        try:
            results = await self._store.rederive(wanted)
        except BaseException:
            for series, part in wanted:
                self._soil(series.no, part.start_ms, part.end_ms)
                for ts_ms in self._buffers.pop(series.no).ts_ms:  # came meanwhile, of any time
                    self._soil(series.no, int(ts_ms.min()), int(ts_ms.max()) + 1)
            raise
        for result in results:
            self._shorten(result, rests.get(result.series))
            self._take_up(result)
        for result in results:
            # what was taken away without anything in its place is a change, too
            self._note((result.series,), result.start_ms, result.end_ms)
            slots = result.derived.slots
            if len(slots):
                numbers_of = np.full(len(slots), result.series, np.int32)
                self._tell(numbers_of, slots.start_ms, self._store.revision)

    def _shorten(self, result: Rederived, rest: Span | None) -> None:
        """Readings far apart widen a part of a long range: what was derived with it does not come again.

        A ``rest`` that was soiled meanwhile is another span by now, and stays as it is.
        """
        if rest is None or self._dirty.get(result.series) is not rest:
            return
        if result.end_ms >= rest.end_ms:
            del self._dirty[result.series]
        elif result.end_ms > rest.start_ms:
            self._dirty[result.series] = Span(result.end_ms, rest.end_ms)

    def _take_up(self, result: Rederived) -> None:
        """Go on live from the end of a derivation, with what arrived meanwhile."""
        number = result.series
        buffer = self._buffers.pop(number)
        series = self._registry.by_no(number)
        if series is None:
            return
        self._settling[number] = (result.seen_ms, self._seen_seq + 2)
        if result.at_tail:
            self._counting.note_seen(number, result.derived.tail.last_ts_ms)
        if number in self._dirty:  # the rest of a long range comes next, the tail with it
            pass
        elif not result.at_tail:
            self._start_at_tail(result)
        elif (
            result.may_fold
            and not self._counting.is_shaped(number)
            and self._open.start(number, Rule.of(series), result.derived)
        ):
            self._started.add(number)
        else:
            self._leave_undecided(result)
        if not buffer.ts_ms:
            return
        ts_ms = np.concatenate(buffer.ts_ms)
        new = ~np.isin(ts_ms, result.seen_ms)
        if not new.any():
            return
        ts_ms, values = ts_ms[new], np.concatenate(buffer.values)[new]
        flags = np.concatenate(buffer.flags)[new]
        numbers = np.full(len(ts_ms), number, np.int32)
        if number in self._dirty or self._open.fold(numbers, ts_ms, values, flags).left:
            self._started.discard(number)
            first_ms = min(int(ts_ms.min()), self._undecided.pop(number, result.end_ms - SLOT_MS))
            self._soil(number, first_ms, int(ts_ms.max()) + 1)

    def _start_at_tail(self, result: Rederived) -> None:
        """A range in the past was derived: the newest readings decide how the series goes on."""
        newest = self._board.newest(result.series)
        if newest is None:
            return
        if result.start_ms <= newest[0] < result.end_ms:  # what follows was put in by a correction
            self._leave_undecided(result)
        else:
            self._soil(result.series, newest[0], newest[0] + 1)

    def _leave_undecided(self, result: Rederived) -> None:
        """The next reading may still change what stands before it; without any reading there is nothing."""
        if result.derived.tail.last_ts_ms:
            self._undecided[result.series] = result.derived.tail.stable_ms

    def _tell(self, series: NDArray[np.int32], start_ms: NDArray[np.int64], revision: int) -> None:
        if not len(series):
            return
        numbers = tuple(np.unique(series).tolist())
        first_ms, end_ms = int(start_ms.min()), int(start_ms.max()) + SLOT_MS
        self._note(numbers, first_ms, end_ms)
        self._bus.publish(SlotsDerived(numbers, first_ms, end_ms, revision))

    def _note(self, series: Sequence[int], start_ms: int, end_ms: int) -> None:
        """Slots changed: what was made of them is out of date."""
        self._money.note(series, start_ms, end_ms)
        self._energy.note(series, start_ms, end_ms)

    def _postpone(self, error: RetryLater | StorageCorrupt) -> None:
        if self._failing != error.code:
            LOGGER.warning("derivation waits: %s", error)
        self._failing = error.code

    def _recovered(self) -> None:
        if self._failing:
            LOGGER.info("derivation goes on")
            self._failing = ""

    # --- questions

    async def _rebuild(self, wanted: RebuildDerived) -> int:
        if wanted.series is None:
            series = self._registry.all_series()
        else:
            series = tuple(self._registry.by_public_id(public_id) for public_id in wanted.series)
        spans = await self._store.stored_spans([one.no for one in series])
        for number, span in spans.items():
            start_ms = span.start_ms if wanted.start_ms is None else max(span.start_ms, wanted.start_ms)
            end_ms = span.end_ms if wanted.end_ms is None else min(span.end_ms, wanted.end_ms)
            if start_ms < end_ms:
                self._soil(number, start_ms, end_ms)
        await self._work_soon()
        return len(series)

    def _later(self, work: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_task(work)

    def _state(self) -> DerivationState:
        return DerivationState(
            len(self._dirty.keys() | self._buffers.keys()),  # those in work have left the dirty ones
            self._open.unwritten + self._writing,
            len(self._started),
            len(self._marks),
            self._seen_seq,
            self._failing,
        )
