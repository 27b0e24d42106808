"""The newest state of every entity, and since which flush it is so.

Each flush of the fan-out has a number. An entity remembers the numbers of its last changes, so what a client
has not seen yet follows from one number per subscription: a client costs the same memory however far it is
behind, and what it gets later are the newest values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.actors.board import LatestBoard
from hub.actors.device import SILENT_AFTER_MS
from hub.actors.registry import Registry
from hub.model.device import Availability, Device
from hub.model.events import StatesChanged
from hub.model.names import entity_id
from hub.model.quality import ReadingFlag
from hub.model.series import Series
from web.websocket.attributes import attributes_of, entity_row

CONTEXT_ID = "00000000000000000000000000"
"""Home Assistant names the cause of a change here; ours is always the device."""
UNKNOWN, UNAVAILABLE = "unknown", "unavailable"
KEEP_REMOVED = 8
"""Sweeps after which a removal is forgotten: a client that far behind has been closed long before."""


class Shown(NamedTuple):
    """What a state looked like."""

    state: str
    changed_ms: int
    updated_ms: int
    attributes: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Entity:
    """One series as an entity; ``touched_seq`` ≥ ``changed_seq`` (state), ``shown_seq`` (attributes)."""

    series: Series
    entity_id: str
    attributes: Mapping[str, Any]
    state: str = UNKNOWN
    value: float | None = None
    ts_ms: int | None = None
    changed_ms: int = 0
    updated_ms: int = 0
    added_seq: int = 0
    touched_seq: int = 0
    changed_seq: int = 0
    shown_seq: int = 0
    before: Shown | None = None

    @property
    def shown(self) -> Shown:
        """How it looks now."""
        return Shown(self.state, self.changed_ms, self.updated_ms, self.attributes)


@dataclass(slots=True)
class Removed:
    """An entity that has gone."""

    entity_id: str
    public_id: str
    added_seq: int
    seq: int
    last: Shown
    sweeps: int = 0


@dataclass(slots=True)
class StateBook:
    """All entities; written by the fan-out alone, on the loop.

    ``seq`` is the number of the last flush. What happens meanwhile carries the next one and makes the book
    ``dirty``; nothing of it is told before :meth:`apply` has closed that flush.
    """

    registry: Registry
    board: LatestBoard
    seq: int = 0
    dirty: bool = False
    entities: dict[int, Entity] = field(default_factory=dict)
    removed: list[Removed] = field(default_factory=list)
    _by_entity_id: dict[str, Entity] = field(default_factory=dict)
    _of_device: dict[str, list[Entity]] = field(default_factory=dict)
    _recent: dict[int, Entity] = field(default_factory=dict)
    _offline_ms: dict[str, int] = field(default_factory=dict)

    # --- reading

    def all(self) -> Iterable[Entity]:
        """Every entity in the order of registration."""
        return self.entities.values()

    def touched_since(self, seq: int) -> list[Entity]:
        """Entities with news after flush ``seq``, the oldest news first."""
        found = []
        for entity in reversed(self._recent.values()):
            if entity.touched_seq <= seq:
                break
            found.append(entity)
        found.reverse()
        return found

    def removed_since(self, seq: int) -> Iterator[Removed]:
        """Entities of before flush ``seq`` that have gone and have not come back."""
        return (
            one
            for one in self.removed
            if one.added_seq <= seq < one.seq and one.entity_id not in self._by_entity_id
        )

    def entity_rows(self) -> list[dict[str, Any]]:
        """Lines of the entity registry."""
        return [self._row(one) for one in self.all()]

    def entity_row(self, wanted: str) -> dict[str, Any] | None:
        """One line of the entity registry, by entity id."""
        entity = self._by_entity_id.get(wanted)
        return self._row(entity) if entity else None

    # --- writing

    def load(self, now_ms: int) -> None:
        """Take over what the hub knows."""
        for series in sorted(self.registry.all_series(), key=lambda one: one.no):
            self.add(series, now_ms)

    def add(self, series: Series, now_ms: int) -> None:
        """A series appeared, or its metadata changed."""
        known = self.entities.get(series.no)
        if known is not None:
            known.series = series
            self._refresh(known, now_ms)
            return
        name = self._free_entity_id(series)
        entity = Entity(series, name, {}, changed_ms=now_ms, updated_ms=now_ms, added_seq=self.seq + 1)
        self.entities[series.no] = self._by_entity_id[name] = entity
        self._of_device.setdefault(series.device_id, []).append(entity)
        newest = self.board.newest(series.no)
        if newest is not None:
            entity.ts_ms, entity.value = newest
            entity.changed_ms = entity.updated_ms = newest[0]
        elif series.no in self.board.stale:
            entity.value, entity.ts_ms = self.board.stale[series.no]
        entity.state = self._state_of(entity)
        entity.attributes = self._attributes(entity, now_ms)
        self._touch(entity)
        entity.shown_seq = entity.changed_seq = entity.touched_seq

    def drop_device(self, device_id: str) -> bool:
        """A device was removed with its series; true if it had any."""
        gone = self._of_device.pop(device_id, [])
        self.dirty = self.dirty or bool(gone)
        self._offline_ms.pop(device_id, None)
        for entity in gone:
            del self.entities[entity.series.no], self._by_entity_id[entity.entity_id]
            self._recent.pop(entity.series.no, None)
            self.removed.append(
                Removed(
                    entity.entity_id, entity.series.public_id, entity.added_seq, self.seq + 1, entity.shown
                )
            )
        return bool(gone)

    def rename(self, device: Device, now_ms: int) -> bool:
        """A device was edited; true if an attribute changed by that."""
        return self._refresh_all(self._of_device.get(device.id, ()), now_ms)

    def set_availability(self, device_id: str, availability: str, since_ms: int, now_ms: int) -> bool:
        """A device went or came; true if something of it looks different."""
        if availability == Availability.OFFLINE:
            self._offline_ms[device_id] = since_ms
        else:
            self._offline_ms.pop(device_id, None)
        return self._refresh_all(self._of_device.get(device_id, ()), now_ms)

    def apply(self, pending: Mapping[int, tuple[int, float]], now_ms: int) -> None:
        """Close the next flush, with the newest ``{series number: (ts_ms, value)}``."""
        for number, (ts_ms, value) in pending.items():
            entity = self.entities.get(number)
            if entity is not None:
                entity.ts_ms, entity.value = ts_ms, value
                self._update(entity, now_ms)
        self.seq += 1
        self.dirty = False

    def sweep(self, now_ms: int) -> bool:
        """Mark what has grown stale without any event, forget old removals; true if something changed."""
        for one in self.removed:
            one.sweeps += 1
        while self.removed and self.removed[0].sweeps > KEEP_REMOVED:
            self.removed.pop(0)
        stale = [one for one in self.entities.values() if self._turned_stale(one, now_ms)]
        return self._refresh_all(stale, now_ms)

    # --- inside

    def _row(self, entity: Entity) -> dict[str, Any]:
        device = self.registry.devices.get(entity.series.device_id)
        return entity_row(entity.entity_id, entity.series, device)

    def _update(self, entity: Entity, now_ms: int) -> None:
        before = entity.shown
        state, quality = self._state_of(entity), self._quality_of(entity, now_ms)
        entity.updated_ms = entity.ts_ms or now_ms
        self._touch(entity)
        if quality != entity.attributes["quality"]:
            entity.attributes = {**entity.attributes, "quality": quality}
            entity.shown_seq, entity.before = entity.touched_seq, before
        if state != entity.state:
            entity.state, entity.changed_ms = state, entity.updated_ms
            entity.changed_seq, entity.before = entity.touched_seq, before

    def _refresh_all(self, entities: Iterable[Entity], now_ms: int) -> bool:
        """Look at each of them; true if any of them looks different."""
        return sum(self._refresh(one, now_ms) for one in entities) > 0

    def _refresh(self, entity: Entity, now_ms: int) -> bool:
        """Look again at everything but the value."""
        before, attributes, state = entity.shown, self._attributes(entity, now_ms), self._state_of(entity)
        if attributes == entity.attributes and state == entity.state:
            return False
        self._touch(entity)
        entity.before = before
        if attributes != entity.attributes:
            entity.attributes, entity.shown_seq = attributes, entity.touched_seq
        if state != entity.state:
            entity.state, entity.changed_seq = state, entity.touched_seq
            entity.changed_ms = entity.updated_ms = now_ms
        return True

    def _touch(self, entity: Entity) -> None:
        self.dirty = True
        entity.touched_seq = self.seq + 1
        number = entity.series.no
        self._recent.pop(number, None)
        self._recent[number] = entity

    def _free_entity_id(self, series: Series) -> str:
        """``a-b.c`` and ``a.b_c`` would share an entity id: the later one gets a number, as in Home Assistant."""
        wanted = entity_id(series.device_id, series.key)
        name, count = wanted, 1
        while name in self._by_entity_id:
            count += 1
            name = f"{wanted}_{count}"
        return name

    def _state_of(self, entity: Entity) -> str:
        if entity.value is None or entity.ts_ms is None:
            return UNKNOWN
        offline_ms = self._offline_ms.get(entity.series.device_id)
        if offline_ms is not None and entity.ts_ms <= offline_ms:
            return UNAVAILABLE
        return state_text(entity.value)

    def _attributes(self, entity: Entity, now_ms: int) -> dict[str, Any]:
        device = self.registry.devices.get(entity.series.device_id)
        return attributes_of(entity.series, device, self._quality_of(entity, now_ms))

    def _quality_of(self, entity: Entity, now_ms: int) -> str | None:
        number = entity.series.no
        if entity.ts_ms is None:
            return None
        if self.board.newest(number) is None:  # retained by a broker, without a time of its own
            return "stale"
        if now_ms - entity.ts_ms > _silent_after_ms(entity.series):
            return "stale"
        return "late" if self.board.flags[number] & ReadingFlag.LATE else "measured"

    def _turned_stale(self, entity: Entity, now_ms: int) -> bool:
        return (
            entity.ts_ms is not None
            and now_ms - entity.ts_ms > _silent_after_ms(entity.series)
            and entity.attributes["quality"] != "stale"
        )


def newest_of(event: StatesChanged) -> Iterator[tuple[int, tuple[int, float]]]:
    """``(series number, (ts_ms, value))`` of an event."""
    return zip(event.series, zip(event.ts_ms, event.values, strict=True), strict=True)


def state_text(value: float) -> str:
    """A number as a state: every digit that the stored number has, no ``.0`` behind whole ones."""
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return repr(value)


def iso_utc(ts_ms: int) -> str:
    """``2026-11-22T23:53:54.400000+00:00``."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).isoformat(timespec="microseconds")


def _silent_after_ms(series: Series) -> int:
    """As the device actor decides for ``GET latest``."""
    return max(5 * (series.interval_ms or 0), SILENT_AFTER_MS)
