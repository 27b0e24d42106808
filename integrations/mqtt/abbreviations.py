"""Short names in discovery messages, as far as sensors need them, and the base topic ``~``.

Names: Home Assistant's documentation of MQTT discovery, "supported abbreviations".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENTITY: Mapping[str, str] = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmps": "components",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "e": "encoding",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "exp_aft": "expire_after",
    "lrst_val_tpl": "last_reset_value_template",
    "o": "origin",
    "obj_id": "object_id",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
DEVICE: Mapping[str, str] = {
    "cns": "connections",
    "hw": "hw_version",
    "ids": "identifiers",
    "mdl": "model",
    "mdl_id": "model_id",
    "mf": "manufacturer",
    "sa": "suggested_area",
    "sn": "serial_number",
    "sw": "sw_version",
}


def expand(config: Mapping[str, Any]) -> dict[str, Any]:
    """One entity (or the whole of a device announcement) with long names and full topics, at all levels."""
    long = _long(config, ENTITY)
    if isinstance(long.get("device"), Mapping):
        long["device"] = _long(long["device"], DEVICE)
    if isinstance(long.get("availability"), Mapping):
        long["availability"] = [long["availability"]]
    if isinstance(long.get("availability"), list):
        long["availability"] = [
            _long(entry, ENTITY) if isinstance(entry, Mapping) else entry for entry in long["availability"]
        ]
    base = long.pop("~", None)
    if isinstance(base, str):
        _fill_topics(long, base)
        for entry in long["availability"] if isinstance(long.get("availability"), list) else ():
            if isinstance(entry, dict):
                _fill_topics(entry, base)
    return long


def _long(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    long: dict[str, Any] = {}
    for key, value in config.items():
        name = names.get(key, key)
        if name not in long or key == name:  # the long name wins where both are given
            long[name] = value
    return long


def _fill_topics(config: dict[str, Any], base: str) -> None:
    """``~`` stands for the base at the beginning or at the end of a topic, nowhere else."""
    for key, value in config.items():
        if isinstance(value, str) and value and key.endswith("topic"):
            if value[0] == "~":
                config[key] = base + value[1:]
            elif value[-1] == "~":
                config[key] = value[:-1] + base
