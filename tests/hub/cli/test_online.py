"""While a hub runs, a command asks it over loopback; the store is the hub's alone."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.hub.cli.conftest import PASSWORD, Running, Shell, start_hub


@pytest.fixture(scope="module")
def token(running: Running) -> str:
    """A token of the owner that may do everything."""
    return running.shell.run("token", "create", "--user", "owner", "--name", "all").out.strip()


def test_a_token_made_beside_a_running_hub_works_at_once(running: Running, token: str) -> None:
    status, me = running.call("GET", "/api/v1/me", token)

    assert status == 200
    assert me["username"] == "owner"


def test_a_token_revoked_beside_a_running_hub_ends_at_once(running: Running) -> None:
    made = running.shell.run("token", "create", "--user", "owner", "--name", "gone", "--json").json
    revoked = running.shell.run("token", "revoke", made["id"])

    assert revoked.code == 0
    assert running.call("GET", "/api/v1/me", made["token"])[0] == 401


def test_a_user_added_beside_a_running_hub_can_sign_in(running: Running) -> None:
    added = running.shell.own("anna", "operator")
    status, answer = running.call(
        "POST", "/api/v1/auth/login", "", {"username": "anna", "password": PASSWORD}
    )

    assert added.code == 0
    assert status == 200
    assert answer["access_token"]


def test_a_password_set_beside_a_running_hub_counts(running: Running) -> None:
    running.shell.own("berta", "viewer")
    done = running.shell.run(
        "user", "reset-password", "berta", "--password-stdin", stdin="quite another one\n"
    )
    old, _ = running.call("POST", "/api/v1/auth/login", "", {"username": "berta", "password": PASSWORD})
    new, _ = running.call(
        "POST", "/api/v1/auth/login", "", {"username": "berta", "password": "quite another one"}
    )

    assert done.code == 0
    assert (old, new) == (401, 200)


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("user", "add", "a b", "--role", "viewer"), ""),
        (("user", "add", "OWNER", "--role", "viewer"), ""),
        (("user", "add", "x", "--role", "viewer", "--password-stdin"), "short\n"),
        (("user", "reset-password", "nobody", "--password-stdin"), f"{PASSWORD}\n"),
        (("token", "create", "--user", "nobody", "--name", "x"), ""),
        (("token", "create", "--user", "owner", "--name", " "), ""),
        (("token", "revoke", "nothing"), ""),
    ],
)
def test_refusals_are_the_same_with_and_without_a_hub(
    running: Running, shell: Shell, words: tuple[str, ...], stdin: str
) -> None:
    shell.own()
    online = running.shell.run(*words, "--json", stdin=stdin)
    offline = shell.run(*words, "--json", stdin=stdin)

    assert online.code == offline.code == 1
    assert online.json["errors"][0]["code"] == offline.json["errors"][0]["code"]
    assert online.json["errors"][0]["detail"] == offline.json["errors"][0]["detail"]


@pytest.mark.parametrize(
    "words",
    [("user", "list"), ("token", "list"), ("device", "list"), ("integration", "list"), ("db", "stats")],
)
def test_lists_have_the_same_keys_with_and_without_a_hub(
    running: Running, shell: Shell, words: tuple[str, ...]
) -> None:
    shell.own()
    online = running.shell.run(*words, "--json")
    offline = shell.run(*words, "--json")

    assert (online.code, offline.code) == (0, 0)
    assert online.json.keys() == offline.json.keys()


def test_readings_are_listed_checked_and_derived_again_while_the_hub_works(
    running: Running, token: str
) -> None:
    begin_ms = time.time_ns() // 1_000_000 - 6 * 3_600_000
    items = [
        {
            "device": "main-meter",
            "ts": begin_ms + step * 60_000,
            "values": {"power": 500 + step, "energy": step / 10},
        }
        for step in range(300)
    ]
    assert running.send(token, items) == 204
    devices = running.shell.run("device", "list", "--json").json["items"]
    checked = running.shell.run("db", "rebuild", "--check", "--json")
    rebuilt = running.shell.run("db", "rebuild")
    again = running.shell.run("db", "rebuild", "--check", "--json")

    assert [one["id"] for one in devices] == ["main-meter"]
    assert devices[0]["last_ms"] == begin_ms + 299 * 60_000
    assert (checked.code, rebuilt.code, again.code) == (0, 0, 0)
    assert rebuilt.out == "derived 2 series again\n"
    assert checked.json["rows"] > 0
    assert checked.json["different"] == again.json["different"] == 0
    assert running.shell.run("db", "stats", "--json").json["rows_hot"] == 600
    assert running.shell.run("db", "check").out == "the store is whole\n"


def test_a_backup_of_a_running_hub_is_whole_and_restores_elsewhere(running: Running, shell: Shell) -> None:
    target = shell.data_dir.parent / "elsewhere"
    made = running.shell.run("backup", "create", "--to", str(target), "--json").json
    verified = shell.run("backup", "verify", made["path"])
    restored = shell.run("backup", "restore", made["path"])

    assert made["path"].startswith(str(target))
    assert not list((running.shell.data_dir / "backups").glob("*"))
    assert (verified.code, restored.code) == (0, 0)
    assert "owner" in [one["username"] for one in shell.run("user", "list", "--json").json["items"]]


def test_a_restore_over_a_running_hub_is_refused(running: Running, shell: Shell) -> None:
    made = running.shell.run("backup", "create", "--json").json
    done = running.shell.run("backup", "restore", made["path"], "--force")

    assert done.code == 1
    assert "WL-CLI-013" in done.err


def test_the_doctor_asks_the_hub_and_leaves_its_store_alone(running: Running) -> None:
    answer = running.shell.run("doctor", "--json").json
    parts = {one["part"]: one for one in answer["findings"]}

    assert parts["lock"]["text"].startswith(f"held by the hub (pid {running.process.pid}")
    assert parts["hub"]["level"] == "ok"


def test_a_key_that_is_not_the_hubs_is_refused(running: Running, shell: Shell) -> None:
    run_file = running.shell.data_dir / "run.json"
    genuine = run_file.read_text()
    run_file.write_text(json.dumps(json.loads(genuine) | {"key": "wrong"}))
    done = running.shell.run("user", "list")
    run_file.write_text(genuine)

    assert done.code == 1
    assert "WL-AUTH-014" in done.err


def test_a_command_beside_a_hub_is_a_process_of_its_own_and_prints_the_token_alone(running: Running) -> None:
    done = running.shell.spawn("token", "create", "--user", "owner", "--name", "spawned", "--scope", "ingest")

    assert (done.code, done.err) == (0, "")
    assert done.lines == [done.out.strip()]
    assert done.out.startswith("wl_")


def test_after_a_killed_hub_the_commands_go_on_alone(shell: Shell) -> None:
    shell.own()
    process, _ = start_hub(shell)
    process.kill()
    process.wait()

    assert (shell.data_dir / "run.json").exists()
    assert shell.run("user", "list", "--json").json["items"][0]["username"] == "owner"


def test_a_second_hub_on_the_same_data_is_refused(running: Running) -> None:
    done = running.shell.spawn("run")

    assert done.code == 1
    assert "WL-STO-002" in done.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::", "localhost", "127.0.0.7"])
def test_commands_reach_a_hub_by_loopback_whatever_it_listens_on(shell: Shell, host: str) -> None:
    shell.own()
    process, url = start_hub(shell, "--host", host)
    listed = shell.run("user", "list", "--json")
    process.terminate()

    assert process.wait(timeout=120) == 0
    assert "127.0.0" in url or "localhost" in url
    assert listed.code == 0


def test_commands_reach_a_hub_on_an_address_of_the_network(shell: Shell) -> None:
    address = next((one for one in own_addresses() if not one.startswith("127.")), None)
    if address is None:
        pytest.skip("this machine has no address but loopback")
    shell.own()
    process, url = start_hub(shell, "--host", address)
    listed = shell.run("user", "list", "--json")
    process.terminate()

    assert process.wait(timeout=120) == 0
    assert url.startswith("http://127.0.0.1:")
    assert listed.code == 0


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine."""
    found = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [str(one) for one in found]
