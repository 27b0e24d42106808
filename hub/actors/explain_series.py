"""Why an amount of a series is what it is: slots → intervals between readings → readings and corrections.

Lives as long as one read of the store: every node that is looked into reads what it needs on the same connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from hub.energy.corrections import Action, Correction
from hub.energy.explain import Node, Op, Stored, Timeline, Total, Unit, rounded, with_rest, with_rounding
from hub.energy.intervals import TimeClass
from hub.energy.slots import SLOT_MS, Readings, Rule, SlotColumns, step_of
from hub.energy.trace import (
    HALF_MW_MS_PER_MWH,
    Changed,
    Piece,
    Point,
    Weights,
    changes_at,
    steps_of,
    weighted,
    weights_of,
)
from hub.model.quality import Flag, Quality, ReadingFlag, shares
from hub.model.series import Behaviour, Series
from hub.model.units import Quantity
from hub.storage import slots, tables
from hub.storage.corrections import find_correction
from hub.storage.metering import load_installations
from hub.storage.readings import read_columns
from hub.storage.rederive import Stream
from hub.storage.scaled import LINEAR

_FAMILIES: Final = ("delta", "quality")
_TIMES: Final = ("measured_ms", "late_ms", "estimated_ms", "suspect_ms")


def unit_of(series: Series) -> Unit:
    """Unit of what a series amounts to: power is counted in Wh."""
    digits = 3 if round(1 / step_of(series.quantity)) == 1000 else 6
    return Unit("Wh" if series.quantity is Quantity.POWER else series.unit, digits)


class SeriesTrees:
    """Trees of single series, read on one connection."""

    def __init__(self, conn: sa.Connection, zone: str) -> None:
        self.conn = conn
        self.zone = zone
        self._info = ZoneInfo(zone)
        self._streams: dict[int, Stream] = {}
        self._users: dict[str, str] | None = None
        self._rows = lru_cache(maxsize=64)(self._read_rows)

    def clock(self, ts_ms: int) -> str:
        """Local date and time for labels."""
        at = datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(self._info)
        return at.isoformat(sep=" ", timespec="milliseconds" if ts_ms % 1000 else "seconds")

    def timeline(self, series: Series, start_ms: int, end_ms: int, unit: Unit) -> Timeline:
        """Months, days and slots of an amount in ``[start_ms, end_ms)``."""
        rows = self.conn_rows(series, start_ms, end_ms)

        def slot_nodes(low_ms: int, high_ms: int) -> list[Node]:
            part = _between(rows, low_ms, high_ms)
            shown = np.flatnonzero(part.has_delta | (part.suspect_ms > 0))
            return [self._slot(series, part.take(slice(at, at + 1)), unit) for at in shown.tolist()]

        return Timeline(self.zone, unit, total_of(rows), slot_nodes)

    def conn_rows(self, series: Series, start_ms: int, end_ms: int) -> SlotColumns:
        """Stored slots of a range."""
        return slots.read(self.conn, [series.no], slots.SLOT, start_ms, end_ms, _FAMILIES)[series.no]

    def slot(self, series: Series, slot_ms: int, unit: Unit) -> Node | None:
        """One slot of a series; None where there is no row, or no amount."""
        rows = self._day(series, slot_ms)
        at = int(np.searchsorted(rows.start_ms, slot_ms))
        if at == len(rows) or int(rows.start_ms[at]) != slot_ms or not rows.has_delta[at]:
            return None
        return self._slot(series, rows.take(slice(at, at + 1)), unit)

    def _day(self, series: Series, slot_ms: int) -> SlotColumns:
        """Slots around one; neighbours are asked for next."""
        return self._rows(series, slot_ms // 86_400_000)

    def _read_rows(self, series: Series, day: int) -> SlotColumns:
        return self.conn_rows(series, day * 86_400_000, (day + 1) * 86_400_000)

    def _slot(self, series: Series, row: SlotColumns, unit: Unit) -> Node:
        start_ms = int(row.start_ms[0])
        value = int(row.delta[0]) if row.has_delta[0] else 0
        key = {"series": series.public_id, "resolution": slots.SLOT, "start": start_ms}
        stored = Stored("energy_metrics", key)
        archived = bool(int(row.flags[0]) & Flag.ARCHIVED)
        return Node(
            str(start_ms), "slot", f"{series.public_id} from {self.clock(start_ms)}", value, unit,
            span=(start_ms, start_ms + SLOT_MS), quality=_quality(row), stored=stored,
            parts=lambda: self._pieces(series, start_ms, value, unit, stored, archived=archived),
        )  # fmt: skip

    # --- intervals

    def stream(self, series: Series) -> Stream:
        """What the figures of a series are derived from."""
        number = int(series.no)
        if number not in self._streams:
            self._streams[number] = Stream.of(self.conn, series)
        return self._streams[number]

    def _pieces(
        self, series: Series, slot_ms: int, value: int, unit: Unit, stored: Stored, *, archived: bool
    ) -> list[Node]:
        rule = Rule.of(series)
        pieces = self.stream(series).pieces(slot_ms)
        nodes = [self._interval(series, rule, one, unit) for one in pieces]
        derived = sum(one.part for one in pieces)
        if rule.is_gauge:
            derived = rounded(derived, HALF_MW_MS_PER_MWH)
            nodes = with_rounding(nodes, derived, unit, "a quarter of an hour is rounded to whole mWh")
        if archived and derived != value:
            label, kind = "kept as a slot: its readings were retired", "slot_row"
            return with_rest(nodes, Node("archived", kind, label, value, unit, stored=stored))
        label = "stored before the readings that are there now; it will be derived again"
        return with_rest(nodes, Node("pending", "pending", label, value, unit))

    def _interval(self, series: Series, rule: Rule, piece: Piece, unit: Unit) -> Node:
        one = piece.interval
        share = piece.share
        value = rounded(piece.part, HALF_MW_MS_PER_MWH) if rule.is_gauge else piece.part
        facts: dict[str, Any] = {"class": _class_of(one.classes)}
        if one.flags:
            facts["flags"] = one.flags.names()
        if not piece.is_whole:
            facts["share"] = f"{share.numerator}/{share.denominator}"
        return Node(
            f"{one.t0_ms}-{one.t1_ms}", "interval", f"{self.clock(one.t0_ms)} to {self.clock(one.t1_ms)}",
            value, unit, formula=_formula(rule, piece), span=(one.t0_ms, one.t1_ms), facts=facts,
            parts=lambda: self._readings(series, rule, piece, value, unit),
        )  # fmt: skip

    def _readings(self, series: Series, rule: Rule, piece: Piece, value: int, unit: Unit) -> list[Node]:
        one, weight = piece.interval, weights_of(rule, piece)
        nodes = []
        if weight.opening and one.opening is not None:
            nodes.append(self._point(series, one.opening, "opening", weight.of_opening(rule), unit))
        if weight.closing:
            nodes.append(self._point(series, one.closing, "closing", weight.of_closing(rule), unit))
        if rule.behaviour is Behaviour.COUNTER:
            nodes += self._decision(series, rule, piece, weight, unit)
        nodes += [self._ignored(series, point, unit) for point in one.ignored]
        nodes += self._unseen(series, piece, nodes, unit)
        return with_rounding(nodes, value, unit, "parts of an interval are rounded along their running total")

    def _decision(self, series: Series, rule: Rule, piece: Piece, weight: Weights, unit: Unit) -> list[Node]:
        """What the counter machine booked beside the plain difference."""
        one = piece.interval
        assert one.opening is not None
        steps = steps_of(rule, one.closing.value) - steps_of(rule, one.opening.value)
        extra = one.amount - steps
        if not extra:
            return []
        value = weighted(weight.closing, extra)
        if Flag.ROLLOVER in one.flags:
            row = {"series": series.public_id, "register_width": series.register_width}
            label = "the register rolled over: its width is added"
            return [Node("rollover", "rollover", label, value, unit, stored=Stored("series", row))]
        kind, label = "noise", "the register fell by noise: nothing is booked, and nothing is taken away"
        if Flag.RESET in one.flags:
            kind, label = "reset", "the register began again: what it showed before does not count"
        opening, closing, plain = one.opening, one.closing, partial(steps_of, rule)
        return [
            Node(
                kind, kind, label, value, unit, op=Op.FORMULA, formula="decided by the readings around it",
                parts=lambda: [
                    self._point(series, opening, "opening", plain, unit),
                    self._point(series, closing, "closing", plain, unit),
                ],
            )
        ]  # fmt: skip

    # --- readings

    def _point(
        self,
        series: Series,
        point: Point,
        role: str,
        worth: Callable[[float], int],
        unit: Unit,
        corrections: Sequence[Correction] | None = None,
    ) -> Node:
        """A reading; of the given corrections, or of all that hold."""
        label = f"{role} reading {_number(point.value)} {series.unit} at {self.clock(point.ts_ms)}"
        key = f"{role}-{point.ts_ms}"
        value = worth(point.value)
        if point.cut:
            return self._cut(series, point, role, value, unit)
        facts = {"reading": point.value, "late": bool(point.flags & ReadingFlag.LATE)}
        raw, changes = self._history(series, point.ts_ms, corrections)
        if not changes:
            row = {"series": series.public_id, "ts": point.ts_ms, "value": point.value}
            return Node(key, "reading", label, value, unit, stored=Stored("readings", row), facts=facts)
        parts = lambda: self._corrected(series, point.ts_ms, raw, changes, worth, unit)  # noqa: E731
        return Node(key, "corrected_reading", f"{label}, corrected", value, unit, facts=facts, parts=parts)

    def _corrected(
        self,
        series: Series,
        ts_ms: int,
        raw: float | None,
        changes: Sequence[Changed],
        worth: Callable[[float], int],
        unit: Unit,
    ) -> list[Node]:
        nodes = []
        if raw is not None:
            row = {"series": series.public_id, "ts": ts_ms, "value": raw}
            label = f"as it came: {_number(raw)} {series.unit}"
            nodes.append(Node("reading", "reading", label, worth(raw), unit, stored=Stored("readings", row)))
        for one in changes:
            value = sum(sign * worth(at) for sign, at in ((-1, one.before), (1, one.after)) if at is not None)
            nodes.append(self.correction(one.correction, value, unit))
        return nodes

    def correction(self, one: Correction, value: int, unit: Unit) -> Node:
        """A correction: who made it, when and why."""
        event = find_correction(self.conn, one.id)
        assert event is not None  # active corrections of the same snapshot
        row = {"id": one.id, "action": str(one.action)}
        facts = {
            "by": self._user(event.user_id),
            "at": event.created_ms,
            "reason": event.reason,
            "correction": {"start": event.start_ms, "end": event.end_ms, "value": event.value},
        }
        label = f"correction {one.id} ({one.action}): {event.reason}"
        return Node(
            f"correction-{one.id}",
            "correction",
            label,
            value,
            unit,
            stored=Stored("corrections", row),
            facts=facts,
        )

    def _user(self, user_id: str | None) -> str | None:
        if user_id is None:
            return None
        if self._users is None:
            rows = self.conn.execute(sa.select(tables.users.c.id, tables.users.c.name))
            self._users = {str(row.id): str(row.name) for row in rows}
        return self._users.get(user_id, user_id)

    def _cut(self, series: Series, point: Point, role: str, value: int, unit: Unit) -> Node:
        """A value that was read off when a meter came or went, or the register where a scale begins or ends."""
        for row in load_installations(self.conn, series=series.no):
            one = row.installation
            for name, at_ms in (("opening", one.from_ms), ("closing", one.to_ms)):
                if at_ms == point.ts_ms and getattr(one, name) == point.value:
                    label = f"{name} value {_number(point.value)} {series.unit} of an installation"
                    key = {"id": row.id, "metering_point": row.metering_point, name: point.value}
                    stored = Stored("installations", key)
                    return Node(f"{role}-{point.ts_ms}", "installation", label, value, unit, stored=stored)
        label = f"{role} register {_number(point.value)} {series.unit} at {self.clock(point.ts_ms)}"
        return Node(
            f"{role}-{point.ts_ms}", "scaled_register", label, value, unit, op=Op.FORMULA,
            formula="the straight line between the readings around it, as scales and offsets leave it",
            parts=lambda: self._around(series, point.ts_ms, unit),
        )  # fmt: skip

    def _around(self, series: Series, ts_ms: int, unit: Unit) -> list[Node]:
        """The readings around the border of a scale, and the corrections that hold on one side of it."""
        readings, rule = self.stream(series).readings, Rule.of(series)
        others = [one for one in readings.corrections if one.action not in LINEAR]
        plain = replace(readings, corrections=tuple(others))
        nodes = [
            self._point(
                series, Point(int(ts), float(value), int(flags)), role, partial(steps_of, rule), unit, others
            )
            for role, found in (("before", plain.before(ts_ms + 1, 1)), ("after", plain.after(ts_ms, 1)))
            for ts, value, flags in zip(*found, strict=True)
        ]
        return nodes + [
            self.correction(one, 0, unit)
            for one in readings.corrections
            if one.action in LINEAR and one.start_ms <= ts_ms <= one.end_ms
        ]

    def _history(
        self, series: Series, ts_ms: int, corrections: Sequence[Correction] | None = None
    ) -> tuple[float | None, list[Changed]]:
        if corrections is None:
            corrections = self.stream(series).readings.corrections
        touching = [one for one in corrections if one.start_ms <= ts_ms < one.end_ms]
        if not touching:
            return None, []
        return changes_at(Readings(*read_columns(self.conn, series.no, ts_ms, ts_ms + 1)), touching, ts_ms)

    def _ignored(self, series: Series, point: Point, unit: Unit) -> Node:
        """A reading between the two that was not believed: a dip, a spike, or a person's word."""
        node = self._point(series, point, "ignored", lambda _: 0, unit)
        return (
            node
            if node.parts is not None
            else Node(node.key, "ignored", node.label, 0, unit, stored=node.stored, facts=node.facts)
        )

    def _unseen(self, series: Series, piece: Piece, shown: Sequence[Node], unit: Unit) -> list[Node]:
        """Corrections that took readings out of the interval: nothing else would name them."""
        one = piece.interval
        begin, end = one.t0_ms, one.t1_ms
        return [
            self.correction(each, 0, unit)
            for each in self.stream(series).readings.corrections
            if each.action in (Action.DELETE, Action.REPLACE)
            and each.start_ms < end
            and each.end_ms > begin + 1
        ]


