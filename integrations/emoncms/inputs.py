"""Parameters → frames: the four ways of ``input/post`` and the rows of ``input/bulk``.

emonCMS makes 0 of whatever is no number; here such a value is refused by name and the others are stored,
for a false zero in a meter's series is worse than a gap. ``null`` says nothing and is skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from hub.plugins.api import NO_TIME, Refused, Rejection, epoch_ms
from integrations.emoncms.parameters import number_of, time_of

MAX_VALUES = 10_000
"""Values of one request, about 50 ms of work; emonHub and IoTaWatt send some hundred."""

SAME_CLOCK_MS = 5_000
"""A sender whose ``sentat`` differs less than this from our clock is right about its own times.

emonHub sends absolute times with ``sentat`` = now. Shifting them by the network's delay would give a frame
that is sent twice two times; taken as they are, the repetition is recognised.
"""

_ABSOLUTE_S = 1_000_000_000
_NOT_IN_LIST = re.compile(r"[^\w\s\-.:,]")
_NOT_IN_NAME = re.compile(r"[^\w\s\-.:]")


@dataclass(slots=True)
class Frame:
    """Inputs of one node at one time (``NO_TIME`` = arrival)."""

    node: str
    ts_ms: int
    inputs: list[tuple[str, float]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every pair it has; a name that stands twice is seen by that."""


@dataclass(slots=True)
class Heard:
    """What a request says: frames, and the values that are no numbers."""

    frames: list[Frame] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def take(self, frame: Frame, index: int, name: str, value: Any) -> None:
        """Add one value to a frame, or say why not; ``null`` does neither."""
        if value is None or value == "null":
            return
        number = number_of(value) if isinstance(value, str) else _plain_number(value)
        clean = _NOT_IN_NAME.sub("", name).strip()
        if number is None:
            self.rejections.append(Rejection(index, "WL-ING-042", "value is no number", _path(name)))
        elif not clean:
            self.rejections.append(Rejection(index, "WL-ING-011", "input has no name", _path(name)))
        elif clean in frame.names:
            frame.inputs[:] = [one for one in frame.inputs if one[0] != clean]
            text = "name stands twice in the frame, so its value is unknown"
            self.rejections.append(Rejection(index, "WL-ING-005", text, _path(name)))
        else:
            frame.names.add(clean)
            frame.inputs.append((clean, number))


def posted(parameters: Mapping[str, str]) -> Heard:
    """``input/post``: one frame out of ``fulljson``, ``json``, ``csv`` or ``data``.

    Raises:
        Refused: ``WL-ING-062`` no data or a form that cannot be read, ``WL-ING-03x`` a time that is none.
    """
    heard = Heard()
    ts_ms = time_of(parameters, "time")
    frame = Frame(node_name(parameters.get("node", "0")), NO_TIME if ts_ms is None else ts_ms)
    heard.frames.append(frame)
    if "fulljson" in parameters:
        _full_json(parameters["fulljson"], frame, ts_ms is None, heard)
        return heard
    text = next((parameters[name] for name in ("json", "csv", "data") if parameters.get(name)), "")
    if not text:
        raise Refused("WL-ING-062", "Request contains no data via csv, json or data tag")
    for position, (name, value) in enumerate(_pairs(text)):
        _count(position)
        heard.take(frame, 0, name, value)
    return heard


def bulk(parameters: Mapping[str, str], now_ms: int) -> Heard:
    """``input/bulk``: rows ``[t, node, v1, v2|null|{"name": v}, …]``.

    Raises:
        Refused: ``WL-ING-062`` data that is no such list, ``WL-ING-03x`` a time that is none.
    """
    rows = _json(parameters.get("data", ""))
    if type(rows) is not list or not rows:
        raise Refused("WL-ING-062", "Format error, json string supplied is not valid")
    usable = [(index, row) for index, row in enumerate(rows) if type(row) is list and len(row) >= 3]
    base_ms, keep_absolute = _base(parameters, usable, now_ms)
    heard = Heard()
    count = 0
    for index, row in usable:
        seconds = _seconds(row[0])
        if seconds is None:
            heard.rejections.append(Rejection(index, "WL-ING-030", "time is no number", f"data[{index}][0]"))
            continue
        ts_ms = round(seconds * 1000) + (0 if keep_absolute and seconds >= _ABSOLUTE_S else base_ms)
        frame = Frame(node_name(row[1]), ts_ms)
        for name, value in _slots(row):
            count += 1
            _count(count)
            heard.take(frame, index, name, value)
        heard.frames.append(frame)
    return heard


