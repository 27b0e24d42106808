"""Loads a written configuration as the hub would: in a directory of its own, with the secrets it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import web.handlers
from hub.config import loader
from hub.config.settings import HubConfig
from hub.plugins.manager import PluginManager
from web.routes import Route

ROOT = Path(__file__).parents[2]
_SECRET = re.compile(r"!secret\s+([A-Za-z0-9_-]+)")


@cache
def plugins() -> PluginManager:
    """The integrations that come along, loaded once."""
    manager = PluginManager()
    manager.load()
    return manager


def own_routes() -> Iterator[Route]:
    """What the modules of web/handlers declare."""
    for module in iter_modules(web.handlers.__path__):
        yield from import_module(f"web.handlers.{module.name}").routes.all


def load_text(text: str, directory: Path) -> HubConfig:
    """The configuration that ``text`` makes as hub.yaml; a secret's text is its name.

    Raises:
        ConfigErrors: the text is no valid configuration.
    """
    (directory / "hub.yaml").write_text(text, encoding="utf-8")
    names = sorted(set(_SECRET.findall(text)))
    if names:
        secrets = directory / "secrets.yaml"
        secrets.write_text("".join(f"{name}: the {name} text\n" for name in names), encoding="utf-8")
        secrets.chmod(0o600)
    return loader.load(directory, plugins().schemas(), environ={})
