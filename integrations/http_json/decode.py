"""Body bytes → items, strictly.

The hot path is one call of orjson. It is lenient in one thing and too strict in another, and only then the
slower decoder runs: orjson silently keeps the last of two equal keys, and it refuses a whole list for one
``NaN`` in it, while the contract wants the good items beside it stored. Doubled keys are found by counting
colons: every pair has exactly one outside of texts, so a body with more colons than pairs and texts explain
is read again by the decoder that sees each pair.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson

from hub.plugins.api import Refused

MAX_ITEMS = 50_000
"""Items of one request; a sender with more splits them, as the ingest queue could not take them at once."""

_MAX_NUMBER_CHARS = 40


class DoubledKeys(dict[str, Any]):
    """An object in which keys stood twice; which value was meant cannot be known."""

    doubled: frozenset[str] = frozenset()


class NoNumber:
    """A token where a number stood that JSON does not have (``NaN``) or no float can hold (``1e999``)."""

    def __init__(self, token: str) -> None:
        self.token = token[:_MAX_NUMBER_CHARS]
        is_digits = token.lstrip("-")[:1].isdigit()
        self.code = "WL-ING-041" if is_digits else "WL-ING-040"
        self.meaning = "beyond any measurement" if is_digits else "no finite number"


def items_of(body: bytes) -> list[Any]:
    """Decode a body to its list of items; a single object is a list of one.

    Raises:
        Refused: ``WL-ING-001`` not JSON at all, ``WL-ING-002`` neither object nor list, ``WL-ING-006`` more
            than :data:`MAX_ITEMS` items.
    """
    try:
        document = orjson.loads(body)
        _refuse_too_many(document)
    except orjson.JSONDecodeError as error:
        document = _every_pair(body, str(error))
    else:
        if body.count(b":") != _colons(document) or b"\\" in body:
            document = _every_pair(body, "")
    items = document if isinstance(document, list) else [document]
    if not isinstance(document, list | dict):
        raise Refused("WL-ING-002", "body is neither an object nor a list of objects")
    _refuse_too_many(items)
    return items


def _refuse_too_many(document: Any) -> None:
    if isinstance(document, list) and len(document) > MAX_ITEMS:
        raise Refused(
            "WL-ING-006",
            f"{len(document)} items in one request",
            hint=f"send at most {MAX_ITEMS} at a time",
        )


def _colons(document: Any) -> int:
    """Colons of a document without doubled keys: one a pair, and those in its texts."""
    count = 0
    for item in document if type(document) is list else (document,):
        if type(item) is not dict:
            continue
        count += len(item)
        for value in item.values():
            if type(value) is dict:
                count += len(value)
            elif type(value) is str:
                count += value.count(":")
    return count


def _every_pair(body: bytes, why: str) -> Any:
    """Decode with the standard library, which shows doubled keys and strange numbers one by one."""
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=NoNumber,
            parse_int=_whole,
            parse_float=_decimal,
        )
    except UnicodeDecodeError as error:
        raise Refused("WL-ING-001", f"body is not UTF-8: byte {error.start} begins no character") from error
    except RecursionError as error:
        raise Refused("WL-ING-001", "body is nested too deeply", hint="an item has two levels") from error
    except ValueError as error:
        raise Refused("WL-ING-001", f"body is not JSON: {why or error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    counts = Counter(key for key, _ in pairs)
    doubled = DoubledKeys(plain)
    doubled.doubled = frozenset(key for key, count in counts.items() if count > 1)
    return doubled


def _whole(token: str) -> int | NoNumber:
    return int(token) if len(token) <= _MAX_NUMBER_CHARS else NoNumber(token)


def _decimal(token: str) -> float | NoNumber:
    number = float(token)
    return number if number - number == 0 else NoNumber(token)
