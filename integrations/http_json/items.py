"""Items → rows: every rule of one item, without waiting for anything.

Rules are per value where they can be: one bad value is refused by its path (``values.power``) and the good
ones beside it are stored. What concerns the whole item (device, time, an unknown field) refuses the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hub.plugins.api import (
    MAX_ABS_VALUE,
    NO_TIME,
    Refused,
    Rejection,
    Role,
    device_id,
    epoch_ms,
)
from integrations.http_json.decode import DoubledKeys, NoNumber
from integrations.http_json.ids import time_of_id

FIELDS = frozenset({"device", "ts", "values", "units", "kinds", "id", "name", "role"})
MAX_UNIT_CHARS = 24
MAX_TEXT_CHARS = 200
_MS_FROM, _MS_BELOW = 10**11, 10**14
_NOTHING: Mapping[str, Any] = {}


Head = tuple[str, str, str | None, str | None]
"""What decides on a series: device id, key, unit and kind as sent. Plain tuples, for they are made per value."""

Row = tuple[Head, int, float, int]
"""One good value: its head, time (or ``NO_TIME``), value as sent, index of its item."""


class About(NamedTuple):
    """What an item says of its device besides values: ``name`` as given, ``text`` what stood for the device."""

    device: str
    name: str
    role: Role | None
    text: str = ""


class ItemReader:
    """Collects the rows of one request. ``rows`` are good, ``rejections`` say what is wrong with the rest."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.abouts: dict[About, None] = {}
        self.rejections: list[Rejection] = []
        self._devices: dict[str, str] = {}

    def read(self, index: int, item: Any) -> None:
        """Take one item; never raises."""
        try:
            self._read(index, item)
        except Refused as error:
            self.refuse(index, error, error.where)

    def take(self) -> tuple[list[Row], dict[About, None]]:
        """The rows since the last call, and what was said of their devices."""
        taken = self.rows, self.abouts
        self.rows, self.abouts = [], {}
        return taken

    def refuse(self, index: int, error: Refused, field: str) -> None:
        """Note why item ``index`` or one of its fields is not stored."""
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        self.rejections.append(Rejection(index, error.code, text, path(field)))

    def _read(self, index: int, item: Any) -> None:
        if type(item) is not dict:
            _must_be_single(item)
        if not FIELDS.issuperset(item):
            raise _unknown_field(item)
        device, about = self._device(item)
        values = _object(item, "values")
        if not values:
            raise Refused("WL-ING-003", "item has no values", where="values")
        ts_ms = _time(item)
        units = _object(item, "units") if "units" in item else _NOTHING
        kinds = _object(item, "kinds") if "kinds" in item else _NOTHING
        before = len(self.rows)
        append = self.rows.append
        plain = not units and not kinds and type(values) is dict
        for key, value in values.items():
            number = type(value)
            if plain and (number is float or number is int) and -MAX_ABS_VALUE <= value <= MAX_ABS_VALUE:
                append(((device, key, None, None), ts_ms, value, index))
                continue
            try:
                head = _head(device, key, units, kinds, ts_ms)
                append((head, ts_ms, _number(key, value, values), index))
            except Refused as error:
                self.refuse(index, error, error.where or f"values.{key}")
        if about is not None and len(self.rows) > before:
            self.abouts[about] = None

    def _device(self, item: Mapping[str, Any]) -> tuple[str, About | None]:
        """Id of the device, and what has to be told of it."""
        name = item.get("device")
        if type(name) is not str:
            raise Refused("WL-ING-004", "device is missing or no text", where="device")
        known = self._devices.get(name)
        if known is None:
            known = self._devices[name] = device_id(name)
        text = name if known != name else ""
        if "name" in item or "role" in item:
            return known, About(known, _text(item, "name"), _role(item), text)
        return known, About(known, "", None, text) if text else None


def path(field: str) -> str:
    """A field path that any JSON writer and log can carry: strange characters are escaped, length bounded."""
    short = field[:120]
    return short if short.isprintable() else ascii(short)[1:-1]


def _must_be_single(item: Any) -> None:
    if not isinstance(item, DoubledKeys):
        raise Refused("WL-ING-002", "item is no object")
    raise Refused("WL-ING-005", "field stands twice in the item", where=min(item.doubled))


