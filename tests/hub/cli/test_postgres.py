"""The same commands on a PostgreSQL store, whose password stays where it is."""

from __future__ import annotations

import json

import pytest

from tests.hub.cli.conftest import PASSWORD, Shell


@pytest.fixture
def far(shell: Shell, postgres_url: str) -> Shell:
    """A configuration whose store is an empty PostgreSQL database."""
    (shell.config_dir / "hub.yaml").write_text(
        "hub: {name: Home, time_zone: Europe/Paris, currency: EUR}\n"
        'mqtt_broker: {mode: "off"}\nhttp: {port: 0}\n'
        f"storage: {{url: {json.dumps(postgres_url)}}}\n"
    )
    return shell


def test_people_and_tokens_live_in_the_server(far: Shell) -> None:
    added = far.own()
    secret = far.run("token", "create", "--user", "owner", "--name", "t")

    assert (added.code, secret.code) == (0, 0)
    assert secret.out.startswith("wl_")
    assert far.run("user", "list", "--json").json["items"][0]["username"] == "owner"
    assert not (far.data_dir / "hub.db").exists()


def test_the_store_is_measured_checked_and_derived_again(far: Shell) -> None:
    far.own()

    assert far.run("db", "stats", "--json").json["engine"] == "postgresql"
    assert far.run("db", "check").code == 0
    assert far.run("db", "rebuild").out == "derived 0 series again\n"
    assert far.run("db", "rebuild", "--check").code == 0
    assert far.run("db", "migrate", "--json").json["changed"] is False


def test_the_doctor_asks_the_server(far: Shell) -> None:
    parts = {one["part"]: one for one in far.run("doctor", "--json").json["findings"]}

    assert parts["store"]["level"] == "ok"
    assert parts["store"]["text"].startswith("PostgreSQL ")


def test_a_database_that_is_not_there_is_named_without_the_password(far: Shell) -> None:
    path = far.config_dir / "hub.yaml"
    path.write_text(path.read_text().replace("test_", "gone_").replace("//postgres@", "//postgres:canary@"))
    refused = far.run("user", "add", "x", "--role", "viewer", "--password-stdin", stdin=PASSWORD)
    looked = far.run("doctor", "--json")

    assert refused.code == 1
    assert "WL-STO-006" in refused.err
    assert looked.code == 1
    assert "gone_" in refused.err
    assert "canary" not in refused.err + looked.out
