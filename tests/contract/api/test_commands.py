"""Users and tokens from the command line, beside a running hub and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chaos.hub_process import PASSWORD, HubProcess
from tests.contract.api.client import Api
from tests.contract.api.conftest import QUIET, begin, end
from tests.contract.api.test_configuration import wattline


class Shell:
    """Commands on the directories of one hub."""

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub

    def run(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        return wattline(*words, "--config", self.hub.config, "--data", self.hub.data, stdin=stdin)


@pytest.mark.parametrize("online", [False, True])
def test_people_and_tokens(tmp_path: Path, online: bool) -> None:
    hub = HubProcess(tmp_path, QUIET)
    shell = Shell(hub)
    try:
        if online:
            begin(hub)
        code, out, err = shell.run(
            "user", "add", "ada", "--role", "manager", "--password-stdin", stdin="green field 77\n"
        )
        assert code == 0, out + err
        listed = json.loads(shell.run("user", "list", "--json")[1])
        assert "ada" in json.dumps(listed)
        code, out, err = shell.run("token", "create", "--user", "ada", "--name", "shed", "--scope", "ingest")
        assert code == 0, err
        token = out.strip()
        assert token.startswith("wl_")
        assert len(out.splitlines()) == 1
        made = json.loads(shell.run("token", "list", "--json")[1])
        entries = made if isinstance(made, list) else made["items"]
        (entry,) = [one for one in entries if one["name"] == "shed"]
        assert token not in json.dumps(made)
        full = shell.run("token", "create", "--user", "ada", "--name", "full", "--expires", "90d")[1].strip()
        if not online:
            hub.token = full
            begin(hub)
        api = Api(hub.port, token)
        assert api.send({"device": "shed", "values": {"power": 1}}).status == 204
        api.ask("GET", "/api/v1/latest").problem(403)
        assert api.with_token(full).get("me")["username"] == "ada"
        if not online:
            end(hub)
        assert shell.run("token", "revoke", entry["id"])[0] == 0
        assert shell.run("user", "reset-password", "ada", "--password-stdin", stdin="blue field 88\n")[0] == 0
        if not online:
            begin(hub)
        assert api.send({"device": "shed", "values": {"power": 2}}).status == 401
        for password, status in (("green field 77", 401), ("blue field 88", 200)):
            body = {"username": "ada", "password": password}
            assert api.with_token("").ask("POST", "/api/v1/auth/login", data=body).status == status
    finally:
        end(hub)


def test_exit_codes(api: Api, process: HubProcess) -> None:
    shell = Shell(process)
    assert shell.run("user", "add", "bob")[0] == 2
    assert shell.run("user", "add", "bob", "--role", "king")[0] == 2
    assert shell.run("token", "revoke", "nothing")[0] == 1
    code, out, err = shell.run("token", "create", "--user", "nobody", "--name", "x")
    assert code == 1
    assert out == ""
    assert "WL-" in err
    code, out, err = shell.run(
        "user", "add", "owner", "--role", "viewer", "--password-stdin", stdin="green field 77\n"
    )
    assert (code, "WL-" in err) == (1, True)
    code, out, err = shell.run("user", "add", "eve", "--role", "viewer", "--password-stdin", stdin="short\n")
    assert (code, "WL-" in err) == (1, True)
    assert PASSWORD not in process.log


def test_other_commands_answer(api: Api, process: HubProcess) -> None:
    shell = Shell(process)
    for words in (("version",), ("device", "list"), ("integration", "list"), ("db", "stats"), ("backup", "create"),
                  ("backup", "list"), ("doctor",)):  # fmt: skip
        code, out, err = shell.run(*words, "--json")
        assert code in ({0, 1} if words == ("doctor",) else {0}), (words, out, err)
        json.loads(out)
    assert wattline("explain", "WL-CFG-020")[0] == 0
    assert wattline("explain", "WL-NON-999")[0] == 1
    code, out, _ = wattline("schema")
    assert code == 0
    assert json.loads(out)["$schema"].startswith("https://json-schema.org/")
