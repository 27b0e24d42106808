"""Finds integrations, loads each on its own, and remembers what became of it.

Two doors, one contract: the entry point group ``wattline.integrations`` of installed packages (the bundled ones
come through it too), and folders in ``config/custom_integrations/``. Pluggy ends a hook call at the first
exception, so every plugin is registered in a plugin manager of its own: one that cannot be imported, raises
or takes too long is reported, and the others do not notice.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import voluptuous as vol

from hub.errors import AskUser
from hub.plugins import hookspecs
from hub.plugins.api import Integration
from hub.plugins.manifest import Manifest, read_manifest

LOGGER = logging.getLogger(__name__)

GROUP = "wattline.integrations"
CUSTOM_FOLDER = "custom_integrations"
_LOAD_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """A found integration. ``integration`` is None where it could not be loaded; then ``error`` says why.

    ``source`` is ``bundled``, ``installed`` or ``custom``; ``folder`` is where its code lies.
    """

    domain: str
    source: str
    manifest: Manifest | None = None
    integration: Integration | None = None
    error: str = ""
    code: str = ""
    stack: str = field(default="", repr=False)
    folder: Path | None = None

    @property
    def state(self) -> str:
        """``loaded``, ``disabled`` or ``failed``."""
        if self.integration is not None:
            return "loaded"
        return "disabled" if self.code == "WL-PLG-008" else "failed"


class PluginManager:
    """All integrations of this hub, by domain. Loading is synchronous: do it before the loop, or in a thread."""

    def __init__(self, config_dir: Path | None = None, *, disabled: Iterable[str] = ()) -> None:
        self._config_dir = config_dir
        self._disabled = frozenset(disabled)
        self._plugins: dict[str, Plugin] = {}

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """What was found, by domain."""
        return self._plugins

    def schemas(self) -> dict[str, vol.Schema]:
        """Options schema of every loaded integration, for the configuration loader."""
        return {p.domain: p.integration.schema for p in self._plugins.values() if p.integration}

    def integration(self, domain: str) -> Integration | None:
        """A loaded integration."""
        plugin = self._plugins.get(domain)
        return plugin.integration if plugin else None

    def load(self) -> None:
        """Find and load all; the first of a domain wins, bundled before installed before custom."""
        for point in sorted(entry_points(group=GROUP), key=_bundled_first):
            source = "bundled" if point.value.startswith("integrations.") else "installed"
            self._add(self._load_one(point.name, source, lambda point=point: _import_point(point)))  # type: ignore[misc]  # bound per turn
        for folder in self._custom_folders():
            self._add(self._load_one(folder.name, "custom", lambda folder=folder: _import_folder(folder)))  # type: ignore[misc]  # bound per turn

    def _custom_folders(self) -> list[Path]:
        if self._config_dir is None:
            return []
        folder = self._config_dir / CUSTOM_FOLDER
        if not folder.is_dir():
            return []
        return sorted(one for one in folder.iterdir() if (one / "__init__.py").is_file())

    def _add(self, plugin: Plugin) -> None:
        if plugin.domain in self._plugins:
            LOGGER.warning(
                "%s integration %s is hidden by the %s one", plugin.source, plugin.domain,
                self._plugins[plugin.domain].source,
            )  # fmt: skip
            return
        self._plugins[plugin.domain] = plugin
        if plugin.state == "failed":
            LOGGER.error("integration %s cannot be used: %s %s", plugin.domain, plugin.code, plugin.error)

    def _load_one(self, name: str, source: str, load: Callable[[], tuple[ModuleType, Path]]) -> Plugin:
        if name in self._disabled:
            return Plugin(name, source, error="disabled by the configuration", code="WL-PLG-008")
        outcome: list[Plugin] = []
        worker = threading.Thread(
            target=lambda: outcome.append(_guarded(name, source, load)), name=f"load {name}", daemon=True
        )
        worker.start()
        worker.join(_LOAD_LIMIT_S)
        if not outcome:
            return Plugin(name, source, error=f"did not load within {_LOAD_LIMIT_S:.0f} s", code="WL-PLG-005")
        return outcome[0]


def _bundled_first(point: EntryPoint) -> tuple[bool, str]:
    return (not point.value.startswith("integrations."), point.name)


def _guarded(name: str, source: str, load: Callable[[], tuple[ModuleType, Path]]) -> Plugin:
    """Import, read the manifest, call the hook; whatever goes wrong becomes part of the result."""
    manifest: Manifest | None = None
    try:
        module, folder = load()
        manifest = read_manifest(folder)
        integration = _described(module, name)
        _check(integration, manifest)
    except AskUser as error:
        return Plugin(name, source, manifest, error=str(error), code=error.code)
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, SystemExit too
        text = f"{type(error).__name__}: {error}"
        return Plugin(name, source, manifest, error=text, code="WL-PLG-004", stack=traceback.format_exc())
    return Plugin(integration.domain, source, manifest, integration, folder=folder.absolute())


def _described(module: ModuleType, name: str) -> Integration:
    """Call the one hook of one plugin."""
    manager = pluggy.PluginManager("wattline")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name)
    answers: list[Any] = manager.hook.hub_integration()
    if len(answers) != 1 or not isinstance(answers[0], Integration):
        raise AskUser(
            "WL-PLG-006",
            f"{name} does not describe an integration",
            hint="its __init__.py needs one @hookimpl hub_integration() that returns an Integration",
        )
    return answers[0]


def _check(integration: Integration, manifest: Manifest) -> None:
    if integration.domain != manifest.domain:
        raise AskUser(
            "WL-PLG-007",
            f"the manifest says {manifest.domain}, the code {integration.domain}",
            where=integration.domain,
        )


def _import_point(point: EntryPoint) -> tuple[ModuleType, Path]:
    module = importlib.import_module(point.module)
    return module, _folder_of(module)


def _import_folder(folder: Path) -> tuple[ModuleType, Path]:
    """Import ``custom_integrations/<domain>`` as a package of its own name, without touching ``sys.path``."""
    name = f"custom_integrations.{folder.name}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise AskUser("WL-PLG-004", "the folder is no Python package", where=str(folder))
    parent = sys.modules.setdefault("custom_integrations", ModuleType("custom_integrations"))
    parent.__path__ = [str(folder.parent)]
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module, folder


def _folder_of(module: ModuleType) -> Path:
    if module.__file__ is None:
        raise AskUser("WL-PLG-004", f"{module.__name__} is no package with files")
    return Path(module.__file__).parent
