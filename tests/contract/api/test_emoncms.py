"""The input API of emoncms, asked as its documentation and its senders ask."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contract.api.client import Answer, Api, now_ms

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures" / "emoncms"


def ask(api: Api, target: str, body: str | bytes | None = None, **headers: str) -> Answer:
    """A request without any token but the one in ``target``."""
    method = "GET" if body is None else "POST"
    path, _, query = target.replace("KEY", api.token).partition("?")
    return api.with_token("").ask(method, f"/emoncms{path}?{quote(query, safe='=&%')}", body, headers=headers)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="recordings of emoncms clients are not there")
def test_every_documented_request_is_answered_as_documented(api: Api) -> None:
    for line in (FIXTURES / "requests_documented.jsonl").read_text().splitlines():
        target = json.loads(line)["target"]
        if "time=1790000000" in target:
            continue  # more than four hundred days may lie behind by now: asked below with a time of today
        answer = ask(api, target)
        assert answer.status == 200, target
        if "fulljson" in target:
            assert answer.json == {"success": True}
        else:
            assert answer.text == "ok", target


def test_names_and_values_of_a_frame(api: Api) -> None:
    assert ask(api, "/input/post?node=emontx&json={power1:100,power2:-200.5}&apikey=KEY").text == "ok"
    assert api.latest("emontx.power1")["value"] == 100.0  # type: ignore[index]
    assert api.latest("emontx.power2")["value"] == -200.5  # type: ignore[index]
    assert ask(api, '/input/post?node=full&fulljson={"a":1,"b":null,"c":2.5}&apikey=KEY').json == {
        "success": True
    }
    assert {item["key"] for item in api.get("series", device="full")["items"]} == {"a", "c"}
    assert ask(api, "/input/post?node=listed&csv=100,200,300&apikey=KEY").text == "ok"
    assert [api.latest(f"listed.{n}")["value"] for n in "123"] == [100.0, 200.0, 300.0]  # type: ignore[index]


def test_the_time_parameter_and_the_time_member(api: Api) -> None:
    ts = now_ms() // 1000 - 120
    assert ask(api, f"/input/post?node=timed&time={ts}&csv=5&apikey=KEY").text == "ok"
    assert api.readings("timed.1") == [(ts * 1000, 5.0)]
    assert ask(api, f'/input/post?node=member&fulljson={{"power":5,"time":{ts}}}&apikey=KEY').json["success"]
    assert api.readings("member.power") == [(ts * 1000, 5.0)]


@pytest.mark.parametrize("base", ["none", "offset", "sentat", "time"])
def test_bulk_times(api: Api, base: str) -> None:
    now = now_ms() // 1000
    data = f'[[{-10},"bulk-{base}",1],[{-8},"bulk-{base}",2,null,3]]'
    more = {"none": "", "offset": "&offset=0", "sentat": "&sentat=0", "time": f"&time={now}"}[base]
    assert ask(api, f"/input/bulk?data={data}{more}&apikey=KEY").text == "ok"
    (first, second) = api.readings(f"bulk-{base}.1")
    assert second[0] - first[0] == 2000
    late = 0 if base == "none" else 8000
    assert abs(second[0] - (now * 1000 - late)) <= 3000
    assert api.latest(f"bulk-{base}.3")["value"] == 3.0  # type: ignore[index]


def test_emonhub_posts_absolute_times_with_sentat(api: Api) -> None:
    now = now_ms() // 1000
    data = quote(json.dumps([[now - 20, 15, 212, -1403.5], [now - 10, 15, 213, -1403.5]]))
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {api.token}"}
    assert ask(api, f"/input/bulk.json?sentat={now}", f"data={data}", **form).text == "ok"
    assert [value for _, value in api.readings("15.1")] == [212.0, 213.0]
    assert abs(api.readings("15.1")[0][0] - (now - 20) * 1000) <= 1000


def test_packed_bulk_of_emonhub(api: Api) -> None:
    now = now_ms() // 1000
    packed = zlib.compress(json.dumps([[now - 5, "packed", {"p": 7}]]).encode())
    bearer = {"Authorization": f"Bearer {api.token}"}
    answer = ask(api, f"/input/bulk?cb=1&sentat={now}", packed, **bearer)
    assert (answer.status, answer.text) == (200, "ok")
    assert api.latest("packed.p")["value"] == 7.0  # type: ignore[index]


def test_iotawatt_form_and_its_question_for_the_last_time(api: Api) -> None:
    now = now_ms() // 1000
    unknown = ask(api, "/input/get?node=iotawatt&apikey=KEY")
    assert unknown.status == 200
    assert unknown.text.startswith('"Node does not exist')
    body = f'time={now - 20}&data=[[10,"iotawatt",240,null,12.5]]'
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {api.token}"}
    answer = ask(api, "/input/bulk", body, **form)
    assert answer.status == 200
    assert answer.text.startswith("ok")
    known = ask(api, "/input/get?node=iotawatt&apikey=KEY").text
    assert f'"time":{now - 10},' in known


def test_wrong_and_missing_keys(api: Api) -> None:
    wrong = ask(api, "/input/post?node=x&csv=1&apikey=0123456789abcdef0123456789abcdef")
    assert (wrong.status, wrong.text.strip()) == (401, "Invalid API key")
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    assert ask(api, "/input/post?node=x&csv=1").status == 401
    made = api.ask("POST", "/api/v1/me/tokens", data={"name": "reader", "scopes": ["read"]}).json["token"]
    assert ask(api.with_token(made), "/input/post?node=never&csv=1&apikey=KEY").status in {401, 403}
    assert api.latest("never.1") is None


@pytest.mark.parametrize(
    "target", ["/input/post?node=x&fulljson={bad&apikey=KEY", "/input/post?node=x&apikey=KEY",
               "/input/bulk?data=x&apikey=KEY"],
)  # fmt: skip
def test_what_cannot_be_read_says_so_with_status_200(api: Api, target: str) -> None:
    answer = ask(api, target)
    assert answer.status in {200, 400}
    assert answer.text.strip() != "ok"
