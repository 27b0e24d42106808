"""Modbus TCP and RTU-over-TCP meters and inverters, described by register maps."""

from __future__ import annotations

from hub.plugins.api import Integration, hookimpl
from integrations.modbus.client import connect
from integrations.modbus.schema import SCHEMA


@hookimpl
def hub_integration() -> Integration:
    """Describe the Modbus integration."""
    return Integration(domain="modbus", schema=SCHEMA, connect=connect)
