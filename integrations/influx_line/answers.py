"""Answers in the words that clients of InfluxDB 1.x and 2.x expect."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from hub.plugins.api import PushAnswer

VERSION = "1.8.10"
"""The release whose behaviour ``/write`` and ``/query`` follow; clients look at its first digit."""

HEADERS: Mapping[str, str] = {"X-Influxdb-Version": VERSION, "X-Influxdb-Build": "Wattline"}
_HEADER_CHARS = 300
_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    413: "request too large",
    429: "too many requests",
}


def written() -> PushAnswer:
    """204: everything is committed."""
    return PushAnswer(204, headers=HEADERS)


def v1_error(status: int, text: str) -> PushAnswer:
    """``{"error": …}``, and the same text in a header, as InfluxDB 1.x does."""
    body = orjson.dumps({"error": printable(text)}) + b"\n"
    headers = {**HEADERS, "X-Influxdb-Error": _header(text)}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="InfluxDB"'
    return PushAnswer(status, body, headers=headers)


def v2_error(status: int, text: str, line: int | None = None) -> PushAnswer:
    """``{"code": …, "message": …, "line": n}``; ``line`` counts from 1."""
    document: dict[str, object] = {
        "code": _CODES.get(status, "internal error"),
        "message": printable(text),
    }
    if line is not None:
        document["line"] = line
    return PushAnswer(status, orjson.dumps(document), headers=HEADERS)


def v1_denied(status: int, text: str) -> PushAnswer:
    """What the gate answers on the routes of 1.x."""
    return v1_error(status, "authorization failed" if status == 401 else text)


def v2_denied(status: int, text: str) -> PushAnswer:
    """What the gate answers on the routes of 2.x."""
    return v2_error(status, "unauthorized access" if status == 401 else text)


def results(series: object = None) -> PushAnswer:
    """200: the answer to one statement of InfluxQL."""
    statement: dict[str, object] = {"statement_id": 0}
    if series is not None:
        statement["series"] = [series]
    return PushAnswer(200, orjson.dumps({"results": [statement]}) + b"\n", headers=HEADERS)


def printable(text: str) -> str:
    """The text as UTF-8 can carry it: bytes that were none show as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _header(text: str) -> str:
    """One line of printable ASCII: what a sender wrote must not make headers of its own."""
    ascii_text = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(char if char.isprintable() else " " for char in ascii_text)[:_HEADER_CHARS]
