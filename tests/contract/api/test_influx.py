"""InfluxDB's two write interfaces as its public clients use them."""

from __future__ import annotations

import base64
import gzip
import subprocess
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.api.client import Answer, Api, now_ms

influx: Any = pytest.importorskip("influxdb_client", reason="influxdb-client is not installed")


def write(api: Api, body: str | bytes, path: str = "/write?db=house", **headers: str) -> Answer:
    """A write with the token as Influx clients send it."""
    return api.ask("POST", path, body, headers={"Authorization": f"Token {api.token}", **headers})


def test_points_become_devices_and_series(api: Api) -> None:
    ts = now_ms()
    line = f"house,room=kitchen,floor=1 temperature=21.5,power=12i {ts}000000"
    answer = write(api, line)
    assert (answer.status, answer.body) == (204, b"")
    # tag values in the order of their keys
    assert api.readings("house-1-kitchen.temperature", end=ts + 1) == [(ts, 21.5)]
    assert api.readings("house-1-kitchen.power", end=ts + 1) == [(ts, 12.0)]


@pytest.mark.parametrize(
    ("precision", "divisor"),
    [("ns", 1e-6), ("n", 1e-6), ("us", 1e-3), ("u", 1e-3), ("µs", 1e-3), ("ms", 1), ("s", 1000), ("m", 60000),
     ("h", 3.6e6)],
)  # fmt: skip
def test_v1_precisions(api: Api, precision: str, divisor: float) -> None:
    ts = now_ms() // 3_600_000 * 3_600_000
    device = f"precise-{divisor:g}".replace("e-0", "e").replace("e+0", "e").replace(".", "-")
    stamp = int(ts / divisor) if divisor >= 1 else ts * round(1 / divisor)
    answer = write(api, f"{device} power=1 {stamp}", f"/write?db=x&precision={quote(precision)}")
    assert answer.status == 204, answer.text
    assert api.latest(f"{device}.power")["ts"] == ts  # type: ignore[index]


def test_v2_precisions_and_an_unknown_one(api: Api) -> None:
    ts = now_ms()
    for precision, stamp in (("ns", ts * 10**6), ("us", ts * 1000), ("ms", ts)):
        path = f"/api/v2/write?org=o&bucket=b&precision={precision}"
        assert write(api, f"v2-{precision} power=1 {stamp}", path).status == 204
        assert api.latest(f"v2-{precision}.power")["ts"] == ts  # type: ignore[index]
    answer = write(api, f"v2 power=1 {ts}", "/api/v2/write?org=o&bucket=b&precision=h")
    assert answer.status == 400
    assert answer.json["code"] == "invalid"


@pytest.mark.parametrize("path", ["/write?db=x&precision=ms", "/api/v2/write?org=o&bucket=b&precision=ms"])
@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain; charset=utf-8", "application/octet-stream", ""],
)
def test_any_content_type_and_gzip(api: Api, path: str, content_type: str) -> None:
    ts = now_ms()
    device = f"typed{abs(hash((path, content_type)))}"
    headers = {"Content-Type": content_type} if content_type else {}
    assert write(api, f"{device} a=1,b=2 {ts}", path, **headers).status == 204
    packed = gzip.compress(f"{device} a=3,b=4 {ts + 1}\n".encode())
    assert write(api, packed, path, **{"Content-Encoding": "gzip", **headers}).status == 204
    assert [value for _, value in api.readings(f"{device}.b", end=ts + 10)] == [2.0, 4.0]


def test_curl_with_its_default_content_type(api: Api) -> None:
    ts = now_ms()
    done = subprocess.run(
        ["curl", "-s", "-o", "-", "-w", "%{http_code}", "-XPOST",
         f"http://127.0.0.1:{api.port}/write?db=x&precision=ms&u=any&p={api.token}",
         "--data-binary", f"curled,a=b%26c power=1,x=2 {ts}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == "204"


def test_partial_writes_keep_the_good_lines(api: Api) -> None:
    ts = now_ms()
    body = f"part power=1 {ts}\nbad line\npart power= {ts}\npart power=2 {ts + 1}\n"
    one = write(api, body, "/write?db=x&precision=ms")
    assert one.status == 400
    assert "error" in one.json
    assert one.headers.get("x-influxdb-error") or "unable to parse" in one.json["error"]
    assert [value for _, value in api.readings("part.power", end=ts + 10)] == [1.0, 2.0]
    two = write(api, body.replace("part", "part2"), "/api/v2/write?org=o&bucket=b&precision=ms")
    assert two.status == 400
    assert two.json["code"] == "invalid"
    assert two.json["message"]
    assert [value for _, value in api.readings("part2.power", end=ts + 10)] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("g1 v=1i", "v", 1.0),
        ("g2 v=1u", "v", 1.0),
        ("g3 v=-1.5e3", "v", -1500.0),
        ("g5\\ a v=2", "v", 2.0),
        ("g6,t=a\\,b v=2", "v", 2.0),
        ("g7 v=1,v=2", "v", 2.0),
        ('g8 s="text, with \\"quotes\\"",v=3', "v", 3.0),
        ("g9 v=4\r", "v", 4.0),
        ("# comment\n\ng10 v=5", "v", 5.0),
        ("g11  v=6", "v", 6.0),
    ],
)
def test_grammar(api: Api, line: str, key: str, value: float) -> None:
    before = {item["id"] for item in api.get("series", limit=1000)["items"]}
    answer = write(api, line)
    assert answer.status == 204, answer.text
    new = {item["id"] for item in api.get("series", limit=1000)["items"]} - before
    found = api.latest(next(iter(one for one in new if one.endswith(f".{key}"))))
    assert found
    assert found["value"] == value


