"""Bodies: within a size, within a time, unpacked without trusting the sender."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.conftest import House


async def test_a_body_over_the_limit_is_413(house: House) -> None:
    large = json.dumps({"name": "x" * (1 << 20)}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await house.post("/api/v1/devices", data=io.BytesIO(large), headers=headers)

    assert (answer.status, answer.code) == (413, "WL-API-413")


async def test_a_slow_body_is_408(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port)
    head = (
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\n\r\n{"
    )
    writer.write(head.encode())
    raw = await asyncio.wait_for(reader.readline(), 30)
    writer.close()

    assert b" 408 " in raw


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda raw: zlib.compress(raw)[2:-4]])
async def test_packed_bodies_are_read(house: House, pack: object) -> None:
    raw = json.dumps({"name": "Packed"}).encode()
    packed = pack(raw)  # type: ignore[operator]
    encoding = "gzip" if packed[:2] == b"\x1f\x8b" else "deflate"
    answer = await house.post(
        "/api/v1/devices",
        data=packed,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )

    assert (answer.status, answer.json["id"]) == (201, "packed")


async def test_a_zip_bomb_ends_at_the_limit(house: House) -> None:
    bomb = gzip.compress(b"0" * (80 << 20))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    api = await house.post("/api/v1/devices", data=bomb, headers=headers)
    ingest = await house.post("/api/v1/ingest", data=bomb, headers=headers)

    assert (api.status, ingest.status) == (413, 413)
    assert len(bomb) < 1 << 20


@pytest.mark.parametrize("cut", [5, 20, -5])
async def test_a_cut_or_broken_packing_is_400(house: House, cut: int) -> None:
    packed = gzip.compress(json.dumps({"name": "Packed"}).encode())[:cut]
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert (await house.post("/api/v1/devices", data=packed, headers=headers)).status == 400
    assert (await house.post("/api/v1/devices", data=b"x" * 50, headers=headers)).status == 400
    headers["Content-Encoding"] = "compress"
    assert (await house.post("/api/v1/devices", data=packed, headers=headers)).status == 415


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    raw=st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
async def test_no_body_breaks_the_server(house: House, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/api/v1/devices", "/api/v1/auth/login", "/api/v1/me/tokens"):
        assert (await house.post(path, data=raw, headers=headers)).status in (400, 415, 422)
