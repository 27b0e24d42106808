"""Wattline: a self-hosted energy hub whose numbers can be trusted."""

__version__ = "0.1.0"
