"""Integrations that come with Wattline; each imports :mod:`hub.plugins.api` and nothing else of ours."""
