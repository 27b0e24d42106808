"""Shelly devices of the second generation and newer (Plus, Pro, Gen3, Gen4)."""

from __future__ import annotations

from hub.plugins.api import Integration, hookimpl
from integrations.shelly.client import connect
from integrations.shelly.schema import SCHEMA


@hookimpl
def hub_integration() -> Integration:
    """Describe the Shelly integration."""
    return Integration(domain="shelly", schema=SCHEMA, connect=connect)
