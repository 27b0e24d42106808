"""emonCMS input API: ``/emoncms/input/post``, ``bulk`` and ``get``, each with and without ``.json``."""

from __future__ import annotations

from hub.plugins.api import Endpoint, Integration, PushHandler, hookimpl
from integrations.emoncms.endpoint import InputEndpoints, denied
from integrations.emoncms.schema import SCHEMA
from integrations.emoncms.source import connect

CREDENTIALS = ("query:apikey", "form:apikey")


@hookimpl
def hub_integration() -> Integration:
    """Describe the routes."""
    inputs = InputEndpoints()
    post, bulk, get = "/emoncms/input/post", "/emoncms/input/bulk", "/emoncms/input/get"
    routes: list[tuple[str, PushHandler, str]] = [
        (post, inputs.post, "Inputs of one node"),
        (f"{post}.json", inputs.post, "Inputs of one node"),
        (f"{post}/{{node}}", inputs.post, "Inputs of one node, named in the path"),
        (f"{post}.json/{{node}}", inputs.post, "Inputs of one node, named in the path"),
        (bulk, inputs.bulk, "Inputs of many nodes and times"),
        (f"{bulk}.json", inputs.bulk, "Inputs of many nodes and times"),
        (get, inputs.get, "Where a sender resumes"),
        (f"{get}.json", inputs.get, "Where a sender resumes"),
        (f"{get}/{{node}}", inputs.get, "Where a sender resumes"),
    ]
    return Integration(
        domain="emoncms",
        schema=SCHEMA,
        connect=connect,
        endpoints=[
            Endpoint(method, path, handler, "ingest", CREDENTIALS, denied, summary)
            for path, handler, summary in routes
            for method in ("GET", "POST")
        ],
        always=True,
    )
