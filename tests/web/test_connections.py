"""Connections: how many, and how long one may say nothing."""

from __future__ import annotations

import asyncio

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
