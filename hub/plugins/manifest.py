"""``manifest.yaml`` beside an integration: what it is, before any of its code runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as vol
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hub.errors import AskUser
from hub.plugins.api import API_VERSION

FILE = "manifest.yaml"
QUALITIES = ("bronze", "silver", "gold")
_MAX_BYTES = 64 * 1024

_SCHEMA = vol.Schema(
    {
        vol.Required("domain"): vol.All(str, vol.Match(r"^[a-z][a-z0-9_]{1,31}$")),
        vol.Required("name"): vol.All(str, vol.Length(min=1, max=80)),
        vol.Required("version"): vol.All(str, vol.Length(min=1, max=40)),
        vol.Required("api"): int,
        vol.Optional("capabilities", default=list): [str],
        vol.Optional("requirements", default=list): [str],
        vol.Optional("quality", default="bronze"): vol.In(QUALITIES),
        vol.Optional("summary", default=""): str,
        vol.Optional("documentation", default=""): str,
    }
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of a manifest; ``api`` is the version of ``hub.plugins.api`` it was made for."""

    domain: str
    name: str
    version: str
    api: int
    capabilities: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    quality: str = "bronze"
    summary: str = ""
    documentation: str = ""


def read_manifest(folder: Path) -> Manifest:
    """Manifest of an integration's folder.

    Raises:
        AskUser: ``WL-PLG-001`` missing or unreadable, ``WL-PLG-002`` wrong content, ``WL-PLG-003`` made for
            another version of the plugin API.
    """
    path = folder / FILE
    plain = _load(path)
    try:
        checked = _SCHEMA(plain)
    except vol.Invalid as error:
        raise AskUser("WL-PLG-002", f"the manifest is wrong: {error}", where=str(path)) from error
    plain_fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in checked.items()
    }
    manifest = Manifest(**plain_fields)
    if manifest.api != API_VERSION:
        raise AskUser(
            "WL-PLG-003",
            f"{manifest.domain} is made for plugin API {manifest.api}, this hub has {API_VERSION}",
            where=str(path),
            hint="install a version of the integration that fits this hub",
        )
    return manifest


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise AskUser("WL-PLG-001", "the manifest is larger than 64 KiB", where=str(path))
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise AskUser("WL-PLG-001", f"the manifest cannot be read: {error}", where=str(path)) from error
