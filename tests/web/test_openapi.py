"""The API's own description: valid, complete, and made of the mounted routes."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.web.conftest import House
from web.server import declared_routes


async def test_the_document_is_valid_and_names_every_route(house: House) -> None:
    document = (await house.get("/api/openapi.json", by=None)).json
    shown = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    mounted = {(one.method, one.path) for one in declared_routes(house.hub) if one.in_openapi}

    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert shown == mounted


async def test_every_operation_says_who_may_call_it_and_what_it_answers(house: House) -> None:
    document = (await house.get("/api/openapi.json", by=None)).json
    operations = [one for path in document["paths"].values() for one in path.values()]

    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert one["summary"]
        assert one.get("security") == [] or "permission" in one["description"]
        assert one["responses"]
