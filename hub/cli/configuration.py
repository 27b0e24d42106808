"""Commands about the configuration directory: ``init``, ``check``, ``schema``. None of them needs a hub."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.options import common, counted, fail, show

if TYPE_CHECKING:
    from hub.plugins.manager import PluginManager


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@common
def init(directory: Path, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Write a starter configuration into DIRECTORY. Nothing is overwritten."""
    from hub.config.init import init_directory

    files = [str(path) for path in init_directory(directory, loaded_plugins(directory).schemas())]
    lines = [
        *(f"written {file}" for file in files),
        "",
        f"next: edit {directory / 'hub.yaml'}, then",
        f"  wattline check --config {directory}",
        f"  wattline run --config {directory}",
    ]
    show({"directory": str(directory), "files": files}, "\n".join(lines), as_json=as_json)


@click.command()
@common
def check(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Check the configuration and show every error of every file at once."""
    from hub.config.loader import load_tolerant

    plugins = loaded_plugins(config_dir)
    config, errors = load_tolerant(config_dir, plugins.schemas())
    if errors is not None and not as_json:
        fail(errors, as_json=False)
    broken = [one for one in plugins.plugins.values() if one.state == "failed" and one.source != "bundled"]
    answer = {
        "ok": errors is None,
        "errors": [item.as_json() for item in errors.errors] if errors else [],
        "warnings": [item.as_json() for item in config.warnings],
        "plugins": [{"domain": one.domain, "code": one.code, "error": one.error} for one in broken],
        "files": [source.name for source in config.sources],
    }
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        sys.exit(0 if errors is None else 1)
    for item in config.warnings:
        click.echo(item.render(color=sys.stdout.isatty(), directory=str(config_dir)))
    for one in broken:
        click.echo(f"{one.code} warning: integration {one.domain} cannot be used: {one.error}")
    names = ", ".join(source.name for source in config.sources)
    found = [counted(len(config.integrations), "integration"), counted(len(config.devices), "device")]
    found += [
        counted(len(kept), word) for word in ("tariff", "budget") if (kept := config.kept.get(f"{word}s"))
    ]
    click.echo(f"ok: {', '.join(found)} in {names}")


@click.command()
@common
def schema(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Print the JSON Schema of the configuration, with the options of every integration that is installed."""
    from hub.config.json_schema import json_schema

    click.echo(json.dumps(json_schema(loaded_plugins(config_dir).schemas()), indent=2, ensure_ascii=False))


def loaded_plugins(config_dir: Path) -> PluginManager:
    """The integrations of this installation and of the configuration directory; what fails is in the result."""
    from hub.plugins.manager import PluginManager

    # the result says what could not be loaded; a log line on top would say it twice
    logging.getLogger("hub.plugins.manager").setLevel(logging.CRITICAL)
    plugins = PluginManager(config_dir)
    plugins.load()
    return plugins