def test_text_fields_do_not_spoil_a_line(api: Api) -> None:
    """Telegraf sends strings beside numbers; a 4xx would make it drop the whole batch."""
    ts = now_ms()
    answer = write(api, f'tele state="on",power=5 {ts}', "/api/v2/write?org=o&bucket=b&precision=ms")
    assert answer.status == 204, answer.text
    assert api.latest("tele.power")["value"] == 5.0  # type: ignore[index]


def test_empty_and_comment_only_bodies_are_fine(api: Api) -> None:
    assert write(api, "").status == 204
    assert write(api, "# nothing\n\n").status == 204


def test_the_python_client_writes_and_pings(api: Api) -> None:
    ts = now_ms()
    with influx.InfluxDBClient(
        url=f"http://127.0.0.1:{api.port}", token=api.token, org="o", enable_gzip=True
    ) as client:
        assert client.ping()
        point = (
            influx.Point("pyclient")
            .tag("room", "hall")
            .field("power", 42.0)
            .time(ts, influx.WritePrecision.MS)
        )
        client.write_api(write_options=influx.client.write_api.SYNCHRONOUS).write("b", "o", point)
    assert api.latest("pyclient-hall.power")["value"] == 42.0  # type: ignore[index]


def test_who_may_write(api: Api) -> None:
    body = "auth power=1"
    assert api.with_token("").ask("POST", "/write?db=x", body).status == 401
    wrong = api.with_token("").ask(
        "POST", "/api/v2/write?org=o&bucket=b", body, headers={"Authorization": "Token no"}
    )
    assert wrong.status == 401
    assert wrong.json["code"] == "unauthorized"
    assert api.with_token("").ask("POST", f"/write?db=x&u=me&p={api.token}", body).status == 204
    basic = base64.b64encode(f"me:{api.token}".encode()).decode()
    assert (
        api.with_token("")
        .ask("POST", "/write?db=x", body, headers={"Authorization": f"Basic {basic}"})
        .status
        == 204
    )
    pair = {"Authorization": f"Token me:{api.token}"}
    assert api.with_token("").ask("POST", "/write?db=x", body, headers=pair).status == 204


def test_probes_of_clients(api: Api) -> None:
    nobody = api.with_token("")
    for method in ("GET", "HEAD"):
        answer = nobody.ask(method, "/ping")
        assert answer.status == 204
        assert answer.headers["x-influxdb-version"]
    assert nobody.ask("GET", "/health").json["status"] == "pass"
    created = {"results": [{"statement_id": 0}]}
    assert api.ask("GET", "/query?q=CREATE%20DATABASE%20house").json == created
    assert write(api, "", "/query?q=CREATE+DATABASE+house").json == created
    body = "q=CREATE+DATABASE+%22telegraf%22"
    posted = write(api, body, "/query", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (posted.status, posted.json) == (200, created)


def test_iotawatt_asks_where_to_go_on(api: Api) -> None:
    ts = now_ms() // 1000
    assert write(api, f"iota,device=w watts=1 {ts}", "/write?db=x&precision=s").status == 204
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    question = "db=x&epoch=s&q= SELECT LAST(\"watts\") FROM iota WHERE device='w'"
    found: Any = write(api, question, "/query", **form).json
    assert str(ts) in str(found)
    none = write(api, question.replace("iota", "nobody"), "/query", **form)
    assert none.status == 200
    assert "series" not in none.text


def test_everything_wrong_with_telegraf_is_final_and_overload_is_not(api: Api) -> None:
    answer = write(api, "power", "/api/v2/write?org=o&bucket=b")
    assert answer.status == 400
    old = write(api, "old power=1 1000", "/write?db=x&precision=s")
    assert old.status in {400, 422}
    assert api.latest("old.power") is None
