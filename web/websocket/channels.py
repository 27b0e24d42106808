"""What can be subscribed to: a channel is one kind of news with one filter, shared by all who asked the same.

A channel renders what happened since a given flush once, however many clients get it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from web.websocket.attributes import SOME_HAVE
from web.websocket.frames import event_message, message_frames
from web.websocket.states import CONTEXT_ID, Entity, Shown, StateBook, iso_utc


class Channel:
    """News of one kind. Subclasses say what they are in ``snapshot`` and ``news``.

    ``key`` tells channels apart; ``users`` counts the subscriptions.
    """

    def __init__(self, key: tuple[object, ...]) -> None:
        self.key = key
        self.users = 0
        self._frames: dict[tuple[int, int, bool], bytes] = {}
        self._events: dict[int, Sequence[bytes]] = {}
        self._snapshot: Sequence[bytes] | None = None

    def snapshot(self) -> Sequence[bytes]:
        """Events that a new subscriber gets first, as JSON."""
        if self._snapshot is None:
            self._snapshot = self.render_snapshot()
        return self._snapshot

    def frames(self, since: int, subscription_id: int, coalesce: bool) -> bytes:
        """Ready frames with everything after flush ``since``; empty if there is nothing."""
        key = (since, subscription_id, coalesce)
        found = self._frames.get(key)
        if found is None:
            events = self._events.get(since)
            if events is None:
                events = self._events[since] = self.render_news(since)
            messages = [event_message(subscription_id, event) for event in events]
            found = self._frames[key] = message_frames(messages, coalesce)
        return found

    def forget(self) -> None:
        """Drop what was rendered: a flush begins."""
        self._frames.clear()
        self._events.clear()
        self._snapshot = None

    def render_snapshot(self) -> Sequence[bytes]:
        """As :meth:`snapshot`, not cached."""
        return ()

    def render_news(self, since: int) -> Sequence[bytes]:
        """Events after flush ``since`` as JSON."""
        raise NotImplementedError


class EntityChannel(Channel):
    """``subscribe_entities``: added, changed and removed entities in the compressed form."""

    def __init__(self, key: tuple[object, ...], book: StateBook, wanted: frozenset[str] | None) -> None:
        super().__init__(key)
        self._book = book
        self._wanted = wanted

    def render_snapshot(self) -> Sequence[bytes]:
        added = {one.entity_id: _compressed(one) for one in self._of_interest(self._book.all())}
        return [orjson.dumps({"a": added})]

    def render_news(self, since: int) -> Sequence[bytes]:
        added, changed = {}, {}
        for entity in self._of_interest(self._book.touched_since(since)):
            if entity.added_seq > since:
                added[entity.entity_id] = _compressed(entity)
            else:
                changed[entity.entity_id] = _difference(entity, since)
        removed = [one.entity_id for one in self._book.removed_since(since) if self._is_wanted(one.entity_id)]
        parts = {"a": added, "c": changed, "r": removed}
        event = {name: part for name, part in parts.items() if part}
        return [orjson.dumps(event)] if event else ()

    def _of_interest(self, entities: Iterable[Entity]) -> Iterable[Entity]:
        if self._wanted is None:
            return entities
        return [one for one in entities if one.entity_id in self._wanted]

    def _is_wanted(self, entity_id: str) -> bool:
        return self._wanted is None or entity_id in self._wanted


class StateChangeChannel(Channel):
    """``subscribe_events`` of ``state_changed``: one event per entity whose state or attributes changed."""

    def __init__(self, key: tuple[object, ...], book: StateBook, now_ms: Callable[[], int]) -> None:
        super().__init__(key)
        self._book = book
        self._now_ms = now_ms

    def render_news(self, since: int) -> Sequence[bytes]:
        fired = iso_utc(self._now_ms())
        events = []
        for entity in self._book.touched_since(since):
            if max(entity.changed_seq, entity.shown_seq) > since:
                before = entity.before if entity.added_seq <= since else None
                events.append(_state_changed(entity.entity_id, before, entity.shown, fired))
        gone = self._book.removed_since(since)
        return events + [_state_changed(one.entity_id, one.last, None, fired) for one in gone]


class SilentChannel(Channel):
    """Events that this hub never fires: taken, and quiet."""

    def render_news(self, since: int) -> Sequence[bytes]:
        return ()


class SeriesChannel(Channel):
    """``wattline/subscribe_series``: ``{"series": {id: [ts, value]}, "removed": [id]}``, stored units, epoch ms."""

    def __init__(self, key: tuple[object, ...], book: StateBook, wanted: frozenset[str] | None) -> None:
        super().__init__(key)
        self._book = book
        self._wanted = wanted

    def render_snapshot(self) -> Sequence[bytes]:
        return [orjson.dumps({"series": self._values(self._book.all())})]

    def render_news(self, since: int) -> Sequence[bytes]:
        event: dict[str, Any] = {}
        if values := self._values(self._book.touched_since(since)):
            event["series"] = values
        gone = [one.public_id for one in self._book.removed_since(since)]
        if removed := [one for one in gone if self._wanted is None or one in self._wanted]:
            event["removed"] = removed
        return [orjson.dumps(event)] if event else ()

    def _values(self, entities: Iterable[Entity]) -> dict[str, tuple[int | None, float]]:
        return {
            one.series.public_id: (one.ts_ms, one.value)
            for one in entities
            if one.value is not None and (self._wanted is None or one.series.public_id in self._wanted)
        }


class LiveChannel(Channel):
    """``wattline/live``: the newest balance of the house, as somebody else puts it in."""

    def __init__(self, key: tuple[object, ...], book: StateBook) -> None:
        super().__init__(key)
        self._book = book
        self._body = b""
        self._seq = 0

    def put(self, body: bytes) -> None:
        """Take a new balance, to go out with the next flush."""
        self._body, self._seq = body, self._book.seq + 1
        self._book.dirty = True
        self.forget()

    def render_snapshot(self) -> Sequence[bytes]:
        return [self._body] if self._body else ()

    def render_news(self, since: int) -> Sequence[bytes]:
        return [self._body] if self._body and self._seq > since else ()


def full_state(entity_id: str, shown: Shown) -> dict[str, Any]:
    """A state in the long form of ``get_states``."""
    return {
        "entity_id": entity_id,
        "state": shown.state,
        "attributes": shown.attributes,
        "last_changed": iso_utc(shown.changed_ms),
        "last_reported": iso_utc(shown.updated_ms),
        "last_updated": iso_utc(shown.updated_ms),
        "context": {"id": CONTEXT_ID, "parent_id": None, "user_id": None},
    }


def _compressed(entity: Entity) -> dict[str, Any]:
    short = {
        "s": entity.state,
        "a": entity.attributes,
        "c": CONTEXT_ID,
        "lc": entity.changed_ms / 1000,
    }
    if entity.updated_ms != entity.changed_ms:
        short["lu"] = entity.updated_ms / 1000
    return short


def _difference(entity: Entity, since: int) -> dict[str, Any]:
    """What of an entity is another since flush ``since``: a new state, new attributes, or a newer time alone."""
    new: dict[str, Any] = {}
    if entity.changed_seq > since:
        new = {"s": entity.state, "lc": entity.changed_ms / 1000}
    if entity.changed_seq <= since or entity.updated_ms != entity.changed_ms:
        new["lu"] = entity.updated_ms / 1000
    if entity.shown_seq <= since:
        return {"+": new}
    new["a"] = entity.attributes
    gone = [name for name in SOME_HAVE if name not in entity.attributes]
    return {"+": new, "-": {"a": gone}} if gone else {"+": new}


def _state_changed(entity_id: str, before: Shown | None, now: Shown | None, fired: str) -> bytes:
    return orjson.dumps(
        {
            "event_type": "state_changed",
            "data": {
                "entity_id": entity_id,
                "old_state": full_state(entity_id, before) if before else None,
                "new_state": full_state(entity_id, now) if now else None,
            },
            "origin": "LOCAL",
            "time_fired": fired,
            "context": {"id": CONTEXT_ID, "parent_id": None, "user_id": None},
        }
    )
