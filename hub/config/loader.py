"""Load a configuration directory: files to a typed :class:`HubConfig`, or all errors at once.

:func:`load` is strict. :func:`load_tolerant` gives the largest valid part for safe mode. Both only read, and
read synchronously: callers on the event loop use a thread.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import voluptuous as vol

from hub.config.errors import ConfigErrors
from hub.config.explain import findings, keys_at
from hub.config.money import CHECKS, money_findings
from hub.config.nearest import did_you_mean
from hub.config.nodes import (
    BrokenNode,
    MappingNode,
    Node,
    Position,
    ScalarNode,
    SequenceNode,
    has_broken,
    to_data,
)
from hub.config.schema import (
    BUILDERS,
    DEVICE,
    EMPTY_AS_MAPPING,
    KNOWN_SECTIONS,
    SECTIONS,
    SINKS,
    device_of,
    is_open_broker,
)
from hub.config.secret import hidden, revealed, secret_texts
from hub.config.settings import (
    KEPT_SECTIONS,
    BrokerConfig,
    DeviceConfig,
    HttpConfig,
    HubConfig,
    IntegrationEntry,
    SinkConfig,
    SiteConfig,
    StorageConfig,
)
from hub.config.tree import MAIN_FILE, Reader
from hub.config.values import identifier

IntegrationSchemas = Mapping[str, vol.Schema]

IDENTITY_KEYS: Final = (
    "host",
    "port",
    "unit",
    "url",
    "path",
    "device",
    "serial_port",
    "serial",
    "address",
    "mac",
    "broker",
    "client_id",
    "prefix",
    "base_topic",
    "device_id",
    "station",
)
"""Options that say *which* device an entry talks to; the others may change and the entry stays the same."""


def load(
    config_dir: str | os.PathLike[str],
    integration_schemas: IntegrationSchemas,
    *,
    environ: Mapping[str, str] | None = None,
    main_file: str = MAIN_FILE,
) -> HubConfig:
    """Load ``hub.yaml`` of a directory and all it includes.

    Args:
        config_dir: the directory; errors name files relative to it.
        integration_schemas: schema of the options per integration domain.
        environ: variables for ``!env_var``; the environment of the process by default.
        main_file: name of the file to begin with, where it is not hub.yaml.

    Raises:
        ConfigErrors: every error of every file, ordered by place.
    """
    config, errors = load_tolerant(config_dir, integration_schemas, environ=environ, main_file=main_file)
    if errors:
        raise errors
    return config


def load_tolerant(
    config_dir: str | os.PathLike[str],
    integration_schemas: IntegrationSchemas,
    *,
    environ: Mapping[str, str] | None = None,
    main_file: str = MAIN_FILE,
) -> tuple[HubConfig, ConfigErrors | None]:
    """The largest valid part of a configuration, and what is wrong with the rest (None where nothing is).

    A section with an error takes its defaults; of ``integrations``, ``devices``, ``sinks`` and the kept lists only
    the entries with an error are left out.
    """
    reader = Reader(config_dir, environ, main_file=main_file)
    tree = reader.read()
    check = _Check(reader, integration_schemas)
    config = check.config(tree.root)
    problems = reader.finished()
    warnings = tuple(problem for problem in problems if problem.severity == "warning")
    config = replace(config, sources=tree.sources, warnings=warnings)
    failed = any(problem.severity == "error" for problem in problems)
    return config, ConfigErrors(problems, reader.directory) if failed else None


@dataclass(slots=True)
class _Seen:
    """Ids already used in a list, with the place of the first."""

    places: dict[str, Position] = field(default_factory=dict)


class _Check:
    """Validates the sections of one tree and builds the typed result."""

    def __init__(self, reader: Reader, integration_schemas: IntegrationSchemas) -> None:
        self._reader = reader
        self._schemas = integration_schemas

    def config(self, root: MappingNode | None) -> HubConfig:
        if root is None:
            return HubConfig()
        self._unknown_sections(root)
        sections = {key: entry.node for key, entry in root.entries.items()}
        site = self._site(root, sections)
        broker = self._built(sections, "mqtt_broker", BrokerConfig())
        return HubConfig(
            site=site,
            http=self._built(sections, "http", HttpConfig()),
            storage=self._built(sections, "storage", StorageConfig()),
            broker=self._closed(broker, sections),
            sinks=tuple(self._sinks(sections.get("sinks"))),
            integrations=tuple(self._integrations(root)),
            devices=tuple(self._devices(sections.get("devices"))),
            discovery=self._section(sections, "discovery", "inbox"),
            logging=MappingProxyType(self._section(sections, "logging", {})),
            kept=MappingProxyType(dict(self._kept(sections, site.currency))),
            raw=MappingProxyType(hidden(to_data(root))),
        )

    # findings

    def _validated(
        self, schema: Any, node: Node, data: Any, owner: Position | None = None
    ) -> tuple[bool, Any]:
        """Data as the schema returns it; False where it was refused (reported)."""
        try:
            return True, schema(data)
        except vol.Invalid as error:
            for code, at, message, hint in findings(error, node, schema, owner):
                # A key whose value is broken was reported already; it only looks missing.
                if not (code == "WL-CFG-022" and has_broken(node)):
                    self._reader.report(code, at, message, hint)
            return False, None

    def _unknown_sections(self, root: MappingNode) -> None:
        for key, entry in root.entries.items():
            if key not in KNOWN_SECTIONS and not key.startswith(" "):
                hint = did_you_mean(key, KNOWN_SECTIONS, f"known sections are {', '.join(KNOWN_SECTIONS)}")
                self._reader.report("WL-CFG-020", entry.key_at, f'section "{key}" is not known', hint)

    # sections

    def _section(self, sections: Mapping[str, Node], name: str, default: Any) -> Any:
        node = sections.get(name)
        if node is None or isinstance(node, BrokenNode):
            return default
        data = to_data(node)
        if data is None and name in EMPTY_AS_MAPPING:
            data = {}
        good, value = self._validated(SECTIONS[name], node, data)
        return value if good and not has_broken(node) else default

    def _built(self, sections: Mapping[str, Node], name: str, default: Any) -> Any:
        data = self._section(sections, name, None)
        return default if data is None else BUILDERS[name](data)

    def _site(self, root: MappingNode, sections: Mapping[str, Node]) -> SiteConfig:
        site: SiteConfig = self._built(sections, "hub", SiteConfig())
        node = sections.get("hub")
        present = node.entries if isinstance(node, MappingNode) else {}
        entry = root.entries.get("hub")
        at = entry.key_at if entry else Position(self._reader.main_file, 1, 1)
        defaults = {"time_zone": site.time_zone, "currency": site.currency}
        if entry is None or isinstance(node, (MappingNode, ScalarNode)):
            for key, value in defaults.items():
                if key not in present:
                    message = f"hub has no {key}, so {value} is taken"
                    self._reader.report(
                        "WL-CFG-034", at, message, f"add `{key}:` under `hub:`", severity="warning"
                    )
        return site

    def _closed(self, broker: BrokerConfig, sections: Mapping[str, Node]) -> BrokerConfig:
        node = sections.get("mqtt_broker")
        if not is_open_broker(broker) or node is None:
            return broker
        at = (
            node.entries["host"].node.at
            if isinstance(node, MappingNode) and "host" in node.entries
            else node.at
        )
        message = f"the broker would listen on {broker.host} without users"
        self._reader.report("WL-CFG-033", at, message, "add `users:` with username and password")
        return BrokerConfig()

    def _kept(self, sections: Mapping[str, Node], currency: str) -> Iterator[tuple[str, Any]]:
        for name in KEPT_SECTIONS:
            node = sections.get(name)
            if isinstance(node, SequenceNode) and name in CHECKS:
                yield name, list(self._money(name, node, currency))
            elif isinstance(node, SequenceNode):
                yield name, [value for _, value in self._items(node, SECTIONS[name])]
            elif node is not None:
                value = self._section(sections, name, None)
                if value is not None:
                    yield name, value

    def _money(self, name: str, node: SequenceNode, currency: str) -> Iterator[Any]:
        """Valid tariffs, price series or budgets."""
        seen = _Seen()
        for item, data in self._items(node, SECTIONS[name]):
            wrong = list(money_findings(name, item, data, currency))
            for finding in wrong:
                self._reader.report(*finding)
            # formulas write `-` as `_`, so two prices that differ in nothing else would be one
            name_in_use = data["id"].replace("-", "_") if name == "prices" and not wrong else data.get("id")
            if not wrong and self._fresh(seen, name_in_use, item):
                yield data

    def _items(self, node: SequenceNode, schema: Any) -> Iterator[tuple[Node, Any]]:
        """Valid entries of a list; the schema of the whole list is applied to each on its own."""
        for item in node.items:
            if isinstance(item, BrokenNode):
                continue
            alone = SequenceNode(node.at, [item])
            good, value = self._validated(schema, alone, [to_data(item)])
            if good and not has_broken(item):
                yield item, value[0]

    def _sinks(self, node: Node | None) -> Iterator[SinkConfig]:
        if not isinstance(node, MappingNode):
            if isinstance(node, (ScalarNode, SequenceNode)):
                self._section({"sinks": node}, "sinks", {})
            return
        for name, entry in node.entries.items():
            alone = MappingNode(node.at, {name: entry})
            data = to_data(alone)
            good, value = self._validated(SECTIONS["sinks"], alone, data) if data else (False, None)
            if good and value and name in SINKS and not has_broken(entry.node):
                yield SinkConfig(name, MappingProxyType(value[name]), entry.key_at)

    # devices

    def _devices(self, node: Node | None) -> Iterator[DeviceConfig]:
        if not isinstance(node, SequenceNode):
            if node is not None:
                self._section({"devices": node}, "devices", [])
            return
        seen = _Seen()
        for item, data in self._items(node, vol.Schema([DEVICE])):
            if self._fresh(seen, data["id"], item):
                yield device_of(data, item.at)

    def _fresh(self, seen: _Seen, name: str, item: Node) -> bool:
        at = item.entries["id"].node.at if isinstance(item, MappingNode) and "id" in item.entries else item.at
        first = seen.places.setdefault(name, at)
        if first is at:
            return True
        message = f'id "{name}" is used already at {first.file}:{first.line}'
        self._reader.report("WL-CFG-032", at, message, "give each entry an id of its own")
        return False

    # integrations

    def _integrations(self, root: MappingNode) -> Iterator[IntegrationEntry]:
        section = root.entries.get("integrations")
        if section is None or isinstance(section.node, BrokenNode):
            return
        node = section.node
        if isinstance(node, ScalarNode) and node.value is None:
            return
        if not isinstance(node, SequenceNode):
            hint = "start each entry with `- `"
            self._reader.report("WL-CFG-061", section.key_at, "integrations has to be a list", hint)
            return
        seen = _Seen()
        counts: dict[str, int] = {}
        for item in node.items:
            entry = None if isinstance(item, BrokenNode) else self._integration(item, counts)
            if entry is not None and self._fresh_entry(seen, entry, item):
                yield entry

    def _fresh_entry(self, seen: _Seen, entry: IntegrationEntry, item: Node) -> bool:
        options = item.entries[entry.domain].node if isinstance(item, MappingNode) else item
        return self._fresh(seen, entry.entry_id, options)

    def _integration(self, item: Node, counts: dict[str, int]) -> IntegrationEntry | None:
        if not isinstance(item, MappingNode) or len(item.entries) != 1:
            found = f"{len(item.entries)} keys" if isinstance(item, MappingNode) else "no mapping"
            hint = "write `- name: {options}`; options are indented deeper than the name"
            self._reader.report("WL-CFG-061", item.at, f"expected one integration name, found {found}", hint)
            return None
        domain, entry = next(iter(item.entries.items()))
        if domain not in self._schemas:
            self._unknown_domain(domain, entry.key_at)
            return None
        if isinstance(entry.node, BrokenNode):
            return None
        data = to_data(entry.node)
        at = entry.key_at
        if data is not None and not isinstance(data, dict):
            self._reader.report("WL-CFG-061", entry.node.at, f"the options of {domain} have to be a mapping")
            return None
        explicit, good_id = self._explicit_id(domain, data or {}, entry.node)
        options = self._options(domain, data or {}, entry.node, at)
        if options is None or not good_id or has_broken(entry.node):
            return None
        return IntegrationEntry(
            domain, MappingProxyType(options), at, explicit or _entry_id(domain, options, counts)
        )

    def _unknown_domain(self, domain: str, at: Position) -> None:
        known = ", ".join(sorted(self._schemas)[:20])
        hint = did_you_mean(domain, self._schemas, f"installed are {known}" if known else "none is installed")
        self._reader.report("WL-CFG-060", at, f'no integration is called "{domain}"', hint)

    def _explicit_id(self, domain: str, data: dict[str, Any], node: Node) -> tuple[str | None, bool]:
        """The ``id`` of an entry, taken out of the options unless the integration has a key of that name."""
        if "id" not in data or "id" in keys_at(self._schemas[domain], ()):
            return None, True
        value = data.pop("id")
        wrapped = vol.Schema({"id": identifier}, extra=vol.ALLOW_EXTRA)
        good, _ = self._validated(wrapped, node, {"id": value})
        return (value, True) if good else (None, False)

    def _options(self, domain: str, data: dict[str, Any], node: Node, at: Position) -> dict[str, Any] | None:
        # The integration decides by its schema whether it wants a plain text or a Secret.
        for text in secret_texts(data):
            self._reader.mask.learn(text)
        schema = self._schemas[domain]
        try:
            good, options = self._validated(schema, node, revealed(data), at)
        except Exception as error:  # noqa: BLE001  # border: a plugin's schema may raise anything
            self._reader.report("WL-CFG-062", at, f"the schema of {domain} failed: {type(error).__name__}")
            return None
        if good and not isinstance(options, dict):
            self._reader.report("WL-CFG-062", at, f"the schema of {domain} gave no mapping")
            return None
        return options if good else None


def _entry_id(domain: str, options: Mapping[str, Any], counts: dict[str, int]) -> str:
    """Domain and a hash of the identity; a second entry with the same identity gets ``-2``."""
    identity = {key: str(options[key]) for key in IDENTITY_KEYS if options.get(key) is not None}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    base = f"{domain}-{digest}" if identity else domain
    counts[base] = counts.get(base, 0) + 1
    return base if counts[base] == 1 else f"{base}-{counts[base]}"
