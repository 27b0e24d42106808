"""`secrets set`: the file is whole at every moment, private, and what the configuration reads is what was sent."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.config.loader import load
from hub.config.secret import Secret
from tests.hub.cli.conftest import Shell

USES_IT = """\
hub: {name: Home, time_zone: Europe/Paris, currency: EUR}
mqtt_broker: {host: 127.0.0.1, users: [{username: a, password: !secret word}]}
"""


def read_back(shell: Shell) -> str:
    """The secret as the hub gets it."""
    (shell.config_dir / "hub.yaml").write_text(USES_IT)
    word = load(shell.config_dir, {}).broker.users[0].password
    assert isinstance(word, Secret)
    return word.reveal()


def test_a_secret_is_stored_privately_and_never_shown(shell: Shell) -> None:
    done = shell.run("secrets", "set", "word", stdin="hidden-value\n")
    path = shell.config_dir / "secrets.yaml"

    assert done.code == 0
    assert "hidden-value" not in done.out + done.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_back(shell) == "hidden-value"
    assert shell.run("secrets", "list").out == "word\n"


@given(
    st.text(
        st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\t\n\"'\\#:{}[]&*!|>%@`"),
        min_size=1,
    ).filter(lambda text: text == text.strip())
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_text_comes_back_as_it_was(shell: Shell, text: str) -> None:
    assert shell.run("secrets", "set", "word", stdin=text).code == 0
    assert read_back(shell) == text


@pytest.mark.parametrize("text", ["0123", "yes", "null", "~", "1e3", "12:30", "!secret other", "2026-01-01"])
def test_what_looks_like_something_else_stays_a_text(shell: Shell, text: str) -> None:
    shell.run("secrets", "set", "word", stdin=text)

    assert read_back(shell) == text


def test_comments_and_other_secrets_stay(shell: Shell) -> None:
    path = shell.config_dir / "secrets.yaml"
    path.write_text("# kept by hand\nfirst: 'one'  # of the heat pump\n")
    path.chmod(0o600)
    shell.run("secrets", "set", "word", stdin="two")
    changed = shell.run("secrets", "set", "first", "--json", stdin="three").json

    assert changed["replaced"]
    assert path.read_text() == '# kept by hand\nfirst: "three" # of the heat pump\nword: "two"\n'


def test_the_comments_of_the_starter_file_stay(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "c", tmp_path / "d")
    shell.run("init", str(tmp_path / "c"))
    head = (tmp_path / "c" / "secrets.yaml").read_text().splitlines()[0]
    shell.run("secrets", "set", "word", stdin="two")

    assert (tmp_path / "c" / "secrets.yaml").read_text().splitlines()[0] == head
    assert read_back(shell) == "two"


def test_a_file_that_was_open_to_others_is_closed(shell: Shell) -> None:
    path = shell.config_dir / "secrets.yaml"
    path.write_text("a: b\n")
    path.chmod(0o644)
    shell.run("secrets", "set", "word", stdin="x")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["- a list\n", "a: [\n  canary", "just text"])
def test_a_file_that_cannot_be_understood_is_left_alone(shell: Shell, content: str) -> None:
    path = shell.config_dir / "secrets.yaml"
    path.write_text(content)
    done = shell.run("secrets", "set", "word", stdin="x")

    assert done.code == 1
    assert "WL-CLI-008" in done.err
    assert "canary" not in done.err
    assert path.read_text() == content
    assert [one.name for one in shell.config_dir.iterdir() if one.name.startswith(".")] == []


def test_a_link_is_not_replaced(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("a: b\n")
    (shell.config_dir / "secrets.yaml").symlink_to(tmp_path / "real.yaml")
    done = shell.run("secrets", "set", "word", stdin="x")

    assert done.code == 1
    assert (tmp_path / "real.yaml").read_text() == "a: b\n"


@pytest.mark.parametrize(
    ("name", "stdin", "code"), [("word", "", 1), ("word", "a\0b", 1), ("a b", "x", 2), ("", "x", 2)]
)
def test_what_cannot_be_a_secret_is_refused(shell: Shell, name: str, stdin: str, code: int) -> None:
    assert shell.run("secrets", "set", name, stdin=stdin).code == code
    assert not (shell.config_dir / "secrets.yaml").exists()
