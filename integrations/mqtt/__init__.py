"""MQTT: configured topics, Home Assistant discovery, Tasmota and zigbee2mqtt."""

from __future__ import annotations

from hub.plugins.api import Integration, hookimpl
from integrations.mqtt.schema import SCHEMA
from integrations.mqtt.source import connect


@hookimpl
def hub_integration() -> Integration:
    """Describe the integration."""
    return Integration(domain="mqtt", schema=SCHEMA, connect=connect)
