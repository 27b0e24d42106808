"""Shelly devices that publish over MQTT; they announce themselves by what they send.

Generation 2 and later: ``<prefix>/events/rpc`` carries the fields that changed, ``<prefix>/status/<component>``
(where it is switched on) all of them. Generation 1: one number a topic, ``shellies/<id>/<component>/<n>/<member>``.
Names, channels and units are those of the ``shelly`` integration, so that a device keeps its series when it
changes from one to the other. What is said in both ways is read from ``events/rpc`` alone, which has a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from hub.plugins.api import NO_TIME, DeviceInfo, WattlineError, device_id, known_series
from integrations.mqtt.announcement import Availability, Sensor
from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable, decimal, number
from integrations.mqtt.templates import compile_template

DOMAIN = "shelly"
MAX_DEVICES = 500
"""Anybody who may publish could invent more."""

_PREFIXES = ("+", "+/+", "+/+/+")
_SEEN_COMPONENTS = tuple(
    f"{kind}:{index}"
    for kind, count in (("em", 1), ("emdata", 1), ("em1", 3), ("em1data", 3), ("pm1", 4), ("switch", 4),
                        ("cover", 2), ("light", 4))
    for index in range(count)
)  # fmt: skip
STREAMS = (
    *(f"{prefix}/events/rpc" for prefix in _PREFIXES),
    *(f"{prefix}/status/{component}" for component in _SEEN_COMPONENTS for prefix in _PREFIXES),
    *(f"shellies/+/{part}/+/+" for part in ("relay", "emeter", "roller", "light", "white", "color")),
)
"""Narrow ones: what else somebody publishes under ``…/status/…`` is not ours, and where a filter of the user
covers the same topics, some brokers send each message twice."""

ANNOUNCEMENTS = ("shellies/announce", "shellies/+/announce")

_MAX_COMPONENTS = 64
_FIRST_TIME_S = 1_500_000_000
"""A clock that shows less has not been set yet."""

_EVENTS = re.compile(r"([^$].*)/events/rpc\Z")
_STATUS = re.compile(r"([^$].*)/status/([a-z0-9]+:\d{1,4})\Z", re.ASCII)
_COMPONENT = re.compile(r"(em|emdata|em1|em1data|pm1|switch|cover|light|rgb|rgbw|cct):(\d{1,4})\Z", re.ASCII)
_GEN1 = re.compile(
    r"shellies/([^/]+)/(relay|emeter|roller|light|white|color)/(\d{1,2})/([a-z_]+)\Z", re.ASCII
)
_KIND_OF_ID = re.compile(r"(shelly[a-z0-9-]*?)-([0-9a-f]{6,12})\Z", re.IGNORECASE)
_TWO_PROFILES = re.compile(r"shelly(?:pro)?3em|shelly\w*2pm")
"""Models that exchange their components at run time; the second profile's channels are devices of their own."""

_USELESS = ("power_meter_failure", "ct_type_not_set")
_SAME_FIELD = {"active_power": "act_power", "apparent_power": "aprt_power"}


class _Measure(NamedTuple):
    """A value of a component: its series key, unit, and the way to it."""

    key: str
    unit: str
    path: tuple[str, ...]


def _phase_measures() -> Iterator[_Measure]:
    for phase, line in (("a", "l1"), ("b", "l2"), ("c", "l3")):
        yield _Measure(f"power_{line}", "W", (f"{phase}_act_power",))
        yield _Measure(f"apparent_power_{line}", "VA", (f"{phase}_aprt_power",))
        yield _Measure(f"voltage_{line}", "V", (f"{phase}_voltage",))
        yield _Measure(f"current_{line}", "A", (f"{phase}_current",))
        yield _Measure(f"power_factor_{line}", "", (f"{phase}_pf",))


