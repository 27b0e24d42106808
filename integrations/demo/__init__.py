"""A simulated house: everything a real one measures, the same for everyone who names the same seed."""

from __future__ import annotations

from hub.plugins.api import Integration, hookimpl
from integrations.demo.schema import SCHEMA
from integrations.demo.source import connect


@hookimpl
def hub_integration() -> Integration:
    """Describe the simulated house."""
    return Integration(domain="demo", schema=SCHEMA, connect=connect)