def node_name(node: Any) -> str:
    """The node as text, without the characters that emonCMS drops too.

    Raises:
        Refused: ``WL-ING-010`` where nothing is left.
    """
    text = _NOT_IN_NAME.sub("", str(node) if isinstance(node, str | int) else "").replace(":", "").strip()
    if not text:
        raise Refused("WL-ING-010", "node has no name", where="node")
    return text


def _full_json(text: str, frame: Frame, take_time: bool, heard: Heard) -> None:
    document = _json(text)
    if not isinstance(document, _Pairs):
        raise Refused("WL-ING-062", "Format error, json string supplied is not valid")
    for position, (name, value) in enumerate(document):
        _count(position)
        if name.lower() != "time":
            heard.take(frame, 0, name, value)
        elif take_time and value is not None:
            number = number_of(value) if isinstance(value, str) else value
            frame.ts_ms = epoch_ms(value if number is None else number, where="time")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """``a:1,b:2`` by name, ``1,2`` by position from 1; what JSON would quote or brace is dropped."""
    position = 0
    for entry in _NOT_IN_LIST.sub("", text).split(","):
        name, colon, value = entry.partition(":")
        if not colon:
            position += 1
            name, value = str(position), name
        if not value.strip():
            raise Refused("WL-ING-062", "Format error, json key missing or invalid character")
        yield name.strip(), value.strip()


def _slots(row: list[Any]) -> Iterator[tuple[str, Any]]:
    """Values by position from 1; ``null`` takes a position, an object names its own."""
    position = 0
    for value in row[2:]:
        if isinstance(value, _Pairs):
            yield from value
        else:
            position += 1
            yield str(position), value


def _base(parameters: Mapping[str, str], rows: list[tuple[int, list[Any]]], now_ms: int) -> tuple[int, bool]:
    """What is added to a row's time, and whether absolute times stay as they are."""
    now_ms -= now_ms % 1000
    for name in ("sentat", "offset"):
        if parameters.get(name, "").strip():
            seconds = number_of(parameters[name].strip())
            if seconds is None or abs(seconds) > 1e11:
                raise Refused("WL-ING-030", f"{name} is no number of seconds", where=name)
            base_ms = now_ms - round(seconds * 1000)
            return base_ms, name == "sentat" and abs(base_ms) <= SAME_CLOCK_MS
    start_ms = time_of(parameters, "time")
    if start_ms is not None:
        return start_ms, False
    last = next((seconds for _, row in reversed(rows) if (seconds := _seconds(row[0])) is not None), 0.0)
    return now_ms - round(last * 1000), False


def _seconds(value: Any) -> float | None:
    number = number_of(value) if isinstance(value, str) else _plain_number(value)
    return number if number is not None and abs(number) < 1e11 else None


def _plain_number(value: Any) -> float | None:
    return float(value) if type(value) is int or type(value) is float else None


def _json(text: str) -> Any:
    try:
        document = orjson.loads(text)
        return json.loads(text, object_pairs_hook=_Pairs) if "{" in text else document
    except (ValueError, UnicodeEncodeError, RecursionError) as error:
        raise Refused("WL-ING-062", "Format error, json string supplied is not valid") from error


def _count(count: int) -> None:
    if count > MAX_VALUES:
        raise Refused("WL-ING-006", f"more than {MAX_VALUES} values in one request")


def _path(name: str) -> str:
    short = name[:80]
    return short if short.isprintable() else ascii(short)[1:-1]
