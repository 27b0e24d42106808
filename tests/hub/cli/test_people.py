"""Users and tokens where no hub runs: the command does what the hub would do."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.actors.auth import Login, Origin
from hub.cli.offline import Place, open_auth, open_store
from hub.errors import Unauthenticated
from hub.model.access import Principal
from hub.runtime.actor import request
from tests.hub.cli.conftest import PASSWORD, Shell


def principal_of(shell: Shell, credential: str) -> Principal:
    """Who the hub would see behind a token."""
    from hub.actors.auth import Authenticate

    async def ask() -> Principal:
        async with open_store(Place(shell.config_dir, shell.data_dir)) as store, open_auth(store) as auth:
            return await request(auth, Authenticate(credential))

    return asyncio.run(ask())


def signs_in(shell: Shell, name: str, password: str) -> bool:
    async def ask() -> bool:
        async with open_store(Place(shell.config_dir, shell.data_dir)) as store, open_auth(store) as auth:
            try:
                await request(auth, Login(name, password, Origin("127.0.0.1")))
            except Unauthenticated:
                return False
            return True

    return asyncio.run(ask())


def test_the_first_owner_makes_the_store_and_can_sign_in(shell: Shell) -> None:
    added = shell.own()

    assert (added.code, added.out, added.err) == (0, "added owner (admin)\n", "")
    assert signs_in(shell, "owner", PASSWORD)
    assert not signs_in(shell, "owner", "something else")


def test_a_token_stands_alone_on_stdout_and_does_what_its_scope_says(shell: Shell) -> None:
    shell.own()
    made = shell.run("token", "create", "--user", "owner", "--name", "meter", "--scope", "ingest")

    assert made.err == ""
    assert made.out.startswith("wl_")
    assert made.out.count("\n") == 1
    assert principal_of(shell, made.out.strip()).permissions == {"ingest"}


def test_a_token_without_scopes_may_do_all_that_its_user_may(shell: Shell) -> None:
    shell.own("watcher", "viewer")
    secret = shell.run("token", "create", "--user", "watcher", "--name", "wall").out.strip()

    assert principal_of(shell, secret).permissions == {"read", "me.read", "me.write"}


def test_a_token_ends_when_its_time_is_over(shell: Shell) -> None:
    shell.own()
    words = ("token", "create", "--user", "owner", "--name", "short", "--expires", "90d", "--json")
    made = shell.run(*words).json

    assert made["expires_ms"] == pytest.approx(made["created_ms"] + 90 * 86_400_000, abs=5_000)


@pytest.mark.parametrize("text", ["90", "d", "-1d", "0d", "1.5d", "90 d", "٣d", ""])
def test_a_lifetime_that_is_none_is_wrong_use(shell: Shell, text: str) -> None:
    shell.own()
    done = shell.run("token", "create", "--user", "owner", "--name", "x", f"--expires={text}")

    assert done.code == 2
    assert done.out == ""


def test_a_revoked_token_counts_for_nothing(shell: Shell) -> None:
    shell.own()
    secret = shell.run("token", "create", "--user", "owner", "--name", "old").out.strip()
    listed = shell.run("token", "list", "--json").json["items"]
    revoked = shell.run("token", "revoke", listed[0]["id"])

    assert [one["username"] for one in listed] == ["owner"]
    assert revoked.code == 0
    assert shell.run("token", "list", "--json").json["items"] == []
    with pytest.raises(Unauthenticated):
        principal_of(shell, secret)


def test_a_list_of_tokens_holds_no_secret(shell: Shell) -> None:
    shell.own()
    secret = shell.run("token", "create", "--user", "owner", "--name", "t").out.strip()

    for words in (("token", "list"), ("token", "list", "--json"), ("user", "list", "--json")):
        shown = shell.run(*words).out
        assert secret not in shown
        assert "hash" not in shown


def test_a_token_given_as_an_id_is_not_repeated(shell: Shell) -> None:
    shell.own()
    done = shell.run("token", "revoke", "wl_very-secret")

    assert done.code == 1
    assert "very-secret" not in done.out + done.err
    assert "WL-CLI-005" in done.err


def test_a_new_password_takes_the_place_of_the_old_one(shell: Shell) -> None:
    shell.own()
    done = shell.run("user", "reset-password", "owner", "--password-stdin", stdin="a new one for today\n")

    assert done.code == 0
    assert signs_in(shell, "owner", "a new one for today")
    assert not signs_in(shell, "owner", PASSWORD)


def test_a_password_keeps_its_spaces_and_loses_its_line_break(shell: Shell) -> None:
    added = shell.run(
        "user", "add", "owner", "--role", "admin", "--password-stdin", stdin="  two words \r\nrest"
    )

    assert added.code == 0
    assert signs_in(shell, "owner", "  two words ")


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        (("user", "add", "a/b", "--role", "viewer"), "", "WL-AUTH-023"),
        (("user", "add", "Owner", "--role", "viewer"), "", "WL-AUTH-024"),
        (("user", "add", "x", "--role", "viewer", "--password-stdin"), "short\n", "WL-AUTH-022"),
        (("user", "add", "x", "--role", "viewer", "--password-stdin"), "\n", "WL-CLI-006"),
        (("user", "reset-password", "nobody", "--password-stdin"), f"{PASSWORD}\n", "WL-API-404"),
        (("user", "reset-password", "owner"), "", "WL-CLI-006"),
        (("token", "create", "--user", "nobody", "--name", "x"), "", "WL-API-404"),
        (("token", "create", "--user", "owner", "--name", " "), "", "WL-AUTH-026"),
        (("token", "revoke", "nothing"), "", "WL-API-404"),
    ],
)
def test_a_refusal_says_what_where_and_what_next(
    shell: Shell, words: tuple[str, ...], stdin: str, code: str
) -> None:
    shell.own()
    done = shell.run(*words, stdin=stdin)
    plain = shell.run(*words, "--json", stdin=stdin)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error {code}: ")
    assert "where:" in done.err
    assert "next:" in done.err
    assert plain.code == 1
    assert plain.json["errors"][0]["code"] == code


@pytest.mark.parametrize(
    "words",
    [
        ("user", "add"),
        ("user", "add", "x"),
        ("user", "add", "x", "--role", "king"),
        ("token", "create", "--name", "x"),
        ("token", "create", "--user", "owner", "--name", "x", "--scope", "everything"),
        ("token", "revoke"),
        ("user", "fly"),
    ],
)
def test_wrong_use_ends_with_2(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run(*words).code == 2


def test_asking_about_a_store_that_is_not_there_makes_none(shell: Shell) -> None:
    done = shell.run("user", "list")

    assert done.code == 1
    assert "WL-CLI-004" in done.err
    assert not (shell.data_dir / "hub.db").exists()


def test_what_was_done_stands_in_the_audit_trail(shell: Shell) -> None:
    shell.own()
    shell.run("token", "create", "--user", "owner", "--name", "t")

    with sqlite3.connect(shell.data_dir / "hub.db") as raw:
        rows = raw.execute("SELECT action, detail FROM audit_log ORDER BY id").fetchall()
    raw.close()
    assert [action for action, _ in rows] == ["user.create", "token.create"]
    assert all("command line" in detail for _, detail in rows)


def test_a_broken_configuration_does_not_lead_to_another_store(shell: Shell) -> None:
    (shell.config_dir / "hub.yaml").write_text("storage: {url: 'mysql://u:secret-word@h/d'}\n")
    done = shell.own()

    assert done.code == 1
    assert "secret-word" not in done.out + done.err
    assert not Path(shell.data_dir / "hub.db").exists()


def test_an_error_elsewhere_in_the_configuration_does_not_lock_people_out(shell: Shell) -> None:
    (shell.config_dir / "hub.yaml").write_text("hub: {nam: Home}\nintegrations:\n  - nothing: {}\n")

    assert shell.own().code == 0


def test_the_rights_of_what_is_made_are_the_owners_alone(shell: Shell) -> None:
    shell.own()

    for name in ("hub.db", "auth.key", "hub.lock"):
        assert (shell.data_dir / name).stat().st_mode & 0o077 == 0


def test_commands_at_the_same_moment_wait_for_each_other(shell: Shell) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda name: shell.spawn("user", "add", name, "--role", "viewer"), "abcd"))

    assert [(one.code, one.err) for one in done] == [(0, "")] * 4
    assert sorted(one["username"] for one in shell.run("user", "list", "--json").json["items"]) == list(
        "abcd"
    )
