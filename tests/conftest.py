"""Shared fixtures: the real peers that tests start on free loopback ports."""

from __future__ import annotations

import importlib.util

_PEERS = ("tests.peers.postgres", "tests.peers.mosquitto")
pytest_plugins = [name for name in _PEERS if importlib.util.find_spec(name) is not None]
