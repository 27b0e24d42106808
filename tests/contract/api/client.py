"""A plain HTTP client for a hub process, and small words for what the checks say again and again."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.chaos.deadline import on_this_machine

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def kind(self) -> str:
        """Media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    def problem(self, status: int, code: str = "WL-") -> dict[str, Any]:
        """The answer as a problem of this status.

        Raises:
            AssertionError: another status, another media type, or a shape that is not a problem's.
        """
        assert self.status == status, f"{self.status} {self.text[:300]}"
        assert self.kind == "application/problem+json", self.kind
        found: dict[str, Any] = self.json
        assert found["status"] == status, found
        assert found["title"], found
        assert found["detail"], found
        assert found["code"].startswith(code), found
        return found


@dataclass(frozen=True, slots=True)
class Api:
    """Requests to one hub with one token; each on a connection of its own, as ``curl`` does."""

    port: int
    token: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """One request; ``data`` is sent as JSON, ``query`` behind the path."""
        sent = dict(headers or {})
        if self.token and "authorization" not in {name.lower() for name in sent}:
            sent["Authorization"] = f"Bearer {self.token}"
        if data is not None:
            body = json.dumps(data)
            sent.setdefault("Content-Type", "application/json")
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        payload = body.encode() if isinstance(body, str) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, payload, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """JSON of a GET that must be answered with 200."""
        answer = self.ask("GET", "/api/v1/" + path, **query)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text[:400]}"
        assert answer.kind == "application/json"
        return answer.json

    def send(self, data: Any) -> Answer:
        """``POST ingest``."""
        return self.ask("POST", "/api/v1/ingest", data=data)

    def stored(self, device: str, ts: Any, **values: Any) -> None:
        """Ingest one item that has to be taken."""
        answer = self.send({"device": device, "ts": ts, "values": values})
        assert answer.status == 204, answer.text

    def latest(self, series: str) -> dict[str, Any] | None:
        """Newest value of one series, ``None`` where there is none."""
        answer = self.ask("GET", "/api/v1/latest", series=series)
        if answer.status == 404:
            return None
        assert answer.status == 200, answer.text
        items: list[dict[str, Any]] = answer.json["items"]
        return items[0] if items else None

    def readings(self, series: str, **query: Any) -> list[tuple[int, float]]:
        """Stored readings of a series as ``(ts_ms, value)``."""
        page = self.get(f"series/{series}/readings", **query)
        return list(zip(page["ts"], page["value"], strict=True))

    def history(self, series: str, **query: Any) -> dict[str, Any]:
        """``GET history`` of one or more series."""
        found: dict[str, Any] = self.get("history", series=series, **query)
        return found

    def derived(self) -> None:
        """Wait until nothing waits to be derived: 5 s are promised for a quiet hub."""
        eventually(lambda: self.get("derived")["dirty_series"] == 0, 15.0)

    def with_token(self, token: str) -> Api:
        """The same hub, another token."""
        return Api(self.port, token)


def eventually(check: Callable[[], Any], limit_s: float = 15.0) -> Any:
    """The first true answer of ``check``.

    Raises:
        AssertionError: it stayed false for ``limit_s`` seconds.
    """
    end_s = time.monotonic() + on_this_machine(limit_s)
    while not (found := check()):
        assert time.monotonic() < end_s, f"still {found!r} after {limit_s} s"
        time.sleep(0.05)
    return found


def now_ms() -> int:
    """Unix milliseconds now."""
    return time.time_ns() // 1_000_000
