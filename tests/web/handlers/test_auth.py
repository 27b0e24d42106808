"""Signing in over HTTP: shapes, cookies, and what other sites cannot do."""

from __future__ import annotations

import pytest

from hub.actors.auth import SetupState
from hub.runtime.actor import request
from tests.web.conftest import PASSWORD, House

LOGIN = "/api/v1/auth/login"
GOOD = {"username": "admin", "password": PASSWORD}


async def test_login_gives_a_token_and_a_cookie_out_of_reach(house: House) -> None:
    answer = await house.post(LOGIN, by=None, json=GOOD)
    cookie = answer.cookies["__Host-wattline"]

    assert answer.status == 200
    assert set(answer.json) == {"access_token", "expires_in"}
    assert answer.json["expires_in"] == 900
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        True,
        True,
        "Strict",
        "/",
    )
    assert cookie["domain"] == ""
    assert (await house.get("/api/v1/me", by=answer.json["access_token"])).json["username"] == "admin"


async def test_a_plain_lan_address_gets_a_plain_cookie_for_auth_only(house: House) -> None:
    answer = await house.post(LOGIN, by=None, json=GOOD, headers={"Host": "192.0.2.7:8321"})
    cookie = answer.cookies["wattline_refresh"]

    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == ("", True, "Strict")
    assert cookie["path"] == "/api/v1/auth"


async def test_a_refresh_rotates_the_cookie_and_two_tabs_live(house: House) -> None:
    first = (await house.post(LOGIN, by=None, json=GOOD)).cookies["__Host-wattline"].value
    headers = {"Cookie": f"__Host-wattline={first}"}
    one = await house.post("/api/v1/auth/refresh", by=None, headers=headers)
    two = await house.post("/api/v1/auth/refresh", by=None, headers=headers)

    assert (one.status, two.status) == (200, 200)
    assert one.cookies["__Host-wattline"].value == two.cookies["__Host-wattline"].value != first
    assert set(one.json) == {"access_token", "expires_in"}


async def test_logout_ends_the_session_and_drops_the_cookie(house: House) -> None:
    signed_in = await house.post(LOGIN, by=None, json=GOOD)
    headers = {"Cookie": f"__Host-wattline={signed_in.cookies['__Host-wattline'].value}"}
    answer = await house.post("/api/v1/auth/logout", by=None, headers=headers)

    assert answer.status == 204
    assert answer.cookies["__Host-wattline"].value == ""
    assert (await house.get("/api/v1/me", by=signed_in.json["access_token"])).status == 401
    assert (await house.post("/api/v1/auth/refresh", by=None, headers=headers)).status == 401
    assert (await house.post("/api/v1/auth/logout", by=None)).status == 204


