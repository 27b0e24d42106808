"""The auth actor with a real database: who gets in, who does not, and for how long."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.actors.access_tokens import KEY_FILE, SigningKey, load_signing_key
from hub.actors.auth import (
    AuthActor,
    ChangeUser,
    CreateOwner,
    CreateToken,
    CreateUser,
    GetAuthBook,
    ListAudit,
    ListTokens,
    ListUsers,
    Login,
    Logout,
    Origin,
    RecordAudit,
    Refresh,
    ResetPassword,
    RevokeToken,
    RoleChanged,
    SessionEnded,
    SetupState,
    SignedIn,
)
from hub.actors.auth_book import AuthBook
from hub.actors.credential_rules import DAY_MS
from hub.actors.throttle import TooManyTries
from hub.bus import EventBus
from hub.errors import AskUser, Forbidden, NotFound, Refused, StorageAway, Unauthenticated
from hub.model.access import LOCAL_PRINCIPAL, PERMISSION_NAMES, PERMISSIONS, Principal, permissions_of
from hub.runtime.actor import Ref, request, stop
from hub.runtime.clock import FakeClock
from hub.storage.database import Database
from hub.storage.users import Accounts

PASSWORD = "correct horse battery"


@dataclass
class Auth:
    """The actor and what belongs to it."""

    database: Database
    data_dir: Path
    clock: FakeClock
    bus: EventBus = field(default_factory=EventBus)
    book: AuthBook = field(default_factory=AuthBook)
    events: list[object] = field(default_factory=list)
    ref: Ref = field(init=False)

    def start(self) -> None:
        self.ref = AuthActor.start(self.database, self.bus, self.clock, self.data_dir, self.book)

    async def ask(self, message: Any) -> Any:
        return await request(self.ref, message)

    async def owner(self, name: str = "owner") -> None:
        state = await self.ask(SetupState())
        await self.ask(CreateOwner(state.token, name, PASSWORD))

    async def login(
        self, name: str = "owner", password: str = PASSWORD, address: str = "10.0.0.1"
    ) -> SignedIn:
        signed_in: SignedIn = await self.ask(Login(name, password, Origin(address)))
        return signed_in

    async def principal(self, role: str) -> Principal:
        await self.ask(CreateUser(role, (role,), LOCAL_PRINCIPAL, PASSWORD))
        return (await self.login(role, address=role)).principal

    def authenticate(self, credential: str) -> Principal:
        return self.book.authenticate(credential, self.clock.now_ms())


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[Auth]:
    clock = FakeClock()
    database = await Database.open("sqlite:///hub.db", tmp_path, clock=clock)
    made = Auth(database, tmp_path, clock)
    for event in (SessionEnded, RoleChanged):
        made.bus.subscribe(event, made.events.append)
    made.start()
    yield made
    await stop(made.ref)
    await database.close()


# --- the first owner


async def test_the_setup_token_makes_one_owner_and_is_void_then(auth: Auth) -> None:
    state = await auth.ask(SetupState())
    owner = await auth.ask(CreateOwner(state.token, "Owner", PASSWORD))

    with pytest.raises(Forbidden, match="WL-AUTH-012"):
        await auth.ask(CreateOwner(state.token, "second", PASSWORD))

    assert state.needed
    assert owner.roles == ("admin",)
    assert await auth.ask(SetupState()) == type(state)(False, "")


@pytest.mark.parametrize("token", ["", "x", "é" * 40, "\ud800"])
async def test_a_wrong_setup_token_makes_nobody(auth: Auth, token: str) -> None:
    with pytest.raises(Forbidden, match="WL-AUTH-012"):
        await auth.ask(CreateOwner(token, "owner", PASSWORD))

    assert await auth.ask(ListUsers()) == ()


async def test_two_owners_at_once_leave_one(auth: Auth) -> None:
    token = (await auth.ask(SetupState())).token
    done = await asyncio.gather(
        *(auth.ask(CreateOwner(token, f"owner{n}", PASSWORD)) for n in range(3)), return_exceptions=True
    )

    assert sum(isinstance(one, Forbidden) for one in done) == 2
    assert len(await auth.ask(ListUsers())) == 1


# --- signing in


async def test_name_and_password_give_a_session_that_outlives_a_restart(auth: Auth) -> None:
    await auth.owner()
    signed_in = await auth.login("OWNER")
    await stop(auth.ref)
    auth.book = AuthBook()
    auth.start()
    await auth.ask(GetAuthBook())

    principal = auth.authenticate(signed_in.access_token)

    assert principal.name == "owner"
    assert principal.permissions == PERMISSION_NAMES
    assert principal.session_id is not None


@pytest.mark.parametrize(
    ("name", "password"),
    [("owner", "wrong password"), ("nobody", PASSWORD), ("", ""), ("owner", ""), ("owner", "x" * 100_000)],
)
async def test_every_wrong_login_gets_the_same_words(auth: Auth, name: str, password: str) -> None:
    await auth.owner()

    with pytest.raises(Unauthenticated) as caught:
        await auth.login(name, password)

    assert (caught.value.code, caught.value.message) == ("WL-AUTH-010", "user name or password is wrong")


async def test_an_unknown_user_costs_the_time_of_a_known_one(auth: Auth) -> None:
    await auth.owner()

    async def seconds(name: str, turn: int) -> float:
        begun_s = time.process_time()  # of all threads; whatever else the machine does costs nothing here
        with pytest.raises(Unauthenticated):
            await auth.login(name, "wrong password", address=f"{name}{turn}")
        return time.process_time() - begun_s

    turns = [(await seconds("owner", turn), await seconds("nobody", turn)) for turn in range(7)]
    known_s, unknown_s = (min(taken) for taken in zip(*turns, strict=True))

    assert unknown_s == pytest.approx(known_s, rel=0.5)


async def test_after_ten_wrong_tries_one_a_minute_is_left(auth: Auth) -> None:
    await auth.owner()
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await auth.login(password="wrong password")

    with pytest.raises(TooManyTries) as caught:
        await auth.login()
    auth.clock.advance(61)
    signed_in = await auth.login()

    assert 0 < caught.value.retry_after_s <= 60
    assert signed_in.principal.name == "owner"


async def test_good_logins_are_not_counted(auth: Auth) -> None:
    await auth.owner()

    signed_in = [await auth.login() for _ in range(12)]

    assert len({one.principal.session_id for one in signed_in}) == 12


async def test_one_account_is_braked_over_all_addresses(auth: Auth) -> None:
    await auth.owner()
    for n in range(10):
        with pytest.raises(Unauthenticated):
            await auth.login(password="wrong password", address=f"10.0.1.{n}")

    with pytest.raises(TooManyTries):
        await auth.login(address="10.0.2.1")


@pytest.mark.parametrize("password", ["short", "1234567", "ü" * 600])
async def test_a_password_has_eight_characters_and_at_most_a_kilobyte(auth: Auth, password: str) -> None:
    state = await auth.ask(SetupState())

    with pytest.raises(Refused, match="WL-AUTH-022"):
        await auth.ask(CreateOwner(state.token, "owner", password))


async def test_a_password_counts_to_its_last_character(auth: Auth) -> None:
    long = "x" * 1023
    state = await auth.ask(SetupState())
    await auth.ask(CreateOwner(state.token, "owner", long + "y"))

    with pytest.raises(Unauthenticated):
        await auth.login(password=long + "z")

    assert (await auth.login(password=long + "y")).principal.name == "owner"


# --- refresh


async def test_a_refresh_gives_a_successor_and_the_old_one_lives_a_minute(auth: Auth) -> None:
    await auth.owner()
    first = await auth.login()
    second = await auth.ask(Refresh(first.refresh_token))
    other_tab = await auth.ask(Refresh(first.refresh_token))

    assert second.refresh_token == other_tab.refresh_token != first.refresh_token
    assert auth.authenticate(other_tab.access_token).session_id == first.principal.session_id


async def test_the_old_one_dies_with_the_first_use_of_its_successor(auth: Auth) -> None:
    await auth.owner()
    first = await auth.login()
    second = await auth.ask(Refresh(first.refresh_token))
    third = await auth.ask(Refresh(second.refresh_token))

    with pytest.raises(Unauthenticated):
        await auth.ask(Refresh(first.refresh_token))

    with pytest.raises(Unauthenticated):  # reuse ends the whole session
        await auth.ask(Refresh(third.refresh_token))
    with pytest.raises(Unauthenticated):
        auth.authenticate(third.access_token)
    assert SessionEnded(first.principal.user_id, first.principal.session_id) in auth.events


async def test_the_old_one_dies_after_a_minute(auth: Auth) -> None:
    await auth.owner()
    first = await auth.login()
    await auth.ask(Refresh(first.refresh_token))
    auth.clock.advance(60)

    with pytest.raises(Unauthenticated):
        await auth.ask(Refresh(first.refresh_token))


async def test_an_invented_refresh_token_ends_no_session(auth: Auth) -> None:
    await auth.owner()
    first = await auth.login()
    session_id = first.principal.session_id

    for invented in (
        f"{session_id}.1.AAAA",
        f"{session_id}.1.",
        f"{session_id}.-1.x",
        f"{session_id}",
        "",
        "..",
        "é.1.x",
    ):
        with pytest.raises(Unauthenticated):
            await auth.ask(Refresh(invented))

    assert (await auth.ask(Refresh(first.refresh_token))).principal.name == "owner"


async def test_an_unused_session_ends_after_thirty_days_a_used_one_after_ninety(auth: Auth) -> None:
    await auth.owner()
    idle, used = await auth.login(), await auth.login()
    for _ in range(4):
        auth.clock.advance(20 * DAY_MS / 1000)
        used = await auth.ask(Refresh(used.refresh_token))
    auth.clock.advance(10 * DAY_MS / 1000)

    for token in (idle.refresh_token, used.refresh_token):
        with pytest.raises(Unauthenticated):
            await auth.ask(Refresh(token))


async def test_logout_ends_access_and_refresh_at_once(auth: Auth) -> None:
    await auth.owner()
    signed_in = await auth.login()
    await auth.ask(Logout(refresh_token=signed_in.refresh_token))
    await auth.ask(Logout(refresh_token=signed_in.refresh_token))
    await auth.ask(Logout(refresh_token="nonsense"))

    with pytest.raises(Unauthenticated):
        auth.authenticate(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        await auth.ask(Refresh(signed_in.refresh_token))


# --- access tokens


async def test_an_access_token_lives_fifteen_minutes_its_session_longer(auth: Auth) -> None:
    await auth.owner()
    signed_in = await auth.login()
    auth.clock.advance(899)
    alive = auth.authenticate(signed_in.access_token)
    auth.clock.advance(2)

    with pytest.raises(Unauthenticated):
        auth.authenticate(signed_in.access_token)
    assert auth.book.renew(alive, auth.clock.now_ms()) == alive


def _forged(claims: dict[str, Any], key: bytes, **header: Any) -> str:
    return jwt.encode(claims, key, algorithm=header.pop("alg", "HS256"), headers=header or None)


def _without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


FORGERIES: dict[str, Callable[[dict[str, Any], bytes], str]] = {
    "other key": lambda c, k: _forged(c, b"x" * 32),
    "none": lambda c, k: jwt.encode(c, "", algorithm="none"),
    "HS512": lambda c, k: _forged(c, k * 2, alg="HS512"),
    "kid": lambda c, k: _forged(c, k, kid="../../dev/null"),
    "crit": lambda c, k: _forged(c, k, crit=["x"]),
    "wrong aud": lambda c, k: _forged(c | {"aud": "wattline:refresh"}, k),
    "aud list": lambda c, k: _forged(c | {"aud": ["wattline:access"]}, k),
    "wrong iss": lambda c, k: _forged(c | {"iss": "watt"}, k),
    "wrong typ": lambda c, k: _forged(c | {"typ": "refresh"}, k),
    "no jti": lambda c, k: _forged(_without(c, "jti"), k),
    "no exp": lambda c, k: _forged(_without(c, "exp"), k),
    "no sid": lambda c, k: _forged(_without(c, "sid"), k),
    "long life": lambda c, k: _forged(c | {"exp": c["exp"] + 9999}, k),
    "float exp": lambda c, k: _forged(c | {"exp": 1e300}, k),
    "not yet": lambda c, k: _forged(c | {"nbf": c["nbf"] + 600}, k),
    "from the future": lambda c, k: _forged(c | {"iat": c["iat"] + 600, "exp": c["exp"] + 600}, k),
    "other session": lambda c, k: _forged(c | {"sid": "0" * 32}, k),
    "other user": lambda c, k: _forged(c | {"sub": "0" * 16}, k),
    "number as user": lambda c, k: _forged(c | {"sub": 1}, k),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
async def test_a_forged_access_token_is_refused(auth: Auth, forgery: str) -> None:
    await auth.owner()
    genuine = (await auth.login()).access_token
    key = bytes.fromhex((auth.data_dir / KEY_FILE).read_text())
    claims = json.loads(base64.urlsafe_b64decode(genuine.split(".")[1] + "=="))
    auth.authenticate(_forged(claims, key))

    with pytest.raises(Unauthenticated, match="WL-AUTH-011"):
        auth.authenticate(FORGERIES[forgery](claims, key))


@given(st.text(max_size=300) | st.from_regex(r"wl_[A-Za-z0-9_-]{0,60}", fullmatch=True))
def test_no_text_authenticates_by_chance(text: str) -> None:
    book = AuthBook()
    book.load(Accounts((), (), ()), SigningKey(bytes(range(32))))

    with pytest.raises(Unauthenticated):
        book.authenticate(text, 0)
    with pytest.raises(Unauthenticated):
        book.authenticate("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + text, 0)


def test_before_the_accounts_are_loaded_nobody_gets_in() -> None:
    with pytest.raises(StorageAway, match="WL-AUTH-004"):
        AuthBook().authenticate("wl_x", 0)


# --- the key


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path)
    path = tmp_path / KEY_FILE

    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    assert load_signing_key(tmp_path).refresh_token("s", 1) == key.refresh_token("s", 1)
    assert path.read_text().strip() not in repr(key)


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [("ab" * 16, 0o600, "WL-AUTH-001"), ("00" * 32, 0o600, "WL-AUTH-001"), ("", 0o600, "WL-AUTH-001"),
     ("not hex", 0o600, "WL-AUTH-003"), (bytes(range(32)).hex(), 0o644, "WL-AUTH-002")],
)  # fmt: skip
def test_a_weak_or_open_key_is_refused_with_the_way_out(
    tmp_path: Path, content: str, mode: int, code: str
) -> None:
    path = tmp_path / KEY_FILE
    path.write_text(content)
    path.chmod(mode)

    with pytest.raises(AskUser, match=code) as caught:
        load_signing_key(tmp_path)

    assert caught.value.hint
    assert len(content) < 9 or content not in str(caught.value)


# --- API tokens


async def test_an_api_token_may_what_its_user_may(auth: Auth) -> None:
    await auth.owner()
    manager = await auth.principal("manager")
    made = await auth.ask(CreateToken(manager, "meter"))

    principal = auth.authenticate(made.secret)

    assert made.secret.startswith("wl_")
    assert len(made.secret) >= 3 + 22
    assert principal.permissions == permissions_of(("manager",))
    assert made.secret not in repr(made)
    assert made.secret.encode() not in (auth.data_dir / "hub.db").read_bytes()


@pytest.mark.parametrize("role", ["viewer", "operator", "manager", "admin"])
@pytest.mark.parametrize("scope", ["read", "write", "ingest", "admin"])
async def test_a_scope_never_gives_more_than_the_user_has(auth: Auth, role: str, scope: str) -> None:
    held = {p.name for p in PERMISSIONS if p.scope == scope} & permissions_of((role,))

    assert permissions_of((role,), (scope,)) == held
    assert permissions_of((role,), (scope,)) <= permissions_of((role,))


async def test_a_scope_that_gives_nothing_is_refused(auth: Auth) -> None:
    await auth.owner()
    viewer = await auth.principal("viewer")

    with pytest.raises(Refused, match="WL-AUTH-029"):
        await auth.ask(CreateToken(viewer, "meter", ("ingest",)))


async def test_a_token_makes_no_token_that_may_more_or_lives_longer(auth: Auth) -> None:
    await auth.owner()
    manager = await auth.principal("manager")
    until_ms = auth.clock.now_ms() + DAY_MS
    parent = await auth.ask(CreateToken(manager, "parent", ("read", "write"), until_ms))
    by = auth.authenticate(parent.secret)

    for scopes in (None, ("ingest",), ("read", "ingest")):
        with pytest.raises(Forbidden, match="WL-AUTH-013"):
            await auth.ask(CreateToken(by, "child", scopes))
    child = await auth.ask(CreateToken(by, "child", ("read",), until_ms + DAY_MS))

    assert child.token.expires_ms == until_ms


async def test_tokens_for_others_are_made_on_the_command_line_only(auth: Auth) -> None:
    await auth.owner()
    viewer = await auth.principal("viewer")
    owner = (await auth.login()).principal

    with pytest.raises(Forbidden):
        await auth.ask(CreateToken(owner, "theirs", for_user="viewer"))
    made = await auth.ask(CreateToken(LOCAL_PRINCIPAL, "theirs", for_user="viewer"))

    assert auth.authenticate(made.secret).user_id == viewer.user_id
    with pytest.raises(NotFound):
        await auth.ask(CreateToken(LOCAL_PRINCIPAL, "theirs", for_user="nobody"))


async def test_a_revoked_and_an_expired_token_are_dead_at_once(auth: Auth) -> None:
    await auth.owner()
    owner = (await auth.login()).principal
    revoked = await auth.ask(CreateToken(owner, "one"))
    expiring = await auth.ask(CreateToken(owner, "two", None, auth.clock.now_ms() + 5_000))
    await auth.ask(RevokeToken(revoked.token.id, owner))
    auth.clock.advance(5)

    for made in (revoked, expiring):
        with pytest.raises(Unauthenticated):
            auth.authenticate(made.secret)
    assert SessionEnded(owner.user_id, token_id=revoked.token.id) in auth.events


async def test_somebody_elses_token_looks_like_a_missing_one(auth: Auth) -> None:
    await auth.owner()
    owner, viewer = (await auth.login()).principal, await auth.principal("viewer")
    made = await auth.ask(CreateToken(owner, "one"))
    errors = []
    for token_id in (made.token.id, "missing"):
        with pytest.raises(NotFound) as caught:
            await auth.ask(RevokeToken(token_id, viewer, user_id=viewer.user_id))
        errors.append(str(caught.value))

    assert errors[0] == errors[1]
    assert await auth.ask(ListTokens(viewer.user_id)) == ()


async def test_the_last_use_of_a_token_is_written_down(auth: Auth) -> None:
    await auth.owner()
    made = await auth.ask(CreateToken((await auth.login()).principal, "one"))
    auth.authenticate(made.secret)
    used_ms = auth.clock.now_ms()
    await stop(auth.ref)
    auth.book = AuthBook()
    auth.start()

    (token,) = await auth.ask(ListTokens())
    assert token.last_used_ms == used_ms


async def test_an_api_token_is_checked_in_a_tenth_of_a_millisecond(auth: Auth) -> None:
    await auth.owner()
    secret = (await auth.ask(CreateToken((await auth.login()).principal, "one"))).secret
    now_ms = auth.clock.now_ms()
    best_s = 1.0
    for _ in range(5):
        begun_s = time.process_time()
        for _ in range(1_000):
            auth.book.authenticate(secret, now_ms)
        best_s = min(best_s, time.process_time() - begun_s)

    assert best_s / 1_000 < 100e-6


# --- users


async def test_other_roles_count_from_the_next_request_and_are_told(auth: Auth) -> None:
    await auth.owner()
    viewer = await auth.principal("viewer")
    made = await auth.ask(CreateToken(viewer, "one"))
    await auth.ask(ChangeUser(viewer.user_id, LOCAL_PRINCIPAL, roles=("operator",)))

    assert auth.authenticate(made.secret).permissions == permissions_of(("operator",))
    assert auth.book.renew(viewer, auth.clock.now_ms()).roles == ("operator",)
    assert RoleChanged(viewer.user_id, ("operator",)) in auth.events


async def test_a_disabled_user_is_out_everywhere(auth: Auth) -> None:
    await auth.owner()
    viewer = await auth.principal("viewer")
    made = await auth.ask(CreateToken(viewer, "one"))
    await auth.ask(ChangeUser(viewer.user_id, LOCAL_PRINCIPAL, disabled=True))

    with pytest.raises(Unauthenticated):
        auth.authenticate(made.secret)
    with pytest.raises(Unauthenticated):
        auth.book.renew(viewer, auth.clock.now_ms())
    with pytest.raises(Unauthenticated, match="WL-AUTH-010"):
        await auth.login("viewer")
    assert SessionEnded(viewer.user_id) in auth.events


async def test_the_last_admin_stays(auth: Auth) -> None:
    await auth.owner()
    (owner,) = await auth.ask(ListUsers())

    for change in ({"roles": ("viewer",)}, {"disabled": True}):
        with pytest.raises(Refused, match="WL-AUTH-025"):
            await auth.ask(ChangeUser(owner.id, LOCAL_PRINCIPAL, **change))


async def test_a_new_password_ends_the_sessions_of_the_old_one(auth: Auth) -> None:
    await auth.owner()
    signed_in = await auth.login()
    await auth.ask(ResetPassword("owner", "another long one", LOCAL_PRINCIPAL))

    with pytest.raises(Unauthenticated):
        auth.authenticate(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        await auth.login()
    assert (await auth.login(password="another long one")).principal.name == "owner"


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "x" * 65, "-x", "ü", "a\n"])
async def test_a_user_name_is_plain(auth: Auth, name: str) -> None:
    with pytest.raises(Refused, match="WL-AUTH-023"):
        await auth.ask(CreateUser(name, ("viewer",), LOCAL_PRINCIPAL, PASSWORD))


async def test_a_name_is_taken_in_any_case(auth: Auth) -> None:
    await auth.owner()

    with pytest.raises(Refused, match="WL-AUTH-024"):
        await auth.ask(CreateUser("OWNER", ("viewer",), LOCAL_PRINCIPAL, PASSWORD))
    with pytest.raises(Refused, match="WL-AUTH-020"):
        await auth.ask(CreateUser("other", ("boss",), LOCAL_PRINCIPAL, PASSWORD))


async def test_sign_ins_and_writes_leave_a_trail_without_secrets(auth: Auth) -> None:
    await auth.owner()
    signed_in = await auth.login()
    with pytest.raises(Unauthenticated):
        await auth.login("ow\nner\x1b", "a wrong password")
    await auth.ask(CreateToken(signed_in.principal, "one"))
    await auth.ask(RecordAudit("devices.patch", "main-meter", signed_in.principal, "10.0.0.1"))

    trail = await auth.ask(ListAudit())

    assert [row.action for row in trail] == [
        "devices.patch", "token.create", "auth.login_failed", "auth.login", "auth.setup",
    ]  # fmt: skip
    assert trail[2].target == "ow?ner?"
    assert trail[0].detail == {"by": "owner"}
    assert PASSWORD not in repr(trail)