def _unknown_field(item: Mapping[str, Any]) -> Refused:
    name = min(item.keys() - FIELDS)
    return Refused(
        "WL-ING-007", "field is not known", where=name, hint=f"known are {', '.join(sorted(FIELDS))}"
    )


def _object(item: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = item.get(field)
    if type(value) is dict:
        return value
    if isinstance(value, DoubledKeys):
        if field == "values":
            return value
        raise Refused("WL-ING-005", "key stands twice", where=f"{field}.{min(value.doubled)}")
    raise Refused("WL-ING-004", f"{field} is missing or no object", where=field)


def _time(item: Mapping[str, Any]) -> int:
    if "ts" not in item:
        return _time_of_id(item)
    stamp = item["ts"]
    if type(stamp) is int and _MS_FROM <= stamp < _MS_BELOW:
        return stamp
    if isinstance(stamp, NoNumber):
        raise Refused("WL-ING-032", f"time {stamp.token} is out of every range", where="ts")
    ts_ms = epoch_ms(stamp)
    if "id" in item:
        _text(item, "id")
    return ts_ms


def _time_of_id(item: Mapping[str, Any]) -> int:
    if "id" not in item:
        return NO_TIME
    ts_ms = time_of_id(_text(item, "id"))
    return NO_TIME if ts_ms is None else ts_ms


def _text(item: Mapping[str, Any], field: str) -> str:
    value = item.get(field, "")
    if field == "id" and type(value) is int:
        return str(value)
    if type(value) is not str or len(value) > MAX_TEXT_CHARS or not value.isprintable():
        raise Refused(
            "WL-ING-004", f"{field} is no printable text of up to {MAX_TEXT_CHARS} characters", where=field
        )
    return value


def _role(item: Mapping[str, Any]) -> Role | None:
    if "role" not in item:
        return None
    try:
        return Role(item["role"])
    except ValueError as error:
        raise Refused(
            "WL-ING-023", "role is not known", where="role", hint=f"one of {', '.join(Role)}"
        ) from error


def _head(device: str, key: str, units: Mapping[str, Any], kinds: Mapping[str, Any], ts_ms: int) -> Head:
    unit, kind = units.get(key), kinds.get(key)
    if unit is not None and (type(unit) is not str or len(unit) > MAX_UNIT_CHARS or not unit.isprintable()):
        raise Refused("WL-ING-020", "unit is no short text", where=f"units.{key}")
    if (unit is None and key in units) or (kind is None and key in kinds):
        raise Refused("WL-ING-004", "null says nothing; leave it out", where=f"values.{key}")
    if kind is not None and type(kind) is not str:
        raise Refused("WL-ING-021", "kind is none of gauge, counter, delta", where=f"kinds.{key}")
    if kind == "delta" and ts_ms == NO_TIME:
        raise Refused(
            "WL-ING-044",
            "an amount without a time cannot be told from its own repetition",
            where=f"values.{key}",
            hint="send ts, or an id that is a UUIDv7 or a ULID",
        )
    return device, key, unit, kind


def _number(key: str, value: Any, values: Mapping[str, Any]) -> float:
    where = f"values.{key}"
    if isinstance(values, DoubledKeys) and key in values.doubled:
        raise Refused("WL-ING-005", "key stands twice, so its value is unknown", where=where)
    if isinstance(value, NoNumber):
        raise Refused(value.code, f"{value.token} is {value.meaning}", where=where)
    if type(value) is not float and type(value) is not int:
        raise Refused("WL-ING-042", f"{_type_name(value)} is no number", where=where, hint=_advice(value))
    if not -MAX_ABS_VALUE <= value <= MAX_ABS_VALUE:
        raise Refused("WL-ING-041", f"beyond any measurement (limit {MAX_ABS_VALUE:g})", where=where)
    return value


def _type_name(value: Any) -> str:
    return {str: "text", bool: "true or false", type(None): "null", list: "a list"}.get(
        type(value), "an object"
    )


def _advice(value: Any) -> str:
    return {str: "send the number without quotes", bool: "send 1 or 0", type(None): "leave it out"}.get(
        type(value), ""
    )
