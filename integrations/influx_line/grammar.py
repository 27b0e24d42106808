"""One line of line protocol, read by the letter.

``measurement[,tag=value...] field=value[,field=value...] [timestamp]``. A backslash escapes comma, space and
(not in measurements) the equals sign; before any other character it is itself. Texts stand in double quotes,
where it escapes the quote and itself, and may hold newlines. Tags come in any order but only once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INT64_MAX = (1 << 63) - 1
_UINT64_MAX = (1 << 64) - 1

_MEASUREMENT = re.compile(r"(?:\\[, ]|[^, ])++")
_NAME = re.compile(r"(?:\\[,= ]|[^,= ])++")
_TEXT = re.compile(r'"(?:\\["\\]|[^"])*+"')
_TOKEN = re.compile(r"[^, ]++")
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_MEASUREMENT = re.compile(r"\\([, ])")
_FLOAT = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BOOLEANS = frozenset({"t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"})
_LONGEST_NUMBER = 400


class LineError(ValueError):
    """A line that cannot be read; the text says why, in the words InfluxDB uses."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as read. ``head`` is its measurement and tags as written; a text or boolean field is None."""

    head: str
    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, float | None]
    ticks: int | None


def parse_line(line: str) -> Line:
    """Read one line, without comment and newline.

    Raises:
        LineError: it is none; nothing of it may be stored.
    """
    start = len(line) - len(line.lstrip(" "))
    measurement, position = _measurement(line, start)
    tags, position = _tags(line, position)
    head = line[start:position]
    fields, position = _fields(line, _gap(line, position, "missing fields"))
    return Line(head, measurement, tags, fields, _ticks(line[position:].strip(" ")))


def _measurement(line: str, start: int) -> tuple[str, int]:
    found = _MEASUREMENT.match(line, start)
    if not found:
        raise LineError("missing measurement")
    return _clean(_ESCAPED_MEASUREMENT.sub(r"\1", found[0])), found.end()


def _tags(line: str, position: int) -> tuple[tuple[tuple[str, str], ...], int]:
    tags: dict[str, str] = {}
    while line[position : position + 1] == ",":
        key, position = _name(line, position + 1, "missing tag key")
        if line[position : position + 1] != "=":
            raise LineError("missing tag value")
        value, position = _name(line, position + 1, "missing tag value")
        if line[position : position + 1] == "=":
            raise LineError("invalid tag format")
        if key in tags:
            raise LineError("duplicate tags")
        if key == "time":
            raise LineError('input tag "time" is reserved')
        tags[key] = value
    return tuple(sorted(tags.items())), position


def _fields(line: str, position: int) -> tuple[dict[str, float | None], int]:
    fields: dict[str, float | None] = {}
    while True:
        key, position = _name(line, position, "missing field key")
        if line[position : position + 1] != "=":
            raise LineError("invalid field format")
        value, position = _value(line, position + 1)
        fields.pop(key, None)  # of two equal keys the last wins, also in order
        fields[key] = value
        if line[position : position + 1] != ",":
            return fields, position
        position += 1


def _value(line: str, position: int) -> tuple[float | None, int]:
    if line[position : position + 1] == '"':
        text = _TEXT.match(line, position)
        if not text:
            raise LineError("unbalanced quotes")
        if line[text.end() : text.end() + 1] not in ("", ",", " "):
            raise LineError("invalid field format")
        if _has_bad_utf8(text[0]):
            raise LineError("invalid UTF-8")
        return None, text.end()
    token = _TOKEN.match(line, position)
    if not token:
        raise LineError("missing field value")
    return _number(token[0]), token.end()


def _number(token: str) -> float | None:
    if token in _BOOLEANS:
        return None
    if len(token) > _LONGEST_NUMBER:
        raise LineError("invalid number: too long")
    if token[-1] in "iu":
        return _integer(token[:-1], token[-1])
    if not _FLOAT.fullmatch(token):
        raise LineError("invalid number")
    value = float(token)
    if value - value != 0:
        raise LineError("invalid number: value out of range")
    return value


def _integer(digits: str, suffix: str) -> float:
    if not _WHOLE.fullmatch(digits) or (suffix == "u" and digits[0] == "-"):
        raise LineError("invalid number")
    whole = int(digits)
    lowest, highest = (0, _UINT64_MAX) if suffix == "u" else (-INT64_MAX - 1, INT64_MAX)
    if not lowest <= whole <= highest:
        raise LineError("invalid number: value out of range")
    return float(whole)


def _ticks(stamp: str) -> int | None:
    if not stamp:
        return None
    if len(stamp) > _LONGEST_NUMBER or not _WHOLE.fullmatch(stamp):
        raise LineError("bad timestamp")
    ticks = int(stamp)
    if not -INT64_MAX - 1 <= ticks <= INT64_MAX:
        raise LineError("bad timestamp: value out of range")
    return ticks


def _name(line: str, position: int, missing: str) -> tuple[str, int]:
    found = _NAME.match(line, position)
    if not found:
        raise LineError(missing)
    name = found[0]
    return _clean(_ESCAPED.sub(r"\1", name) if "\\" in name else name), found.end()


def _clean(name: str) -> str:
    if not name.isprintable() and _CONTROL.search(name):
        raise LineError("invalid UTF-8" if _has_bad_utf8(name) else "control character in a name")
    return name


def _has_bad_utf8(text: str) -> bool:
    """Bytes that were no UTF-8 came in as lone surrogates."""
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _gap(line: str, position: int, missing: str) -> int:
    """Position after the spaces that must stand here."""
    rest = line[position:]
    if not rest.strip(" "):
        raise LineError(missing)
    if rest[0] != " ":
        raise LineError("invalid tag format")
    return len(line) - len(rest.lstrip(" "))
