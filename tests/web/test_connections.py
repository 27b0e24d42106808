"""Connections: how many, and how long one may say nothing."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tests.web.conftest import House


async def test_a_connection_that_says_nothing_whole_is_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.connections.HEAD_DEADLINE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")
    rest = await asyncio.wait_for(reader.read(), 30)
    writer.close()

    assert rest == b""


async def test_one_connection_too_many_is_closed_and_the_others_are_served(house: House) -> None:
    assert house.hub.config.http.limits == {"read_deadline_s": 3, "connections": 20}
    crowd = [await asyncio.open_connection("127.0.0.1", house.server.port) for _ in range(20)]
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    refused = await asyncio.wait_for(reader.read(), 30)
    crowd[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    served = await asyncio.wait_for(crowd[0][0].readline(), 30)
    for _, one in [*crowd, (reader, writer)]:
        one.close()

    assert refused == b""
    assert b" 200 " in served


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /api/v1/latest?token=CANARY{long} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Long: CANARY{long}\r\n\r\n", 431),
        ("NO-METHOD /CANARY HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CANARY\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_answered_with_a_problem_and_nothing_of_it_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, head: str, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    writer.write(head.format(long="x" * 70_000).encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    first, _, rest = answer.partition(b"\r\n")
    document = json.loads(rest.partition(b"\r\n\r\n")[2])

    assert int(first.split()[1]) == status
    assert b"application/problem+json" in rest
    assert (document["status"], document["code"]) == (status, f"WL-API-{status}")
    assert b"CANARY" not in answer
    assert "CANARY" not in caplog.text


async def test_an_address_with_hundreds_of_series_is_read(house: House) -> None:
    names = ",".join(f"device-{number:03}.energy_import" for number in range(500))
    answer = await house.get(f"/api/v1/latest?series={names}")
    assert (answer.status, answer.code) == (404, "WL-API-404")
