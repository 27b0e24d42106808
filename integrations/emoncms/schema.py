"""Options of the emonCMS inputs: there are none, it always runs."""

from __future__ import annotations

import voluptuous as vol

SCHEMA = vol.Schema({})
