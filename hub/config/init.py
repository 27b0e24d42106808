"""The starter directory of ``wattline init DIR``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import voluptuous as vol

from hub.config.files import SECRETS_FILE
from hub.config.json_schema import SCHEMA_FILE, json_schema
from hub.config.tree import MAIN_FILE
from hub.errors import ConfigError

HUB_YAML: Final = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# Wattline configuration. `wattline check` shows every mistake with its line; a running hub takes changes with
# `kill -HUP`, the editor or POST /api/v1/config/reload. Tags: !secret NAME (from {SECRETS_FILE}),
# !env_var NAME default, !include FILE, !include_dir_merge_list DIR, !include_dir_merge_named DIR.

# The site. Days, months and bills follow the time zone; all money is in the currency.
hub:
  name: Home
  time_zone: Europe/Paris      # IANA name: Region/City
  currency: EUR                # ISO 4217
  # location: [48.85, 2.35]    # latitude, longitude: sunrise and solar forecasts
  # country: FR                # ISO 3166: public holidays
  # co2_factor: 56             # g of CO2 in a kWh from the grid

# Where the hub listens. 127.0.0.1 is this machine only; 0.0.0.0 is the whole network.
http:
  host: 127.0.0.1
  port: 8321

# Relative to the data directory. postgresql://user:password@host/database is possible as well.
storage:
  url: "sqlite:///hub.db"
  raw_retention: forever       # readings are kept for ever in this version

# The hub's own MQTT broker: auto | mosquitto | amqtt | off. Beyond loopback it needs `users:`.
mqtt_broker:
  mode: auto
  host: 127.0.0.1
  port: 1883

# What happens with devices that announce themselves: inbox (you decide) | auto | off.
discovery: inbox

# One entry per connection: the name of an integration, then its options.
integrations:
  # - mqtt:
  #     broker: embedded
  #     topics:
  #       - {{topic: "meters/+/power", device: "{{1}}", series: power, unit: W, value: "{{{{ json.power }}}}"}}
  # - modbus: {{host: 192.0.2.7, unit: 1, template: eastron-sdm630, name: Main meter, role: grid}}

# Names, roles and places: grid, solar, battery, load, ev, heat_pump, gas, water, heat, none.
devices:
  # - {{id: main-meter, name: Main meter, role: grid}}

# Your contract, so that energy has a cost; the manual's page on tariffs explains every line.
# tariffs:
#   - id: home
#     versions:
#       - from: 2026-01-01
#         import:
#           - {{energy: Energy, price: 0.2516}}
#           - {{standing: Subscription, price: 12.60, per: month}}
#           - {{tax: VAT, percent: 20, on: all}}
#         export:
#           - {{feed_in: Feed-in, price: 0.04}}
# budgets:
#   - {{id: electricity, amount: 120.00}}
"""

SECRETS_YAML: Final = """\
# One `name: text` per line, used as `!secret name`. Keep this file at mode 0600 and out of version control.
# mqtt_password: "change me"
"""


def init_directory(
    path: str | os.PathLike[str], integration_schemas: Mapping[str, vol.Schema]
) -> tuple[Path, ...]:
    """Write hub.yaml, secrets.yaml (mode 0600) and the JSON Schema they name; returns the files.

    Nothing is overwritten: where one of the files exists, none is written.

    Raises:
        ConfigError: ``WL-CFG-080`` a file exists already, ``WL-CFG-081`` the directory cannot be written.
    """
    folder = Path(path)
    schema = json.dumps(json_schema(integration_schemas), indent=2, ensure_ascii=False) + "\n"
    contents = {
        MAIN_FILE: (HUB_YAML, 0o644),
        SECRETS_FILE: (SECRETS_YAML, 0o600),
        SCHEMA_FILE: (schema, 0o644),
    }
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_existing(folder, contents)
        for name, (content, mode) in contents.items():
            _write_new(folder / name, content, mode)
            written.append(folder / name)
    except FileExistsError as error:
        raise _exists(folder, Path(error.filename or "").name) from error
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        hint = "check the path and its permissions"
        raise ConfigError("WL-CFG-081", f"cannot write: {reason}", where=str(folder), hint=hint) from error
    return tuple(written)


def _refuse_existing(folder: Path, names: Mapping[str, object]) -> None:
    for name in names:
        if os.path.lexists(folder / name):
            raise _exists(folder, name)


def _exists(folder: Path, name: str) -> ConfigError:
    hint = "choose another directory, or move the file away"
    return ConfigError(
        "WL-CFG-080", f"there is a {name} already; nothing is overwritten", where=str(folder), hint=hint
    )


def _write_new(path: Path, content: str, mode: int) -> None:
    # O_EXCL: a file that appeared since the check is not overwritten either.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with open(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
