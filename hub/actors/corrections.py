"""Corrections actor: what people decide about readings, as events; what it would change, before it does.

In: :class:`AddCorrection`, :class:`UndoCorrection`, questions. Out: ``RangesDirtied``.

Readings never change. An event and the mark of the range that it dirties are written in one transaction; the
processing actor derives from there, also after a kill between the two.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from hub.actors.correction_preview import Preview, Pricer, preview
from hub.actors.registry import Registry
from hub.bus import EventBus
from hub.energy.corrections import OPEN_END_MS, Action, Correction
from hub.errors import NotFound, Refused, StateConflict
from hub.model.events import RangesDirtied
from hub.model.reading import MAX_ABS_VALUE
from hub.model.series import Series, SeriesNo
from hub.model.times import MS_2000
from hub.model.units import conversion
from hub.runtime.actor import AsyncActor, Request
from hub.runtime.clock import Clock
from hub.storage.corrections import (
    UNDO,
    CorrectionEvent,
    active_corrections,
    find_correction,
    insert_correction,
    read_corrections,
)
from hub.storage.database import Database
from hub.storage.decisions import dirty_until, mark_dirty

MAX_ROWS: Final = 10_000
AHEAD_MS: Final = 300_000
REASON_CHARS: Final = 1_000
_SINGLE = (Action.VALUE,)
_VALUED = (Action.VALUE, Action.OFFSET, Action.SCALE)
_MAY_BE_OPEN = (Action.OFFSET, Action.SCALE)
_MAY_BE_ONE = (Action.ACCEPT, Action.REJECT, Action.DELETE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A correction as a person words it; ``unit`` is that of value and rows, the stored one where None.

    ``end_ms`` may be None: for a value, accept, reject and delete it is the one reading at ``start_ms``; offset
    and scale hold until further notice.
    """

    series: str
    action: str
    start_ms: int
    end_ms: int | None = None
    value: float | None = None
    rows: tuple[tuple[int, float], ...] = ()
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class CorrectionView:
    """An event and the series it is about; None for a series that was removed meanwhile."""

    event: CorrectionEvent
    series: Series | None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it; ``end`` is null where it holds until further notice."""
        event = self.event
        return {
            "id": event.id,
            "series": self.series.public_id if self.series else None,
            "action": event.action,
            "start": event.start_ms,
            "end": None if event.end_ms >= OPEN_END_MS else event.end_ms,
            "value": event.value,
            "rows": [{"ts": ts_ms, "value": value} for ts_ms, value in event.rows],
            "unit": self.series.unit if self.series else "",
            "reason": event.reason,
            "user_id": event.user_id,
            "created_ms": event.created_ms,
            "active": event.active,
            "undoes": event.undoes,
            "undone_by": event.undone_by,
        }


@dataclass(frozen=True, slots=True)
class AddCorrection(Request[CorrectionView]):
    """Correct readings.

    Raises Refused ``WL-COR-001`` to ``-003``, StateConflict ``WL-COR-006``, NotFound for an unknown series.
    """

    wanted: Wanted
    reason: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class UndoCorrection(Request[CorrectionView]):
    """Take a correction back; the answer is the undo. Raises NotFound, StateConflict ``WL-COR-004``."""

    id: int
    reason: str = ""
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class GetCorrection(Request[CorrectionView]):
    """One event. Raises NotFound."""

    id: int


@dataclass(frozen=True, slots=True)
class ListCorrections(Request[tuple[CorrectionView, ...]]):
    """Events, the newest first, older than ``before_id``."""

    limit: int
    before_id: int | None = None
    series: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewCorrection(Request[Preview]):
    """What a correction would change, or what taking back the correction ``undo`` would."""

    wanted: Wanted | None = None
    undo: int | None = None


class CorrectionsActor(AsyncActor):
    """Sole writer of the table of corrections."""

    def __init__(
        self,
        database: Database,
        bus: EventBus,
        clock: Clock,
        *,
        registry: Registry,
        zone: str,
        pricer: Pricer | None = None,
    ) -> None:
        super().__init__()
        self._database = database
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._zone = zone
        self._pricer = pricer

    async def on_receive(self, message: Any) -> Any:
        """One line per request."""
        match message:
            case AddCorrection(wanted, reason, user_id):
                return await self._add(wanted, reason, user_id)
            case UndoCorrection(id_, reason, user_id):
                return await self._undo(id_, reason, user_id)
            case GetCorrection(id_):
                return self._view(await self._find(id_))
            case ListCorrections(limit, before_id, series):
                return await self._list(limit, before_id, series)
            case PreviewCorrection(wanted, undo):  # it may take long, and others want to write
                return asyncio.get_running_loop().create_task(self._preview(wanted, undo))
            case _:
                return super().on_receive(message)

    # --- writing

    async def _add(self, wanted: Wanted, reason: str, user_id: str | None) -> CorrectionView:
        series = self._registry.by_public_id(wanted.series)
        correction = checked(wanted, series, self._clock.now_ms())
        event = CorrectionEvent(
            0,
            series.no,
            correction.action.value,
            correction.start_ms,
            correction.end_ms,
            correction.value if correction.action in _VALUED else None,
            correction.rows,
            checked_reason(reason),
            user_id,
            self._clock.now_ms(),
        )

        def add(conn: sa.Connection) -> CorrectionEvent:
            _refuse_repeat(active_corrections(conn, series.no), correction)
            return event

        return await self._write(add)

    async def _undo(self, id_: int, reason: str, user_id: str | None) -> CorrectionView:
        reason, now_ms = reason[:REASON_CHARS], self._clock.now_ms()

        def undo(conn: sa.Connection) -> CorrectionEvent:
            # looked at in the transaction that writes: of two people who undo at once, one is told
            found = _existing(find_correction(conn, id_), id_)
            check_undo(found)
            return replace(
                found, action=UNDO, value=None, rows=(), reason=reason, user_id=user_id,
                created_ms=now_ms, undoes=id_,
            )  # fmt: skip

        return await self._write(undo)

    async def _write(self, event_of: Callable[[sa.Connection], CorrectionEvent]) -> CorrectionView:
        def job(conn: sa.Connection) -> tuple[CorrectionEvent, int]:
            event = event_of(conn)
            id_ = insert_correction(conn, event)
            end_ms = dirty_until(conn, event.series, event.start_ms, event.end_ms, self._clock.now_ms())
            mark_dirty(conn, [(event.series, event.start_ms, end_ms)], _cause(id_), event.created_ms)
            return replace(event, id=id_), end_ms

        event, end_ms = await self._database.write(job, label="correction")
        self._bus.publish(RangesDirtied((event.series,), event.start_ms, end_ms, _cause(event.id)))
        return self._view(event)

    # --- questions

    async def _find(self, id_: int) -> CorrectionEvent:
        return _existing(await self._database.read(lambda conn: find_correction(conn, id_)), id_)

    async def _list(
        self, limit: int, before_id: int | None, series: str | None
    ) -> tuple[CorrectionView, ...]:
        number = None if series is None else self._registry.by_public_id(series).no
        found = await self._database.read(
            lambda conn: read_corrections(conn, limit=limit, before_id=before_id, series=number)
        )
        return tuple(self._view(event) for event in found)

    async def _preview(self, wanted: Wanted | None, undo: int | None) -> Preview:
        if undo is not None:
            event = await self._find(undo)
            check_undo(event)
            series = self._registry.by_no(SeriesNo(event.series))
            if series is None:
                raise NotFound("WL-API-404", f"the series of correction {undo} was removed", where="undo")
            return await preview(self._database, series, self._zone, undo=event, pricer=self._pricer)
        if wanted is None:
            raise Refused("WL-COR-001", "a preview needs a correction, or undo", where="action")
        series = self._registry.by_public_id(wanted.series)
        correction = checked(wanted, series, self._clock.now_ms())
        return await preview(self._database, series, self._zone, add=correction, pricer=self._pricer)

    def _view(self, event: CorrectionEvent) -> CorrectionView:
        return CorrectionView(event, self._registry.by_no(SeriesNo(event.series)))


def _cause(id_: int) -> str:
    return f"correction {id_}"


def _existing(event: CorrectionEvent | None, id_: int) -> CorrectionEvent:
    if event is None:
        raise NotFound(
            "WL-API-404",
            f"there is no correction {id_}",
            where="id",
            hint="GET /api/v1/corrections lists them",
        )
    return event


def _refuse_repeat(active: Sequence[Correction], wanted: Correction) -> None:
    """A request that was sent twice must not act twice: an offset would be added again.

    Raises:
        StateConflict: ``WL-COR-006``.
    """
    for one in active:
        if replace(one, id=wanted.id) == wanted:
            raise StateConflict(
                "WL-COR-006",
                f"correction {one.id} says the same already",
                where="action",
                hint="undo it first, or make one with another value",
            )


def check_undo(event: CorrectionEvent) -> None:
    """Raise where an event cannot be taken back.

    Raises:
        StateConflict: ``WL-COR-004``, it is undone already, or an undo itself.
    """
    if event.undoes is not None:
        raise StateConflict(
            "WL-COR-004",
            f"{event.id} is the undo of correction {event.undoes}",
            where="id",
            hint="make the correction again",
        )
    if event.undone_by is not None:
        raise StateConflict(
            "WL-COR-004", f"correction {event.id} was undone already, by {event.undone_by}", where="id"
        )


def checked_reason(reason: str) -> str:
    """Why: a correction without a reason is worth nothing in a year.

    Raises:
        Refused: ``WL-COR-001``.
    """
    reason = reason.strip()
    if not reason or len(reason) > REASON_CHARS:
        raise Refused(
            "WL-COR-001", f"a correction needs a reason of 1 to {REASON_CHARS} characters", where="reason"
        )
    return reason


def checked(wanted: Wanted, series: Series, now_ms: int) -> Correction:
    """A correction in the stored unit of its series.

    Raises:
        Refused: ``WL-COR-001`` fields that do not fit the action, ``WL-COR-002`` the range, ``WL-COR-003`` a
            value, ``WL-ING-020`` a unit that does not fit the series.
    """
    try:
        action = Action(wanted.action)
    except ValueError as error:
        raise Refused(
            "WL-COR-001",
            f"{wanted.action[:24]!r} is no correction",
            where="action",
            hint="one of " + ", ".join(one.value for one in Action),
        ) from error
    end_ms = _checked_end(action, wanted, now_ms)
    if (wanted.value is None) == (action in _VALUED):
        verb = "needs a value" if action in _VALUED else "takes no value"
        raise Refused("WL-COR-001", f"{action.value} {verb}", where="value")
    if bool(wanted.rows) != (action is Action.REPLACE):
        verb = "needs rows" if action is Action.REPLACE else "takes no rows"
        raise Refused("WL-COR-001", f"{action.value} {verb}", where="rows")
    change = conversion(series.quantity, wanted.unit if wanted.unit is not None else series.unit or None)
    value = wanted.value or 0.0
    if action is Action.VALUE:
        value = _stored(value, change.factor, change.offset)
    elif action is Action.OFFSET:
        value = _stored(value, change.factor, 0.0)
    rows = tuple(sorted((ts, _stored(one, change.factor, change.offset)) for ts, one in wanted.rows))
    _check_values(action, value, rows, wanted.start_ms, end_ms)
    return Correction(OPEN_END_MS, action, wanted.start_ms, end_ms, value, rows)


def _checked_end(action: Action, wanted: Wanted, now_ms: int) -> int:
    start_ms, end_ms = wanted.start_ms, wanted.end_ms
    if start_ms < MS_2000 or start_ms > now_ms + AHEAD_MS:
        raise Refused("WL-COR-002", "start lies before the year 2000 or in the future", where="start")
    if action in _SINGLE:
        if end_ms is not None and end_ms != start_ms + 1:
            raise Refused(
                "WL-COR-002", "a value is about the one reading at start; leave end out", where="end"
            )
        return start_ms + 1
    if end_ms is None and action in _MAY_BE_OPEN:
        return OPEN_END_MS
    if end_ms is None and action in _MAY_BE_ONE:
        return start_ms + 1
    if end_ms is None:
        raise Refused("WL-COR-002", f"{action.value} needs an end", where="end")
    if end_ms <= start_ms:
        raise Refused("WL-COR-002", "end does not lie after start", where="end")
    if action not in _MAY_BE_OPEN and end_ms > now_ms + AHEAD_MS:
        raise Refused("WL-COR-002", "end lies in the future, where no reading is yet", where="end")
    return end_ms


def _check_values(
    action: Action, value: float, rows: tuple[tuple[int, float], ...], start_ms: int, end_ms: int
) -> None:
    for number in (value, *(one for _, one in rows)):
        if not math.isfinite(number) or abs(number) > MAX_ABS_VALUE:
            raise Refused("WL-COR-003", f"{number:.6g} is no value of a reading", where="value")
    if action is Action.SCALE and value == 0:
        raise Refused(
            "WL-COR-003", "a scale of 0 would wipe out every value", where="value", hint="delete the range"
        )
    times = [ts_ms for ts_ms, _ in rows]
    if len(set(times)) != len(times) or len(times) > MAX_ROWS:
        raise Refused("WL-COR-003", f"rows have distinct times, at most {MAX_ROWS:,} of them", where="rows")
    if any(not start_ms <= ts_ms < end_ms for ts_ms in times):
        raise Refused("WL-COR-003", "a row lies outside the range that it replaces", where="rows")


def _stored(value: float, factor: float, offset: float) -> float:
    """As :meth:`hub.model.reading.SeriesHandle.stored`."""
    return value if factor == 1.0 and offset == 0.0 else round(value * factor + offset, 6)
