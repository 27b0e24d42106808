"""What writers ask InfluxDB before they write: the last point of a series, in InfluxQL or Flux.

IoTaWatt resumes its upload where the answer says, so a true answer makes its backlog gap-free. Only these
two questions are understood; this is no query engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LAST = re.compile(
    r'\s*SELECT\s+LAST\(\s*(?:"(?P<quoted>[^"]+)"|(?P<bare>[^")]+?))\s*\)\s+FROM\s+'
    r'(?:"(?P<in_quotes>[^"]+)"|(?P<measurement>.+?))\s*(?:\bWHERE\b(?P<where>.*?))?;?\s*',
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(
    r"""(?:\A|\bAND\b)\s*"?(?P<key>[^\s"=]+)"?\s*=\s*'(?P<value>(?:\\'|[^'])*)'\s*""", re.IGNORECASE
)
_FLUX_EQUALS = re.compile(
    r'\br(?:\.(?P<key>\w+)|\["(?P<quoted>[^"]+)"\])\s*==\s*"(?P<value>(?:\\.|[^"\\])*)"', re.DOTALL
)
MAX_QUESTION_CHARS = 20_000
"""Longer texts are no question of a writer."""


@dataclass(frozen=True, slots=True)
class LastPoint:
    """Which last point is asked for. ``measurements`` are alternatives; no fields means any field."""

    measurements: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    fields: tuple[str, ...] = ()


def parse_influxql(text: str) -> LastPoint | None:
    """``SELECT LAST(field) FROM measurement [WHERE tag='value' AND …]``; None for anything else."""
    found = _LAST.fullmatch(text) if len(text) <= MAX_QUESTION_CHARS else None
    if not found:
        return None
    tags = _tags(found["where"] or "")
    if tags is None:
        return None
    measurement = found["in_quotes"] or found["measurement"].replace("\\ ", " ")
    return LastPoint((measurement,), tags, (found["quoted"] or found["bare"],))


def parse_flux(text: str) -> LastPoint | None:
    """A ``from … filter … last()`` pipeline whose filters compare with ``==``; None for anything else."""
    if len(text) > MAX_QUESTION_CHARS or "last()" not in text or "from(" not in text:
        return None
    measurements: dict[str, None] = {}
    fields: dict[str, None] = {}
    tags: dict[str, str] = {}
    for found in _FLUX_EQUALS.finditer(text):
        key, value = found["key"] or found["quoted"], re.sub(r"\\(.)", r"\1", found["value"])
        if key == "_measurement":
            measurements[value] = None
        elif key == "_field":
            fields[value] = None
        else:
            tags[key] = value
    if not measurements:
        return None
    return LastPoint(tuple(measurements), tuple(sorted(tags.items())), tuple(fields))


def _tags(where: str) -> tuple[tuple[str, str], ...] | None:
    """Tags of a condition of equalities; None where it is anything else."""
    tags: dict[str, str] = {}
    position = 0
    while where[position:].strip():
        found = _TAG.match(where[position:].lstrip())
        if not found:
            return None
        position = len(where) - len(where[position:].lstrip()) + found.end()
        tags[found["key"]] = found["value"].replace("\\'", "'")
    return tuple(sorted(tags.items()))
