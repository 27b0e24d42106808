"""The typed configuration: what the rest of the hub reads. All objects are frozen; units are in the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from hub.config.errors import ConfigProblem
from hub.config.nodes import Position
from hub.config.secret import DOTS, Secret
from hub.config.tree import SourceRecord
from hub.model.series import Role


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """``hub:`` the site. ``late_after_s``: silence after which a device counts as late; ``past_limit_s``: age of a
    reading beyond which it goes to quarantine; ``co2_factor_g_per_kwh``: CO2 of the grid where no series tells it;
    ``gas_kwh_per_m3``: calorific value of gas where no installation tells it;
    ``first_fed``: devices that the sun feeds first, in this order."""

    name: str = "Home"
    time_zone: str = "UTC"
    currency: str = "EUR"
    location: tuple[float, float] | None = None
    country: str | None = None
    late_after_s: float = 900.0
    past_limit_s: float = 400 * 86400.0
    co2_factor_g_per_kwh: float | None = None
    gas_kwh_per_m3: float = 10.5
    first_fed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Certificate and key files; relative paths are relative to the configuration directory."""

    cert: str
    key: str


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """``http:`` where the hub listens. Port 0 takes any free port. ``limits`` are read by the web server."""

    host: str = "127.0.0.1"
    port: int = 8321
    trusted_proxies: tuple[str, ...] = ()
    tls: TlsConfig | None = None
    limits: Mapping[str, float] = field(default_factory=_nothing)
    allow_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """``storage:``. ``url`` may hold a password: show :attr:`shown_url`. ``raw_retention_s`` None keeps for ever."""

    url: str = field(default="sqlite:///hub.db", repr=False)
    raw_retention_s: float | None = None
    seal_after_s: float = 48 * 3600.0

    @property
    def shown_url(self) -> str:
        """The url with its login hidden, for logs and pages."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{DOTS}@{rest.rpartition('@')[2]}" if "@" in rest else self.url


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """A login of the hub's own MQTT broker."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """``mqtt_broker:`` the hub's own broker."""

    mode: Literal["auto", "mosquitto", "amqtt", "off"] = "auto"
    host: str = "127.0.0.1"
    port: int = 1883
    users: tuple[BrokerUser, ...] = ()


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """One entry of ``sinks:``; options as validated by the schema of the sink, tokens as :class:`Secret`."""

    name: str
    options: Mapping[str, Any] = field(repr=False)
    position: Position


@dataclass(frozen=True, slots=True)
class IntegrationEntry:
    """One entry of ``integrations:``.

    ``entry_id`` is the explicit ``id``, or the domain and a hash of what identifies the device (host, unit, url …);
    it stays when other options change. ``options`` are as the integration's schema returned them: a secret is
    plain text there unless the schema uses the ``secret`` validator, so they are never printed.
    """

    domain: str
    options: Mapping[str, Any] = field(repr=False)
    position: Position = field(compare=False)
    entry_id: str


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One entry of ``devices:``; None where the file says nothing. ``extra`` holds descriptive keys."""

    id: str
    name: str | None = None
    role: Role | None = None
    area: str | None = None
    parent: str | None = None
    late_after_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    position: Position | None = field(default=None, compare=False)


KEPT_SECTIONS = ("areas", "tariffs", "prices", "budgets", "alert_rules", "notify", "reports", "forecast")
"""Sections that are checked for their outer shape and kept in ``HubConfig.kept`` for the parts that use them."""


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A whole valid configuration.

    ``kept`` has the sections of :data:`KEPT_SECTIONS` as plain data, ``raw`` all sections as written; values of
    secrets and of sensitive keys are :class:`Secret` in both. ``sources`` are the files it came from (without
    secrets.yaml), ``warnings`` findings that do not stop the hub.
    """

    site: SiteConfig = field(default_factory=SiteConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    broker: BrokerConfig = field(default_factory=BrokerConfig)
    sinks: tuple[SinkConfig, ...] = ()
    integrations: tuple[IntegrationEntry, ...] = ()
    devices: tuple[DeviceConfig, ...] = ()
    discovery: Literal["inbox", "auto", "off"] = "inbox"
    logging: Mapping[str, str] = field(default_factory=_nothing)
    kept: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    raw: Mapping[str, Any] = field(default_factory=_nothing, repr=False, compare=False)
    sources: tuple[SourceRecord, ...] = field(default=(), repr=False, compare=False)
    warnings: tuple[ConfigProblem, ...] = field(default=(), repr=False, compare=False)
