"""Keep the last good configuration: reload without risk, and know at start what changed since it last worked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.config.diff import ConfigDiff, diff
from hub.config.errors import ConfigErrors
from hub.config.loader import IntegrationSchemas, load
from hub.config.settings import HubConfig
from hub.config.tree import MAIN_FILE

LAST_GOOD_FILE: Final = "config-last-good.json"


@dataclass(frozen=True, slots=True)
class Reload:
    """Outcome of a reload.

    ``config`` is what holds from now on. Where the files are invalid it is the previous configuration, ``kept``
    is true, ``errors`` says why, and ``diff`` is empty.
    """

    config: HubConfig
    diff: ConfigDiff
    errors: ConfigErrors | None = None

    @property
    def kept(self) -> bool:
        """Was the previous configuration kept?"""
        return self.errors is not None


def load_or_keep(
    previous: HubConfig,
    config_dir: str | os.PathLike[str],
    integration_schemas: IntegrationSchemas,
    *,
    environ: Mapping[str, str] | None = None,
    main_file: str = MAIN_FILE,
) -> Reload:
    """Load anew; an invalid configuration changes nothing and comes back as ``errors``. Never raises for content."""
    try:
        config = load(config_dir, integration_schemas, environ=environ, main_file=main_file)
    except ConfigErrors as errors:
        return Reload(previous, ConfigDiff(), errors)
    return Reload(config, diff(previous, config))


def remember_good(data_dir: str | os.PathLike[str], config: HubConfig) -> Path:
    """Note the files of a configuration that works: names and SHA-256, never contents and never secrets.yaml.

    Written to a new file and renamed, mode 0600.

    Raises:
        OSError: the data directory cannot be written.
    """
    path = Path(data_dir) / LAST_GOOD_FILE
    fresh = path.with_suffix(".tmp")
    content = json.dumps(
        {"version": 1, "files": {source.name: source.sha256 for source in config.sources}}, indent=1
    )
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    return path


def changed_since_good(data_dir: str | os.PathLike[str], config: HubConfig) -> tuple[str, ...] | None:
    """Files added, changed or gone since :func:`remember_good`; None where nothing (usable) was remembered."""
    try:
        stored = json.loads((Path(data_dir) / LAST_GOOD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    files = stored.get("files") if isinstance(stored, dict) else None
    if not isinstance(files, dict):
        return None
    now = {source.name: source.sha256 for source in config.sources}
    return tuple(sorted(name for name in {*files, *now} if files.get(name) != now.get(name)))
