"""The command group; commands are imported when they are called, so that ``wattline version`` is quick."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "run": "hub.cli.run:run",
    "demo": "hub.cli.demo:demo",
    "init": "hub.cli.configuration:init",
    "check": "hub.cli.configuration:check",
    "schema": "hub.cli.configuration:schema",
    "explain": "hub.cli.explain:explain",
    "secrets": "hub.cli.secrets_file:secrets",
    "doctor": "hub.cli.doctor:doctor",
    "user": "hub.cli.people:user",
    "token": "hub.cli.people:token",
    "backup": "hub.cli.backups:backup",
    "db": "hub.cli.store:db",
    "device": "hub.cli.things:device",
    "tariff": "hub.cli.money:tariff",
    "bill": "hub.cli.money:bill",
    "integration": "hub.cli.integrations:integration",
    "version": "hub.cli.version:version",
}


class _Lazy(click.Group):
    """Imports a command's module when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order people meet them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Wattline: a self-hosted energy hub whose numbers can be trusted."""
