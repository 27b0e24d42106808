"""Shared fixtures: the real peers that tests start on free loopback ports; examples take what time they need."""

from __future__ import annotations

import importlib.util

from hypothesis import HealthCheck, settings

_PEERS = ("tests.peers.postgres", "tests.peers.mosquitto")
pytest_plugins = [name for name in _PEERS if importlib.util.find_spec(name) is not None]

# how long one example takes says something about the machine, and nothing about the promise
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
