"""What a user may write for an ``mqtt`` entry, and the settings that come out of it.

.. code-block:: yaml

    - mqtt:
        broker: embedded                 # or mqtt://user@192.0.2.5:1883, mqtts://broker.example.org, host:port
        username: hub
        password: !secret mqtt
        tls: {ca: /etc/ssl/own-ca.pem}   # or true; mqtts:// means true
        client_id: wattline-house        # one hub per id
        discovery: inbox                 # auto | off; without it the setting of the hub counts
        discovery_prefix: homeassistant
        birth: true                      # announce the hub once, so that bridges send their states
        topics:
          - {topic: "meters/+/power", device: "{1}", series: power, unit: W, value: "{{ json.power }}"}
          - topic: meters/grid           # several values of one message
            device: main-meter
            role: grid
            ts: "{{ json.time }}"
            values:
              power: "{{ json.p }}"
              energy_import: {value: "{{ json.e1 }}", unit: kWh}
          - {topic: "sensors/+/state", device: "{1}", values: known}   # all members with a well-known name

``{1}`` is the text of the first wildcard, ``{2}`` of the second. Without ``value`` the payload is the number,
or a JSON object with a member named as the series (or ``value``). ``values: known`` takes the members of a JSON
object whose names the hub knows (``power``, ``energy_import``, ``voltage_l1`` …), ``values: all`` every
number. Device time: ``ts: auto`` (default) takes a member ``ts`` of a JSON object if there is one, a template
says where else it is, ``ts: none`` uses the arrival. Without a device time an energy *delta* is refused,
because a message that a broker repeats could not be told from a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import voluptuous as vol

from hub.plugins.api import Behaviour, Role, WattlineError, known_series, series_key
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.templates import compile_template

MAX_TOPIC_BYTES = 1024
_PLACE = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True, slots=True)
class ValueSetting:
    """One value of a message: series key, template (empty = the plain payload or the member of that name)."""

    key: str
    template: str = ""
    unit: str | None = None
    kind: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class TopicSetting:
    """One configured topic. ``members`` is ``known`` or ``all`` where the message itself names the series."""

    topic: str
    device: str
    values: tuple[ValueSetting, ...] = ()
    members: str = ""
    ts: str = "auto"
    name: str = ""
    role: Role | None = None
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """An entry, ready to use. ``host`` is empty for the hub's own broker."""

    host: str = ""
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    client_id: str = ""
    discovery: bool = True
    discovery_prefix: str = "homeassistant"
    birth: bool = True
    topics: tuple[TopicSetting, ...] = ()


def topic_filter(text: object) -> str:
    """A topic filter that a broker accepts.

    Raises:
        vol.Invalid: wildcards in the wrong place, NUL, or too long.
    """
    if not isinstance(text, str) or not text or "\x00" in text or len(text.encode()) > MAX_TOPIC_BYTES:
        raise vol.Invalid("expected a topic, such as meters/+/power")
    levels = text.split("/")
    for number, level in enumerate(levels):
        if ("+" in level and level != "+") or ("#" in level and (level != "#" or number != len(levels) - 1)):
            raise vol.Invalid("a wildcard stands alone between slashes, and # only at the end")
    return text


def plain_topic(text: object) -> str:
    """A topic without wildcards."""
    topic = topic_filter(text)
    if "+" in topic or "#" in topic:
        raise vol.Invalid("expected a topic without wildcards")
    return topic


def _template(text: object) -> str:
    if not isinstance(text, str):
        raise vol.Invalid('expected a template, such as "{{ json.power }}"')
    try:
        compile_template(text)
    except Unreadable as error:
        raise vol.Invalid(error.text) from error
    return text


def _ts(text: object) -> str:
    return text if text in ("auto", "none") and isinstance(text, str) else _template(text)


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise vol.Invalid("expected a port from 1 to 65535")
    return value


_KIND = vol.In([kind.value for kind in Behaviour])
_VALUE = vol.Any(
    vol.All(str, _template),
    {vol.Optional("value"): _template, vol.Optional("unit"): str, vol.Optional("kind"): _KIND,
     vol.Optional("name"): str},
    None,
)  # fmt: skip
_VALUES = vol.Any(vol.In(["known", "all"]), {str: _VALUE})


def _one_topic(written: dict[str, Any]) -> dict[str, Any]:
    """Checks that concern several members of a topic entry."""
    if "series" in written and "values" in written:
        raise vol.Invalid("write either series or values", path=["values"])
    if "series" not in written and "values" not in written:
        raise vol.Invalid("say which series the topic carries", path=["series"])
    wildcards = sum(level in ("+", "#") for level in written["topic"].split("/"))
    if "device" not in written and not wildcards:
        raise vol.Invalid("a topic without wildcards needs a device", path=["device"])
    for member in ("device", "series", "name"):
        text = written.get(member)
        for place in _PLACE.findall(text) if isinstance(text, str) else ():
            if not 1 <= int(place) <= wildcards:
                raise vol.Invalid(f"the topic has no wildcard number {place}", path=[member])
    _check_units(written)
    return written


