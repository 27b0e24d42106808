"""The plugin contract on one page: hooks are synchronous and only describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hub.plugins.api import Integration

hookspec = pluggy.HookspecMarker("wattline")


@hookspec
def hub_integration() -> Integration:
    """Describe the integration that this module brings."""
    raise NotImplementedError
