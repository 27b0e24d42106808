"""JSON over HTTP: ``POST /api/v1/ingest``."""

from __future__ import annotations

from hub.plugins.api import Endpoint, Integration, hookimpl
from integrations.http_json.endpoint import IngestEndpoint
from integrations.http_json.schema import SCHEMA
from integrations.http_json.source import connect


@hookimpl
def hub_integration() -> Integration:
    """Describe the JSON ingest."""
    ingest = IngestEndpoint()
    return Integration(
        domain="http_json",
        schema=SCHEMA,
        connect=connect,
        endpoints=[
            Endpoint(
                "POST",
                "/api/v1/ingest",
                ingest.handle,
                summary="Store readings: one object or a list of objects, see the manual's chapter on ingest",
            )
        ],
        always=True,
    )
