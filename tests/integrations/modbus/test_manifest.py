"""The manifest says what the integration is."""

from __future__ import annotations

from pathlib import Path

import integrations.modbus
from hub.plugins.manifest import read_manifest


def test_manifest_fits_the_integration() -> None:
    described = integrations.modbus.hub_integration()
    manifest = read_manifest(Path(integrations.modbus.__file__).parent)
    assert manifest.domain == described.domain == "modbus"
    assert manifest.summary
