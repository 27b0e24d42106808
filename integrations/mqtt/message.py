"""One message while it is being read, and the ways to find its device time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from hub.plugins.api import NO_TIME, Refused, epoch_ms
from integrations.mqtt.numbers import WHITESPACE, Unreadable
from integrations.mqtt.templates import MISSING, ValueTemplate

_MAX_DIGITS = 40

TimeGetter = Callable[["Message"], int]
"""Device time of a message in epoch milliseconds, or ``NO_TIME``."""


class Message:
    """A message; the source keeps one object and loads it again for each, the hot path makes no garbage.

    ``errors`` collects what could not be read; ``unseen`` the JSON members that a reader wants to have
    registered, with that reader.
    """

    __slots__ = ("_data", "_parsed", "_text", "errors", "head", "item", "payload", "unseen")

    def __init__(self, payload: bytes = b"", head: int = 0, item: int = 0) -> None:
        self.errors: list[Unreadable] = []
        self.unseen: list[tuple[object, str]] = []
        self.load(payload, head, item)

    def load(self, payload: bytes, head: int, item: int) -> None:
        """Become another message."""
        self.payload = payload
        self.head = head
        self.item = item
        self._data: Any = MISSING
        self._parsed = False
        self._text: str | None = None
        if self.errors:
            self.errors = []
        if self.unseen:
            self.unseen = []

    def json(self) -> Any:
        """The payload as JSON, parsed once for all readers; :data:`MISSING` if it is none.

        Raises:
            Unreadable: ``WL-ING-005``, a key stands twice in one object.
        """
        if not self._parsed:
            self._parsed = True
            self._data = self._read()
        if type(self._data) is Unreadable:
            raise self._data
        return self._data

    def _read(self) -> Any:
        try:
            data = orjson.loads(self.payload)
        except orjson.JSONDecodeError:
            return _leniently(self.payload)
        # a flat object has one colon a pair; whatever has more is looked at again, key by key
        if type(data) is dict and self.payload.count(b":") != len(data):
            try:
                json.loads(self.payload, object_pairs_hook=_once, parse_int=len, parse_float=len)
            except Unreadable as error:
                return error
            except RecursionError:
                return data
        return data

    def text(self) -> str:
        """The payload as text.

        Raises:
            Unreadable: ``WL-MQT-001``, it is not UTF-8.
        """
        if self._text is None:
            try:
                self._text = self.payload.decode()
            except UnicodeDecodeError as error:
                raise Unreadable("WL-MQT-001", "the payload is not UTF-8 text") from error
        return self._text

    @property
    def looks_like_object(self) -> bool:
        """Whether the payload begins as a JSON object does."""
        return self.payload[:1] == b"{" or self.payload.lstrip()[:1] == b"{"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice; orjson would keep the last of them."""
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise Unreadable("WL-ING-005", "a key stands twice in the message, so its value is unknown")
    return plain


def _leniently(payload: bytes) -> Any:
    """An object with ``NaN``, ``1e999`` or endless digits in it: those values are refused one by one later."""
    if payload[:1] != b"{" or b"\\u" in payload:
        return MISSING
    try:
        return json.loads(payload, object_pairs_hook=_once, parse_int=_whole)
    except Unreadable as error:
        return error
    except (ValueError, RecursionError):
        return MISSING


def _whole(token: str) -> int | float:
    return int(token) if len(token) <= _MAX_DIGITS else float(token)


def no_time(message: Message) -> int:
    """The device says nothing: the arrival counts."""
    return NO_TIME


def auto_time(message: Message) -> int:
    """The member ``ts`` of a JSON object, where there is one.

    Raises:
        Unreadable: it is there and is no time.
    """
    if not message.looks_like_object:
        return NO_TIME
    data = message.json()
    stamp = data.get("ts") if type(data) is dict else None
    return NO_TIME if stamp is None else _epoch_ms(stamp)


def template_time(template: ValueTemplate) -> TimeGetter:
    """Device time by a template."""

    def time(message: Message) -> int:
        stamp = template.evaluate(message.text(), message.json() if template.needs_json else MISSING)
        if isinstance(stamp, str):
            stamp = stamp.strip(WHITESPACE)
            if stamp.isascii() and stamp.isdigit():
                stamp = int(stamp[:25])
            elif stamp.isascii() and stamp.replace(".", "", 1).isdigit():
                stamp = float(stamp)
        return NO_TIME if stamp in (MISSING, None, "", "None") else _epoch_ms(stamp)

    return time


def _epoch_ms(stamp: object) -> int:
    try:
        return epoch_ms(stamp)
    except Refused as error:
        raise Unreadable(error.code, error.message, "ts") from error
