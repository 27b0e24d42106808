"""Readers take the values of one device out of a message and append them to a batch.

This is the hot path: everything about a topic is resolved once, so that a message costs a JSON parse and a few
list appends. A reader never awaits and never registers anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jinja2.exceptions import UndefinedError

from hub.plugins.api import NO_TIME, Behaviour, Intake, ReadingBatch, SeriesHandle
from integrations.mqtt.message import Message, TimeGetter
from integrations.mqtt.numbers import WHITESPACE, Unreadable, decimal, number
from integrations.mqtt.templates import MISSING, ValueTemplate
from integrations.mqtt.wire import RETAIN

MAX_MEMBERS = 200
"""More members of one JSON object are not taken: that is a data dump, not a meter."""

_LOOKUP = (KeyError, IndexError, TypeError, UndefinedError)
_TIME_NAMES = frozenset(("ts", "time", "timestamp", "id"))


@dataclass(slots=True)
class Field:
    """One value of a message: how to find it and where it goes. ``last`` serves templates with ``this``."""

    key: str
    handle: SeriesHandle
    template: ValueTemplate | None = None
    behaviour: Behaviour = Behaviour.GAUGE
    last: str = ""


class Reader(Protocol):
    """Takes values out of the messages of one topic."""

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """Append the values to the batch and what is wrong with others to ``message.errors``.

        Raises:
            Unreadable: nothing of the message can be used.
        """


class FieldReader:
    """Reads values that were named beforehand, by a configuration or by discovery.

    Args:
        fields: what to take.
        time: finds the device time.
        strict: configured topics complain about a message without any of their values; a discovered entity
            shares its topic with others and stays silent.
    """

    def __init__(self, fields: Sequence[Field], time: TimeGetter, *, strict: bool = True) -> None:
        self._time = time
        self._strict = strict
        self._fields = [(_json_getter(field), field) for field in fields]
        self._needs_json = any(getter is not None for getter, _ in self._fields)

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """See :class:`Reader`."""
        ts_ms = self._time(message)
        data = message.json() if self._needs_json else MISSING
        if data is MISSING and self._needs_json:
            raise Unreadable("WL-MQT-003", "the payload is not JSON")
        stale = message.head & RETAIN and ts_ms == NO_TIME
        found = False
        for getter, field in self._fields:
            try:
                raw = getter(data) if getter is not None else _slow(field, message, ts_ms)
                if type(raw) is not float or not -1e15 <= raw <= 1e15:
                    if raw is MISSING:
                        continue
                    found = True
                    raw = number(raw)
                    if raw is None:
                        continue
            except _LOOKUP:
                continue
            except Unreadable as error:
                found = True
                message.errors.append(Unreadable(error.code, error.text, error.field or field.key))
                continue
            except (ArithmeticError, ValueError) as error:
                found = True
                message.errors.append(Unreadable("WL-MQT-008", f"the template fails: {error}", field.key))
                continue
            found = True
            handle = field.handle
            if stale:
                intake.show_stale(handle, raw)
                continue
            batch.series.append(handle.no)
            batch.ts_ms.append(ts_ms)
            batch.values.append(raw if handle.factor == 1.0 and handle.offset == 0.0 else handle.stored(raw))
            batch.item.append(message.item)
        if self._strict and not found:
            raise Unreadable("WL-MQT-005", "the message holds none of the configured values")


def _json_getter(field: Field) -> Any:
    """The getter of a field that only needs the parsed JSON; None for all others."""
    template = field.template
    if template is None or not template.needs_json or field.behaviour is Behaviour.DELTA:
        return None
    return template.getter


def _slow(field: Field, message: Message, ts_ms: int) -> Any:
    """A value that needs more than a look into the JSON."""
    if field.behaviour is Behaviour.DELTA and ts_ms == NO_TIME:
        raise Unreadable(
            "WL-MQT-007",
            "an amount without a device time is refused: a repeated message could not be told from a new one",
        )
    template = field.template
    if template is None:
        return _plain(field.key, message)
    data = message.json() if template.needs_json else MISSING
    if template.fast and template.needs_json and data is MISSING:
        raise Unreadable("WL-MQT-003", "the payload is not JSON")
    raw = template.evaluate(message.text(), data, field.last)
    if raw is MISSING and template.needs_json and data is MISSING:
        raise Unreadable("WL-MQT-003", "the payload is not JSON")
    if not template.fast and raw is not MISSING:
        field.last = str(raw)
    return raw


def _plain(key: str, message: Message) -> Any:
    """The payload as a number, or the member of a JSON object that is named as the series (or ``value``)."""
    if message.looks_like_object:
        data = message.json()
        if type(data) is not dict:
            raise Unreadable("WL-MQT-003", "the payload is not JSON")
        return data[key] if key in data else data.get("value", MISSING)
    text = message.text().strip(WHITESPACE)
    return None if not text else decimal(text)


class MembersReader:
    """Reads all members of a JSON object whose names are series, registered when they are first seen."""

    def __init__(self, time: TimeGetter) -> None:
        self._time = time
        self._fields: dict[str, Field | None] = dict.fromkeys(_TIME_NAMES)

    def learn(self, member: str, field: Field | None) -> None:
        """What a member is from now on; None to pass over it."""
        self._fields[member] = field

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """See :class:`Reader`. Members that are new and look like numbers go to ``message.unseen``."""
        data = message.json()
        if type(data) is not dict:
            raise Unreadable("WL-MQT-003", "the payload is not a JSON object")
        self._take(message, data, batch, intake)

    def read_members(self, message: Message, members: list[str], batch: ReadingBatch, intake: Intake) -> None:
        """Read only these members, after they were learned."""
        data = message.json()
        self._take(message, {member: data[member] for member in members}, batch, intake)

    def _take(self, message: Message, data: dict[str, Any], batch: ReadingBatch, intake: Intake) -> None:
        ts_ms = self._time(message)
        stale = message.head & RETAIN and ts_ms == NO_TIME
        timed, fields = ts_ms != NO_TIME, self._fields
        for member, raw in data.items():
            field = fields.get(member, _UNHEARD)
            if field is _UNHEARD:
                if _may_be_number(raw) and len(fields) < MAX_MEMBERS:
                    message.unseen.append((self, member))
                continue
            if field is None:
                continue
            # nearly every value goes this way, so it is worth doing without a call
            if type(raw) is float and -1e15 <= raw <= 1e15 and (timed or self._is_state(field, stale)):
                handle = field.handle
                batch.series.append(handle.no)
                batch.ts_ms.append(ts_ms)
                batch.values.append(
                    raw if handle.factor == 1.0 and handle.offset == 0.0 else handle.stored(raw)
                )
                batch.item.append(message.item)
                continue
            try:
                value = number(raw)
                if value is not None and field.behaviour is Behaviour.DELTA and ts_ms == NO_TIME:
                    raise Unreadable("WL-MQT-007", "an amount without a device time is refused")
            except Unreadable as error:
                message.errors.append(Unreadable(error.code, error.text, member[:64]))
                continue
            if value is None:
                continue
            if stale:
                intake.show_stale(field.handle, value)
            else:
                batch.add(field.handle, ts_ms, value, message.item)

    @staticmethod
    def _is_state(field: Field, stale: int) -> bool:
        """Whether a value without a device time may be stored: neither an amount nor retained."""
        return not stale and field.behaviour is not Behaviour.DELTA


_UNHEARD = Field("", SeriesHandle(-1))
"""Stands for a member that nobody has looked at yet."""


def _may_be_number(raw: object) -> bool:
    try:
        return number(raw) is not None
    except Unreadable:
        return False


class RefusingReader:
    """A topic that cannot be used: every message is refused with the same reason."""

    def __init__(self, error: Unreadable) -> None:
        self._error = error

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """Always raises."""
        raise Unreadable(self._error.code, self._error.text, self._error.field)


class Route:
    """All readers of one topic. ``control`` topics (discovery, availability) are handled elsewhere."""

    __slots__ = ("control", "readers")

    def __init__(self, readers: Sequence[Reader] = (), *, control: bool = False) -> None:
        self.readers = tuple(readers)
        self.control = control

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """Let each reader take its values."""
        for reader in self.readers:
            try:
                reader.read(message, batch, intake)
            except Unreadable as error:
                message.errors.append(error)
