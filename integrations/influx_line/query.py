"""``/ping``, ``/health``, ``/query`` and ``/api/v2/query``: enough for writers to begin and to resume."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson

from hub.plugins.api import Intake, PushAnswer, PushRequest, Refused, conversion
from integrations.influx_line import answers
from integrations.influx_line.heads import Heads
from integrations.influx_line.names import device_of, series_of
from integrations.influx_line.questions import LastPoint, parse_flux, parse_influxql

# Asked after a restart, before the sender's first write, when the question names no field.
_USUAL_FIELDS = (
    *("value", "watts", "power", "energy", "wh", "kwh", "volts", "voltage", "amps", "current"),
    *("hz", "frequency", "pf", "va", "var", "varh", "temperature"),
)
_TICKS_PER_S: Mapping[str, float] = {
    "ns": 1e9,
    "n": 1e9,
    "us": 1e6,
    "u": 1e6,
    "µ": 1e6,
    "ms": 1e3,
    "s": 1,
    "m": 1 / 60,
    "h": 1 / 3600,
}
_DATABASE_STATEMENT = re.compile(
    r"\s*(?:CREATE|DROP|ALTER)\s+(?:DATABASE|RETENTION\s+POLICY)\b", re.IGNORECASE
)
_SHOW = re.compile(r"\s*SHOW\s+", re.IGNORECASE)
_SHOW_DATABASES = re.compile(r"\s*SHOW\s+DATABASES\s*;?\s*", re.IGNORECASE)


async def ping(request: PushRequest, intake: Intake) -> PushAnswer:
    """204 with ``X-Influxdb-Version``; 200 with the version as JSON for ``verbose=true``."""
    if request.query.get("verbose") in ("true", "1"):
        return PushAnswer(200, orjson.dumps({"version": answers.VERSION}), headers=answers.HEADERS)
    return PushAnswer(204, headers=answers.HEADERS)


async def health(request: PushRequest, intake: Intake) -> PushAnswer:
    """200 ``{"name", "status": "pass", …}``: what client libraries of 2.x ask first."""
    document = {
        "name": "influxdb",
        "message": "ready for queries and writes",
        "status": "pass",
        "checks": [],
        "version": answers.VERSION,
    }
    return PushAnswer(200, orjson.dumps(document), headers=answers.HEADERS)


async def ready(request: PushRequest, intake: Intake) -> PushAnswer:
    """200 ``{"status": "ready"}``; whether the hub itself is ready says ``/readyz``."""
    return PushAnswer(200, orjson.dumps({"status": "ready"}), headers=answers.HEADERS)


class QueryEndpoints:
    """The two query routes; ``heads`` tells which fields a device has sent."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    async def v1(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """InfluxQL: 200 for database statements (they do nothing), ``SHOW …`` and ``SELECT LAST``; else 400."""
        parameters = {**_form(request), **request.query}
        text = parameters.get("q", "")
        if not text.strip():
            return answers.v1_error(400, 'missing required parameter "q"')
        if _DATABASE_STATEMENT.match(text):
            return answers.results()
        if _SHOW_DATABASES.fullmatch(text):
            names = [["_internal"], [parameters.get("db") or "wattline"]]
            return answers.results({"name": "databases", "columns": ["name"], "values": names})
        if _SHOW.match(text):
            return answers.results()
        question = parse_influxql(text)
        if question is None:
            return answers.v1_error(
                400, "error parsing query: only SELECT LAST(field) FROM measurement is answered"
            )
        return self._last_as_json(question, parameters.get("epoch", ""), intake)

    async def v2(self, request: PushRequest, intake: Intake) -> PushAnswer:
        """Flux: 200 ``text/csv`` with ``_time`` in seconds, newest first, empty where nothing is known; else 400."""
        question = parse_flux(_flux_text(request.body))
        if question is None:
            return answers.v2_error(400, "only a from |> range |> filter |> last() pipeline is answered")
        start_s = _range_start_s(_flux_text(request.body))
        rows = []
        for measurement in question.measurements:
            last = self._newest(measurement, question, intake)
            if last is not None and last[0] // 1000 >= start_s:
                rows.append((last[0] // 1000, measurement))
        return PushAnswer(200, _csv(sorted(rows, reverse=True)), "text/csv; charset=utf-8", answers.HEADERS)

    def _last_as_json(self, question: LastPoint, epoch: str, intake: Intake) -> PushAnswer:
        measurement = question.measurements[0]
        last = self._newest(measurement, question, intake)
        if last is None:
            return answers.results()
        ts_ms, value = last
        per_s = _TICKS_PER_S.get(epoch)
        time = _rfc3339(ts_ms) if per_s is None else int(ts_ms * per_s // 1000)
        values = [[time, value]]
        return answers.results({"name": measurement, "columns": ["time", "last"], "values": values})

    def _newest(self, measurement: str, question: LastPoint, intake: Intake) -> tuple[int, float] | None:
        """Newest stored point, in the unit the sender sends."""
        try:
            device = device_of(measurement, question.tags).id
            fields = question.fields or (*self._heads.keys_of(device), *_USUAL_FIELDS)
            infos = [series_of(name) for name in fields]
        except Refused:
            return None
        found = []
        for info in infos:
            last = intake.last_reading(device, info.key)
            if last is not None:
                change = conversion(info.quantity, info.unit)
                found.append((last[0], (last[1] - change.offset) / change.factor))
        return max(found, default=None)


def _form(request: PushRequest) -> dict[str, str]:
    """Parameters of a form body; some senders do not percent-encode them, which reads the same."""
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), max_num_fields=50)) if request.body else {}


def _flux_text(body: bytes) -> str:
    """The Flux script, bare or as ``{"query": …}``."""
    text = body.decode("utf-8", "replace")
    if not text.lstrip().startswith("{"):
        return text
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    query = document.get("query") if isinstance(document, dict) else None
    return query if isinstance(query, str) else ""


_RANGE = re.compile(r"range\(\s*start:\s*(-?\d{1,12})\s*[,)]")


def _range_start_s(text: str) -> int:
    """Start in epoch seconds where the script gives one; a newer point than its stop is still the newest."""
    found = _RANGE.search(text)
    return int(found[1]) if found else 0


def _csv(rows: list[tuple[int, str]]) -> bytes:
    """The annotation-free CSV of InfluxDB: CR LF, ``_time`` as the last column, as its readers expect."""
    if not rows:
        return b"\r\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["", "result", "table", "_measurement", "_time"])
    for time_s, measurement in rows:
        writer.writerow(["", "_result", 0, measurement, time_s])
    out.write("\r\n")
    return out.getvalue().encode("utf-8", "backslashreplace")


def _rfc3339(ts_ms: int) -> str:
    moment = datetime.fromtimestamp(ts_ms // 1000, UTC).replace(microsecond=ts_ms % 1000 * 1000)
    return moment.isoformat().replace("+00:00", "Z")
