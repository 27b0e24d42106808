"""Problems have one shape, whoever made them."""

from __future__ import annotations

import pytest

from tests.web.conftest import House


@pytest.mark.parametrize("body", [b"hello", b'{"device":"a","values":{}}'])
async def test_a_problem_of_an_integration_names_the_request(house: House, body: bytes) -> None:
    answer = await house.post("/api/v1/ingest", by="ingest", data=body)

    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert answer.json["type"] == f"urn:wattline:error:{answer.code}"
