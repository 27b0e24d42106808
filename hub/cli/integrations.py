"""``wattline integration``: what is configured and installed, a new one, and the conformance kit."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hub.cli.options import common, show, table
from hub.cli.remote import running_hub
from hub.errors import AskUser

_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")


@click.group()
def integration() -> None:
    """List, make and test integrations."""


@integration.command("list")
@common
def list_integrations(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List the configured entries and the integrations that are installed."""
    hub = running_hub(data_dir)
    if hub is None:
        entries, plugins = _offline(config_dir)
    else:
        entries, plugins = hub.all("/integrations"), hub.all("/plugins")
    rows = [(one["id"], one["domain"], one["name"], one["state"], one["detail"]) for one in entries]
    text = [table(("ENTRY", "INTEGRATION", "NAME", "STATE", "DETAIL"), rows), ""]
    found = [
        (one["domain"], one["version"], one["source"], one["state"], one["error"] or one["name"])
        for one in plugins
    ]
    text.append(table(("INTEGRATION", "VERSION", "SOURCE", "STATE", "ABOUT"), found))
    show({"entries": entries, "plugins": plugins}, "\n".join(text), as_json=as_json)


def _offline(config_dir: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is configured and what could be loaded; without a hub nothing runs."""
    from hub.cli.configuration import loaded_plugins
    from hub.config.loader import load_tolerant

    plugins = loaded_plugins(config_dir)
    config, _ = load_tolerant(config_dir, plugins.schemas())
    entries = [
        {
            "id": one.entry_id,
            "domain": one.domain,
            "name": str(one.options.get("name") or one.domain),
            "state": "stopped",
            "detail": "",
        }
        for one in config.integrations
    ]
    found = [
        {
            "domain": one.domain,
            "name": one.manifest.name if one.manifest else one.domain,
            "version": one.manifest.version if one.manifest else "",
            "source": one.source,
            "state": one.state,
            "code": one.code,
            "error": one.error,
        }
        for one in plugins.plugins.values()
    ]
    return entries, sorted(found, key=lambda one: one["domain"])


@integration.command("new")
@click.argument("name")
@common
def new(name: str, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Write a small working integration into CONFIG/custom_integrations/NAME."""
    from hub.cli.configuration import loaded_plugins
    from hub.cli.plugin_template import plugin_files
    from hub.plugins.api import API_VERSION
    from hub.plugins.manager import CUSTOM_FOLDER

    taken = loaded_plugins(config_dir).plugins
    if not _NAME.match(name) or name in taken:
        why = (
            f"there is a {taken[name].source} integration of this name"
            if name in taken
            else ("a name has 2 to 32 of the characters a-z 0-9 _ and starts with a letter")
        )
        raise AskUser("WL-CLI-011", why, where="NAME", hint="choose another name")
    folder = config_dir / CUSTOM_FOLDER / name
    files = plugin_files(name, API_VERSION)
    try:
        folder.mkdir(parents=True)
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise AskUser(
            "WL-CLI-014",
            f"the integration cannot be written: {os.strerror(error.errno or 0).lower()}",
            where=str(folder),
            hint="nothing is overwritten; check the path and its rights",
        ) from error
    lines = [f"written {folder / path}" for path in files]
    lines += [
        "",
        f"next: wattline integration test {folder}",
        f"then add `- {name}: {{}}` to integrations in hub.yaml",
    ]
    answer = {"folder": str(folder), "files": [str(folder / path) for path in files]}
    show(answer, "\n".join(lines), as_json=as_json)


@integration.command("test")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--options", "written", default="{}", help="Options of the entry, as YAML or JSON text.")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600), default=15.0, show_default=True, help="For readings."
)
@common
def test(path: Path, written: str, seconds: float, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Run the conformance kit on the integration in the folder PATH."""
    from hub.cli.conformance import run_kit

    report = run_kit(path.resolve(), _options(written), seconds)
    rows = [("ok" if one.ok else "FAILED", one.point, one.detail) for one in report.findings]
    lines = [f"{mark:<7} {point}{f': {detail}' if detail else ''}" for mark, point, detail in rows]
    lines += [f"        {name}: {count} stored" for name, count in sorted(report.rows.items())]
    lines.append("passes" if report.ok else "WL-CLI-012 does not pass")
    answer = {
        "ok": report.ok,
        "domain": report.domain,
        "findings": [asdict(one) for one in report.findings],
        "rows": report.rows,
    }
    show(answer, "\n".join(lines), as_json=as_json)
    if report.stuck:
        sys.stdout.flush()
        os._exit(1)  # a normal end would wait for the thread that the integration holds
    if not report.ok:
        sys.exit(1)


def _options(text: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise click.BadParameter("this is no YAML", param_hint="--options") from error
    if not isinstance(data, dict):
        raise click.BadParameter("options are `key: value` pairs", param_hint="--options")
    return data
