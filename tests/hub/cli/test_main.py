"""The whole group: every command, its shared options, and how quick the small ones are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from hub import __version__
from hub.cli.main import main
from tests.hub.cli.conftest import Shell

HEAVY = (
    "aiohttp",
    "sqlalchemy",
    "numpy",
    "voluptuous",
    "ruamel",
    "pykka",
    "asyncio",
    "web",
    "hub.app",
    "rich",
)


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None, name
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


def test_every_command_takes_the_shared_options_and_explains_itself() -> None:
    for path, command in commands(main):
        options = {option for parameter in command.params for option in parameter.opts}
        shown = CliRunner().invoke(main, [*path, "--help"])

        assert {"--config", "--data", "--json"} <= options, path
        assert shown.exit_code == 0
        assert command.help, path


WRONG = [
    ["nothing"],
    ["--nothing"],
    ["user", "nothing"],
    ["version", "extra"],
    ["user", "add"],
    ["user", "add", "anna", "--role", "king"],
    ["run", "--port", "many"],
]


@pytest.mark.parametrize("words", WRONG)
def test_unknown_words_are_wrong_use(words: list[str]) -> None:
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert "error WL-CLI-015: " in said.stderr
    assert "--help" in said.stderr


@pytest.mark.parametrize("words", [[], ["user"]])
def test_no_words_at_all_show_what_there_is(words: list[str]) -> None:
    said = CliRunner().invoke(main, words)
    assert "Commands:" in said.output
    assert "WL-CLI-015" not in said.output


@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_is_a_document_where_json_is_asked_for(words: list[str]) -> None:
    said = CliRunner().invoke(main, [*words, "--json"])
    assert (said.exit_code, said.stderr) == (2, "")
    (error,) = json.loads(said.stdout)["errors"]
    assert error["code"] == "WL-CLI-015"
    assert error["detail"]
    assert error["where"]
    assert "--help" in error["hint"]


def test_version_says_versions(shell: Shell) -> None:
    assert shell.run("version").out.startswith(f"wattline {__version__} (Python 3.")
    assert shell.run("version", "--json").json["version"] == __version__


def test_version_imports_nothing_heavy() -> None:
    program = (
        "import sys; from hub.cli.main import main; main(['version'], standalone_mode=False);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == "[]"
