"""The command group; commands are imported when they are called, so that ``wattline version`` is quick."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from hub.runtime.lasting import lasting

_COMMANDS = {
    "run": "hub.cli.run:run",
    "demo": "hub.cli.demo:demo",
    "init": "hub.cli.configuration:init",
    "check": "hub.cli.configuration:check",
    "schema": "hub.cli.configuration:schema",
    "explain": "hub.cli.explain:explain",
    "explain-number": "hub.cli.explain_number:explain_number",
    "secrets": "hub.cli.secrets_file:secrets",
    "doctor": "hub.cli.doctor:doctor",
    "user": "hub.cli.people:user",
    "token": "hub.cli.people:token",
    "backup": "hub.cli.backups:backup",
    "db": "hub.cli.store:db",
    "device": "hub.cli.things:device",
    "tariff": "hub.cli.money:tariff",
    "bill": "hub.cli.money:bill",
    "correct": "hub.cli.corrections:correct",
    "meter": "hub.cli.meter:meter",
    "integration": "hub.cli.integrations:integration",
    "version": "hub.cli.version:version",
}


WRONG_USE = "WL-CLI-015"


class _Lazy(click.Group):
    """Imports a command's module when it is named; wrong use gets a code and, with ``--json``, a document."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """As click's; the words are kept, for wrong use may be found before ``--json`` is read."""
        as_json = "--json" in args
        try:
            context = super().make_context(info_name, args, *more, **extra)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _wrong_use(error, as_json=as_json)
        context.meta["as_json"] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """As click's."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _wrong_use(error, as_json=ctx.meta["as_json"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order people meet them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        with lasting():
            command: click.Command = getattr(import_module(module), name)
        return command


def _wrong_use(error: click.UsageError, *, as_json: bool) -> NoReturn:
    """Say what is wrong with the words of the command line, and end with exit code 2."""
    help_words = f"{error.ctx.command_path} --help" if error.ctx else "wattline --help"
    message = error.format_message()
    if as_json:
        plain = {"code": WRONG_USE, "detail": message, "where": "command line", "hint": help_words}
        click.echo(json.dumps({"errors": [plain]}, ensure_ascii=False))
    else:
        usage = f"{error.ctx.get_usage()}\n\n" if error.ctx else ""
        click.echo(f"{usage}error {WRONG_USE}: {message}\n  next:  {help_words}", err=True)
    sys.exit(2)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Wattline: a self-hosted energy hub whose numbers can be trusted."""
