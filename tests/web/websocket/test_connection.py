"""Signing in, staying in, and every way to be shown the door."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.actors.auth import ChangeUser, CreateToken, Login, Logout, ResetPassword, RevokeToken
from hub.model.access import LOCAL_PRINCIPAL
from hub.runtime.actor import request
from tests.web.conftest import House
from web.websocket import Limits
from web.websocket.origin import origin_allowed

from .conftest import PASSWORD, Live, Serve, Talk

SESSION_ENDED = 4001


async def _first_answer(live: Live, message: Any) -> tuple[Any, int]:
    socket = await live.open()
    await socket.receive_json()
    await socket.send_str(message if isinstance(message, str) else json.dumps(message))
    answer = await socket.receive(timeout=30)
    kind = json.loads(answer.data) if answer.type is aiohttp.WSMsgType.TEXT else None
    return kind, await Talk(socket).close_code()


async def test_the_first_word_names_a_version_that_coalesces(live: Live) -> None:
    socket = await live.open()

    assert await socket.receive_json() == {"type": "auth_required", "ha_version": "2026.11.0"}


@pytest.mark.parametrize("token", ["", "wrong", "wl_", "wl_" + "a" * 43, "x" * 10_000, "\ud83d\ude00"])
async def test_a_wrong_token_is_invalid_and_closes(live: Live, token: str) -> None:
    answer, code = await _first_answer(live, {"type": "auth", "access_token": token})

    assert answer == {"type": "auth_invalid", "message": "Invalid access token or password"}
    assert code == 1000


@pytest.mark.parametrize(
    "message",
    [
        {"type": "auth"},
        {"type": "auth", "access_token": 5},
        {"type": "get_states", "id": 1},
        {"id": 1},
        [{"type": "auth", "access_token": "x"}],
        "null",
    ],
)
async def test_anything_but_a_sign_in_is_invalid_and_closes(live: Live, message: Any) -> None:
    answer, code = await _first_answer(live, message)

    assert (answer["type"], code) == ("auth_invalid", 1000)


async def test_a_token_that_may_not_read_stays_out(live: Live) -> None:
    answer, _ = await _first_answer(live, {"type": "auth", "access_token": live.tokens["ingest"]})

    assert answer["type"] == "auth_invalid"


async def test_a_silent_stranger_is_closed(serve: Serve) -> None:
    live = await serve(Limits(auth_s=0.05))
    socket = await live.open()
    await socket.receive_json()

    assert await Talk(socket).close_code() == 1008


@pytest.fixture
async def watchful(serve: Serve) -> Live:
    """A hub that looks at its connections once an hour: only what it hears of closes one at once."""
    return await serve(Limits(tick_s=3600.0))


async def test_an_access_token_of_a_session_signs_in_until_the_logout(watchful: Live) -> None:
    live = watchful
    signed_in = await request(live.hub.auth, Login("admin", PASSWORD))
    talk = await live.talk(signed_in.access_token)
    assert (await talk.result("auth/current_user"))["name"] == "admin"

    await request(live.hub.auth, Logout(refresh_token=signed_in.refresh_token))

    async with asyncio.timeout(30):
        assert await talk.close_code() == SESSION_ENDED


async def test_a_revoked_token_closes_its_connections_and_no_other(watchful: Live) -> None:
    live = watchful
    made = await request(live.hub.auth, CreateToken(LOCAL_PRINCIPAL, "other", None, for_user="viewer"))
    revoked, other = await live.talk("viewer"), await live.talk(made.secret)

    await request(live.hub.auth, RevokeToken(live.token_ids["viewer"], LOCAL_PRINCIPAL))

    async with asyncio.timeout(30):
        assert await revoked.close_code() == SESSION_ENDED
    assert (await other.ask("ping"))["type"] == "pong"


async def test_a_changed_role_closes_the_connections_of_the_user(watchful: Live) -> None:
    live = watchful
    viewer, admin = await live.talk("viewer"), await live.talk("admin")
    user_id = (await viewer.result("auth/current_user"))["id"]

    await request(live.hub.auth, ChangeUser(user_id, LOCAL_PRINCIPAL, roles=("operator",)))

    async with asyncio.timeout(30):
        assert await viewer.close_code() == SESSION_ENDED
    assert (await admin.ask("ping"))["type"] == "pong"


async def test_a_disabled_user_is_out(watchful: Live) -> None:
    live = watchful
    viewer = await live.talk("viewer")
    user_id = (await viewer.result("auth/current_user"))["id"]

    await request(live.hub.auth, ChangeUser(user_id, LOCAL_PRINCIPAL, disabled=True))

    async with asyncio.timeout(30):
        assert await viewer.close_code() == SESSION_ENDED


async def test_a_new_password_ends_the_sessions(watchful: Live) -> None:
    live = watchful
    signed_in = await request(live.hub.auth, Login("admin", PASSWORD))
    talk = await live.talk(signed_in.access_token)

    await request(live.hub.auth, ResetPassword("admin", "another long password", LOCAL_PRINCIPAL))

    async with asyncio.timeout(30):
        assert await talk.close_code() == SESSION_ENDED


async def test_a_token_that_expires_closes_its_connection(serve: Serve) -> None:
    live = await serve(Limits(tick_s=0.05))
    expires_ms = live.hub.clock.now_ms() + 3_000
    made = await request(
        live.hub.auth,
        CreateToken(LOCAL_PRINCIPAL, "short", None, expires_ms=expires_ms, for_user="viewer"),
    )
    talk = await live.talk(made.secret)

    async with asyncio.timeout(30):
        assert await talk.close_code() == SESSION_ENDED
    assert live.hub.clock.now_ms() >= expires_ms


# --- where a browser comes from


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "https://panel.example.evil",
        "file://",
        "http://user@127.0.0.1",
        "",
    ],
)
async def test_pages_of_others_get_no_websocket(live: Live, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await live.open(headers={"Origin": origin})

    assert refused.value.status == 403


async def test_own_pages_and_configured_ones_get_a_websocket(live: Live) -> None:
    own = live.url.replace("ws://", "http://").removesuffix("/api/websocket")

    for origin in (own, "https://panel.example", "https://PANEL.example"):
        socket = await live.open(headers={"Origin": origin})
        assert (await socket.receive_json())["type"] == "auth_required"


def test_default_ports_are_the_same_as_named_ones() -> None:
    assert origin_allowed(["https://hub.local"], "hub.local:443", ())
    assert origin_allowed(["http://hub.local:80"], "HUB.local", ())
    assert origin_allowed(["http://[::1]:8321"], "[::1]:8321", ())
    assert not origin_allowed(["https://hub.local"], "hub.local:80", ())
    assert not origin_allowed(["http://hub.local", "http://hub.local"], "hub.local", ())


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_origin_text_breaks_the_check(origin: str, host: str) -> None:
    assert origin_allowed([origin], host, ()) in (True, False)


@given(st.from_regex(r"https?://[a-z]{1,10}\.example(:[0-9]{1,5})?", fullmatch=True))
def test_a_foreign_name_is_never_ours(origin: str) -> None:
    assert not origin_allowed([origin], "hub.local:8321", ("https://panel.test",))


# --- frames


async def test_invalid_json_closes(live: Live) -> None:
    talk = await live.talk()
    await talk.socket.send_str("{not json")

    assert await talk.close_code() == 1007


async def test_a_binary_message_closes(live: Live) -> None:
    talk = await live.talk()
    await talk.socket.send_bytes(b"\x00\x01")

    assert await talk.close_code() == 1003


async def test_a_message_over_the_limit_closes(live: Live) -> None:
    talk = await live.talk()
    await talk.socket.send_str(json.dumps({"id": 1, "type": "ping", "x": "y" * 70_000}))

    assert await talk.close_code() == 1009


async def test_a_message_within_the_limit_is_read(live: Live) -> None:
    talk = await live.talk()

    assert await talk.error("subscribe_events", event_type="y" * 60_000) == "invalid_format"


async def test_ids_have_to_rise(live: Live) -> None:
    talk = await live.talk()
    for command_id, code in ((5, None), (5, "id_reuse"), (4, "id_reuse"), (6, None)):
        await talk.socket.send_json({"id": command_id, "type": "get_services"})
        answer = await talk.read()
        assert (answer["id"], answer.get("error", {}).get("code")) == (command_id, code)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping"},
        {"id": "1", "type": "ping"},
        {"id": True, "type": "ping"},
        {"id": 1.0, "type": "ping"},
        {"id": -1, "type": "ping"},
        {"id": 2**70, "type": "ping"},
        {"id": 1},
        {"id": 1, "type": None},
        7,
        "text",
        None,
    ],
)
async def test_a_message_without_id_and_type_is_refused_and_the_next_one_served(
    live: Live, message: Any
) -> None:
    talk = await live.talk()
    await talk.socket.send_json(message)

    assert (await talk.read())["error"]["code"] == "invalid_format"
    assert (await talk.ask("ping"))["type"] == "pong"


async def test_several_commands_may_come_as_one_array(live: Live) -> None:
    talk = await live.talk()
    await talk.socket.send_json([{"id": 1, "type": "ping"}, {"id": 2, "type": "get_services"}])

    assert [(await talk.read())["id"] for _ in range(2)] == [1, 2]


async def test_a_client_with_too_many_commands_waits_and_loses_none(serve: Serve) -> None:
    live = await serve(Limits(commands_per_s=200, command_burst=5))
    talk = await live.talk()
    loop = asyncio.get_running_loop()
    begun_s = loop.time()

    ids = [await talk.send("ping") for _ in range(45)]
    answers = [(await talk.read())["id"] for _ in ids]

    assert answers == ids
    assert loop.time() - begun_s >= 40 / 200 * 0.9


async def test_strangers_are_bounded(serve: Serve) -> None:
    live = await serve(Limits(strangers=2))
    talk = await live.talk()
    strangers = [await live.open() for _ in range(2)]

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await live.open()

    assert refused.value.status == 503
    assert (await talk.ask("ping"))["type"] == "pong"
    assert len(strangers) == 2


async def test_the_end_of_the_hub_is_a_goodbye(live: Live) -> None:
    talk = await live.talk()

    live.fanout.close_all()

    assert await talk.close_code() == 1001


async def test_a_plain_request_is_told_to_upgrade(house: House) -> None:
    answer = await house.get("/api/websocket", by=None)

    assert answer.status == 400


async def test_the_server_of_the_hub_serves_the_websocket(house: House) -> None:
    async with house.client.ws_connect(house.url + "/api/websocket") as socket:
        await socket.receive_json()
        await socket.send_json({"type": "auth", "access_token": house.tokens["read"]})

        assert (await socket.receive_json())["type"] == "auth_ok"


# --- noise

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
_KINDS = st.sampled_from(
    [
        "subscribe_entities",
        "subscribe_events",
        "unsubscribe_events",
        "call_service",
        "supported_features",
        "wattline/subscribe_series",
        "wattline/live",
        "get_states",
        "auth",
        "config/entity_registry/get",
    ]
)
_FIELDS = ("entity_ids", "event_type", "subscription", "series", "features", "domain")
_COMMANDS = st.fixed_dictionaries(
    {"id": st.integers(1, 50), "type": _KINDS}, optional=dict.fromkeys(_FIELDS, _PLAIN)
)
_FRAMES = st.one_of(
    st.text(max_size=200),
    _PLAIN.map(json.dumps),
    _COMMANDS.map(json.dumps),
    st.sampled_from(
        ['{"id":1e999,"type":"ping"}', "[" * 5000, '{"id":1,"type":"\\ud800"}', "\x00", "\ufeff{}"]
    ),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=st.lists(_FRAMES, min_size=1, max_size=8))
async def test_noise_is_answered_or_closed_and_never_hurts_others(live: Live, frames: list[str]) -> None:
    talk = await live.talk()
    for frame in frames:
        await talk.socket.send_str(frame)
    await talk.socket.close()

    assert talk.socket.close_code in (1000, 1007, None)
    other = await live.talk()
    assert (await other.ask("ping"))["type"] == "pong"
    await other.socket.close()
