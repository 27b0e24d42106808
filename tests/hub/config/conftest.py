"""A configuration directory per test and small integration schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import voluptuous as vol

from hub.config.errors import ConfigErrors
from hub.config.loader import load, load_tolerant
from hub.config.settings import HubConfig
from hub.config.values import secret, text

SCHEMAS: Mapping[str, vol.Schema] = {
    "mqtt": vol.Schema(
        {
            vol.Required("broker", description="embedded or an address"): str,
            vol.Optional("discovery", default="inbox"): vol.In(["inbox", "auto", "off"]),
            vol.Optional("topics", default=list): [
                {
                    vol.Required("topic"): str,
                    vol.Required("device"): str,
                    vol.Required("series"): str,
                    "unit": str,
                    "value": str,
                }
            ],
            vol.Optional("password"): secret,
        }
    ),
    "modbus": vol.Schema(
        {
            vol.Required("host"): text,
            vol.Optional("port", default=502): vol.All(int, vol.Range(1, 65535)),
            vol.Optional("unit", default=1): vol.All(vol.Coerce(int), vol.Range(1, 247)),
            vol.Optional("template"): str,
            vol.Optional("name"): str,
            vol.Optional("role"): vol.In(["grid", "solar", "battery", "load"]),
        }
    ),
    "demo": vol.Schema({vol.Optional("power_w", default=400.0): vol.Coerce(float), vol.Optional("key"): str}),
}

SITE = "hub: {name: Home, time_zone: Europe/Paris, currency: EUR}\n"


class Folder:
    """A configuration directory that tests write into."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str | bytes, name: str = "hub.yaml", mode: int = 0o600) -> Folder:
        """Write one file (and the directories it needs)."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        file.chmod(mode)
        return self

    def load(self, environ: Mapping[str, str] | None = None) -> HubConfig:
        """Load strictly, with an environment of its own."""
        return load(self.path, SCHEMAS, environ=environ or {})

    def tolerant(self, environ: Mapping[str, str] | None = None) -> tuple[HubConfig, ConfigErrors | None]:
        """Load what is valid."""
        return load_tolerant(self.path, SCHEMAS, environ=environ or {})

    def errors(self, environ: Mapping[str, str] | None = None) -> ConfigErrors:
        """The errors of a directory that must be invalid."""
        with pytest.raises(ConfigErrors) as caught:
            self.load(environ)
        return caught.value

    def places(self, environ: Mapping[str, str] | None = None) -> list[str]:
        """``file:line:column code`` of every error."""
        return [f"{item.at} {item.code}" for item in self.errors(environ).errors]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty configuration directory."""
    path = tmp_path / "config"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def hub_yaml(folder: Folder) -> Callable[[str], Folder]:
    """Write hub.yaml with a site in front (one line)."""
    return lambda text: folder.write(SITE + text)
