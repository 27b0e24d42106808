"""What may be written for an mqtt entry."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from hub.plugins.api import Role
from integrations.mqtt.schema import SCHEMA, settings_of


class Hidden:
    """A password that does not print itself, as the configuration has them."""

    def reveal(self) -> str:
        return "s3cret"


def test_nothing_written_is_the_hubs_own_broker_with_discovery() -> None:
    settings = settings_of({})
    assert (settings.host, settings.discovery, settings.birth) == ("", True, True)


@pytest.mark.parametrize(
    ("written", "host", "port", "tls"),
    [
        ({"broker": "mqtt://192.0.2.1"}, "192.0.2.1", 1883, False),
        ({"broker": "mqtt://192.0.2.1:1884"}, "192.0.2.1", 1884, False),
        ({"broker": "mqtts://b.example.org"}, "b.example.org", 8883, True),
        ({"broker": "b.example.org:1885"}, "b.example.org", 1885, False),
        ({"broker": "mqtt://[::1]:1886"}, "::1", 1886, False),
        ({"host": "b.example.org", "port": 1887}, "b.example.org", 1887, False),
        ({"host": "2001:db8::1"}, "2001:db8::1", 1883, False),
        ({"host": "b", "tls": {"ca": "/x.pem"}}, "b", 8883, True),
    ],
)
def test_addresses(written: dict[str, Any], host: str, port: int, tls: bool) -> None:
    settings = settings_of(written)
    assert (settings.host, settings.port, settings.tls) == (host, port, tls)


def test_credentials_come_from_the_address_or_beside_it_and_are_never_printed() -> None:
    assert settings_of({"broker": "mqtt://u:p%40x@h"}).password == "p@x"
    settings = settings_of({"broker": "mqtt://h", "username": "u", "password": Hidden()})
    assert (settings.username, settings.password) == ("u", "s3cret")
    assert "s3cret" not in repr(settings)


def test_the_example_of_the_contract_is_valid() -> None:
    topic = {
        "topic": "meters/+/power",
        "device": "{1}",
        "series": "power",
        "unit": "W",
        "value": "{{ json.power }}",
    }
    settings = settings_of({"broker": "embedded", "discovery": "inbox", "topics": [topic]})
    assert settings.topics[0].values[0].template == "{{ json.power }}"


def test_several_values_by_series_or_by_values() -> None:
    values = {
        "power": "{{ json.p }}",
        "energy_import": {"value": "{{ json.e }}", "unit": "kWh"},
        "voltage": None,
    }
    for member in ("series", "values"):
        (topic,) = settings_of(
            {"topics": [{"topic": "a", "device": "d", member: values, "role": "grid"}]}
        ).topics
        assert [value.key for value in topic.values] == ["power", "energy_import", "voltage"]
        assert topic.values[1].unit == "kWh"
        assert topic.role is Role.GRID


@pytest.mark.parametrize(
    ("topic", "where"),
    [
        ({"topic": "a/+b", "series": "power"}, "topic"),
        ({"topic": "a/#/b", "series": "power"}, "topic"),
        ({"topic": "", "series": "power"}, "topic"),
        ({"topic": "a", "series": "power"}, "device"),
        ({"topic": "a/+", "device": "{2}", "series": "power"}, "device"),
        ({"topic": "a/+"}, "series"),
        ({"topic": "a/+", "series": "power", "values": "known"}, "values"),
        ({"topic": "a/+", "series": "power", "unit": "V"}, "unit"),
        ({"topic": "a/+", "series": "power", "value": "{{ json."}, "value"),
        ({"topic": "a/+", "series": "power", "qos": 2}, "qos"),
        ({"topic": "a/+", "series": "power", "kind": "sum"}, "kind"),
        ({"topic": "a/+", "series": "power", "colour": 1}, "colour"),
    ],
)
def test_mistakes_are_found_where_they_are(topic: dict[str, Any], where: str) -> None:
    with pytest.raises(vol.Invalid) as raised:
        SCHEMA({"topics": [topic]})
    assert where in [str(step) for step in raised.value.path]


@pytest.mark.parametrize("broker", ["http://x", "mqtt://", "mqtt://h:99999", "://"])
def test_an_unreadable_address_is_refused(broker: str) -> None:
    with pytest.raises(vol.Invalid):
        settings_of({"broker": broker})