async def test_an_access_token_can_end_its_own_session(house: House) -> None:
    token = (await house.post(LOGIN, by=None, json=GOOD)).json["access_token"]

    assert (await house.call("DELETE", "/api/v1/me/sessions/current", by=token)).status == 204
    assert (await house.get("/api/v1/me", by=token)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
async def test_other_sites_cannot_use_the_cookie(house: House, headers: dict[str, str]) -> None:
    cookie = (await house.post(LOGIN, by=None, json=GOOD)).cookies["__Host-wattline"].value
    sent = {"Cookie": f"__Host-wattline={cookie}", **headers}

    for path in ("/api/v1/auth/refresh", "/api/v1/auth/logout"):
        assert (await house.post(path, by=None, headers=sent)).status == 403
    assert (await house.post(LOGIN, by=None, json=GOOD, headers=headers)).status == 403
    assert (await house.post(LOGIN, by=None, data=GOOD)).status == 415


async def test_wrong_sign_ins_say_the_same_and_are_braked(house: House) -> None:
    bodies = [
        {"username": "admin", "password": "wrong password"},
        {"username": "nobody", "password": "wrong password"},
    ]
    answers = [await house.post(LOGIN, by=None, json=body) for body in bodies]
    for _ in range(8):
        await house.post(LOGIN, by=None, json=bodies[0], headers={"X-Forwarded-For": "192.0.2.1"})
    braked = await house.post(LOGIN, by=None, json=GOOD)

    assert answers[0].json | {"request_id": ""} == answers[1].json | {"request_id": ""}
    assert answers[0].status == 401
    assert (braked.status, braked.code) == (429, "WL-AUTH-031")
    assert 1 <= int(braked.headers["Retry-After"]) <= 60


async def test_the_setup_route_is_closed_once_there_is_an_owner(house: House) -> None:
    state = await house.get("/api/v1/auth/setup", by=None)
    body = {"token": "x", "username": "second", "password": PASSWORD}
    answer = await house.post("/api/v1/auth/setup", by=None, json=body)

    assert state.json == {"needed": False}
    assert (answer.status, answer.code) == (403, "WL-AUTH-012")
    assert (await request(house.hub.auth, SetupState())).token == ""


async def test_tokens_are_made_listed_and_revoked_by_their_owner(house: House) -> None:
    made = await house.post(
        "/api/v1/me/tokens", json={"name": "meter", "scopes": ["ingest"], "expires": "90d"}
    )
    listed = await house.get("/api/v1/me/tokens")
    again = [one for one in listed.json["items"] if one["name"] == "meter"]
    revoked = await house.call("DELETE", f"/api/v1/me/tokens/{made.json['id']}")

    assert made.status == 201
    assert made.json["token"].startswith("wl_")
    assert made.json["token"] not in listed.body.decode()
    assert again[0]["expires_ms"] - again[0]["created_ms"] == pytest.approx(90 * 86_400_000, abs=1000)
    assert revoked.status == 204
    assert (await house.get("/api/v1/devices", by=made.json["token"])).status == 401


async def test_users_are_managed_by_admins_and_changes_count_at_once(house: House) -> None:
    made = await house.post("/api/v1/users", json={"username": "zoe", "password": PASSWORD, "role": "viewer"})
    token = (await house.post(LOGIN, by=None, json={"username": "zoe", "password": PASSWORD})).json[
        "access_token"
    ]
    path = f"/api/v1/users/{made.json['id']}"
    before = (await house.get("/api/v1/users", by=token)).status
    await house.call("PATCH", path, json={"role": "admin"})
    promoted = (await house.get("/api/v1/users", by=token)).status
    await house.call("PATCH", path, json={"disabled": True})
    disabled = (await house.get("/api/v1/users", by=token)).status

    assert (before, promoted, disabled) == (403, 200, 401)
    assert made.json.keys() == {"id", "username", "roles", "disabled", "created_ms"}
    assert (await house.post("/api/v1/users", json={"username": "zoe", "role": "viewer"})).status == 422
    assert (await house.call("PATCH", path, json={"id": "x"})).status == 422


async def test_passwords_and_tokens_of_others_belong_to_the_command_line(house: House) -> None:
    key = {"X-Wattline-Run-Key": house.hub.run_key}
    for by, headers, status in (("admin", {}, 403), (None, key, 201)):
        body = {"user": "viewer", "name": "theirs"}
        assert (await house.post("/api/v1/tokens", by=by, headers=headers, json=body)).status == status
    for by, headers, status in (("admin", {}, 403), (None, key, 200)):
        path = "/api/v1/users/viewer/password"
        assert (await house.post(path, by=by, headers=headers, json={"password": PASSWORD})).status == status


async def test_writes_leave_a_line_in_the_audit_trail(house: House) -> None:
    await house.post("/api/v1/devices", json={"name": "Heat pump"})
    await house.call("PATCH", "/api/v1/devices/heat-pump", json={"name": "Cellar"})
    lines = (await house.get("/api/v1/audit?limit=2")).json

    assert [(one["action"], one["object"]) for one in lines["items"]] == [
        ("PATCH devices/{device}", "heat-pump"),
        ("POST devices", ""),
    ]
    assert lines["items"][0]["detail"]["by"] == "admin"
    assert (await house.get(f"/api/v1/audit?limit=2&cursor={lines['next']}")).json["items"][0]["id"] < int(
        lines["next"]
    )


async def test_the_setup_link_makes_the_owner_who_then_signs_in(new_house: House) -> None:
    state = await request(new_house.hub.auth, SetupState())
    waiting = await new_house.get("/api/v1/auth/setup", by=None)
    body = {"token": state.token, **GOOD}
    made = await new_house.post("/api/v1/auth/setup", by=None, json=body)
    again = await new_house.post("/api/v1/auth/setup", by=None, json={**body, "username": "second"})

    assert waiting.json == {"needed": True}
    assert state.token not in (await new_house.get("/setup", by=None)).body.decode()
    assert (made.status, made.json["roles"]) == (201, ["admin"])
    assert again.status == 403
    assert (await new_house.post(LOGIN, by=None, json=GOOD)).status == 200


async def test_without_an_owner_nobody_gets_in(new_house: House) -> None:
    assert (await new_house.post(LOGIN, by=None, json=GOOD)).status == 401
    assert (await new_house.get("/api/v1/devices", by="wl_x")).status == 401


async def test_no_secret_gets_into_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = house.tokens["ingest"]
    fields = {"node": "n", "fulljson": "{}", "apikey": token}
    await house.post("/emoncms/input/post", by=None, params=fields)
    signed_in = await house.post(LOGIN, by=None, json=GOOD)
    await house.get("/api/v1/nothing%0d%0aX: injected", by=signed_in.json["access_token"])
    ours = [one.getMessage() for one in caplog.records if one.name.startswith(("hub", "web", "wattline"))]

    assert any("POST /emoncms/input/post" in line for line in ours)
    for secret in (
        token,
        PASSWORD,
        signed_in.json["access_token"],
        signed_in.cookies["__Host-wattline"].value,
    ):
        assert secret not in "".join(ours)
    assert "injected" not in "".join(ours)
