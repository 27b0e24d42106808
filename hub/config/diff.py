"""What a reload has to do: the difference of two configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hub.config.settings import KEPT_SECTIONS, HubConfig, IntegrationEntry

RESTART_SECTIONS: Final = ("http", "storage", "mqtt_broker")
"""Sections whose change needs a restart: sockets and database stay open while the hub runs."""
_LIVE_SECTIONS: Final = ("hub", "sinks", "devices", "discovery", "logging", *KEPT_SECTIONS)


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """``added``, ``changed`` and ``unchanged`` hold entries of the new configuration, ``removed`` of the old one.

    ``live`` sections are applied at once, ``restart`` sections with the next start; both are section names.
    """

    added: tuple[IntegrationEntry, ...] = ()
    removed: tuple[IntegrationEntry, ...] = ()
    changed: tuple[IntegrationEntry, ...] = ()
    unchanged: tuple[IntegrationEntry, ...] = ()
    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Is there nothing to do?"""
        return not (self.added or self.removed or self.changed or self.live or self.restart)

    def as_json(self) -> dict[str, list[str]]:
        """Ids and section names, for the answer to a reload."""
        return {
            "added": [entry.entry_id for entry in self.added],
            "removed": [entry.entry_id for entry in self.removed],
            "changed": [entry.entry_id for entry in self.changed],
            "unchanged": [entry.entry_id for entry in self.unchanged],
            "live": list(self.live),
            "restart": list(self.restart),
        }


def diff(old: HubConfig, new: HubConfig) -> ConfigDiff:
    """From ``old`` to ``new``. Entries are the same where domain and ``entry_id`` are; places do not count."""
    before = {entry.entry_id: entry for entry in old.integrations}
    after = {entry.entry_id: entry for entry in new.integrations}
    kept = [(before[name], entry) for name, entry in after.items() if name in before]
    # The same id in the hand of another integration is a new thing.
    handed_over = [(one, other) for one, other in kept if one.domain != other.domain]
    same = [(one, other) for one, other in kept if one.domain == other.domain]
    return ConfigDiff(
        added=tuple(
            [entry for name, entry in after.items() if name not in before] + [new for _, new in handed_over]
        ),
        removed=tuple(
            [entry for name, entry in before.items() if name not in after] + [old for old, _ in handed_over]
        ),
        changed=tuple(other for one, other in same if one.options != other.options),
        unchanged=tuple(other for one, other in same if one.options == other.options),
        live=tuple(name for name in _LIVE_SECTIONS if _section(old, name) != _section(new, name)),
        restart=tuple(name for name in RESTART_SECTIONS if _section(old, name) != _section(new, name)),
    )


def _section(config: HubConfig, name: str) -> Any:
    sections: Mapping[str, Any] = {
        "hub": config.site,
        "http": config.http,
        "storage": config.storage,
        "mqtt_broker": config.broker,
        "sinks": tuple((sink.name, dict(sink.options)) for sink in config.sinks),
        "devices": config.devices,
        "discovery": config.discovery,
        "logging": config.logging,
    }
    return sections[name] if name in sections else config.kept.get(name)


def effective(running: HubConfig, new: HubConfig) -> HubConfig:
    """``new`` with the sections that wait for a restart as they are ``running``: what holds after a reload."""
    return replace(new, http=running.http, storage=running.storage, broker=running.broker)
