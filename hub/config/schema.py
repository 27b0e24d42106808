"""What may be written: one voluptuous schema per section of hub.yaml, and the typed result of each.

Every section is validated on its own, so that a broken one does not take the others along. The sections
``areas``, ``tariffs``, ``prices``, ``budgets``, ``alert_rules``, ``notify``, ``reports`` and ``forecast`` are
checked here for their outer shape only; :mod:`hub.config.money` looks deeper into those of money.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import voluptuous as vol

from hub.config.money_shapes import BUDGET, PRICE_SERIES, TARIFF
from hub.config.secret import hidden
from hub.config.settings import (
    BrokerConfig,
    BrokerUser,
    DeviceConfig,
    HttpConfig,
    SiteConfig,
    StorageConfig,
    TlsConfig,
)
from hub.config.values import (
    ValueProblem,
    country,
    currency,
    described,
    duration_s,
    flag,
    host,
    identifier,
    kind_of,
    location,
    network,
    number,
    one_of,
    origin,
    port,
    secret,
    size_bytes,
    storage_url,
    text,
    time_zone,
)
from hub.model.series import Role

LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def _opt(key: str, description: str, default: Any = vol.UNDEFINED) -> vol.Optional:
    return vol.Optional(key, default=default, description=description)


def _req(key: str, description: str) -> vol.Required:
    return vol.Required(key, description=description)


@described(anyOf=[{"const": "forever"}, duration_s.json_schema])  # type: ignore[attr-defined]  # set by described
def _retention(value: Any) -> float | None:
    if value == "forever":
        return None
    seconds = duration_s(value)
    if seconds < 86400:
        raise ValueProblem("WL-CFG-024", f"{value} is less than a day", "write forever or at least 1d")
    return float(seconds)


@described(anyOf=[{"type": "number"}, {"type": "string"}])
def _limit(value: Any) -> float:
    """A limit of the web server: a number, a duration or a size."""
    if isinstance(value, str):
        try:
            return float(duration_s(value))
        except ValueProblem:
            return float(size_bytes(value))
    return float(number(0, 1e15)(value))


class Listing:
    """``[item]`` that also takes nothing (a section with all its entries commented out is common)."""

    def __init__(self, item: Any) -> None:
        self.item = item
        self._schema = vol.Schema([item])

    def __call__(self, value: Any) -> Any:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueProblem(
                "WL-CFG-023", f"expected a list, found {kind_of(value)}", "start each entry with `- `"
            )
        return self._schema(value)


@described(type="object")
def _mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueProblem("WL-CFG-023", f"expected a mapping, found {kind_of(value)}")
    return hidden(value)  # type: ignore[no-any-return]  # hidden() of a dict is a dict


@described(**TARIFF)
def _tariff(value: Any) -> dict[str, Any]:
    return _mapping(value)


@described(**PRICE_SERIES)
def _price_series(value: Any) -> dict[str, Any]:
    return _mapping(value)


@described(**BUDGET)
def _budget(value: Any) -> dict[str, Any]:
    return _mapping(value)


@described(type=["string", "object"])
def _text_or_mapping(value: Any) -> Any:
    return _mapping(value) if isinstance(value, dict) else text(value)


@described(type=["object", "array"])
def _mapping_or_list(value: Any) -> Any:
    return hidden(value) if isinstance(value, list) else _mapping(value)


_TLS = {_req("cert", "file with the certificate chain"): text, _req("key", "file with the private key"): text}
_USER = {_req("username", "name of the login"): text, _req("password", "its password"): secret}

INFLUXDB_SINK: Final = vol.Schema(
    {
        _req("url", "address of the server"): text,
        _req("org", "organisation"): text,
        _req("token", "access token"): secret,
        _opt("buckets", "names of the buckets", {}): {
            _opt("raw", "readings", "iot-data"): text,
            _opt("processed", "derived figures", "processed-data"): text,
            _opt("alerts", "alerts", "alerts"): text,
        },
        _opt("timeout", "longest wait for an answer", 10.0): duration_s,
        _opt("verify_tls", "check the certificate", True): flag,
        _opt("enabled", "send at all", True): flag,
    }
)

SINKS: Final[Mapping[str, vol.Schema]] = MappingProxyType({"influxdb": INFLUXDB_SINK})
"""Known sinks and their options."""

DEVICE: Final = vol.Schema(
    {
        _req("id", "id of the device, stable for ever"): identifier,
        _opt("name", "name shown to people"): text,
        _opt("role", "what the device is in the house"): one_of(*(role.value for role in Role)),
        _opt("area", "id of the area it belongs to"): text,
        _opt("parent", "id of the device whose meter includes this one"): identifier,
        _opt("late_after", "silence after which it counts as late"): duration_s,
        _opt("manufacturer", "who made it"): text,
        _opt("model", "what the maker calls it"): text,
        _opt("serial", "serial number"): text,
        _opt("notes", "free text"): text,
        _opt("labels", "words to group by"): Listing(text),
        _opt("series", "settings of single series"): _mapping_or_list,
    }
)

SECTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "hub": vol.Schema(
            {
                _opt("name", "name of the site", "Home"): text,
                _opt("time_zone", "IANA time zone; days and bills follow it", "UTC"): time_zone,
                _opt("currency", "ISO 4217 code of all money", "EUR"): currency,
                _opt("location", "latitude and longitude in degrees"): location,
                _opt("country", "ISO 3166 code; holidays follow it"): country,
                _opt("late_after", "silence after which a device counts as late", 900.0): duration_s,
                _opt("past_limit", "older readings go to quarantine", 400 * 86400.0): duration_s,
                _opt("co2_factor", "CO2 of a kWh from the grid in g, where no series tells it"): number(
                    0, 5000
                ),
                _opt("first_fed", "devices that the sun feeds first, in this order", []): Listing(identifier),
                _opt(
                    "gas_calorific_value", "kWh in a m3 of gas, where no installation tells it", 10.5
                ): number(1, 50),
            }
        ),
        "http": vol.Schema(
            {
                _opt("host", "address to listen on", "127.0.0.1"): host,
                _opt("port", "port to listen on, 0 for any free one", 8321): port,
                _opt("trusted_proxies", "networks whose forwarding headers count", []): Listing(network),
                _opt("tls", "certificate and key, null for plain HTTP", None): vol.Any(None, _TLS),
                _opt("limits", "limits of the web server by name", {}): {str: _limit},
                _opt("allow_origins", "other web origins that may call", []): Listing(origin),
            }
        ),
        "storage": vol.Schema(
            {
                _opt(
                    "url", "sqlite:///file in the data directory, or postgresql://…", "sqlite:///hub.db"
                ): storage_url,
                _opt("raw_retention", "how long single readings are kept", "forever"): _retention,
                _opt("seal_after", "quiet time after which a day is packed", 48 * 3600.0): duration_s,
            }
        ),
        "mqtt_broker": vol.Schema(
            {
                _opt("mode", "which broker the hub runs", "auto"): one_of(
                    "auto", "mosquitto", "amqtt", "off"
                ),
                _opt("host", "address to listen on", "127.0.0.1"): host,
                _opt("port", "port to listen on, 0 for any free one", 1883): port,
                _opt("users", "logins; needed beyond loopback", []): Listing(_USER),
            }
        ),
        "sinks": vol.Schema({vol.Optional(name): schema for name, schema in SINKS.items()}),
        "devices": vol.Schema(Listing(DEVICE)),
        "areas": vol.Schema(Listing(_text_or_mapping)),
        "tariffs": vol.Schema(Listing(_tariff)),
        "prices": vol.Schema(Listing(_price_series)),
        "budgets": vol.Schema(Listing(_budget)),
        "alert_rules": vol.Schema(Listing(_mapping)),
        "notify": vol.Schema(_mapping),
        "reports": vol.Schema(Listing(_mapping)),
        "forecast": vol.Schema(_mapping),
        "discovery": vol.Schema(one_of("inbox", "auto", "off")),
        "logging": vol.Schema({str: one_of(*LEVELS)}),
    }
)
"""Schema of every section except ``integrations`` (whose options belong to the integrations) and ``packages``."""

KNOWN_SECTIONS: Final = (*SECTIONS, "integrations", "packages")
DESCRIPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hub": "the site",
        "http": "where the hub listens",
        "storage": "where data is kept",
        "mqtt_broker": "the hub's own MQTT broker",
        "sinks": "copies of the data in other systems",
        "integrations": "connections to devices, one entry each",
        "devices": "names, roles and places of devices",
        "areas": "rooms and parts of the site (kept for later use)",
        "tariffs": "energy contracts",
        "prices": "price series that tariffs name in their formulas",
        "budgets": "limits of money or energy per day, month or year",
        "alert_rules": "when to warn (kept for later use)",
        "notify": "how to reach people (kept for later use)",
        "reports": "regular reports (kept for later use)",
        "forecast": "forecast settings (kept for later use)",
        "discovery": "what happens with devices that announce themselves",
        "logging": "level per logger; `default` for all others",
        "packages": "partial configurations by building or device family, merged into the sections",
    }
)

# Mapping sections may be left empty; None then means "all defaults".
EMPTY_AS_MAPPING: Final = frozenset({"hub", "http", "storage", "mqtt_broker", "sinks", "logging"})


def _site(data: dict[str, Any]) -> SiteConfig:
    return SiteConfig(
        name=data["name"],
        time_zone=data["time_zone"],
        currency=data["currency"],
        location=data.get("location"),
        country=data.get("country"),
        late_after_s=data["late_after"],
        past_limit_s=data["past_limit"],
        co2_factor_g_per_kwh=data.get("co2_factor"),
        gas_kwh_per_m3=data["gas_calorific_value"],
        first_fed=tuple(data["first_fed"]),
    )


def _http(data: dict[str, Any]) -> HttpConfig:
    return HttpConfig(
        host=data["host"],
        port=data["port"],
        trusted_proxies=tuple(data["trusted_proxies"]),
        tls=TlsConfig(**data["tls"]) if data["tls"] else None,
        limits=MappingProxyType(data["limits"]),
        allow_origins=tuple(data["allow_origins"]),
    )


def _storage(data: dict[str, Any]) -> StorageConfig:
    return StorageConfig(data["url"], data["raw_retention"], data["seal_after"])


def _broker(data: dict[str, Any]) -> BrokerConfig:
    users = tuple(BrokerUser(user["username"], user["password"]) for user in data["users"])
    return BrokerConfig(data["mode"], data["host"], data["port"], users)


BUILDERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = MappingProxyType(
    {"hub": _site, "http": _http, "storage": _storage, "mqtt_broker": _broker}
)
"""Typed result of the sections that have a class of their own."""


def device_of(data: dict[str, Any], position: Any) -> DeviceConfig:
    """A device from validated data."""
    known = ("id", "name", "role", "area", "parent", "late_after")
    return DeviceConfig(
        id=data["id"],
        name=data.get("name"),
        role=Role(data["role"]) if "role" in data else None,
        area=data.get("area"),
        parent=data.get("parent"),
        late_after_s=data.get("late_after"),
        extra=MappingProxyType({key: value for key, value in data.items() if key not in known}),
        position=position,
    )


def is_open_broker(broker: BrokerConfig) -> bool:
    """Would the hub's broker take anonymous clients from the network?"""
    if broker.mode == "off" or broker.users or broker.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(broker.host).is_loopback
    except ValueError:
        return True
