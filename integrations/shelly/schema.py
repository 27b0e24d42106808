"""What a user may write for a Shelly device."""

from __future__ import annotations

import voluptuous as vol

from hub.plugins.api import Role, device_name, duration_s, host_name, password, whole

_ROLE = vol.In([role.value for role in Role])

SCHEMA = vol.Schema(
    {
        vol.Required("host"): host_name,
        vol.Optional("port", default=80): vol.All(whole, vol.Range(min=1, max=65535)),
        vol.Optional("transport", default="auto"): vol.In(["auto", "http", "websocket"]),
        vol.Optional("interval", default=10.0): vol.All(duration_s, vol.Range(min=0.1, max=3600)),
        vol.Optional("timeout", default=5.0): vol.All(duration_s, vol.Range(min=0.05, max=60)),
        vol.Optional("password"): password,
        vol.Optional("id"): device_name,
        vol.Optional("name"): device_name,
        vol.Optional("role"): _ROLE,
        vol.Optional("area"): str,
        vol.Optional("reversed", default=False): bool,
        vol.Optional("channels", default=dict): {
            vol.All(whole, vol.Range(min=0, max=9999)): {
                vol.Optional("name"): device_name,
                vol.Optional("role"): _ROLE,
                vol.Optional("area"): str,
            }
        },
    }
)
"""``role`` belongs to channel 0, ``channels`` says what the others are. ``interval`` is the distance of full
status reads; a websocket brings changes between them. ``reversed`` turns the sign of powers and
swaps the import and export registers, for clamps put on the other way round and for solar behind a plug."""