def _check_units(written: dict[str, Any]) -> None:
    try:
        for value in _topic_setting(written).values:
            if not _PLACE.search(value.key):
                known_series(series_key(value.key), unit=value.unit, kind=value.kind)
    except WattlineError as error:
        raise vol.Invalid(error.message, path=["unit"]) from error


_TOPIC = vol.All(
    {
        vol.Required("topic"): topic_filter,
        vol.Optional("device"): vol.All(str, vol.Length(min=1, max=200)),
        vol.Optional("series"): vol.Any(vol.All(str, vol.Length(min=1, max=200)), {str: _VALUE}),
        vol.Optional("values"): _VALUES,
        vol.Optional("unit"): str,
        vol.Optional("kind"): _KIND,
        vol.Optional("value"): _template,
        vol.Optional("ts", default="auto"): _ts,
        vol.Optional("name"): vol.All(str, vol.Length(max=200)),
        vol.Optional("role"): vol.In([role.value for role in Role]),
        vol.Optional("qos", default=1): vol.In([0, 1], msg="expected 0 or 1"),
    },
    _one_topic,
)

SCHEMA = vol.Schema(
    {
        vol.Optional("name"): vol.All(str, vol.Length(max=200)),
        vol.Optional("broker", default="embedded"): vol.All(str, vol.Length(min=1)),
        vol.Optional("host"): vol.All(str, vol.Length(min=1)),
        vol.Optional("port"): _port,
        vol.Optional("username"): str,
        vol.Optional("password"): vol.Any(str, object),
        vol.Optional("tls", default=False): vol.Any(bool, {vol.Optional("ca"): str}),
        vol.Optional("client_id"): vol.All(str, vol.Length(min=1, max=100)),
        vol.Optional("discovery"): vol.In(["inbox", "auto", "off"]),
        vol.Optional("discovery_prefix", default="homeassistant"): plain_topic,
        vol.Optional("birth", default=True): bool,
        vol.Optional("topics", default=list): [_TOPIC],
    }
)


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Validated options → settings; the schema's defaults are filled in where they are missing.

    Raises:
        vol.Invalid: the options do not fit, or the broker's address cannot be read.
    """
    written = SCHEMA(dict(options))
    host, port, user, word, secure = _address(written)
    tls = written["tls"]
    password = written.get("password", word)
    return Settings(
        host=host,
        port=port,
        username=written.get("username", user),
        password=None if password is None else _revealed(password),
        tls=secure or bool(tls) or isinstance(tls, dict),
        ca=tls.get("ca") if isinstance(tls, dict) else None,
        client_id=written.get("client_id", ""),
        discovery=written.get("discovery") != "off",
        discovery_prefix=written["discovery_prefix"],
        birth=written["birth"],
        topics=tuple(_topic_setting(topic) for topic in written["topics"]),
    )


def _revealed(password: object) -> str:
    """Secrets may come as a type of the hub that hides itself when printed."""
    reveal = getattr(password, "reveal", None)
    return str(reveal() if callable(reveal) else password)


def _address(written: Mapping[str, Any]) -> tuple[str, int, str | None, str | None, bool]:
    broker = written["broker"]
    if broker == "embedded" and "host" not in written:
        return "", 0, None, None, False
    if "host" in written:
        broker = written["host"]
        broker = f"mqtt://[{broker}]" if ":" in broker and not broker.startswith("[") else f"mqtt://{broker}"
    parts = urlsplit(broker if "://" in broker else f"mqtt://{broker}")
    try:
        port = parts.port
    except ValueError as error:
        raise vol.Invalid("the broker's port is no number", path=["broker"]) from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise vol.Invalid("expected embedded, mqtt://host:port or mqtts://host:port", path=["broker"])
    secure = parts.scheme == "mqtts"
    port = written.get("port") or port or (8883 if secure or written["tls"] is not False else 1883)
    user = unquote(parts.username) if parts.username else None
    return parts.hostname, port, user, unquote(parts.password) if parts.password else None, secure


def _topic_setting(written: Mapping[str, Any]) -> TopicSetting:
    named = written.get("values", written.get("series"))
    values: list[ValueSetting] = []
    members = ""
    if "values" in written and isinstance(named, str):
        members = named
    elif isinstance(named, str):
        values.append(ValueSetting(named, written.get("value", ""), written.get("unit"), written.get("kind")))
    else:
        values.extend(_value_setting(key, value) for key, value in (named or {}).items())
    role = written.get("role")
    return TopicSetting(
        topic=written["topic"],
        device=written.get("device", "{1}"),
        values=tuple(values),
        members=members,
        ts=written.get("ts", "auto"),
        name=written.get("name", ""),
        role=Role(role) if role else None,
        qos=written.get("qos", 1),
    )


def _value_setting(key: str, written: object) -> ValueSetting:
    if isinstance(written, str):
        return ValueSetting(key, written)
    if isinstance(written, Mapping):
        return ValueSetting(
            key, written.get("value", ""), written.get("unit"), written.get("kind"), written.get("name", "")
        )
    return ValueSetting(key)
