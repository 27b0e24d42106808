"""InfluxDB line protocol in: the write, query and ping routes of InfluxDB 1.x and 2.x."""

from __future__ import annotations

from hub.plugins.api import Endpoint, Integration, hookimpl
from integrations.influx_line.answers import v1_denied, v2_denied
from integrations.influx_line.heads import Heads
from integrations.influx_line.lines import LineReader
from integrations.influx_line.query import QueryEndpoints, health, ping, ready
from integrations.influx_line.schema import SCHEMA
from integrations.influx_line.source import connect
from integrations.influx_line.write import WriteEndpoints

CREDENTIALS = ("token", "basic", "query:p")
"""``Authorization: Token``, the password of Basic, and ``p`` of ``u=…&p=…``; the user name is not looked at."""


@hookimpl
def hub_integration() -> Integration:
    """Describe the routes; ``/ping`` and ``/health`` are asked without credentials."""
    heads = Heads()
    write, query = WriteEndpoints(LineReader(heads)), QueryEndpoints(heads)
    return Integration(
        domain="influx_line",
        schema=SCHEMA,
        connect=connect,
        endpoints=[
            Endpoint("POST", "/write", write.v1, "ingest", CREDENTIALS, v1_denied, "Write (InfluxDB 1.x)"),
            Endpoint(
                "POST", "/api/v2/write", write.v2, "ingest", CREDENTIALS, v2_denied, "Write (InfluxDB 2.x)"
            ),
            Endpoint("GET", "/query", query.v1, "ingest", CREDENTIALS, v1_denied, "Last point (InfluxQL)"),
            Endpoint("POST", "/query", query.v1, "ingest", CREDENTIALS, v1_denied, "Last point (InfluxQL)"),
            Endpoint(
                "POST", "/api/v2/query", query.v2, "ingest", CREDENTIALS, v2_denied, "Last point (Flux)"
            ),
            Endpoint("GET", "/ping", ping, None, summary="Alive, and which version (InfluxDB)"),
            Endpoint("HEAD", "/ping", ping, None, summary="Alive, and which version (InfluxDB)"),
            Endpoint("GET", "/api/v2/ping", ping, None, summary="Alive, and which version (InfluxDB 2.x)"),
            Endpoint("GET", "/health", health, None, summary="Alive (InfluxDB 2.x)"),
            Endpoint("GET", "/ready", ready, None, summary="Ready (InfluxDB 2.x)"),
        ],
        always=True,
    )
