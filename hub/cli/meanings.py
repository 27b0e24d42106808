"""What the codes outside the configuration mean: one entry each, for ``wattline explain`` and the manual.

The numbers are stable: they are searched for and matched by programs. A number is never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hub.cli.meanings_hub import HUB
from hub.cli.meanings_metering import METERING
from hub.cli.meanings_money import MONEY
from hub.cli.meanings_readings import READINGS
from hub.cli.meanings_store import STORE
from hub.cli.meanings_tariffs import TARIFFS
from hub.config.codes import CodeText

MEANINGS: Final[Mapping[str, CodeText]] = MappingProxyType(
    {**STORE, **HUB, **READINGS, **METERING, **TARIFFS, **MONEY}
)