_SWITCH = (
    _Measure("power", "W", ("apower",)),
    _Measure("apparent_power", "VA", ("aprtpower",)),
    _Measure("voltage", "V", ("voltage",)),
    _Measure("current", "A", ("current",)),
    _Measure("power_factor", "", ("pf",)),
    _Measure("frequency", "Hz", ("freq",)),
    _Measure("temperature", "°C", ("temperature", "tC")),
    _Measure("energy_import", "Wh", ("aenergy", "total")),
    _Measure("energy_export", "Wh", ("ret_aenergy", "total")),
)
_MEASURES: Mapping[str, tuple[_Measure, ...]] = {
    "em": (
        _Measure("power", "W", ("total_act_power",)),
        _Measure("apparent_power", "VA", ("total_aprt_power",)),
        _Measure("current", "A", ("total_current",)),
        _Measure("current_n", "A", ("n_current",)),
        _Measure("frequency", "Hz", ("a_freq",)),
        *_phase_measures(),
    ),
    "emdata": (
        _Measure("energy_import", "Wh", ("total_act",)),
        _Measure("energy_export", "Wh", ("total_act_ret",)),
        *(
            _Measure(f"energy_{way}_{line}", "Wh", (f"{phase}_total_act_{word}energy",))
            for phase, line in (("a", "l1"), ("b", "l2"), ("c", "l3"))
            for way, word in (("import", ""), ("export", "ret_"))
        ),
    ),
    "em1": (
        _Measure("power", "W", ("act_power",)),
        _Measure("apparent_power", "VA", ("aprt_power",)),
        *_SWITCH[2:6],
    ),
    "em1data": (
        _Measure("energy_import", "Wh", ("total_act_energy",)),
        _Measure("energy_export", "Wh", ("total_act_ret_energy",)),
    ),
    **dict.fromkeys(("pm1", "switch", "cover", "light", "rgb", "rgbw", "cct"), _SWITCH),
}
_EMETER = {
    "power": ("power", "W"),
    "reactive_power": ("reactive_power", "var"),
    "voltage": ("voltage", "V"),
    "current": ("current", "A"),
    "pf": ("power_factor", ""),
    "total": ("energy_import", "Wh"),
    "total_returned": ("energy_export", "Wh"),
}
_OUTPUT = {"power": ("power", "W"), "energy": ("energy", "Wmin")}


@dataclass(slots=True)
class _Known:
    """What one device has sent so far; ``events`` holds those keys that came with a time."""

    prefix: str
    first_generation: bool
    model: str = ""
    firmware: str = ""
    serial: str = ""
    keys: dict[tuple[str, str], None] = field(default_factory=dict)
    events: set[tuple[str, str]] = field(default_factory=set)
    returns: set[str] = field(default_factory=set)
    errors: dict[str, dict[str, list[str]]] = field(default_factory=dict)