def total_of(rows: SlotColumns) -> Total:
    """Sum and quality of any range of stored slots, each looked up in running totals."""
    amounts = np.concatenate([[0], np.cumsum(np.where(rows.has_delta, rows.delta, 0).astype(object))])
    times = [np.concatenate([[0], np.cumsum(getattr(rows, name), dtype=np.int64)]) for name in _TIMES]

    def total(start_ms: int, end_ms: int) -> tuple[int, Quality]:
        low, high = np.searchsorted(rows.start_ms, [start_ms, end_ms]).tolist()
        flags = int(np.bitwise_or.reduce(rows.flags[low:high])) if high > low else 0
        passed = [int(column[high] - column[low]) for column in times]
        quality = replace(shares(end_ms - start_ms, *passed), flags=Flag(flags))
        return int(amounts[high] - amounts[low]), quality

    return total


def _between(rows: SlotColumns, start_ms: int, end_ms: int) -> SlotColumns:
    low, high = np.searchsorted(rows.start_ms, [start_ms, end_ms]).tolist()
    return rows.take(slice(low, high))


def _quality(row: SlotColumns) -> Quality:
    known = shares(SLOT_MS, *(int(getattr(row, name)[0]) for name in _TIMES))
    return replace(known, flags=Flag(int(row.flags[0])))


def _class_of(classes: Sequence[TimeClass]) -> str:
    """The least certain of the classes."""
    return max(classes, default=TimeClass.MISSING).name.lower()


def _formula(rule: Rule, piece: Piece) -> str:
    if rule.is_gauge:
        return "the opening value holds" if rule.hold else "straight line between two readings"
    if rule.behaviour is Behaviour.DELTA:
        return "the amount since the reading before"
    text = "closing less opening reading"
    return text if piece.is_whole else f"{text}, the part of it that lies in this quarter of an hour"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