class ShellyDevices:
    """Puts together what each device sends."""

    def __init__(self) -> None:
        self._devices: dict[str, _Known] = {}

    def claims(self, topic: str) -> bool:
        """Whether a Shelly speaks in this topic."""
        gen1 = _GEN1.match(topic)
        if gen1 is not None:
            return gen1[4] in _members(gen1[2])
        status = _STATUS.match(topic)
        return _EVENTS.match(topic) is not None or bool(status and _COMPONENT.match(status[2]))

    def introduce(self, payload: bytes) -> tuple[str, list[Sensor]]:
        """A first generation device says its model; the name in discovery and what is known of its sensors.

        Raises:
            Unreadable: ``WL-MQT-013``, the message is not what a Shelly sends.
        """
        try:
            data = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise Unreadable("WL-MQT-013", f"the announcement is not JSON: {error}") from error
        own_id = data.get("id") if isinstance(data, dict) else None
        if not isinstance(own_id, str) or not 0 < len(own_id) <= 64:
            raise Unreadable("WL-MQT-013", "the announcement has no id", "id")
        known = self._device(f"shellies/{own_id}", first_generation=True)
        known.model, known.firmware = _text(data.get("model")), _text(data.get("fw_ver"))
        known.serial = _text(data.get("mac"))[:40]
        return _name(known), list(_sensors(known))

    def hear(self, topic: str, message: Message) -> tuple[str, list[Sensor]] | None:
        """A message of a topic that :meth:`claims` knows; None where it brings no new kind of value.

        Raises:
            Unreadable: ``WL-MQT-013`` or, for a single number, ``WL-MQT-002``.
        """
        gen1 = _GEN1.match(topic)
        if gen1 is not None:
            decimal(message.text())
            known = self._device(f"shellies/{gen1[1]}", first_generation=True)
            return _news(known, known.keys, [(f"{gen1[2]}:{int(gen1[3])}", _members(gen1[2])[gen1[4]][0])])
        data = message.json()
        if type(data) is not dict:
            raise Unreadable("WL-MQT-013", "the message is not a JSON object")
        events = _EVENTS.match(topic)
        if events is not None:
            return self._notification(events[1], data)
        status = _STATUS.match(topic)
        return self._fields(status[1], status[2], data, whole=True) if status is not None else None

    def doubts(self, sensor: Sensor) -> bool:
        """Whether the device says that this value is not to be trusted."""
        _, _, prefix, member = sensor.identity
        component, _, key = member.partition(".")
        errors = self._devices[prefix].errors.get(component)
        if not errors:
            return False
        kind = component.partition(":")[0]
        return any(_is_bad(errors, one.path[0]) for one in _MEASURES.get(kind, ()) if one.key == key)

    def _notification(self, prefix: str, data: dict[str, Any]) -> tuple[str, list[Sensor]] | None:
        method, params = data.get("method"), data.get("params")
        if not isinstance(method, str) or not isinstance(params, dict):
            raise Unreadable("WL-MQT-013", "a notification needs a method and params")
        if method not in ("NotifyStatus", "NotifyFullStatus"):
            return None
        news = None
        for component, fields in list(params.items())[:_MAX_COMPONENTS]:
            if isinstance(fields, dict) and _COMPONENT.match(component):
                whole = method == "NotifyFullStatus"
                news = self._fields(prefix, component, fields, whole=whole, timed=True) or news
        return news

    def _fields(
        self, prefix: str, component: str, fields: dict[str, Any], *, whole: bool, timed: bool = False
    ) -> tuple[str, list[Sensor]] | None:
        kind = component.partition(":")[0]
        keys = [(component, one.key) for one in _MEASURES[kind] if _is_number(fields, one.path)]
        if not keys and prefix not in self._devices:
            return None
        known = self._device(prefix, first_generation=False)
        _note_errors(known, component, fields, whole=whole)
        returned = component not in known.returns and "ret_aenergy" in fields
        if returned:
            known.returns.add(component)
        news = _news(known, known.events, keys) if timed else None
        news = _news(known, known.keys, keys) or news
        return news or ((_name(known), list(_sensors(known))) if returned else None)

    def _device(self, prefix: str, *, first_generation: bool) -> _Known:
        known = self._devices.get(prefix)
        if known is None:
            if len(self._devices) >= MAX_DEVICES:
                raise Unreadable("WL-MQT-009", f"more than {MAX_DEVICES} Shelly devices on this broker")
            known = self._devices[prefix] = _Known(prefix, first_generation)
            kind = _KIND_OF_ID.match(prefix.rpartition("/")[2])
            if kind is not None:
                known.model, known.serial = kind[1], kind[2].upper()
        return known


def notification_time(message: Message) -> int:
    """Device time of a notification; the arrival counts before the device has set its clock."""
    data = message.json()
    params = data.get("params") if type(data) is dict else None
    stamp = params.get("ts") if isinstance(params, dict) else None
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or not _FIRST_TIME_S < stamp < 1e11:
        return NO_TIME
    return round(stamp * 1000)


def has_time(topic: str) -> bool:
    """Whether messages of a topic carry their time."""
    return topic.endswith("/events/rpc")


def _members(part: str) -> Mapping[str, tuple[str, str]]:
    return _EMETER if part == "emeter" else _OUTPUT


def _news(
    known: _Known, where: dict[tuple[str, str], None] | set[tuple[str, str]], keys: list[tuple[str, str]]
) -> tuple[str, list[Sensor]] | None:
    new = [key for key in keys if key not in where]
    if not new:
        return None
    if isinstance(where, set):
        where.update(new)
    else:
        where.update(dict.fromkeys(new))
    return _name(known), list(_sensors(known))


def _name(known: _Known) -> str:
    return f"{DOMAIN}/{known.prefix}"


def _sensors(known: _Known) -> Iterator[Sensor]:
    reach = (Availability(f"{known.prefix}/online", "true", "false"),)
    for component, key in known.keys:
        kind, _, index = component.partition(":")
        identity = (DOMAIN, "", known.prefix, f"{component}.{key}")
        device = _device_info(known, kind, int(index))
        if known.first_generation:
            member, unit = next((name, to[1]) for name, to in _members(kind).items() if to[0] == key)
            topic = f"{known.prefix}/{kind}/{index}/{member}"
            yield Sensor(identity, device, known_series(key, unit=unit), topic, None, reach)
            continue
        measure = next(one for one in _MEASURES[kind] if one.key == key)
        timed = (component, key) in known.events
        topic = f"{known.prefix}/events/rpc" if timed else f"{known.prefix}/status/{component}"
        template = compile_template(_template(known, component, measure, timed=timed))
        yield Sensor(identity, device, known_series(key, unit=measure.unit), topic, template, reach)


def _template(known: _Known, component: str, measure: _Measure, *, timed: bool) -> str:
    """``aenergy`` counts both directions where ``ret_aenergy`` exists: import is what remains."""
    way = f"value_json['params']['{component}']" if timed else "value_json"
    path = way + "".join(f"['{step}']" for step in measure.path)
    if measure.path[0] == "aenergy" and component in known.returns:
        return "{{ (" + path + " - " + way + "['ret_aenergy']['total']) | round(3) }}"
    return "{{ " + path + " }}"


def _device_info(known: _Known, kind: str, index: int) -> DeviceInfo:
    own = known.prefix.removeprefix("shellies/") if known.first_generation else known.prefix
    suffix = _suffix(known, kind, index)
    try:
        own_id = device_id(own)
        return DeviceInfo(
            device_id(own_id[: 64 - len(suffix)] + suffix),
            name=(own if not index else f"{own} {index}")[:120],
            kind="meter" if kind.startswith("em") or kind == "pm1" else kind,
            maker="Shelly",
            model=known.model,
            firmware=known.firmware,
            serial=known.serial,
        )
    except WattlineError as error:
        raise Unreadable("WL-MQT-013", error.message, "topic") from error


def _suffix(known: _Known, kind: str, index: int) -> str:
    two_profiles = not known.first_generation and _TWO_PROFILES.match(known.model.lower()) is not None
    if two_profiles and kind == "cover":
        return f"-cover{index}"
    if index or (two_profiles and kind in ("em1", "em1data")):
        return f"-ch{index}"
    return ""


def _is_number(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    value: Any = fields
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    try:
        return value is not None and not isinstance(value, str) and number(value) is not None
    except Unreadable:
        return False


def _note_errors(known: _Known, component: str, fields: Mapping[str, Any], *, whole: bool) -> None:
    """Lists such as ``errors`` and ``a_errors``; a notification leaves out those that did not change."""
    told = {
        name: [one for one in errors if isinstance(one, str)]
        for name, errors in fields.items()
        if name.endswith("errors") and isinstance(errors, list)
    }
    if whole:
        known.errors[component] = told
    elif told:
        known.errors.setdefault(component, {}).update(told)


def _is_bad(errors: Mapping[str, list[str]], field_name: str) -> bool:
    """Whether an error speaks of this field; a sum is no better than its worst phase."""
    prefix = field_name[:2] if field_name[:2] in ("a_", "b_", "c_", "n_") else ""
    lists = ["errors", f"{prefix}errors"]
    if field_name.startswith("total_"):
        lists.extend(("a_errors", "b_errors", "c_errors", "total_errors"))
    name = field_name.removeprefix(prefix).removeprefix("total_")
    for error in (one for kept in lists for one in errors.get(kept, ())):
        kind, _, about = error.partition(":")
        about = _SAME_FIELD.get(about, about)
        if kind in _USELESS or (kind == "out_of_range" and about in (name, name.removeprefix("a"))):
            return True
    return False


def _text(value: object) -> str:
    return "".join(char for char in value[:100] if char.isprintable()) if isinstance(value, str) else ""
